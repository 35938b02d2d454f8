"""Pictures before they enter a network: over a background, and smaller."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def area_mean(image: np.ndarray, size: int) -> np.ndarray:
    """Mean over squares of pixels, rounded half up: uint8 `(S, S, 3)` -> `(size, size, 3)`; size divides S.

    Sums of whole rows, then of the row with itself shifted by one pixel: long loops over contiguous memory, 12 us for
    128 -> 64 where the obvious reshape and sum take 35.
    """
    factor = image.shape[0] // size
    lines = np.ascontiguousarray(image).reshape(size, factor, -1)
    rows: np.ndarray = lines[:, 0].astype(np.uint16 if factor <= 16 else np.uint32)
    for line in range(1, factor):
        rows += lines[:, line]
    rows = rows.reshape(-1)
    total = rows.copy()
    for pixel in range(1, factor):
        total[: -3 * pixel] += rows[3 * pixel :]
    total += factor * factor // 2
    total //= factor * factor
    squares, mean = total.astype(np.uint8).reshape(size, size, -1), np.empty((size, size, 3), np.uint8)
    for channel in range(3):  # a plane at a time is faster than a pixel at a time
        mean[..., channel] = squares[..., channel]
    return mean


def composite(rgb: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Straight-alpha image over a colour or another image, rounded: uint8 `(H, W, 3)`, `(H, W)` -> `(H, W, 3)`.

    `background` is `(3,)` or uint8 `(H, W, 3)`. `rgb` must be 0 where alpha is 0, as in a store: then only the partly
    transparent pixels, 2 to 5 %, need arithmetic.
    """
    background = np.asarray(background)
    if background.ndim == 1:
        fill = np.zeros((256, 3), np.uint8)
        fill[0] = background
        mixed = np.take(fill, alpha, axis=0)
    else:
        mixed = np.where(alpha[..., None] == 0, background, np.uint8(0))
    mixed += rgb
    partly = np.flatnonzero(alpha - np.uint8(1) < 254)  # 0 wraps to 255: what is left is 1..254
    weight = alpha.ravel()[partly, None].astype(np.uint32)
    before = mixed.reshape(-1, 3)[partly]  # the background is 0 there: these are the image's own colours
    behind = background if background.ndim == 1 else background.reshape(-1, 3)[partly]
    mixed.reshape(-1, 3)[partly] = (before * weight + behind.astype(np.uint32) * (255 - weight) + 127) // 255
    return mixed


class BackgroundImages:
    """Crops of a folder of pictures, at any depth, in the order of their names (3D-R2N2's slides use PASCAL VOC).

    Raises DataError: the folder is missing or holds no picture.
    """

    def __init__(self, folder: str | Path | None):
        remedy = "name a folder of pictures, for example VOC2012/JPEGImages"
        if not folder or not Path(folder).is_dir():
            raise DataError(folder or "pictures", "is no folder", remedy)
        self.files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
        if not self.files:
            raise DataError(folder, f"holds no picture ({', '.join(SUFFIXES)})", remedy)

    def crop(self, rng: np.random.Generator, side: int) -> np.ndarray:
        """A square of a picture, both drawn by `rng`: uint8 (side, side, 3). DataError: the picture cannot be read."""
        image = _decode(self.files[rng.integers(len(self.files))], side)
        top, left = (rng.integers(0, extent - side, endpoint=True) for extent in image.shape[:2])
        return image[top : top + side, left : left + side]


@lru_cache(maxsize=64)  # 64 of VOC's pictures, 500 x 375, are 36 MB
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
