"""Pieces that several families share: draws, outlines, legs and pedestals. Lengths are metres."""

from __future__ import annotations

import numpy as np

from compress3d.data.solids import Box, Ellipsoid, Frustum, Solid

Outline = list[tuple[float, float]]
SIDES = (-1, 1)  # left and right, or front and back


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """One draw from [low, high)."""
    return float(rng.uniform(low, high))


def rounded_rectangle(width: float, depth: float, steps: int, radius: float) -> Outline:
    """Rectangle around the origin with corners rounded in `steps` segments."""
    x, z = width / 2 - radius, depth / 2 - radius
    outline = []
    for cx, cz, start in ((x, z, 0), (-x, z, 90), (-x, -z, 180), (x, -z, 270)):
        for angle in np.radians(np.linspace(start, start + 90, steps + 1)):
            outline.append((cx + radius * np.cos(angle), cz + radius * np.sin(angle)))
    return outline


def four_legs(rng: np.random.Generator, width: float, depth: float, height: float, material: int) -> list[Solid]:
    """Square, round, tapered or splayed legs under a rectangle, sometimes with stretchers between them."""
    kind = rng.choice(["sq", "round", "taper", "splay"])
    t = uniform(rng, 0.03, 0.07)
    splay = uniform(rng, 0.03, 0.1) if kind == "splay" else 0
    parts: list[Solid] = []
    for sx in SIDES:
        for sz in SIDES:
            x, z = sx * (width / 2 - t * 0.7), sz * (depth / 2 - t * 0.7)
            if kind == "sq":
                parts.append(Box([x, height / 2, z], [t, height, t], material=material))
            else:
                foot = t / 2 * (0.6 if kind == "taper" else 1)
                floor = [x + sx * splay, 0, z + sz * splay]
                parts.append(Frustum(floor, [x, height, z], foot, t / 2, sides=14, material=material))
    if rng.random() < 0.3 and kind in ("sq", "round"):
        y = height * uniform(rng, 0.2, 0.5)
        for s in SIDES:
            parts.append(Box([s * (width / 2 - t * 0.7), y, 0], [t * 0.6, t * 0.6, depth - 1.4 * t], material=material))
        if rng.random() < 0.5:
            parts.append(Box([0, y, 0], [width - 1.4 * t, t * 0.6, t * 0.6], material=material))
    return parts


def pedestal(rng: np.random.Generator, height: float, reach: float, material: int) -> list[Solid]:
    """A column on a disc or on three to five feet with castors."""
    parts: list[Solid] = [Frustum([0, 0, 0], [0, height, 0], uniform(rng, 0.02, 0.045), material=material)]
    if rng.random() < 0.5:
        thickness = uniform(rng, 0.02, 0.05)
        parts.append(Frustum([0, 0, 0], [0, thickness, 0], reach, reach * uniform(rng, 0.6, 1), material=material))
        return parts
    count, start = int(rng.integers(3, 6)), uniform(rng, 0, 6)
    for k in range(count):
        a = start + 2 * np.pi * k / count
        foot = [reach * np.cos(a), 0.03, reach * np.sin(a)]
        parts.append(Frustum(foot, [0, 0.08, 0], 0.02, 0.03, sides=10, material=material))
        parts.append(Ellipsoid(foot, 0.03, material=material, sides=10))
    return parts
