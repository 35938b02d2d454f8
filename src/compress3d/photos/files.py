"""Which files are meant: single pictures, folders of them, glob patterns."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from compress3d.errors import DataError

#: Endings taken from a folder or a pattern; a file that is named itself is tried whatever its name.
SUFFIXES = frozenset(
    ".avif .bmp .gif .heic .heif .j2k .jfif .jp2 .jpe .jpeg .jpg .mpo .pbm .pgm .png .pnm .ppm .psd .qoi .tga .tif"
    " .tiff .webp".split()
)
_ENDINGS = "*.jpg, *.png, *.webp or *.tif"


def collect(names: Iterable[str | Path]) -> list[Path]:
    """Picture files behind names, in the order given; a folder's by name, IMG_2 before IMG_10.

    Args:
        names: files, folders (their own pictures, not those of folders below) and patterns such as `shots/*.jpg`.

    Returns:
        Each file once. A single file that does not exist is kept: reading it says so, as of any other broken photo.

    Raises:
        DataError: there is no name, or a folder or pattern holds no picture.

    Example:
        >>> collect(["front.jpg", "back.jpg"])
        [PosixPath('front.jpg'), PosixPath('back.jpg')]
    """
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = _pictures(path.iterdir())
            if not inside:
                raise DataError(path, "holds no picture", f"name a folder with files such as {_ENDINGS}")
        elif not path.exists() and glob.has_magic(str(name)):
            inside = _pictures(Path(hit) for hit in glob.glob(str(name), recursive=True))
            if not inside:
                raise DataError(str(name), "matches no picture", f"give a pattern that files such as {_ENDINGS} fit")
        else:
            inside = [path]
        found.update(dict.fromkeys(inside))
    if not found:
        raise DataError("photos", "none were named", "name picture files, a folder of them, or a pattern")
    return list(found)


def _pictures(paths: Iterable[Path]) -> list[Path]:
    # macOS puts a "._IMG_1.jpg" beside each file on foreign disks: it holds no picture.
    kept = (path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted((path for path in kept if path.is_file()), key=_natural)


def _natural(path: Path) -> tuple:
    """Sorts numbers in names by value."""
    words = re.split(r"(\d+)", path.name.lower())
    return (str(path.parent), [int(word) if word.isdigit() else word for word in words], path.name)
