"""One file's bytes to an array, or a DataError that names the file."""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.data.store import GRID, SIDE, VIEWS
from compress3d.errors import DataError

#: What to do about a broken object.
REMEDY = "download the data set again, or remove this object"
_HEADER_LIMIT = 1024  # bytes; a binvox file's real header has about 80
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def decode_view(data: bytes, name: str | Path) -> np.ndarray:
    """One view from the bytes of its PNG: uint8 `(137, 137, 4)`, straight alpha.

    Raises:
        DataError: the bytes are no complete PNG, or the picture is not RGBA of 137 x 137.
    """
    _check_png(data, name)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.size != (SIDE, SIDE):
                raise DataError(name, f"is {image.size[0]}x{image.size[1]} pixels, not {SIDE}x{SIDE}", REMEDY)
            if image.mode != "RGBA":
                raise DataError(name, f"has the mode {image.mode}, not RGBA", REMEDY)
            return np.array(image)
    except DataError:
        raise
    except Exception as error:  # Pillow: OSError, SyntaxError, ValueError, zlib.error, struct.error ...
        raise DataError(name, f"is no complete PNG picture ({error})", REMEDY) from None


def _check_png(data: bytes, name: str | Path) -> None:
    """Walk the chunks to the end: Pillow itself passes over a missing end and over damaged pixels."""
    if not data.startswith(_PNG_SIGNATURE):
        raise DataError(name, "is no PNG picture" if data else "is empty", REMEDY)
    at, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if at + 12 + size > len(data):
            raise DataError(name, "is no complete PNG picture (truncated)", REMEDY)
        if zlib.crc32(data[at + 4 : at + 8 + size]) != int.from_bytes(data[at + 8 + size : at + 12 + size], "big"):
            raise DataError(name, f"is damaged (checksum of the PNG chunk {kind.decode('latin-1')})", REMEDY)
        at += 12 + size
    if at != len(data):
        raise DataError(name, "has bytes after the end of its PNG picture", REMEDY)


def decode_metadata(data: bytes, name: str | Path) -> np.ndarray:
    """Cameras from the bytes of `rendering_metadata.txt`: float32 `(24, 5)`.

    Columns as `camera.sample_cameras` draws them.

    Raises:
        DataError: not 24 lines of 5 finite numbers.
    """
    try:
        lines = [line.split() for line in data.decode("ascii").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise DataError(name, "is no text file", REMEDY) from None
    if len(lines) != VIEWS:
        raise DataError(name, f"describes {len(lines)} of {VIEWS} views", REMEDY)
    for number, words in enumerate(lines, 1):
        if len(words) != 5:
            raise DataError(name, f"has {len(words)} columns in line {number}, not 5", REMEDY)
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 becomes inf, and is refused below
            cameras = np.array(lines, np.float64).astype(np.float32)
    except ValueError:
        raise DataError(name, "holds something that is no number", REMEDY) from None
    if not np.isfinite(cameras).all():
        raise DataError(name, "holds a number that is not finite", REMEDY)
    return cameras


def decode_binvox(data: bytes, name: str | Path = "<bytes>", size: int = GRID) -> np.ndarray:
    """Occupancy from the bytes of a binvox file: a header, then run-length pairs (value, count) in the order x, z, y.

    Source: binvox by P. Min; the axis order is that of `lib/binvox_rw.py` in the public 3D-R2N2 code.

    Returns:
        bool `(size, size, size)`, indexed `[x, y, z]`, True inside.

    Raises:
        DataError: the header is no binvox header, the dimensions differ, or the runs are too short or too long. Runs of
            length zero say nothing and are read over: public writers leave one behind each 255 voxels that end a run.

    Example:
        >>> header = b"#binvox 1\\ndim 2 2 2\\ntranslate 0 0 0\\nscale 1\\ndata\\n"
        >>> np.argwhere(decode_binvox(header + bytes([0, 6, 1, 1, 0, 1]), size=2)).tolist()
        [[1, 0, 1]]
    """
    if not data.startswith(b"#binvox 1"):
        raise DataError(name, "is no binvox file (it does not begin with '#binvox 1')" if data else "is empty", REMEDY)
    header, end, _ = data[:_HEADER_LIMIT].partition(b"\ndata\n")
    if not end:
        raise DataError(name, "has no complete binvox header (truncated)", REMEDY)
    edges = re.search(rb"^\s*dim\s+(\d+)\s+\1\s+\1\s*$", header, re.MULTILINE)
    if not edges:
        raise DataError(name, "has no line 'dim N N N' of a cube in its header", REMEDY)
    if int(edges[1]) != size:
        raise DataError(name, f"is a grid of {int(edges[1])}^3 voxels where {size}^3 are needed", REMEDY)
    runs = np.frombuffer(data[len(header + end) :], np.uint8)
    if runs.size % 2:
        raise DataError(name, "ends in the middle of a run (truncated)", REMEDY)
    values, counts = runs[0::2], runs[1::2]
    if values.max(initial=0) > 1:
        raise DataError(name, f"holds the voxel value {values.max()} where only 0 and 1 exist", REMEDY)
    total = int(counts.sum(dtype=np.int64))
    if total != size**3:
        word = "truncated" if total < size**3 else "too long"
        raise DataError(name, f"holds {total} of {size**3} voxels ({word})", REMEDY)
    in_file_order = np.repeat(values.astype(bool), counts).reshape(size, size, size)
    return np.ascontiguousarray(in_file_order.transpose(0, 2, 1))
