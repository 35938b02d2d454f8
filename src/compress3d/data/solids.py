"""Solids whose inside is known exactly: box, frustum, ellipsoid, extrusion, body of revolution. Y is up, front -Z.

A procedural object is a union of them: its occupancy is the OR of `contains`; its mesh is the plain sequence of their
meshes, since faces inside another solid are never seen.
"""

from __future__ import annotations

import numpy as np

EPSILON = 1e-9


class Solid:
    """What every solid offers: `contains`, which of the points (..., 3) are inside, bool (...); and `mesh`.

    A mesh is its vertices (N, 3) and triangles (F, 3); edges flatter than `crease_angle` degrees are shaded smooth.
    """

    material = 0
    crease_angle = 40.0

    def contains(self, points: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


def bounds(solid: Solid) -> tuple[np.ndarray, np.ndarray]:
    """Corners (3,) of the solid's bounding box."""
    vertices, _ = solid.mesh()
    return vertices.min(0), vertices.max(0)


def rotation(axis: str, degrees: float) -> np.ndarray:
    """Rotation matrix (3, 3) about "x", "y" or "z"."""
    c, s, k = np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), "xyz".index(axis)
    return np.roll([[1, 0, 0], [0, c, -s], [0, s, c]], (k, k), (0, 1))


def _circle(n: int) -> tuple[np.ndarray, np.ndarray]:
    angle = np.arange(n) * 2 * np.pi / n
    return np.cos(angle), np.sin(angle)


