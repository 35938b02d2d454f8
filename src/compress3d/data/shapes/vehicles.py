"""Airplanes, cars and boats. Each function draws one object; the order of draws is the object."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from compress3d.data.shapes.primitives import SIDES, draws, uniform
from compress3d.data.solids import Box, Ellipsoid, Extrusion, Frustum, Solid, rotation


def _wing(side, span, chord, sweep, taper, dihedral, y, z, thickness) -> Solid:
    """A wing from the middle to one side: an airfoil-like outline, tapered, swept and raised towards the tip."""
    section = ((-0.5, 0), (-0.4, 1), (0.1, 1), (1, 0.35), (0.4, 0))
    outline = [(y + thickness * up, z + chord * back) for up, back in section]
    return Extrusion(outline, "x", 0, side * span, taper, (dihedral, sweep), about=(y, z), material=1)


def airplane(rng: np.random.Generator) -> Iterator[Solid]:
    """Jet or propeller plane, sometimes a biplane: fuselage, wings, tail, engines, wheels, cockpit."""
    L, fr, span, chord = draws(rng, (0.9, 1.3), (0.045, 0.085), (0.35, 0.65), (0.14, 0.28))
    sweep, taper, dihedral = draws(rng, (-0.02, 0.35), (0.25, 1.0), (-0.02, 0.1))
    yield Ellipsoid([0, 0, 0], [fr, fr, L / 2], sides=20)
    yield Frustum([0, 0, -L * 0.36], [0, fr * 0.1, L * 0.28], fr * 0.97, fr * 0.8, sides=20)
    hy = rng.choice([-fr * 0.5, 0, fr * 0.85])
    z0 = uniform(rng, -0.15, 0.05)
    jet = rng.random() < 0.6
    thickness = chord * 0.1
    yield from (_wing(s, span, chord, sweep, taper, dihedral, hy, z0, thickness) for s in SIDES)
    if rng.random() < 0.12:  # biplane
        y2 = hy + 0.15
        yield from (_wing(s, span, chord, sweep, taper, dihedral, y2, z0, thickness) for s in SIDES)
        z = z0 + chord / 2 + sweep * 0.6
        for x in (s * span * 0.6 for s in SIDES):
            yield Frustum([x, hy, z], [x, y2 + dihedral * 0.6, z], 0.008, sides=8, material=2)
    tail = chord * uniform(rng, 0.45, 0.65)
    tz = L / 2 - tail * 1.1
    vh = uniform(rng, 0.12, 0.2)
    fin = [(-0.008, tz - 0.02), (-0.008, tz + tail), (0.008, tz + tail), (0.008, tz - 0.02)]
    shrink, shift = (1, uniform(rng, 0.4, 0.8)), (0, uniform(rng, 0.02, 0.12))
    yield Extrusion(fin, "y", 0, fr * 0.3 + vh, scale=shrink, shift=shift, about=(0, tz), material=2)
    ty = (fr * 0.3 + vh) * 0.92 if rng.random() < 0.25 else fr * 0.2
    for s in SIDES:
        half = span * uniform(rng, 0.28, 0.42)
        z = tz + (0.06 if ty > fr else 0)
        yield _wing(s, half, tail * 0.8, sweep * 0.4, 0.6, 0.02, ty, z, thickness * 0.6)
    yield from (_jets if jet else _propellers_and_wheels)(rng, L, fr, span, sweep, dihedral, hy, z0)
    yield Ellipsoid([0, fr * 0.75, -L * 0.28], [fr * 0.6, fr * 0.55, L * 0.1], material=3, sides=14)


def _jets(rng, L, fr, span, sweep, dihedral, hy, z0) -> Iterator[Solid]:
    kind = rng.random()
    radius = fr * uniform(rng, 0.35, 0.55)
    length = radius * uniform(rng, 4, 6)
    places = []  # inside
    if kind < 0.7:  # under the wings, two or four
        places = [
            (s * span * q, hy + dihedral * q - radius * 1.3, z0 + sweep * q - length * 0.2)
            for q in ((0.35,) if kind < 0.5 else (0.3, 0.58))
            for s in SIDES
        ]
    elif kind < 0.88:  # at the tail
        places = [(s * fr * 1.35, fr * 0.3, L * 0.22) for s in SIDES]
    for x, y, z in places:
        yield Frustum([x, y, z], [x, y, z + length], radius, radius * 0.75, sides=16, material=2)
        if kind < 0.7:
            yield Box([x, y + radius * 0.9, z + length * 0.5], [0.012, radius * 1.2, length * 0.6])
        else:
            yield Box([x * 0.7, y, z + length * 0.5], [abs(x) * 0.8, 0.014, length * 0.5])


def _propellers_and_wheels(rng, L, fr, span, sweep, dihedral, hy, z0) -> Iterator[Solid]:
    engines = [(s * span * 0.38, hy + dihedral * 0.38, z0 + sweep * 0.38 - 0.09) for s in SIDES]
    if rng.random() < 0.7:
        engines = [(0, 0, -L / 2)]
    for x, y, z in engines:
        if x:
            yield Ellipsoid([x, y, z + 0.08], [0.035, 0.035, 0.12], material=2, sides=12)
        blades = int(rng.integers(2, 5))
        reach = uniform(rng, 0.1, 0.16) * (1 if not x else 0.75)
        start = uniform(rng, 0, 3)
        for i in range(blades):
            a = start + 2 * np.pi * i / blades
            centre = [x + np.cos(a) * reach / 2, y + np.sin(a) * reach / 2, z - 0.005]
            yield Box(centre, [reach, 0.02, 0.012], rotation("z", np.degrees(a)), material=3)
        yield Ellipsoid([x, y, z], [0.022, 0.022, 0.035], material=3, sides=10)
    for x, z in ((0, -L * 0.25), (0.1, 0.0), (-0.1, 0.0)):
        yield Frustum([x * 0.6, -fr * 0.5, z], [x, -fr - 0.07, z], 0.008, sides=8, material=3)
        yield Frustum([x - 0.01, -fr - 0.08, z], [x + 0.01, -fr - 0.08, z], 0.03, sides=12, material=3)


_HEIGHTS = {"sedan": 1.45, "hatch": 1.5, "suv": 1.75, "van": 2.1, "pickup": 1.75, "sport": 1.2, "bus": 3.0}
# Where the cabin begins, reaches the roof, leaves it and ends, in half lengths of the car.
_CABINS = {
    "sedan": (-0.32, -0.08, 0.35, 0.68), "hatch": (-0.32, -0.05, 0.75, 0.95), "suv": (-0.36, -0.12, 0.85, 0.97),
    "pickup": (-0.4, -0.2, 0.1, 0.16), "sport": (-0.25, 0.08, 0.3, 0.8),
}  # fmt: skip


def car(rng: np.random.Generator) -> Iterator[Solid]:
    """Sedan, hatchback, SUV, van, pickup, sports car or bus: body, cabin with windows, wheels, lights."""
    kind = str(rng.choice(list(_HEIGHTS)))
    lengths = {"bus": uniform(rng, 7, 11), "van": uniform(rng, 4.5, 6)}
    L = lengths.get(kind, uniform(rng, 3.6, 5.0))
    W = uniform(rng, 1.65, 1.95) * (1.25 if kind == "bus" else 1)
    wheel = uniform(rng, 0.29, 0.36) * (1.2 if kind in ("suv", "pickup", "van") else 1.45 if kind == "bus" else 1)
    g = wheel * uniform(rng, 0.5, 0.7)  # ground clearance
    H = _HEIGHTS[kind] * uniform(rng, 0.95, 1.08)
    belt = g + (H - g) * (uniform(rng, 0.45, 0.55) if kind not in ("bus", "van") else 0.48)
    half, e = L / 2, uniform(rng, 0.05, 0.2)
    bonnet = belt * uniform(rng, 0.85, 0.98)
    body = [
        (g, -half + e), (g, half - e * 0.5), (belt * 0.6, half), (belt, half - 0.05),
        (belt, -half * uniform(rng, 0.3, 0.5)), (bonnet, -half + 0.1), (belt * 0.55, -half),
    ]  # fmt: skip
    if kind == "bus":
        body = [(g, -half), (g, half), (H, half), (H, -half + 0.1), (belt * 1.0, -half + 0.04), (belt * 0.7, -half)]
    elif kind == "van":
        nose = (belt * 1.05, -half * 0.68), (belt * 0.85, -half + 0.03)
        body = [(g, -half), (g, half), (H, half - 0.05), (H, -half * 0.35), *nose]
    yield Extrusion(body, "x", -W / 2, W / 2)
    if kind in _CABINS:
        yield from _cabin(rng, _CABINS[kind], half, belt, H, W)
    elif kind == "bus":
        yield Box([0, H * 0.68, 0.1], [W * 1.01, H * 0.28, L * 0.9], material=1)
        yield Box([0, H * 0.6, -half - 0.005], [W * 0.9, H * 0.42, 0.04], material=1)
    else:
        top = H - 0.12
        side = [(belt * 1.1, -half * 0.66), (belt * 1.1, -half * 0.2), (top, -half * 0.2), (top, -half * 0.36)]
        low, top = belt * 1.08, H - 0.06
        front = [(low, -half * 0.69), (top, -half * 0.4), (top, -half * 0.37), (low, -half * 0.66)]
        yield Extrusion(side, "x", -W * 0.505, W * 0.505, material=1)
        yield Extrusion(front, "x", -W * 0.44, W * 0.44, material=1)
    if kind == "pickup":
        yield Box([0, belt + 0.0, half * 0.56], [W * 0.85, 0.02, half * 0.75], material=2)
    base = L * uniform(rng, 0.27, 0.31)
    for z, s in product((-base, base * (1 if kind != "bus" else 0.8)), SIDES):
        x = s * (W / 2 - 0.1)
        yield Frustum([x - 0.11, wheel, z], [x + 0.115, wheel, z], wheel, sides=24, material=2)
        yield Frustum([x - 0.12, wheel, z], [x + 0.13, wheel, z], wheel * 0.6, sides=16, material=3)
    yield from (Box([s * W * 0.36, belt * 0.72, -half - 0.0], [W * 0.16, 0.12, 0.08], material=3) for s in SIDES)
    yield from (Box([s * W * 0.38, belt * 0.75, half - 0.02], [W * 0.13, 0.12, 0.06], material=3) for s in SIDES)
    if kind == "sport" and rng.random() < 0.5:  # spoiler
        yield Box([0, belt + 0.22, half - 0.2], [W * 0.9, 0.03, 0.25])
        yield from (Box([s * W * 0.3, belt + 0.1, half - 0.18], [0.04, 0.25, 0.1]) for s in SIDES)


def _cabin(rng, shape, half, belt, H, W) -> Iterator[Solid]:
    a, b, c, d = (x * half + uniform(rng, -0.03, 0.03) * half for x in shape)
    outline = [(belt - 0.02, a), (belt - 0.02, d), (H, c), (H, b)]
    yield from (Extrusion(outline, "x", 0, s * W / 2 * 0.95, scale=1) for s in SIDES)
    low = belt + 0.04
    windows = [
        (low, a + 0.2 * (b - a) + 0.05), (low, d - 0.2 * (d - c) - 0.05), (H - 0.09, c - 0.03), (H - 0.09, b + 0.05),
    ]  # fmt: skip
    yield Extrusion(windows, "x", -W / 2 * 0.965, W / 2 * 0.965, material=1)
    for foot, head in ((a - 0.01, b - 0.02), (d - 0.04, c - 0.03)):  # windscreen and rear window
        pane = [(belt + 0.02, foot), (H - 0.06, head), (H - 0.06, head + 0.05), (belt + 0.02, foot + 0.05)]
        yield Extrusion(pane, "x", -W * 0.41, W * 0.41, material=1)


def watercraft(rng: np.random.Generator) -> Iterator[Solid]:
    """Ship, sailing boat, motor boat, container ship or warship on one hull."""
    L = uniform(rng, 1.0, 1.6)
    W, H = L * uniform(rng, 0.12, 0.3), L * uniform(rng, 0.08, 0.16)
    half = L / 2
    kind = rng.choice(["ship", "sail", "motor", "cargo", "war"])
    bow_share = uniform(rng, 0.35, 0.7)
    t = np.linspace(0, 1, 8)
    beam = W / 2 * (1 - t ** uniform(rng, 1.6, 3.0))
    bow = [(float(beam[i]), float(-half + bow_share * L * (1 - t[i]))) for i in range(len(t))]
    deck = [(-W / 2 * 0.9, half), (W / 2 * 0.9, half), *bow, *((-x, z) for x, z in bow[::-1][1:])]
    keel = (uniform(rng, 0.45, 0.85), 0.9)
    yield Extrusion(deck, "y", H, 0, scale=keel, about=(0, half * 0.2))
    yield Extrusion(deck, "y", H, H * 1.12, material=1)
    y = H * 1.1
    if kind == "sail":
        yield from _rig(rng, L, W, half, y)
    elif kind == "cargo":
        yield Box([0, y + H * 0.8, half * 0.72], [W * 0.8, H * 1.6, L * 0.12], material=1)
        yield Box([0, y + H * 1.7, half * 0.72], [W * 0.95, H * 0.35, L * 0.08], material=3)
        n = int(rng.integers(3, 7))
        for i in range(n):
            h, z = H * uniform(rng, 0.3, 1.1), -half * 0.55 + i * L * 0.55 / n
            yield Box([0, y + h / 2, z], [W * 0.8, h, L * 0.5 / n], material=2 + i % 2)
    else:
        yield from _superstructure(rng, L, W, H, half, y, kind)


def _rig(rng, L, W, half, y) -> Iterator[Solid]:
    mast = L * uniform(rng, 0.8, 1.4)
    z = uniform(rng, -0.2, 0.1) * L
    main = [(y + 0.12, z + 0.02), (y + 0.12, z + L * 0.37), (y + mast * 0.95, z + 0.02)]
    yield Frustum([0, y, z], [0, y + mast, z], 0.012, sides=8, material=2)
    yield Frustum([0, y + 0.1, z], [0, y + 0.1, z + L * 0.38], 0.01, sides=8, material=2)
    yield Extrusion(main, "x", -0.008, 0.008, material=3)
    yield Box([0, y + 0.04, L * 0.15], [W * 0.5, 0.08, L * 0.3], material=1)
    if rng.random() < 0.6:
        jib = [(y + 0.05, -half * 0.9), (y + 0.1, z - 0.03), (y + mast * 0.8, z - 0.03)]
        yield Extrusion(jib, "x", -0.006, 0.006, material=3)


def _superstructure(rng, L, W, H, half, y, kind) -> Iterator[Solid]:
    n = int(rng.integers(1, 5))
    w, q, z = W * 0.75, L * uniform(rng, 0.35, 0.65), uniform(rng, -0.02, 0.12) * L
    for _ in range(n):
        h = H * uniform(rng, 0.3, 0.6)
        yield Box([0, y + h / 2, z], [w, h, q], material=1)
        yield Box([0, y + h * 0.6, z], [w * 1.01, h * 0.3, q * 0.95], material=3)
        y += h
        w *= uniform(rng, 0.7, 0.95)
        q *= uniform(rng, 0.55, 0.9)
    if kind != "motor":
        for i in range(int(rng.integers(1, 3))):  # funnels
            at = z + (i - 0.3) * q * 0.5
            top = [0, y + H * uniform(rng, 0.6, 1.3), at + 0.02]
            yield Frustum([0, y, at], top, W * 0.12, W * 0.1, sides=14, material=2)
        yield Frustum([0, y, z - q * 0.3], [0, y + H * 1.6, z - q * 0.3], 0.008, sides=8, material=2)
    if kind == "war":
        turret = -half * 0.45
        yield Frustum([0, H, turret], [0, H * 1.5, turret], W * 0.2, sides=14, material=2)
        for x in (s * W * 0.07 for s in SIDES):
            yield Frustum([x, H * 1.35, turret], [x, H * 1.5, turret - L * 0.14], 0.01, sides=8, material=2)
