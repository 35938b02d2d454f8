"""Crops of a folder of pictures, to stand behind the objects in training (the slides of 3D-R2N2 use PASCAL VOC)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
CACHED = 64  # decoded pictures: 64 of VOC's 500 x 375 are 36 MB


class BackgroundImages:
    """A folder of pictures, at any depth, in the order of their names.

    Args:
        folder: a run names it; relative paths count from the working folder.

    Raises:
        DataError: the folder is missing or holds no picture.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (500, 375)).save(f"{folder}/a.jpg")
        ...     BackgroundImages(folder).crop(np.random.default_rng(0), 128).shape
        (128, 128, 3)
    """

    def __init__(self, folder: str | Path | None):
        remedy = "name a folder of pictures, for example VOC2012/JPEGImages"
        if not folder or not Path(folder).is_dir():
            raise DataError(folder or "pictures", "is no folder", remedy)
        self.files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
        if not self.files:
            raise DataError(folder, f"holds no picture ({', '.join(SUFFIXES)})", remedy)

    def crop(self, rng: np.random.Generator, side: int) -> np.ndarray:
        """A square of a picture, both drawn by `rng`: uint8 (side, side, 3).

        Raises:
            DataError: the picture cannot be read.
        """
        image = _decode(self.files[rng.integers(len(self.files))], side)
        top, left = (rng.integers(0, extent - side, endpoint=True) for extent in image.shape[:2])
        return image[top : top + side, left : left + side]


@lru_cache(maxsize=CACHED)
def _decode(path: Path, least: int) -> np.ndarray:
    """A picture as uint8 (H, W, 3), enlarged where its shorter side is below `least`."""
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, ValueError) as error:
        raise DataError(path, f"is no picture ({error})", "remove it from the folder of backgrounds") from error
    factor = least / min(image.size)
    if factor > 1:
        image = image.resize([max(least, round(side * factor)) for side in image.size])
    return np.asarray(image)
