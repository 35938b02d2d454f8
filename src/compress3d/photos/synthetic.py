"""Photographs to try things on, made of the views that ship with the repository: on paper, and in a crowded room.

The views are 137 pixels wide: enlarged, an object is blurred, but its outline is kept as sharp as a photograph's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.data.store import VIEWS, Store

PAPER = (238, 236, 230)


def rgba_image(store: Store, row: int, view: int) -> Image.Image:
    """A view of an object as it ships: RGBA, 137 x 137, straight alpha."""
    return Image.fromarray(np.dstack([store.rgb[row][view], store.alpha[row][view]]))


def on_paper(
    view: Image.Image, size: tuple[int, int] = (900, 1200), width: float = 0.7, at: tuple[float, float] = (0.5, 0.5),
    paper: tuple[int, int, int] = PAPER, shade: float = 30, noise: float = 3, seed: int = 0,
) -> Image.Image:  # fmt: skip
    """An object, RGBA, photographed on plain paper, lit from one side, with a little sensor noise: RGB of `size`.

    Args:
        view, size: the object; width and height of the photograph.
        width, at: of the view and of its middle, as fractions of the photograph's shorter side, and of both sides.
        paper: its colour; the far corner is darker than the near one by `shade` of 255.
        noise, seed: standard deviation, of 255.
    """
    wide, high = size
    y, x = np.mgrid[0 : 1 : high * 1j, 0 : 1 : wide * 1j].astype(np.float32)
    background = np.array(paper, np.float32) - (shade * (x + y) / 2)[..., None]
    return _grainy(_pasted(Image.fromarray(np.clip(background, 0, 255).astype(np.uint8)), view, width, at), noise, seed)


def in_room(
    view: Image.Image, store: Store, size: tuple[int, int] = (900, 900), width: float = 0.93, things: int = 6,
    seed: int = 0,
) -> Image.Image:  # fmt: skip
    """An object in a crowded room: wall, floor, and other objects of the store behind it: RGB of `size`.

    `view`, `size` and `width` are as in `on_paper`; `things` objects of `store` stand behind, `seed` says where.
    """
    rng = np.random.default_rng(seed)
    wide, high = size
    room = np.empty((high, wide, 3), np.uint8)
    room[:], room[int(high * rng.uniform(0.4, 0.65)) :] = rng.integers(90, 240, 3), rng.integers(40, 200, 3)
    picture = Image.fromarray(room)
    for _ in range(things):
        thing = rgba_image(store, int(rng.integers(len(store))), int(rng.integers(VIEWS)))
        place = rng.uniform(0.05, 0.95, 2)
        picture = _pasted(picture, thing, float(rng.uniform(0.5, 1.2)), (float(place[0]), float(place[1])))
    return _grainy(_pasted(picture, view, width, (0.5, 0.5)), 3, seed)


def photographs(store: Store, row: int, folder: Path, views: Sequence[int] = (0, 5, 10, 15, 20)) -> list[Path]:
    """Five photographs of an object as different people send them, written to `folder`.

    A JPEG on white paper; one off a telephone, stored lying down with a note (EXIF) to turn it; a PNG that somebody cut
    out; a WebP on blue paper, off the middle; and a JPEG in the colours of a printer (CMYK).
    """
    first, second, third, fourth, fifth = (rgba_image(store, row, view) for view in views)
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = on_paper(second, (900, 1200), at=(0.55, 0.4), paper=(214, 208, 196), seed=1)
    pictures: dict[str, tuple[Image.Image, dict]] = {
        "paper.jpg": (on_paper(first, (1600, 1200)), {"quality": 88}),
        "telephone.jpg": (upright.transpose(Image.Transpose.ROTATE_90), {"quality": 88, "exif": turned}),
        "cut-out.png": (third.resize((401, 401)), {}),
        "blue.webp": (on_paper(fourth, (777, 1033), at=(0.45, 0.6), paper=(120, 150, 190), seed=2), {"quality": 80}),
        "print.jpg": (on_paper(fifth, (640, 480), width=0.9, seed=3).convert("CMYK"), {"quality": 90}),
    }
    for name, (picture, options) in pictures.items():
        picture.save(folder / name, **options)
    return [folder / name for name in pictures]


def _pasted(picture: Image.Image, view: Image.Image, width: float, at: tuple[float, float]) -> Image.Image:
    side = round(width * min(picture.size))
    large = view.convert("RGBa").resize((side, side), Image.Resampling.BICUBIC).convert("RGBA")
    steep = max(1.0, side / view.width)
    large.putalpha(large.getchannel("A").point(lambda value: round(127.5 + steep * (value - 127.5))))  # Pillow clips
    picture = picture.copy()
    picture.paste(large, (round(at[0] * picture.width - side / 2), round(at[1] * picture.height - side / 2)), large)
    return picture


def _grainy(picture: Image.Image, noise: float, seed: int) -> Image.Image:
    pixels = np.asarray(picture).astype(np.float32)
    pixels += np.random.default_rng(seed).normal(0, noise, pixels.shape).astype(np.float32)
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
