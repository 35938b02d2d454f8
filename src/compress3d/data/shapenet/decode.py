"""One file's bytes to an array, or a DataError that names the file. Voxels: `compress3d.data.binvox`."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.data.store import SIDE, VIEWS
from compress3d.errors import DataError

#: What to do about a broken object.
REMEDY = "download the data set again, or remove this object"
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
