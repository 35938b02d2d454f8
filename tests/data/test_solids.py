"""Every solid: `contains` and `mesh` describe one body, and its volume is the one that geometry books give."""

import numpy as np
import pytest

from compress3d.data.solids import (
    Box,
    Ellipsoid,
    Extrusion,
    Frustum,
    SurfaceOfRevolution,
    bounds,
    rotation,
    triangulate,
)

TURN = rotation("x", 25) @ rotation("y", -40) @ rotation("z", 70)
SQUARE = [(-1, -0.5), (1, -0.5), (1, 0.5), (-1, 0.5)]  # area 2
ARROW = [(0, 0), (2, 0), (2, 1), (1, 0.25), (0, 1)]  # not convex; area 1.25


def frustum_volume(height: float, low: float, high: float) -> float:
    return np.pi * height / 3 * (low**2 + low * high + high**2)


def tapered_volume(area: float, height: float, scale: tuple[float, float]) -> float:
    """Area times the integral of (1 + a t)(1 + b t) over the height."""
    a, b = scale[0] - 1, scale[1] - 1
    return area * height * (1 + (a + b) / 2 + a * b / 3)


PROFILE = [(0.3, 0.0), (0.8, 0.4), (0.2, 1.0)]
PROFILE_VOLUME = frustum_volume(0.4, 0.3, 0.8) + frustum_volume(0.6, 0.8, 0.2)
# A wall of constant horizontal thickness t takes the area of a ring, pi t (2 r - t), whose mean is that at the mean r.
SHADE_VOLUME = np.pi * 0.1 * ((2 * 0.55 - 0.1) * 0.4 + (2 * 0.5 - 0.1) * 0.6)

SOLIDS = {
    "box": (Box([1, 2, 3], [0.5, 1, 2]), 1.0),
    "turned box": (Box([0, -1, 0], [0.5, 1, 2], TURN), 1.0),
    "cylinder": (Frustum([0, 0, 0], [0, 2, 0], 0.5, sides=96), frustum_volume(2, 0.5, 0.5)),
    "slanted frustum": (Frustum([1, 0, 0], [2, 1, -1], 0.2, 0.6, sides=96), frustum_volume(np.sqrt(3), 0.2, 0.6)),
    "frustum along x": (Frustum([0, 0, 0], [1, 0, 0], 0.6, 0.1, sides=96), frustum_volume(1, 0.6, 0.1)),
    "ball": (Ellipsoid([0, 1, 0], 0.7, sides=48), 4 / 3 * np.pi * 0.7**3),
    "turned ellipsoid": (Ellipsoid([1, 1, 1], [0.3, 0.6, 0.9], TURN, sides=48), 4 / 3 * np.pi * 0.3 * 0.6 * 0.9),
    "bar x": (Extrusion(SQUARE, "x", -1, 2), 6.0),
    "bar y, clockwise": (Extrusion(SQUARE[::-1], "y", -1, 2), 6.0),
    "bar z, downwards": (Extrusion(SQUARE, "z", 2, -1), 6.0),
    "arrow": (Extrusion(ARROW, "x", 0, 1), 1.25),
    "wing": (
        Extrusion(ARROW, "x", 0, 2, scale=0.4, shift=(0.3, -0.4), about=(0.5, 0.5)),
        tapered_volume(1.25, 2, (0.4, 0.4)),
    ),
    "hull": (  # scaled unequally: flat sides only where the polygon's edges follow the axes
        Extrusion(SQUARE, "y", 1, 0, scale=(0.5, 0.8), shift=(0.2, 0), about=(0, 0.3)),
        tapered_volume(2, 1, (0.5, 0.8)),
    ),
    "lathe": (SurfaceOfRevolution([1, 0, 1], PROFILE, sides=96), PROFILE_VOLUME),
    "shade": (SurfaceOfRevolution([0, 0, 0], PROFILE, thickness=0.1, sides=96), SHADE_VOLUME),
}


@pytest.fixture(params=SOLIDS.values(), ids=SOLIDS.keys())
def case(request):
    return request.param


def test_contains_has_the_volume_of_the_book(case):
    solid, volume = case
    low, high = bounds(solid)
    side, n = high - low, 90
    centres = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n] * 3, indexing="ij"), -1) * side + low
    inside = solid.contains(centres)
    assert inside.shape == (n, n, n) and inside.dtype == bool
    assert inside.mean() * side.prod() == pytest.approx(volume, rel=0.02)


def test_mesh_lies_on_the_boundary_and_encloses_the_same_volume(case):
    """A step out of each triangle leaves the solid on one side and enters it on the other; by Gauss' theorem the
    triangles, turned outwards by that, sum to the volume."""
    solid, volume = case
    vertices, faces = solid.mesh()
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    area = np.linalg.norm(normals, axis=1)
    large = area > 1e-4 * area.max()  # slivers where a lathe meets its axis
    step = 4e-3 * np.linalg.norm(np.ptp(vertices, axis=0))  # more than the facets of round bodies lie inside them
    offset = normals / np.maximum(area, 1e-30)[:, None] * step
    middle = corners.mean(1)
    ahead, behind = solid.contains(middle + offset), solid.contains(middle - offset)
    assert (ahead != behind)[large].all()
    outward = np.where(ahead, -1.0, 1.0)
    enclosed = (outward * np.einsum("fk,fk->f", middle - vertices.mean(0), normals)).sum() / 3
    assert enclosed == pytest.approx(volume, rel=0.01)


def test_mesh_is_closed(case):
    """Every edge belongs to two triangles (a full lathe leaves a hole of 1e-5 around its axis at both ends)."""
    solid, _ = case
    vertices, faces = solid.mesh()
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    open_edges = unique[count == 1]
    assert (count <= 2).all()
    if isinstance(solid, SurfaceOfRevolution):
        assert np.linalg.norm(vertices[open_edges[:, 0]] - vertices[open_edges[:, 1]], axis=1).max(initial=0) < 1e-5
    else:
        assert len(open_edges) == 0


def test_contains_takes_any_shape_of_points(case):
    solid, _ = case
    points = np.random.default_rng(0).uniform(*bounds(solid), (4, 5, 3))
    grid = solid.contains(points)
    assert grid.shape == (4, 5)
    assert np.array_equal(grid.ravel(), solid.contains(points.reshape(-1, 3)))


@pytest.mark.parametrize("corners", [3, 4, 5, 8, 13])
@pytest.mark.parametrize("clockwise", [False, True])
def test_triangulation_covers_a_star(corners, clockwise):
    """Stars with random spikes: the triangles are counter-clockwise and their areas sum to the polygon's."""
    rng = np.random.default_rng(corners)
    angle = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners
    radius = rng.uniform(0.3, 1, corners)
    polygon = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    x, y = polygon.T
    area = 0.5 * (x * np.roll(y, -1) - np.roll(x, -1) * y).sum()
    triangles = polygon[::-1][triangulate(polygon[::-1])] if clockwise else polygon[triangulate(polygon)]
    assert len(triangles) == corners - 2
    first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    areas = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    assert (areas > 0).all()
    assert areas.sum() == pytest.approx(area)


@pytest.mark.parametrize("axis, moved", [("x", [0, 0, 1]), ("y", [0, 1, 0]), ("z", [-1, 0, 0])])
def test_quarter_turns(axis, moved):
    """A quarter turn about an axis takes +y to ... (right-handed)."""
    assert rotation(axis, 90) @ [0, 1, 0] == pytest.approx(moved, abs=1e-12)
