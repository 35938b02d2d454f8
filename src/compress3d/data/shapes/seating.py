"""Chairs, sofas and benches. Each function draws one object; the order of the draws is part of what the object is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compress3d.data.shapes.primitives import CORNERS, SIDES, four_legs, pedestal, rounded_rectangle, uniform
from compress3d.data.solids import Box, Ellipsoid, Extrusion, Frustum, Solid, rotation


def chair(rng: np.random.Generator) -> Iterator[Solid]:
    """Chair, stool, bar stool or armchair: seat, support (legs, pedestal, sled or block), back, arms."""
    w, d, h = uniform(rng, 0.38, 0.6), uniform(rng, 0.38, 0.58), uniform(rng, 0.38, 0.5)
    t = uniform(rng, 0.03, 0.09)
    stool = rng.random() < 0.1
    if rng.random() < 0.12:  # bar height
        h *= uniform(rng, 1.4, 1.7)
    if rng.random() < 0.3:
        radius = uniform(rng, 0.05, 0.45) * min(w, d)
        yield Extrusion(rounded_rectangle(w, d, 4, radius), "y", h - t, h, material=1)
    else:
        yield Box([0, h - t / 2, 0], [w, t, d], material=1)
    yield from _chair_support(rng, w, d, h, t)
    if not stool:
        yield from _chair_back(rng, w, d, h)
        if rng.random() < 0.4:
            yield from _chair_arms(rng, w, d, h, t)


def _chair_support(rng: np.random.Generator, w: float, d: float, h: float, t: float) -> Iterator[Solid]:
    kind = rng.random()
    if kind < 0.6:
        yield from four_legs(rng, w, d, h - t)
    elif kind < 0.8:
        yield from pedestal(rng, h - t, min(w, d) * 0.48)
    elif kind < 0.9:  # sled
        bar = uniform(rng, 0.02, 0.035)
        for s in SIDES:
            x = s * (w / 2 - bar)
            yield Box([x, bar / 2, 0], [bar, bar, d])
            for z in (-d / 2 + bar, d / 2 - bar):
                yield Box([x, h / 2, z], [bar, h, bar])
    else:
        yield Box([0, (h - t) / 2, 0], [w * uniform(rng, 0.8, 1), h - t, d * uniform(rng, 0.8, 1)])


def _chair_back(rng: np.random.Generator, w: float, d: float, h: float) -> Iterator[Solid]:
    height, thickness, tilt = uniform(rng, 0.25, 0.65), uniform(rng, 0.025, 0.08), uniform(rng, 0, 14)
    turn = rotation("x", tilt)
    foot = np.array([0, h, d / 2 - thickness / 2])
    kind = rng.choice(["solid", "slats", "ladder", "panel", "curve"])

    def at(x: float, y: float) -> np.ndarray:
        return foot + turn @ np.array([x, y, 0])

    post = 0.035
    if kind == "solid":
        yield Box(at(0, height / 2), [w, height, thickness], turn, material=1)
    elif kind == "curve":
        shoulder = w / 2 * uniform(rng, 0.7, 1.1)
        outline = [(-w / 2, 0), (w / 2, 0), (shoulder, height * 0.7), (w * 0.25, height), (-w * 0.25, height)]
        raised = [(x, y + h) for x, y in (*outline, (-w / 2 * 0.9, height * 0.7))]
        yield Extrusion(raised, "z", d / 2 - thickness, d / 2, material=1)
    else:
        yield from (Box(at(s * (w / 2 - post / 2), height / 2), [post, height, post], turn) for s in SIDES)
    if kind == "slats":
        n = int(rng.integers(3, 7))
        yield Box(at(0, height - 0.03), [w, 0.06, post], turn)
        for k in range(n):
            x = (k + 1) / (n + 1) * (w - post) - (w - post) / 2
            yield Box(at(x, height / 2), [0.025, height, 0.02], turn)
    elif kind == "ladder":
        n = int(rng.integers(2, 5))
        for k in range(n):
            rung = [w, min(0.08, height / n * 0.5), 0.025]
            yield Box(at(0, height * (k + 0.8) / n - 0.03), rung, turn, material=1)
    elif kind == "panel":
        yield Box(at(0, height * 0.68), [w, height * 0.6, thickness], turn, material=1)


def _chair_arms(rng: np.random.Generator, w: float, d: float, h: float, t: float) -> Iterator[Solid]:
    rise, width = uniform(rng, 0.15, 0.26), uniform(rng, 0.03, 0.09)
    for s in SIDES:
        x = s * (w / 2 + width / 2 - 0.005)
        yield Box([x, h + rise, 0], [width, 0.035, d])
        for z in (-d / 2 + 0.04, d / 2 - 0.04):
            yield Box([x, h + rise / 2, z], [min(width, 0.04), rise + 0.02, 0.04])
        if rng.random() < 0.3:
            yield Box([x, h + rise / 2 - t / 2, 0], [width, rise + t, d], material=1)


def sofa(rng: np.random.Generator) -> Iterator[Solid]:
    """One to four seats, back, arms (square, rolled or none), feet, sometimes a chaise and cushions."""
    n = int(rng.integers(1, 5))
    seat = uniform(rng, 0.5, 0.75)
    W = n * seat
    d, sh = uniform(rng, 0.65, 0.95), uniform(rng, 0.3, 0.45)
    aw = uniform(rng, 0.08, 0.28)
    ah, bh = sh + uniform(rng, 0.08, 0.3), sh + uniform(rng, 0.25, 0.55)
    bt, f = uniform(rng, 0.12, 0.25), uniform(rng, 0.03, 0.12)
    yield Box([0, f + (sh - f) / 2 - 0.04, 0], [W, sh - f - 0.08, d])
    for i in range(n):
        yield Box([-W / 2 + (i + 0.5) * seat, sh - 0.05, -0.03], [seat * 0.97, 0.16, d * 0.95], material=1)
    yield Box([0, (f + bh) / 2, d / 2 - bt / 2], [W, bh - f, bt], rotation("x", 0))
    if rng.random() < 0.7:
        for i in range(n):
            centre = [-W / 2 + (i + 0.5) * seat, sh + (bh - sh) * 0.5, d / 2 - bt - 0.05]
            turn = rotation("x", uniform(rng, 6, 14))
            yield Box(centre, [seat * 0.94, (bh - sh) * 0.95, 0.16], turn, material=1)
    arms = rng.random()
    if arms < 0.9:
        for s in SIDES:
            x = s * (W / 2 + aw / 2)
            if arms < 0.45:
                yield Box([x, (f + ah) / 2, 0], [aw, ah - f, d])
            else:
                yield Box([x, (f + ah - aw / 2) / 2, 0], [aw * 0.8, ah - f - aw / 2, d])
                yield Frustum([x, ah - aw / 2, -d / 2], [x, ah - aw / 2, d / 2], aw * 0.6, sides=18)
    total = W + (2 * aw if arms < 0.9 else 0)
    for sx, sz in CORNERS:
        x, z = sx * (total / 2 - 0.08), sz * (d / 2 - 0.08)
        yield Frustum([x, 0, z], [x, f + 0.01, z], 0.025, 0.035, sides=10, material=2)
    if rng.random() < 0.3 and n > 1:
        s = rng.choice([-1, 1])
        reach = uniform(rng, 0.5, 1.1)
        x = s * (W / 2 - seat / 2)
        yield Box([x, f + (sh - f) / 2, -d / 2 - reach / 2], [seat, sh - f, reach + 0.02])
        yield Box([x, sh - 0.02, -d / 2 - reach / 2], [seat * 0.97, 0.1, reach], material=1)
    for _ in range(int(rng.integers(0, 3))):
        centre = [uniform(rng, -W / 2 + 0.2, W / 2 - 0.2), sh + 0.2, d / 2 - bt - 0.16]
        yield Ellipsoid(centre, [0.2, 0.18, 0.08], rotation("x", 15), material=2, sides=12)


def bench(rng: np.random.Generator) -> Iterator[Solid]:
    """Slatted or solid seat on frames, blocks or legs, with or without back and arm rests."""
    W, d, h = uniform(rng, 0.9, 2.0), uniform(rng, 0.3, 0.5), uniform(rng, 0.38, 0.5)
    t = uniform(rng, 0.03, 0.07)
    n = int(rng.integers(1, 6))
    for i in range(n):
        yield Box([0, h - t / 2, -d / 2 + (i + 0.5) * d / n], [W, t, d / n * (0.8 if n > 1 else 1)], material=1)
    kind, q, e = rng.random(), uniform(rng, 0.05, 0.12), uniform(rng, 0.02, 0.25)
    if kind < 0.4:
        for s in SIDES:
            x = s * (W / 2 - e - q / 2)
            yield from (Box([x, (h - t) / 2, z * (d / 2 - 0.04)], [q * 0.6, h - t, 0.06]) for z in SIDES)
            yield Box([x, h - t - 0.02, 0], [q * 0.6, 0.04, d])
    elif kind < 0.7:
        yield from (Box([s * (W / 2 - e - q / 2), (h - t) / 2, 0], [q, h - t, d * 0.9]) for s in SIDES)
    else:
        yield from four_legs(rng, W * 0.95, d * 0.9, h - t)
    if rng.random() < 0.6:
        height = uniform(rng, 0.25, 0.5)
        m = int(rng.integers(1, 5))
        turn = rotation("x", uniform(rng, 0, 15))
        foot = np.array([0, h - t, d / 2 - 0.02])
        for s in (-1, 0, 1)[:: (1 if W > 1.5 else 2)]:
            centre = foot + turn @ np.array([s * (W / 2 - e - 0.04), height / 2, 0])
            yield Box(centre, [0.05, height, 0.05], turn)
        for i in range(m):
            centre = foot + turn @ np.array([0, 0.12 + (height - 0.12) * (i + 0.5) / m, -0.03])
            yield Box(centre, [W, (height - 0.12) / m * 0.75, 0.03], turn, material=1)
        if rng.random() < 0.5:
            for s in SIDES:
                x = s * (W / 2 - 0.03)
                yield Box([x, h + 0.2, 0], [0.05, 0.04, d])
                yield Box([x, h + 0.1, -d / 2 + 0.04], [0.05, 0.2, 0.05])
