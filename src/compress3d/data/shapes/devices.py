"""Displays, loudspeakers, rifles and telephones. Each function draws one object; the order of draws is the object."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from compress3d.data.shapes.primitives import SIDES, draws, rounded_rectangle, uniform
from compress3d.data.solids import Box, Ellipsoid, Extrusion, Frustum, Solid, rotation


def display(rng: np.random.Generator) -> Iterator[Solid]:
    """Flat screen on a foot or on the wall, tube monitor, or laptop."""
    kind = rng.choice(["flat", "flat", "crt", "laptop", "wall"])
    W = uniform(rng, 0.4, 1.2)
    H = W * uniform(rng, 0.52, 0.78)
    if kind == "laptop":
        yield from _laptop(rng)
        return
    y = uniform(rng, 0.05, 0.3) if kind != "wall" else 0
    t = uniform(rng, 0.02, 0.07)
    if kind == "crt":
        d, y = W * uniform(rng, 0.5, 0.9), 0.05
        outline = [(-W / 2, y), (W / 2, y), (W / 2, y + H), (-W / 2, y + H)]
        yield Box([0, y + H / 2, 0], [W, H, d * 0.35])
        yield Extrusion(outline, "z", d * 0.17, d, scale=uniform(rng, 0.4, 0.7), about=(0, y + H * 0.4))
        yield Box([0, y + H / 2, -d * 0.175 - 0.003], [W * 0.85, H * 0.8, 0.01], material=1)
        yield Frustum([0, 0, d * 0.3], [0, y + 0.02, d * 0.3], W * 0.3, W * 0.25)
        return
    yield Box([0, y + H / 2, 0], [W, H, t])
    yield Box([0, y + H / 2, -t / 2 - 0.002], [W * 0.95, H * 0.92, 0.006], material=1)
    if kind == "flat":
        yield Box([0, (y + 0.1) / 2, t / 2 + 0.01], [uniform(rng, 0.04, 0.2), y + 0.1, 0.03], material=2)
        if rng.random() < 0.4:
            yield Frustum([0, 0, 0.02], [0, 0.02, 0.02], W * uniform(rng, 0.15, 0.3), material=2)
        else:
            yield Box([0, 0.01, 0.02], [W * uniform(rng, 0.3, 0.6), 0.02, uniform(rng, 0.15, 0.28)], material=2)


def _laptop(rng: np.random.Generator) -> Iterator[Solid]:
    W = uniform(rng, 0.3, 0.42)
    D = W * uniform(rng, 0.62, 0.75)
    turn, t = rotation("x", uniform(rng, 95, 130) - 90), 0.02
    hinge = np.array([0, t, D / 2])
    yield Box([0, t / 2, 0], [W, t, D])
    yield Box([0, t + 0.002, 0.02], [W * 0.85, 0.006, D * 0.5], material=2)
    yield Box(hinge + turn @ np.array([0, D / 2, 0]), [W, D, 0.014], turn)
    yield Box(hinge + turn @ np.array([0, D / 2, -0.008]), [W * 0.92, D * 0.88, 0.004], turn, material=1)


def loudspeaker(rng: np.random.Generator) -> Iterator[Solid]:
    """Box with one to four drivers, on the floor, on a plinth or on a stand."""
    W, D = uniform(rng, 0.15, 0.45), uniform(rng, 0.15, 0.4)
    H = W * uniform(rng, 1.1, 4.5)
    if rng.random() < 0.75:
        yield Box([0, H / 2, 0], [W, H, D])
    else:
        yield Extrusion(rounded_rectangle(W, D, 4, 0.3 * min(W, D)), "y", 0, H)
    n = int(rng.integers(1, 5))
    for i in range(n):
        R = min(W * 0.45, H / n * 0.45) * (1 if i else uniform(rng, 0.4, 0.9))
        c = H * (1 - (i + 0.5) / n)
        yield Frustum([0, c, -D / 2 - 0.012], [0, c, -D / 2 + 0.01], R, sides=24, material=1)
        yield Ellipsoid([0, c, -D / 2 - 0.012], [R * 0.45, R * 0.45, 0.02], material=2, sides=12)
    if rng.random() < 0.3:
        yield Box([0, 0.012, 0], [W * 1.3, 0.025, D * 1.3], material=2)
    if rng.random() < 0.2:
        h = uniform(rng, 0.3, 0.7)
        yield Frustum([0, -h, 0], [0, 0.01, 0], 0.02, sides=10, material=2)
        yield Frustum([0, -h, 0], [0, -h + 0.02, 0], 0.15, material=2)


def telephone(rng: np.random.Generator) -> Iterator[Solid]:
    """Mobile phone with keys, smartphone, flip phone or desk phone."""
    kind = rng.choice(["candy", "candy", "flip", "desk", "smart"])
    return {"flip": _flip_phone, "desk": _desk_phone}.get(kind, _bar_phone)(rng, kind)


def _bar_phone(rng: np.random.Generator, kind: str) -> Iterator[Solid]:
    W = uniform(rng, 0.04, 0.08)
    H = W * uniform(rng, 1.7, 3.2)
    D = W * uniform(rng, 0.1, 0.4)
    yield Extrusion(rounded_rectangle(W, H, 3, uniform(rng, 0.05, 0.35) * W), "z", -D / 2, D / 2)
    s = 0.85 if kind == "smart" else uniform(rng, 0.3, 0.45)
    yield Box([0, H / 2 - H * s / 2 - H * 0.06, -D / 2 - 0.0005], [W * 0.86, H * s, 0.003], material=1)
    if kind == "candy":
        for i, j in product(range(3), range(4)):
            key = [(i - 1) * W * 0.28, -H / 2 + H * 0.08 + j * H * 0.1, -D / 2 - 0.001]
            yield Box(key, [W * 0.2, H * 0.06, 0.004], material=2)
        if rng.random() < 0.4:  # aerial
            top = [W * 0.35, H / 2 + W * uniform(rng, 0.3, 1.0), D * 0.2]
            yield Frustum([W * 0.35, H / 2 - 0.005, D * 0.2], top, W * 0.09, sides=10, material=2)


def _flip_phone(rng: np.random.Generator, kind: str) -> Iterator[Solid]:
    W = uniform(rng, 0.04, 0.06)
    H = W * uniform(rng, 1.5, 2.0)
    D = W * 0.22
    uniform(rng, 10, 70)  # a draw that no part uses; without it later draws would change
    yield Box([0, 0, H / 2], [W, D, H])
    yield Box([0, D / 2 + 0.0005, H * 0.5], [W * 0.8, 0.003, H * 0.7], material=2)
    turn = rotation("x", uniform(rng, 10, 60))
    hinge = np.array([0, D / 2, H])
    yield Frustum([-W / 2, 0, H], [W / 2, 0, H], D * 0.55, sides=14, material=2)
    yield Box(hinge + turn @ np.array([0, H / 2, 0]), [W, H, D * 0.7], turn)
    yield Box(hinge + turn @ np.array([0, H / 2, -D * 0.36]), [W * 0.8, H * 0.7, 0.002], turn, material=1)


def _desk_phone(rng: np.random.Generator, kind: str) -> Iterator[Solid]:
    W, D, H = uniform(rng, 0.16, 0.24), uniform(rng, 0.18, 0.24), uniform(rng, 0.05, 0.09)
    yield Extrusion([(0, -D / 2), (H * 0.4, -D / 2), (H, D / 2), (0, D / 2)], "x", -W / 2, W / 2)
    x = -W * 0.3
    a, b = np.array([x, H * 0.75, -D * 0.42]), np.array([x, H * 1.25, D * 0.42])
    yield Frustum(a + [0, 0.03, 0], b + [0, 0.03, 0], 0.016, sides=12, material=1)
    for end in (a, b):
        yield Ellipsoid(end + [0, 0.015, 0], [0.03, 0.025, 0.03], material=1, sides=12)
    for i, j in product(range(3), range(4)):
        z = -D * 0.35 + j * D * 0.16
        key = [W * 0.05 + i * W * 0.14, H * 0.4 + (z + D / 2) / D * H * 0.6 + 0.002, z]
        yield Box(key, [W * 0.09, 0.01, D * 0.09], material=2)
    if rng.random() < 0.5:
        yield Box([W * 0.2, H * 0.95, D * 0.36], [W * 0.45, 0.02, D * 0.16], material=3)


def rifle(rng: np.random.Generator) -> Iterator[Solid]:
    """Barrel, receiver, stock, grip, magazine, sights or scope, bipod."""
    L, bl, br, rl, rh, w = draws(rng, (0.8, 1.2), (0.3, 0.5), (0.007, 0.013), (0.2, 0.3), (0.05, 0.08), (0.03, 0.05))
    bl, rl = bl * L, rl * L
    z1 = -L / 2 + bl * 0.9
    yield Frustum([0, 0, -L / 2], [0, 0, -L / 2 + bl], br, sides=12)
    yield Box([0, -rh * 0.25, z1 + rl / 2], [w, rh, rl])
    yield Box([0, -0.01, z1 - bl * 0.25], [w * 1.05, rh * 0.7, bl * 0.55], material=1)
    z2, e, d = z1 + rl, L / 2, uniform(rng, 0.03, 0.08)
    kind = rng.random()
    if kind < 0.65:
        stock = [(0.01, z2 - 0.03), (-0.0, e), (-d - 0.07, e), (-0.05 - d * 0.4, z2 + 0.07), (-0.05, z2 - 0.03)]
        yield Extrusion(stock, "x", -w / 2 * 0.9, w / 2 * 0.9, material=1)
    elif kind < 0.85:
        yield Frustum([0, 0, z2 - 0.02], [0, -0.0, e - 0.02], 0.012, sides=10)
        yield Box([0, -0.04, e - 0.015], [w * 0.8, 0.12, 0.03], material=1)
    gz = z1 + rl * uniform(rng, 0.7, 1.0)
    turn = rotation("x", -uniform(rng, 10, 30))
    yield Box([0, -rh * 0.7 - 0.05, gz], [w * 0.8, 0.11, 0.045], turn, material=1)
    if rng.random() < 0.75:  # magazine
        mz = z1 + rl * uniform(rng, 0.1, 0.45)
        turn = rotation("x", uniform(rng, -5, 20))
        mh = uniform(rng, 0.06, 0.2)
        yield Box([0, -rh * 0.6 - mh / 2, mz], [w * 0.7, mh, uniform(rng, 0.05, 0.09)], turn, material=2)
    if rng.random() < 0.5:  # scope
        sl = uniform(rng, 0.12, 0.28)
        y = rh * 0.25 + 0.04
        yield Frustum([0, y, z1 + 0.02], [0, y, z1 + 0.02 + sl], 0.016, sides=14, material=2)
        yield Frustum([0, y, z1 - 0.02], [0, y, z1 + 0.05], 0.024, sides=14, material=2)
        for share in (0.3, 0.7):
            yield Box([0, y - 0.025, z1 + 0.02 + sl * share], [0.015, 0.04, 0.02], material=2)
    else:
        yield Box([0, br + 0.012, -L / 2 + 0.02], [0.006, 0.03, 0.012])
        yield Box([0, rh * 0.25 + 0.01, z1 + rl * 0.8], [0.012, 0.025, 0.02])
    if rng.random() < 0.25:  # bipod
        for s in SIDES:
            yield Frustum([0, -0.02, z1 - bl * 0.5], [s * 0.09, -0.2, z1 - bl * 0.6], 0.007, sides=8)
    if rng.random() < 0.4:  # muzzle
        yield Frustum([0, 0, -L / 2 - 0.02], [0, 0, -L / 2 + 0.05], br * uniform(rng, 1.4, 2.2), sides=12)
