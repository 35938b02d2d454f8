"""Images with alpha over a background."""

from __future__ import annotations

import numpy as np


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
