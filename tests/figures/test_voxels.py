"""The painter's order against a ray caster."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from compress3d.data.camera import position
from compress3d.figures import voxels


def random_grid(shape, density, seed=0):
    return np.random.default_rng(seed).random(shape) < density


def test_empty_grid_has_an_empty_figure():
    assert len(voxels.voxel_figure(np.zeros((4, 4, 4), bool)).data[0].i) == 0


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
    eye = position(azimuth, elevation, voxels._DISTANCE)
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
    empty = voxels.gallery({"model": [np.zeros((4, 4, 4), bool)]})
    assert empty.axes[0].texts[0].get_text() == "empty"
    plt.close(empty)
