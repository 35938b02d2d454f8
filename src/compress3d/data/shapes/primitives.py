"""Pieces that several families share: draws, outlines, legs and pedestals. Lengths are metres."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compress3d.data.solids import Box, Ellipsoid, Frustum, Solid

SIDES = (-1, 1)  # left and right, or front and back
CORNERS = [(x, z) for x in SIDES for z in SIDES]


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """One draw from [low, high)."""
    return float(rng.uniform(low, high))


def draws(rng: np.random.Generator, *ranges: tuple[float, float]) -> list[float]:
    """One draw from each range, in their order."""
    return [uniform(rng, *ends) for ends in ranges]


def rounded_rectangle(width: float, depth: float, steps: int, radius: float) -> list[tuple[float, float]]:
    """Rectangle around the origin with corners rounded in `steps` segments."""
    x, z = width / 2 - radius, depth / 2 - radius
    arcs = ((x, z, 0), (-x, z, 90), (-x, -z, 180), (x, -z, 270))
    turns = [(cx, cz, a) for cx, cz, low in arcs for a in np.radians(np.linspace(low, low + 90, steps + 1))]
    return [(cx + radius * np.cos(a), cz + radius * np.sin(a)) for cx, cz, a in turns]


def four_legs(rng: np.random.Generator, width: float, depth: float, height: float) -> Iterator[Solid]:
    """Square, round, tapered or splayed legs under a rectangle, sometimes with stretchers between them."""
    kind = rng.choice(["sq", "round", "taper", "splay"])
    t = uniform(rng, 0.03, 0.07)
    splay = uniform(rng, 0.03, 0.1) if kind == "splay" else 0
    for sx, sz in CORNERS:
        x, z = sx * (width / 2 - t * 0.7), sz * (depth / 2 - t * 0.7)
        if kind == "sq":
            yield Box([x, height / 2, z], [t, height, t])
        else:
            foot = t / 2 * (0.6 if kind == "taper" else 1)
            yield Frustum([x + sx * splay, 0, z + sz * splay], [x, height, z], foot, t / 2, sides=14)
    if rng.random() < 0.3 and kind in ("sq", "round"):
        y = height * uniform(rng, 0.2, 0.5)
        for s in SIDES:
            yield Box([s * (width / 2 - t * 0.7), y, 0], [t * 0.6, t * 0.6, depth - 1.4 * t])
        if rng.random() < 0.5:
            yield Box([0, y, 0], [width - 1.4 * t, t * 0.6, t * 0.6])


def pedestal(rng: np.random.Generator, height: float, reach: float) -> Iterator[Solid]:
    """A column on a disc or on three to five feet with castors."""
    yield Frustum([0, 0, 0], [0, height, 0], uniform(rng, 0.02, 0.045))
    if rng.random() < 0.5:
        yield Frustum([0, 0, 0], [0, uniform(rng, 0.02, 0.05), 0], reach, reach * uniform(rng, 0.6, 1))
        return
    count, start = int(rng.integers(3, 6)), uniform(rng, 0, 6)
    for k in range(count):
        a = start + 2 * np.pi * k / count
        foot = [reach * np.cos(a), 0.03, reach * np.sin(a)]
        yield Frustum(foot, [0, 0.08, 0], 0.02, 0.03, sides=10)
        yield Ellipsoid(foot, 0.03, sides=10)
