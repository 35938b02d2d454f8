"""One file's bytes to an array, or a DataError that names the file."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.data.store import GRID, SIDE, VIEWS
from compress3d.errors import DataError

#: What to do about a broken object.
REMEDY = "download the data set again, or remove this object"
_PNG_SIGNATURE, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"


def decode_view(data: bytes, name: str | Path) -> np.ndarray:
    """One view from the bytes of its PNG: uint8 `(137, 137, 4)`, straight alpha.

    Raises DataError: the bytes are no complete PNG, or the picture is not RGBA of 137 x 137.
    """
    if not data.startswith(_PNG_SIGNATURE):
        raise DataError(name, "is no PNG picture" if data else "is empty", REMEDY)
    if data.find(_PNG_END) != len(data) - len(_PNG_END):  # Pillow passes over a missing end, and over what follows it
        raise DataError(name, "is no complete PNG picture (truncated)", REMEDY)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            image.verify()  # the checksums of all chunks: decoding alone passes over damaged pixels
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            picture, kind = np.array(image), f"{image.mode} {image.width} x {image.height}"
    except Exception as error:  # Pillow: OSError, SyntaxError, ValueError, zlib.error, struct.error ...
        raise DataError(name, f"is no complete PNG picture ({error})", REMEDY) from None
    if kind != f"RGBA {SIDE} x {SIDE}":
        raise DataError(name, f"is a picture {kind}, not RGBA {SIDE} x {SIDE}", REMEDY)
    return picture


def decode_metadata(data: bytes, name: str | Path) -> np.ndarray:
    """Cameras from the bytes of `rendering_metadata.txt`: float32 `(24, 5)`.

    Columns as `camera.sample_cameras` draws them.

    Raises DataError: not 24 lines of 5 finite numbers.
    """
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 becomes inf, and is refused below
            rows = [line.split() for line in data.decode("ascii").splitlines() if line.strip()]
            cameras = np.array(rows, np.float64).astype(np.float32)
    except ValueError as error:
        raise DataError(name, f"is no table of numbers ({error})", REMEDY) from None
    if cameras.shape != (VIEWS, 5) or not np.isfinite(cameras).all():
        raise DataError(name, f"is a table {cameras.shape}, not {VIEWS} rows of 5 finite numbers", REMEDY)
    return cameras


def decode_binvox(data: bytes, name: str | Path = "<bytes>", size: int = GRID) -> np.ndarray:
    """Occupancy bool `(size, size, size)`, indexed `[x, y, z]`, from the bytes of a binvox file.

    A header, then run-length pairs (value, count) in the order x, z, y. Runs of length zero say nothing and are read
    over: public writers leave one behind each 255 voxels that end a run.
    Source: binvox by P. Min; the axis order is that of `lib/binvox_rw.py` in the public 3D-R2N2 code.

    Raises DataError: the header is no binvox header, the dimensions differ, or the runs are too short or too long.
    """
    if not data.startswith(b"#binvox 1"):
        raise DataError(name, "is no binvox file (it does not begin with '#binvox 1')" if data else "is empty", REMEDY)
    header, end, _ = data[:1024].partition(b"\ndata\n")  # real headers have about 80 bytes
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
