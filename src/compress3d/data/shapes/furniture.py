"""Tables, cabinets, lamps and seats. Each function draws one object; the order of draws is the object."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np

from compress3d.data.shapes.primitives import CORNERS, SIDES, draws, four_legs, pedestal, rounded_rectangle, uniform
from compress3d.data.solids import Box, Ellipsoid, Extrusion, Frustum, Solid, SurfaceOfRevolution, rotation


def table(rng: np.random.Generator) -> Iterator[Solid]:
    """Round, oval or rectangular top on legs, a pedestal, panels or trestles; shelf, drawers and apron now and then."""
    h, w, d, t = draws(rng, (0.35, 0.8), (0.6, 2.0), (0.5, 1.0), (0.03, 0.08))
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
    W, h, d, t = draws(rng, (0.4, 1.8), (0.4, 2.1), (0.3, 0.6), (0.02, 0.05))
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
        for i, j in product(range(columns), range(count)):
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


def chair(rng: np.random.Generator) -> Iterator[Solid]:
    """Chair, stool, bar stool or armchair: seat, support (legs, pedestal, sled or block), back, arms."""
    w, d, h, t = draws(rng, (0.38, 0.6), (0.38, 0.58), (0.38, 0.5), (0.03, 0.09))
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
    seat, d, sh, aw = draws(rng, (0.5, 0.75), (0.65, 0.95), (0.3, 0.45), (0.08, 0.28))
    arm, back, bt, f = draws(rng, (0.08, 0.3), (0.25, 0.55), (0.12, 0.25), (0.03, 0.12))
    W, ah, bh = n * seat, sh + arm, sh + back
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
    W, d, h, t = draws(rng, (0.9, 2.0), (0.3, 0.5), (0.38, 0.5), (0.03, 0.07))
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
