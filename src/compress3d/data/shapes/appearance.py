"""Colours and textures of procedural objects: four materials each, drawn from palettes that suit the class."""

from __future__ import annotations

import colorsys

import numpy as np

from compress3d.data.mesh import Material
from compress3d.data.shapes.primitives import uniform

#: A colour, and between which factors it is drawn; wood and paint have more than that.
_PALETTE = {
    "metal": ((1.0, 1.0, 1.0), 0.25, 0.8),
    "dark": ((1.0, 1.0, 1.0), 0.03, 0.2),
    "white": ((1.0, 1.0, 1.0), 0.8, 0.97),
    "glass": ((0.1, 0.13, 0.18), 0.5, 2.0),
}
# What each of an object's four materials may be; choices are drawn with equal chances.
_FURNITURE = ("wood|metal|paint|dark", "wood|paint|white", "metal|dark|wood", "paint")
_MATERIALS = {
    "car": ("paint", "glass", "dark", "metal"),
    "airplane": ("white|paint", "white|paint|metal", "paint", "dark"),
    "watercraft": ("paint", "white|wood", "metal|paint", "white|glass"),
    "rifle": ("dark|metal", "wood|dark", "dark", "dark"),
    "display": ("dark|white|metal", "glass|dark", "dark|metal", "dark"),
    "telephone": ("dark|white|paint", "glass|paint", "dark|white", "glass"),
    "lamp": ("metal|dark|wood|paint", "white|paint", "metal", "metal"),
    "loudspeaker": ("dark|wood|paint", "dark|metal", "metal|dark", "dark"),
}


def _colour(rng: np.random.Generator, kind: str) -> np.ndarray:
    """A colour of a palette, float (3,)."""
    if kind == "wood":
        return np.array([0.55, 0.36, 0.2]) * uniform(rng, 0.5, 1.5) + rng.normal(0, 0.03, 3)
    if kind == "paint":
        return np.array(colorsys.hsv_to_rgb(rng.random(), uniform(rng, 0, 1), uniform(rng, 0.15, 1)))
    base, low, high = _PALETTE[kind]
    return np.array(base) * uniform(rng, low, high)


def _texture(rng: np.random.Generator, colour: np.ndarray, kind: str) -> np.ndarray:
    """Wood grain, stripes, checks or cloth in one colour: uint8 (64, 64, 3)."""
    n = 64
    y, x = np.mgrid[:n, :n] / n
    knots = rng.random((8, 8))
    cell = np.arange(n) * 8 // n
    if kind == "wood":
        bend = 0.6 * np.sin(2 * np.pi * y)
        rings = x * rng.integers(3, 9) + bend * rng.random() + knots[cell][:, cell] * 0.25
        shade = 0.85 + 0.15 * np.sin(2 * np.pi * rings)
    elif kind == "stripe":
        shade = np.where((x * rng.integers(2, 7) * 2).astype(int) % 2, 1, uniform(rng, 0.5, 0.85))
    elif kind == "check":
        q = rng.integers(2, 6) * 2
        shade = np.where(((x * q).astype(int) + (y * q).astype(int)) % 2, 1, uniform(rng, 0.6, 0.9))
    else:
        shade = 0.88 + 0.12 * rng.random((n, n))
    return (np.clip(colour * shade[..., None], 0, 1) * 255).astype(np.uint8)


def appearance(rng: np.random.Generator, category: str) -> tuple[list[Material], list[np.ndarray]]:
    """Four materials and the textures that they use."""
    materials: list[Material] = []
    textures: list[np.ndarray] = []
    for choices in _MATERIALS.get(category, _FURNITURE):
        kind = str(rng.choice(choices.split("|")))
        colour = np.clip(_colour(rng, kind), 0.02, 0.98)
        cloth = kind == "paint" and category in ("sofa", "chair") and rng.random() < 0.5
        if kind == "wood" or cloth:
            pattern = str(rng.choice(["stripe", "check", "noise"])) if cloth else kind
            textures.append(_texture(rng, colour, pattern))
        materials.append(Material(tuple(colour.tolist()), texture=len(textures) - 1 if cloth or kind == "wood" else -1))
    return materials, textures
