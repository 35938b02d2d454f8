"""Meshes against hand counts and a plain count of faces; the painter's order against a ray caster."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from compress3d.errors import DataError
from compress3d.figures import voxels


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
    vertices, triangles, directions = voxels.exposed_mesh(np.ones((1, 1, 1), bool))
    assert (len(vertices), len(triangles)) == (8, 12)
    assert sorted(directions) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("shape, density", [((1, 2, 3), 0.5), ((4, 4, 4), 0.3), ((7, 5, 6), 0.9), ((8, 8, 8), 0.5)])
def test_face_count_equals_a_plain_walk(shape, density):
    grid = random_grid(shape, density)
    faces, corners, directions = voxels.exposed_faces(grid)
    _, triangles, _ = voxels.exposed_mesh(grid)
    assert len(faces) == len(corners) == len(directions) == plain_face_count(grid)
    assert len(triangles) == 2 * len(faces)


@pytest.mark.parametrize("density", [0.1, 0.5, 0.95])
def test_mesh_is_closed_and_wound_outward(density):
    grid = random_grid((6, 6, 6), density)
    vertices, triangles, directions = voxels.exposed_mesh(grid)
    points = vertices.astype(np.int64)
    a, b, c = (points[triangles[:, n].astype(int)] for n in range(3))
    normals = np.cross(b - a, c - a)
    outward = np.array([(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)])[directions]
    assert (normals == outward).all()
    # Volume by the divergence theorem: right only when every face is there once, and outward.
    assert np.einsum("tk,tk->t", a, np.cross(b, c)).sum() == 6 * grid.sum()


def test_small_types_keep_the_page_light():
    vertices, triangles, directions = voxels.exposed_mesh(random_grid((32, 32, 32), 0.1))
    assert (vertices.dtype, triangles.dtype, directions.dtype) == (np.uint8, np.uint16, np.uint8)


def test_empty_grid_has_an_empty_mesh():
    vertices, triangles, directions = voxels.exposed_mesh(np.zeros((4, 4, 4), bool))
    assert len(vertices) == len(triangles) == len(directions) == 0
    voxels.voxel_figure(np.zeros((4, 4, 4), bool))


@pytest.mark.parametrize("shape", [(4,), (4, 4), (1, 4, 4, 4)])
def test_wrong_shape_says_what_to_give(shape):
    with pytest.raises(DataError, match="one grid"):
        voxels.exposed_mesh(np.zeros(shape, bool))


def first_hit(grid, eye, direction):
    """Voxel and face direction that a ray meets first, by testing the slabs of every voxel. Slow and plain."""
    best = (np.inf, None, None)
    for voxel in np.argwhere(grid):
        low = (voxel - np.array(grid.shape) / 2) / max(grid.shape)
        high = low + 1 / max(grid.shape)
        with np.errstate(divide="ignore"):
            near, far = np.minimum((low - eye) / direction, (high - eye) / direction), np.maximum(
                (low - eye) / direction, (high - eye) / direction)  # fmt: skip
        enter = near.max()
        if enter < far.min() and enter < best[0]:
            axis = int(near.argmax())
            best = (enter, tuple(voxel), 2 * axis + int(direction[axis] < 0))
    return best[2]


@pytest.mark.parametrize("azimuth, elevation", [(235, 25), (10, 60), (120, -20), (270, 0)])
def test_painters_order_agrees_with_ray_casting(azimuth, elevation):
    grid = random_grid((4, 4, 4), 0.35, seed=3)
    polygons, directions = voxels.project_faces(grid, azimuth, elevation)
    eye = voxels.camera_eye(azimuth, elevation, voxels._DISTANCE)
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, (0, 1, 0))
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    seen = 0
    for u, v in np.random.default_rng(0).uniform(-0.7, 0.7, (60, 2)):
        painted = None
        for polygon, direction in zip(polygons, directions, strict=True):  # the last polygon over the pixel is seen
            edge = np.roll(polygon, -1, axis=0) - polygon
            side = edge[:, 0] * (v - polygon[:, 1]) - edge[:, 1] * (u - polygon[:, 0])
            if (side > 0).all() or (side < 0).all():
                painted = direction
        cast = first_hit(grid, eye, forward * voxels._DISTANCE + u * right + v * up)
        assert painted == cast
        seen += cast is not None
    assert seen > 10


def test_not_mirrored_and_y_up():
    grid = np.zeros((8, 8, 8), bool)
    grid[0, 7, 0] = True  # -x, top, front
    polygons, _ = voxels.project_faces(
        grid, azimuth=270, elevation=0
    )  # from the front: the object's -x is at our right
    assert polygons[..., 0].mean() > 0.2 and polygons[..., 1].mean() > 0.2


def test_gallery_is_fast_enough_for_a_page_and_shows_gaps():
    grid = random_grid((32, 32, 32), 0.02)
    photo = np.zeros((64, 64, 3), np.uint8)
    figure = voxels.gallery(
        {"photo": [photo, photo], "model": [grid, None]}, rows=["a", "b"], notes={"model": ["0.5", ""]}
    )
    assert len(figure.axes) == 4
    assert len(figure.axes[1].collections) == 1 and not figure.axes[3].collections
    plt.close(figure)
    empty = voxels.voxel_picture(np.zeros((4, 4, 4), bool))
    assert empty.axes[0].texts[0].get_text() == "empty"
    plt.close(empty)
