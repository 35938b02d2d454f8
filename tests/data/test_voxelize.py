"""Carving against occupancies known by construction, and against exact solids."""

import numpy as np
import pytest

pytest.importorskip("embreex")

from compress3d.data.mesh import Material, Mesh, crease_normals
from compress3d.data.solids import Box, Ellipsoid, Extrusion, Frustum, SurfaceOfRevolution, bounds, rotation
from compress3d.data.voxelize import bounding_cube, space_carve, surface_voxels


def mesh_of(*solids) -> Mesh:
    vertices, faces = [], []
    for solid in solids:
        v, f = solid.mesh()
        faces.append(f + sum(map(len, vertices)))
        vertices.append(v)
    vertices, faces = np.concatenate(vertices), np.concatenate(faces)
    return Mesh(
        vertices, faces, crease_normals(vertices, faces), np.zeros((len(faces), 3, 2)),
        np.zeros(len(faces), int), [Material((0.5, 0.5, 0.5))],
    )  # fmt: skip


def open_mesh(mesh: Mesh, keep: np.ndarray) -> Mesh:
    """The mesh without some of its faces."""
    return Mesh(
        mesh.vertices, mesh.faces[keep], mesh.normals[keep], mesh.uv[keep], mesh.material_of_face[keep], mesh.materials
    )


def centred(size: tuple[float, float, float], grid: int) -> np.ndarray:
    """Voxels that a centred box of `size` voxels touches: bool (grid, grid, grid)."""
    centres = np.abs(np.arange(grid) + 0.5 - grid / 2)
    x, y, z = (centres < extent / 2 + 0.5 for extent in size)
    return x[:, None, None] & y[:, None] & z


@pytest.mark.parametrize("grid", [8, 16, 32])
@pytest.mark.parametrize("size", [(1, 0.48, 0.23), (0.48, 1, 0.11), (0.23, 0.11, 1)])
def test_box_fills_the_voxels_that_it_touches(grid, size):
    assert np.array_equal(space_carve(mesh_of(Box([3, -2, 1], size)), grid), centred([grid * s for s in size], grid))


def test_frame_is_the_cube_around_the_bounding_box():
    origin, side = bounding_cube(np.array([1.0, 2, 3]), np.array([2.0, 6, 5]))
    assert side == 4
    assert origin == pytest.approx([-0.5, 2, 2])


def test_a_closed_shell_is_solid_and_a_cup_is_hollow():
    """What no side can see is inside. A cup without a lid is seen into from above, and from nowhere else."""
    shell = mesh_of(Box([0, 0, 0], [1, 1, 1]), Box([0, 0, 0], [0.8, 0.8, 0.8]))
    assert space_carve(shell).all()
    walls = [Box([s * 0.475, 0, 0], [0.05, 1, 1]) for s in (-1, 1)] + [
        Box([0, 0, s * 0.475], [1, 1, 0.05]) for s in (-1, 1)
    ]
    cup = space_carve(mesh_of(*walls, Box([0, -0.475, 0], [1, 0.05, 1])))
    assert cup[:, 0].all() and cup[0].all() and cup[-1].all() and cup[:, :, 0].all() and cup[:, :, -1].all()
    assert not cup[2:-2, 2:, 2:-2].any()


def test_a_body_without_a_bottom_is_hollow_from_below_only():
    box = mesh_of(Box([0, 0, 0], [1, 1, 1]))
    bottom = (box.vertices[box.faces][:, :, 1] < 0).all(1)
    assert bottom.sum() == 2
    found = space_carve(open_mesh(box, ~bottom))
    assert not found[1:-1, :-1, 1:-1].any()
    assert found[:, -1].all() and found[0].all() and found[-1].all()


def test_a_sheet_without_thickness_is_kept():
    box = mesh_of(Box([0, 0, 0], [1, 0.02, 1]))
    sheet = open_mesh(box, (box.vertices[box.faces][:, :, 1] > 0).all(1))
    found = space_carve(sheet)
    assert found.any(1).all()  # seen from above it has no hole
    assert found.sum(1).max() == 1


EXACT = {
    "chair": [Box([0, 0.45, 0], [0.45, 0.06, 0.45]), Box([0, 0.75, 0.2], [0.45, 0.6, 0.05], rotation("x", 8))]
    + [Frustum([x, 0, z], [x, 0.45, z], 0.03, sides=48) for x in (-0.19, 0.19) for z in (-0.19, 0.19)],
    "ball": [Ellipsoid([0, 0, 0], 1, sides=64)],
    "wing": [Extrusion([(-0.05, 0), (-0.05, 0.4), (0.05, 0.4), (0.05, 0)], "x", 0, 1, scale=0.5, shift=(0.1, 0.2))],
    "vase": [SurfaceOfRevolution([0, 0, 0], [(0.2, 0), (0.35, 0.3), (0.1, 0.8), (0.15, 1)], sides=64)],
}


@pytest.mark.parametrize("name", EXACT)
def test_carving_agrees_with_exact_occupancy(name):
    """Truth: voxels with any of 8^3 sub-samples inside. Carving also keeps voxels that the surface only brushes."""
    solids, n = EXACT[name], 256
    mesh = mesh_of(*solids)
    origin, side = bounding_cube(*mesh.bounds)
    centres = (np.arange(n) + 0.5) / n * side
    inside = np.zeros((n, n, n), bool)
    for solid in solids:  # sampled in its own bounding box only
        first, last = (((corner - origin) / side * n).astype(int) for corner in bounds(solid))
        box = tuple(slice(max(a - 1, 0), b + 1) for a, b in zip(first, last, strict=False))
        axes = [origin[k] + centres[box[k]] for k in range(3)]
        inside[box] |= solid.contains(np.stack(np.meshgrid(*axes, indexing="ij"), -1))
    truth = inside.reshape(32, 8, 32, 8, 32, 8).any((1, 3, 5))
    found = space_carve(mesh)
    assert (found & truth).sum() / (found | truth).sum() > 0.95


def test_touched_voxels_are_the_shell_of_a_box():
    """Every voxel of the outer layer and none inside."""
    shell = np.ones((32, 32, 32), bool)
    shell[1:-1, 1:-1, 1:-1] = False
    assert np.array_equal(surface_voxels(mesh_of(Box([0, 0, 0], [1, 1, 1]))), shell)
    assert surface_voxels(mesh_of(Box([1, 2, 3], [1, 0.5, 0.001])), 8).sum(2).max() <= 2  # a sheet stays thin
