"""The camera against views worked by hand and against the published sampling ranges."""

import numpy as np
import pytest

from compress3d.data.camera import IMAGE_SIDE, pose, project, sample_cameras


def camera(azimuth: float, elevation: float, distance: float) -> np.ndarray:
    return np.array([azimuth, elevation, 0.0, distance / 1.75, 25.0])


def test_from_the_side_worked_by_hand():
    """One unit from the origin on +x, looking at it: -z is to the right, +y is up."""
    eye, rotation = pose(camera(0, 0, 1))
    assert eye == pytest.approx([1, 0, 0])
    assert rotation == pytest.approx(np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]]), abs=1e-12)
    points = np.array([[0, 0, 0], [0, 0, -0.1], [0, 0.1, 0], [0.5, 0.1, 0]], float)
    step = 35 / 32 * 137 * 0.1  # pixels a tenth of a unit takes at distance 1: 14.98
    expected = [[68.5, 68.5], [68.5 + step, 68.5], [68.5, 68.5 - step], [68.5, 68.5 - 2 * step]]
    assert project(points, camera(0, 0, 1)) == pytest.approx(np.array(expected))


def test_from_the_back_and_above_worked_by_hand():
    """Azimuth 90 stands on +z, behind the object (front is -z); elevation 30 lifts by half the distance."""
    eye, rotation = pose(camera(90, 30, 1.4))
    assert eye == pytest.approx([0, 0.7, 1.4 * np.sqrt(3) / 2], abs=1e-12)
    assert rotation[0] == pytest.approx([1, 0, 0], abs=1e-12)


def test_field_of_view_is_blenders_default_lens():
    half = np.radians(49.1343 / 2)
    edge = np.array([[0.0, 0.0, -2 * np.tan(half)]])
    assert project(edge, camera(0, 0, 2))[0, 0] == pytest.approx(137, abs=1e-3)


@pytest.mark.parametrize("side", [64, 137, 411])
def test_projection_scales_with_the_picture(side):
    rng = np.random.default_rng(0)
    points, view = rng.uniform(-0.5, 0.5, (50, 3)), sample_cameras(rng, 1)[0]
    assert project(points, view, side) / side == pytest.approx(project(points, view) / IMAGE_SIDE)


def test_rotations_are_rotations_and_look_at_the_origin():
    for view in sample_cameras(np.random.default_rng(1), 100):
        eye, rotation = pose(view)
        assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        assert np.linalg.norm(eye) == pytest.approx(view[3] * 1.75)
        assert rotation @ -eye == pytest.approx([0, 0, -np.linalg.norm(eye)], abs=1e-12)
        assert rotation[0, 1] == pytest.approx(0)  # the horizon is level


def test_samples_cover_the_published_ranges():
    cameras = sample_cameras(np.random.default_rng(2), 20_000)
    assert cameras.shape == (20_000, 5)
    for column, low, high in ((0, 0, 360), (1, 25, 30), (3, 0.65, 0.95)):
        values = cameras[:, column]
        assert low <= values.min() and values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, rel=0.02)
        assert values.std() == pytest.approx((high - low) / np.sqrt(12), rel=0.03)
    assert (cameras[:, 2] == 0).all() and (cameras[:, 4] == 25).all()


def test_samples_repeat_for_a_seed():
    first, again, other = (sample_cameras(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.shape == (24, 5)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
