"""Meshes of voxel grids against hand counts, a plain count of faces, and the divergence theorem."""

import numpy as np
import pytest

from compress3d.data import voxel_mesh
from compress3d.errors import DataError


def random_grid(shape, density, seed=0):
    return np.random.default_rng(seed).random(shape) < density


def plain_face_count(grid):
    """Faces by walking over every voxel and every neighbour."""
    count = 0
    for x, y, z in np.argwhere(grid):
        for dx, dy, dz in ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)):
            a, b, c = x + dx, y + dy, z + dz
            inside = 0 <= a < grid.shape[0] and 0 <= b < grid.shape[1] and 0 <= c < grid.shape[2]
            count += not (inside and grid[a, b, c])
    return count


def test_one_voxel_is_a_welded_cube():
    vertices, triangles, directions = voxel_mesh.exposed_mesh(np.ones((1, 1, 1), bool))
    assert (len(vertices), len(triangles)) == (8, 12)
    assert sorted(directions) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("shape, density", [((1, 2, 3), 0.5), ((4, 4, 4), 0.3), ((7, 5, 6), 0.9), ((8, 8, 8), 0.5)])
def test_face_count_equals_a_plain_walk(shape, density):
    grid = random_grid(shape, density)
    faces, corners, directions = voxel_mesh.exposed_faces(grid)
    _, triangles, _ = voxel_mesh.exposed_mesh(grid)
    assert len(faces) == len(corners) == len(directions) == plain_face_count(grid)
    assert len(triangles) == 2 * len(faces)


@pytest.mark.parametrize("density", [0.1, 0.5, 0.95])
def test_mesh_is_closed_and_wound_outward(density):
    grid = random_grid((6, 6, 6), density)
    vertices, triangles, directions = voxel_mesh.exposed_mesh(grid)
    points = vertices.astype(np.int64)
    a, b, c = (points[triangles[:, n].astype(int)] for n in range(3))
    normals = np.cross(b - a, c - a)
    outward = np.array([(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)])[directions]
    assert (normals == outward).all()
    # Volume by the divergence theorem: right only when every face is there once, and outward.
    assert np.einsum("tk,tk->t", a, np.cross(b, c)).sum() == 6 * grid.sum()


def test_small_types_keep_the_page_light():
    vertices, triangles, directions = voxel_mesh.exposed_mesh(random_grid((32, 32, 32), 0.1))
    assert (vertices.dtype, triangles.dtype, directions.dtype) == (np.uint8, np.uint16, np.uint8)


def test_empty_grid_has_an_empty_mesh():
    vertices, triangles, directions = voxel_mesh.exposed_mesh(np.zeros((4, 4, 4), bool))
    assert len(vertices) == len(triangles) == len(directions) == 0


@pytest.mark.parametrize("shape", [(4,), (4, 4), (1, 4, 4, 4)])
def test_wrong_shape_says_what_to_give(shape):
    with pytest.raises(DataError, match="one grid"):
        voxel_mesh.exposed_mesh(np.zeros(shape, bool))