class Box(Solid):
    """Box around `centre` with edge lengths `size`, turned by `turn` (3, 3)."""

    def __init__(self, centre, size, turn: np.ndarray | None = None, material: int = 0):
        self.centre, self.half = np.array(centre, float), np.array(size, float) / 2
        self.turn, self.material = np.eye(3) if turn is None else turn, material

    def contains(self, points: np.ndarray) -> np.ndarray:
        return (np.abs((points - self.centre) @ self.turn) <= self.half + EPSILON).all(-1)

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        faces = [
            (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
            (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
        ]  # fmt: skip
        return corners * self.half @ self.turn.T + self.centre, np.array(faces)


class Frustum(Solid):
    """Cylinder or cone from `start` to `end`, radius `radius` growing or shrinking to `end_radius`."""

    def __init__(self, start, end, radius: float, end_radius: float | None = None, sides: int = 24, material: int = 0):
        self.start, self.end = np.array(start, float), np.array(end, float)
        self.radius, self.end_radius = radius, radius if end_radius is None else end_radius
        self.sides, self.material = sides, material

    def contains(self, points: np.ndarray) -> np.ndarray:
        axis = self.end - self.start
        squared, offset = axis @ axis, points - self.start
        along = offset @ axis / squared
        across = np.einsum("...i,...i", offset, offset) - along * along * squared
        return (along >= 0) & (along <= 1) & (across <= (self.radius + (self.end_radius - self.radius) * along) ** 2)

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        axis = self.end - self.start
        axis = axis / np.linalg.norm(axis)
        a = np.cross(axis, [1, 0, 0] if abs(axis[0]) < 0.8 else [0, 1, 0])
        a /= np.linalg.norm(a)
        b = np.cross(axis, a)
        c, s = _circle(self.sides)
        circle = c[:, None] * a + s[:, None] * b
        rings = self.start + self.radius * circle, self.end + self.end_radius * circle
        vertices = np.concatenate([*rings, [self.start], [self.end]])
        return vertices, tube(self.sides)


class Ellipsoid(Solid):
    """Ellipsoid around `centre` with semi-axes `radii` (one number: a ball), turned by `turn`."""

    crease_angle = 80.0

    def __init__(self, centre, radii, turn: np.ndarray | None = None, material: int = 0, sides: int = 16):
        self.centre, self.radii = np.array(centre, float), np.broadcast_to(np.array(radii, float), 3)
        self.turn, self.material, self.sides = np.eye(3) if turn is None else turn, material, sides

    def contains(self, points: np.ndarray) -> np.ndarray:
        return ((((points - self.centre) @ self.turn) / self.radii) ** 2).sum(-1) <= 1

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        n, m = self.sides // 2, self.sides  # rings, and points on each
        theta = np.linspace(0, np.pi, n + 2)[1:-1]
        (x, z), across, height = _circle(m), np.sin(theta), np.cos(theta)
        rings = np.stack([np.outer(across, x), np.outer(height, np.ones(m)), np.outer(across, z)], -1)
        vertices = np.concatenate([[[0, 1, 0]], rings.reshape(-1, 3), [[0, -1, 0]]])
        line = np.arange(1, n * m + 1).reshape(n, m).T  # of vertices, from pole to pole
        ahead, pole = np.roll(line, -1, 0), np.full(m, n * m + 1)
        caps = np.stack([0 * pole, ahead[:, 0], line[:, 0], line[:, -1], ahead[:, -1], pole], -1)
        a, b, c, d = line[:, :-1], ahead[:, :-1], line[:, 1:], ahead[:, 1:]
        faces = np.concatenate([caps, np.stack([a, b, d, a, d, c], -1).reshape(m, -1)], 1).reshape(-1, 3)
        return (vertices * self.radii) @ self.turn.T + self.centre, faces


class Extrusion(Solid):
    """A polygon (k, 2) drawn along an axis from `low` to `high`: wings, hulls, car bodies.

    At `high` the polygon is scaled by `scale` about the point `about` and moved by `shift`, in between linearly. The
    polygon's coordinates are the two other axes in their order.
    """

    def __init__(self, polygon, axis: str, low, high, scale=1.0, shift=(0, 0), about=(0, 0), material: int = 0):
        self.polygon, self.axis, self.low, self.high = np.array(polygon, float), "xyz".index(axis), low, high
        self.scale = np.broadcast_to(np.array(scale, float), 2)
        self.shift, self.about = np.array(shift, float), np.array(about, float)
        self.across = [i for i in range(3) if i != self.axis]
        self.material = material

    def contains(self, points: np.ndarray) -> np.ndarray:
        along = (points[..., self.axis] - self.low) / (self.high - self.low)
        within = (along >= -EPSILON) & (along <= 1 + EPSILON)
        flat, t = points[..., self.across][within], along[within][:, None]
        flat = (flat - self.about - self.shift * t) / (1 + (self.scale - 1) * t) + self.about
        inside = np.zeros(len(flat), bool)
        x, y = flat[:, 0], flat[:, 1]
        for (ax, ay), (bx, by) in zip(self.polygon, np.roll(self.polygon, -1, 0), strict=True):
            if ay != by:  # crossings of a ray to +x
                inside ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
        found = np.zeros(points.shape[:-1], bool)
        found[within] = inside
        return found

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        n = len(self.polygon)
        top = (self.polygon - self.about) * self.scale + self.about + self.shift
        along = np.repeat([self.low, self.high], n)
        vertices = np.insert(np.concatenate([self.polygon, top]), self.axis, along, axis=1)
        caps = np.array(triangulate(self.polygon))
        return vertices, np.concatenate([caps[:, ::-1], caps + n, tube(n)[: 2 * n]])


class SurfaceOfRevolution(Solid):
    """Body of revolution about the vertical through `centre`; `profile` lists (radius, height), heights rising.

    With `thickness` it is hollow and open at both ends: a lampshade.
    """

    crease_angle = 60.0

    def __init__(self, centre, profile, thickness: float | None = None, sides: int = 28, material: int = 0):
        self.centre, self.profile = np.array(centre, float), np.array(profile, float)
        self.thickness, self.sides, self.material = thickness, sides, material

    def contains(self, points: np.ndarray) -> np.ndarray:
        offset = points - self.centre
        radius, height = np.hypot(offset[..., 0], offset[..., 2]), offset[..., 1]
        outer = np.interp(height, self.profile[:, 1], self.profile[:, 0])
        inside = (height >= self.profile[0, 1]) & (height <= self.profile[-1, 1]) & (radius <= outer)
        if self.thickness is not None:
            inside &= radius >= outer - self.thickness
        return inside

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        profile = self.profile
        if self.thickness is None:  # caps end 1e-5 from the axis: a hole that no ray finds
            loop = np.concatenate([[[1e-5, profile[0, 1]]], profile, [[1e-5, profile[-1, 1]]]])
        else:
            inner = np.maximum(profile[::-1, 0] - self.thickness, 1e-4)
            loop = np.concatenate([profile, np.stack([inner, profile[::-1, 1]], 1)])
        m = len(loop)
        (c, s), (radius, height) = _circle(self.sides), loop.T
        vertices = np.stack([np.outer(c, radius), np.outer(np.ones(self.sides), height), np.outer(s, radius)], -1)
        number = np.arange(self.sides * m).reshape(self.sides, m)
        loops = np.stack([number, np.roll(number, -1, 0), np.roll(number, -1, 1), np.roll(number, -1, (0, 1))], -1)
        bands = loops[:, : m if self.thickness is not None else m - 1]
        return vertices.reshape(-1, 3) + self.centre, bands[..., [0, 3, 1, 0, 2, 3]].reshape(-1, 3)


def tube(n: int) -> np.ndarray:
    """Triangles (4 n, 3) between two rings of n points, then of both ends around their middles, points 2 n, 2 n + 1."""
    i = np.arange(n)
    j, low, high = (i + 1) % n, np.full(n, 2 * n), np.full(n, 2 * n + 1)
    corners = [(i, j, j + n), (i, j + n, i + n), (low, j, i), (high, i + n, j + n)]
    return np.concatenate([np.stack(corner, 1) for corner in corners])


def triangulate(polygon: np.ndarray) -> list[tuple[int, int, int]]:
    """Triangles of a simple polygon (k, 2) by clipping ears, counter-clockwise."""
    order = list(range(len(polygon)))
    ahead = np.roll(polygon, -1, 0)
    if 0.5 * np.sum(polygon[:, 0] * ahead[:, 1] - ahead[:, 0] * polygon[:, 1]) < 0:
        order.reverse()

    def turn(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    def is_ear(*corners: int) -> bool:
        a, b, c = polygon[list(corners)]
        others = polygon[[m for m in order if m not in corners]].T
        within = np.all([turn(a, b, others) >= -1e-12, turn(b, c, others) >= -1e-12, turn(c, a, others) >= -1e-12], 0)
        return turn(a, b, c) > 1e-12 and not within.any()

    found = []
    while len(order) > 3:
        ears = ((order[at - 1], order[at], order[(at + 1) % len(order)]) for at in range(len(order)))
        ear = next((ear for ear in ears if is_ear(*ear)), None)
        if ear is None:  # a degenerate rest
            break
        found.append(ear)
        order.remove(ear[1])
    return [*found, (order[0], order[1], order[2])]
