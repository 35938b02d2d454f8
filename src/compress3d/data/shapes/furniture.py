"""Tables, cabinets and lamps. Each function draws one object; the order of draws is the object."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from compress3d.data.shapes.primitives import CORNERS, SIDES, four_legs, pedestal, rounded_rectangle, uniform
from compress3d.data.solids import Box, Ellipsoid, Extrusion, Frustum, Solid, SurfaceOfRevolution


def table(rng: np.random.Generator) -> Iterator[Solid]:
    """Round, oval or rectangular top on legs, a pedestal, panels or trestles; shelf, drawers and apron now and then."""
    h = uniform(rng, 0.35, 0.8)
    w, d = uniform(rng, 0.6, 2.0), uniform(rng, 0.5, 1.0)
    t = uniform(rng, 0.03, 0.08)
    top = rng.random()
    if top < 0.3:
        d = w = min(w, 1.2)
        yield Frustum([0, h - t, 0], [0, h, 0], w / 2, sides=36, material=1)
    elif top < 0.45:
        yield Extrusion(rounded_rectangle(w, d, 5, uniform(rng, 0.1, 0.49) * d), "y", h - t, h, material=1)
    else:
        yield Box([0, h - t / 2, 0], [w, t, d], material=1)
    kind = rng.random()
    ww, dd = (w * 0.68, d * 0.68) if top < 0.3 else (w * 0.95, d * 0.93)
    if kind < 0.5:
        yield from four_legs(rng, ww, dd, h - t)
    elif kind < 0.68:
        yield from pedestal(rng, h - t, min(ww, dd) * 0.45)
    elif kind < 0.84:  # side panels
        q = uniform(rng, 0.03, 0.08)
        yield from (Box([s * (ww / 2 - q), (h - t) / 2, 0], [q, h - t, dd]) for s in SIDES)
        if rng.random() < 0.5:
            yield Box([0, h * 0.6, dd / 2 - 0.03], [ww, h * 0.5, 0.03])
    else:  # trestles
        for s in SIDES:
            x = s * ww * 0.38
            yield Box([x, 0.03, 0], [0.08, 0.06, dd])
            yield Box([x, h / 2, 0], [0.08, h - t, 0.1])
            yield Box([x, h - t - 0.03, 0], [0.08, 0.06, dd * 0.9])
        yield Box([0, h * 0.35, 0], [ww * 0.76, 0.08, 0.05])
    if rng.random() < 0.25:
        yield Box([0, h * uniform(rng, 0.15, 0.5), 0], [ww * 0.9, 0.03, dd * 0.9], material=1)
    if rng.random() < 0.3 and top >= 0.45:
        s = rng.choice([-1, 1])
        b = uniform(rng, 0.25, 0.4) * w
        x = s * (w / 2 - b / 2)
        yield Box([x, (h - t) * 0.55, 0], [b, (h - t) * 0.9, d * 0.9])
        n = int(rng.integers(2, 5))
        for i in range(n):
            y = (h - t) * (0.15 + 0.85 * (i + 0.5) / n * 0.95)
            yield Box([x, y, -d * 0.45 - 0.01], [b * 0.85, (h - t) * 0.75 / n, 0.02], material=2)
    if rng.random() < 0.3 and kind < 0.5:
        yield Box([0, h - t - 0.05, 0], [ww * 0.95, 0.1, dd * 0.95])


def cabinet(rng: np.random.Generator) -> Iterator[Solid]:
    """Cupboard, chest of drawers, bookshelf or sideboard."""
    W, h, d = uniform(rng, 0.4, 1.8), uniform(rng, 0.4, 2.1), uniform(rng, 0.3, 0.6)
    t = uniform(rng, 0.02, 0.05)
    f = uniform(rng, 0, 0.15) if rng.random() < 0.6 else 0
    H = h - f
    kind = rng.choice(["doors", "drawers", "open", "mixed"])
    if kind == "open":
        yield from _shelves(rng, W, H, d, t, f)
    else:
        yield from _fronts(rng, W, H, h, d, t, f, kind)
    if f:
        for sx, sz in CORNERS:
            yield Box([sx * (W / 2 - 0.05), f / 2, sz * (d / 2 - 0.05)], [0.05, f + 0.01, 0.05], material=2)


def _shelves(rng: np.random.Generator, W: float, H: float, d: float, t: float, y0: float) -> Iterator[Solid]:
    yield from (Box([s * (W / 2 - t / 2), y0 + H / 2, 0], [t, H, d]) for s in SIDES)
    n = int(rng.integers(2, 6))
    yield Box([0, y0 + H / 2, d / 2 - 0.01], [W, H, 0.02])
    for i in range(n + 1):
        yield Box([0, y0 + t / 2 + (H - t) * i / n, 0], [W, t, d])
    for _ in range(int(rng.integers(0, 3))):
        yield Box([uniform(rng, -W / 3, W / 3), y0 + H / 2, 0], [t, H, d])
    if rng.random() < 0.5:  # books
        for i in range(n):
            x = -W / 2 + t + 0.01
            while x < W / 2 - t - 0.08 and rng.random() < 0.85:
                bw, bh = uniform(rng, 0.02, 0.06), (H - t) / n * uniform(rng, 0.4, 0.75)
                centre = [x + bw / 2, y0 + t + (H - t) * i / n + bh / 2, 0.05]
                yield Box(centre, [bw, bh, d * 0.6], material=int(rng.integers(1, 4)))
                x += bw


def _fronts(rng: np.random.Generator, W, H, h, d, t, y0, kind) -> Iterator[Solid]:
    yield Box([0, y0 + H / 2, 0], [W, H, d])
    columns = max(1, round(W / uniform(rng, 0.35, 0.6)))
    rows = int(rng.integers(2, 5)) if kind == "drawers" else 1
    edges = [y0 + 0.02, y0 + H - 0.02]
    if kind == "mixed":
        edges.insert(1, y0 + H * uniform(rng, 0.35, 0.65))
    for number, (a, b) in enumerate(pairwise(edges)):
        count = rows if number == 0 else int(rng.integers(1, 4))
        for i in range(columns):
            for j in range(count):
                x, y = -W / 2 + (i + 0.5) * W / columns, a + (j + 0.5) * (b - a) / count
                front = [W / columns * 0.94, (b - a) / count * 0.95, 0.025]
                yield Box([x, y, -d / 2 - 0.01], front, material=1)
                if count > 1:
                    yield Box([x, y, -d / 2 - 0.035], [W / columns * 0.3, 0.02, 0.03], material=2)
                else:
                    s, height = (-1) ** i, min(0.25, (b - a) * 0.3)
                    yield Box([x + s * W / columns * 0.38, y, -d / 2 - 0.035], [0.02, height, 0.03], material=2)
    if rng.random() < 0.4:
        yield Box([0, h + t / 2, 0], [W + 0.06, t, d + 0.06], material=1)


def lamp(rng: np.random.Generator) -> Iterator[Solid]:
    """Floor, table, desk or pendant lamp."""
    kind = rng.choice(["floor", "table", "desk", "pendant"])
    R = uniform(rng, 0.1, 0.22)

    def shade(y: float, R: float) -> Solid:
        if rng.random() < 0.7:
            profile = [(R, 0), (R * uniform(rng, 0.4, 1.0), R * uniform(rng, 0.8, 1.7))]
            return SurfaceOfRevolution([0, y, 0], profile, thickness=0.015 if rng.random() < 0.5 else None, material=1)
        return Ellipsoid([0, y + R * 0.6, 0], [R, R * uniform(rng, 0.5, 1), R], material=1)

    if kind == "floor":
        h = uniform(rng, 1.1, 1.8)
        yield Frustum([0, 0, 0], [0, 0.03, 0], uniform(rng, 0.12, 0.2))
        yield Frustum([0, 0, 0], [0, h, 0], uniform(rng, 0.012, 0.025), sides=12)
        yield shade(h - 0.1, R * 1.2)
    elif kind == "table":
        h = uniform(rng, 0.2, 0.5)
        n = int(rng.integers(3, 7))
        profile = [(uniform(rng, 0.03, 0.11), h * i / (n - 1)) for i in range(n)]
        profile[0] = (uniform(rng, 0.07, 0.12), 0)
        yield SurfaceOfRevolution([0, 0, 0], profile)
        yield Frustum([0, h, 0], [0, h + 0.1, 0], 0.012, sides=10, material=2)
        yield shade(h + 0.02, R)
    elif kind == "desk":
        a, b = uniform(rng, 0.2, 0.4), uniform(rng, 0.2, 0.4)
        lower, upper = np.radians(uniform(rng, 60, 110)), np.radians(uniform(rng, 0, 50))
        elbow = np.array([0, 0.02 + a * np.sin(lower), a * np.cos(lower)])
        head = elbow + np.array([0, b * np.sin(upper), -b * np.cos(upper)])
        yield Frustum([0, 0, 0], [0, 0.03, 0], uniform(rng, 0.08, 0.13))
        yield Frustum([0, 0.02, 0], elbow, 0.014, sides=10, material=2)
        yield Frustum(elbow, head, 0.012, sides=10, material=2)
        yield Ellipsoid(elbow, 0.02, sides=10)
        yield Frustum(head + [0, 0.02, 0.0], head + [0, -0.1, -0.04], 0.03, 0.085, sides=20, material=1)
    else:
        h = uniform(rng, 0.4, 0.9)
        yield Frustum([0, 0, 0], [0, -0.03, 0], 0.06)
        yield Frustum([0, 0, 0], [0, -h, 0], 0.012, sides=8)
        single = shade(-h - R * 0.8, R * 1.2)
        if rng.random() >= 0.35:
            yield single
            return
        n = int(rng.integers(3, 8))  # a chandelier
        for i in range(n):
            a = 2 * np.pi * i / n
            candle = np.array([R * 1.8 * np.cos(a), -h, R * 1.8 * np.sin(a)])
            yield Frustum([0, -h + 0.03, 0], candle, 0.012, sides=8)
            yield Frustum(candle - [0, 0.02, 0], candle + [0, 0.1, 0], 0.03, 0.055, sides=12, material=1)
