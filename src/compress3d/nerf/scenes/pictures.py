"""Pictures of a scene: read, checked, and made smaller by means over areas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from compress3d.data.reading import decode
from compress3d.errors import ConfigError, DataError
from compress3d.nerf.scenes.scene import Fingerprint

MOST_BYTES = 6e9  # of all pictures in float32: lego's 300 at 800 x 800 are 2.3 GB
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")


def read_picture(path: Path, alpha: bool) -> np.ndarray:
    """A picture as uint8 (H, W, 4), or (H, W, 3) where no `alpha` is wanted.

    Raises:
        DataError: missing, damaged, grey, of 16 bits, turned by EXIF; without alpha, or with.
    """
    try:
        picture = decode(path, whole=True)
    except DataError as error:
        raise DataError(path, error.problem, "copy or render this picture again, or get the scene again") from None
    kind = "RGBA" if alpha else "RGB"
    again = f"save it again as PNG with 8 bits a channel ({kind})"
    if picture.bits > 8:
        raise DataError(path, f"has {picture.bits} bits a channel, not 8", again)
    if picture.mode in _GREY:
        raise DataError(path, f"is grey ({picture.mode}), not of three colours", again)
    if picture.orientation != 1:
        problem = (
            f"is marked as turned (EXIF orientation {picture.orientation}); its camera belongs to pixels as stored"
        )
        raise DataError(path, problem, "save it again without this mark, as the camera poses were found")
    pixels = picture.pixels
    holds_alpha = "A" in picture.mode or "a" in picture.mode or bool((pixels[..., 3] < 255).any())
    if alpha and not holds_alpha:
        raise DataError(path, "has no alpha channel: what is background is not known", again)
    if alpha and not pixels[..., 3].any():
        raise DataError(path, "is transparent everywhere: it shows nothing", "render it again, or leave this frame out")
    if not alpha and (pixels[..., 3] < 255).any():
        raise DataError(path, "has transparent pixels; pictures of a forward-facing scene have none", again)
    return pixels if alpha else pixels[..., :3]


def check_size_wanted(size: int | None) -> None:
    """ConfigError: `size` is no whole number of at least 4 pixels."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 4):
        raise ConfigError("size", f"{size!r} is no number of pixels", "give the longer side, a whole number from 4 on")


def smaller(shape: tuple[int, int], size: int | None) -> tuple[int, int]:
    """Height and width of pictures made smaller, so that the longer side has `size` pixels.

    Pixels stay square: both sides shrink by one factor, and what is left of the shorter one, less than a pixel, is cut
    off at both ends alike.
    """
    if size is None:
        return shape
    factor = max(shape) / size
    H, W = (max(1, int(side / factor + 1e-9)) for side in shape)
    return H, W


def planar(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, C) as float32 in [0, 1], channels one after another in memory: arithmetic is 5 times faster."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32)
    planes /= 255
    return planes.transpose(1, 2, 0)


def area_mean(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Means over areas (OpenCV's INTER_AREA): (h, w, C) -> float32 (*shape, C).

    Whole factors take the mean of a block of pixels; others weigh pixels by the part of them that lies inside. Where
    the shapes' ratios differ, areas stay square and centred (see `smaller`).

    Example:
        >>> area_mean(np.array([[[0.0], [3.0], [6.0]]]), (1, 2))[0, :, 0].tolist()  # (0 + 3/2) / 1.5, (3/2 + 6) / 1.5
        [1.0, 5.0]
    """
    (h, w), (H, W) = picture.shape[:2], shape
    picture = np.asarray(picture, np.float32)
    if (h, w) == (H, W):
        return picture
    factor = max(h, w) / max(H, W)
    if factor.is_integer() and (h, w) == (H * factor, W * factor):
        k = int(factor)
        planes = [picture[..., channel].reshape(H, k, w).sum(1) for channel in range(picture.shape[2])]
        return np.stack([plane.reshape(H, W, k).sum(2) for plane in planes], -1) / np.float32(k * k)
    rows = np.tensordot(_areas(h, H, factor), picture, 1)
    return np.ascontiguousarray(np.einsum("Ww,Hwc->HWc", _areas(w, W, factor), rows, optimize=True))


def _areas(pixels: int, count: int, factor: float) -> np.ndarray:
    """Share of each pixel in `count` intervals of `factor` pixels around the middle, float32 (count, pixels)."""
    edges = (pixels - count * factor) / 2 + factor * np.arange(count + 1)
    left = np.maximum(edges[:-1, None], np.arange(pixels))
    right = np.minimum(edges[1:, None], np.arange(1, pixels + 1))
    inside = np.maximum(right - left, 0)
    return (inside / inside.sum(1, keepdims=True)).astype(np.float32)


def read_all(
    paths: Sequence[Path],
    alpha: bool,
    size: int | None,
    convert: Callable[[np.ndarray, tuple[int, int]], np.ndarray],
    fingerprint: Fingerprint,
    expected: tuple[float, float] | None = None,
) -> tuple[np.ndarray, tuple[int, int]]:
    """All pictures, float32 (N, H, W, 3), and height and width of those in the files.

    Args:
        convert: pixels (h, w, 3 or 4) and the shape wanted to float32 (H, W, 3).
        expected: height and width that the cameras were made for; tools round fractions up or down.

    Raises:
        DataError: one cannot be read, has another size, is smaller than `size`; all need too much memory.
    """
    images, shape = np.empty(0), (0, 0)
    for number, path in enumerate(paths):
        pixels = read_picture(path, alpha)
        h, w = pixels.shape[:2]
        if not number:
            shape = (h, w)
        again = "make all pictures of one size again"
        if expected and max(abs(h - expected[0]), abs(w - expected[1])) >= 1:
            problem = f"has {w} x {h} pixels, its camera is for {expected[1]:g} x {expected[0]:g}"
            raise DataError(path, problem, again)
        if (h, w) != shape:
            problem = f"has {w} x {h} pixels, {paths[0].name} has {shape[1]} x {shape[0]}"
            raise DataError(path, problem, again)
        if size is not None and size > max(shape):
            problem = f"has {shape[1]} x {shape[0]} pixels, fewer than the {size} asked for"
            raise DataError(path, problem, f"ask for a size of at most {max(shape)}")
        if not number:
            H, W = smaller(shape, size)
            needed = len(paths) * H * W * 3 * 4
            if needed > MOST_BYTES:
                problem = f"and {len(paths) - 1} others of {W} x {H} pixels need {needed / 1e9:.1f} GB of memory"
                raise DataError(path, problem, "ask for a smaller size, or for fewer test views (testskip)")
            images = np.empty((len(paths), H, W, 3), np.float32)
        fingerprint.add(pixels)
        images[number] = convert(pixels, smaller(shape, size))
    return images, shape
