"""Pictures for the codecs: drawn objects like our views, and the extremes."""

import numpy as np
import pytest
from PIL import Image


def drawn_object(size: int, seed: int = 0) -> np.ndarray:
    """A shaded ellipsoid with a striped box before it, on black: uint8 (size, size, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : 1j * size, -1 : 1 : 1j * size]
    a, b = rng.uniform(0.4, 0.9, 2)
    height = np.clip(1 - (x / a) ** 2 - (y / b) ** 2, 0, 1)
    picture = height[..., None] ** 0.5 * rng.uniform(60, 255, 3)
    box = (abs(x - 0.2) < 0.3) & (abs(y - 0.3) < 0.25)
    picture[box] = (0.5 + 0.5 * np.sign(np.sin(30 * x[box])))[:, None] * rng.uniform(60, 255, 3)
    return picture.astype(np.uint8)


def photograph(size: int, seed: int = 0) -> np.ndarray:
    """Smooth colours over the whole picture with some noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


PICTURES = {
    "object": drawn_object,
    "photograph": photograph,
    "noise": lambda size: np.random.default_rng(1).integers(0, 256, (size, size, 3), dtype=np.uint8),
    "black": lambda size: np.zeros((size, size, 3), np.uint8),
    "grey": lambda size: np.full((size, size, 3), 128, np.uint8),
    "white": lambda size: np.full((size, size, 3), 255, np.uint8),
}


@pytest.fixture(params=PICTURES)
def kind(request) -> str:
    return request.param


@pytest.fixture
def picture_of():
    return lambda kind, size: PICTURES[kind](size)
