"""Camera paths: hand values, properties, and the original's spiral step by step."""

from __future__ import annotations

import numpy as np
import pytest

from compress3d.errors import ConfigError
from compress3d.nerf.cameras import camera_path, look_at, mean_pose, on_sphere, orbit, spiral
from compress3d.nerf.scenes import open_scene
from tests.nerf.tiny_scenes import blender, llff


def check_rotations(poses: np.ndarray) -> None:
    for pose in poses:
        np.testing.assert_allclose(pose[:, :3].T @ pose[:, :3], np.eye(3), atol=1e-12)
        assert np.linalg.det(pose[:, :3]) == pytest.approx(1)


def test_look_at_by_hand():
    """From +y towards the origin: right is -x, up is z."""
    pose = look_at((0, 4, 0))
    np.testing.assert_allclose(pose, [[-1, 0, 0, 0], [0, 0, 1, 4], [0, 1, 0, 0]], atol=1e-15)


@pytest.mark.parametrize("count", [1, 2, 7, 40])
@pytest.mark.parametrize("target", [(0.0, 0.0, 0.0), (0.3, -0.2, 0.5)])
def test_orbit(count, target):
    poses = orbit(count, radius=3.0, elevation=20.0, target=target)
    check_rotations(poses)
    away = poses[:, :, 3] - target
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 3.0)
    np.testing.assert_allclose(away[:, 2], 3.0 * np.sin(np.radians(20.0)))
    np.testing.assert_allclose(poses[:, :, 2], away / 3.0, atol=1e-12)  # looks at the target along -z
    assert (poses[:, 2, 1] > 0).all() and np.allclose(poses[:, 2, 0], 0)  # upright and level
    turns = np.degrees(np.unwrap(np.arctan2(away[:, 1], away[:, 0])))
    np.testing.assert_allclose(np.diff(turns), 360 / count)


@pytest.mark.parametrize("theta", [-180.0, -171.0, 0.0, 90.0])
def test_orbit_passes_through_the_original_poses(theta):
    """pose_spherical(theta, -30, 4) of load_blender.py."""
    angle, phi = np.radians(theta), np.radians(-30.0)
    move = np.eye(4)
    move[2, 3] = 4
    turn = np.array([[1, 0, 0, 0], [0, np.cos(phi), -np.sin(phi), 0], [0, np.sin(phi), np.cos(phi), 0], [0, 0, 0, 1]])
    round_ = np.array(
        [[np.cos(angle), 0, -np.sin(angle), 0], [0, 1, 0, 0], [np.sin(angle), 0, np.cos(angle), 0], [0, 0, 0, 1]]
    )
    flip = np.array([[-1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    original = (flip @ round_ @ turn @ move)[:3]
    distances = np.abs(orbit(40) - original).max((1, 2))
    assert distances.min() < 1e-12


def original_spiral(poses, near, far, count, turns):
    """render_path_spiral of load_llff.py, with the values that load_llff_data gives it."""

    def normalize(x):
        return x / np.linalg.norm(x)

    def viewmatrix(z, up, position):
        z = normalize(z)
        x = normalize(np.cross(up, z))
        return np.stack([x, normalize(np.cross(z, x)), z, position], 1)

    c2w = viewmatrix(poses[:, :, 2].sum(0), poses[:, :, 1].sum(0), poses[:, :, 3].mean(0))
    up = normalize(poses[:, :, 1].sum(0))
    close_depth, inf_depth, dt = near * 0.9, far * 5.0, 0.75
    focal = 1.0 / ((1.0 - dt) / close_depth + dt / inf_depth)
    rads = np.array([*np.percentile(np.abs(poses[:, :, 3]), 90, 0), 1.0])
    path = []
    for theta in np.linspace(0.0, 2.0 * np.pi * turns, count + 1)[:-1]:
        c = c2w @ (np.array([np.cos(theta), -np.sin(theta), -np.sin(theta * 0.5), 1.0]) * rads)
        path.append(viewmatrix(c - c2w @ np.array([0, 0, -focal, 1.0]), up, c))
    return np.array(path)


@pytest.mark.parametrize(("count", "turns"), [(120, 2), (30, 1), (7, 3)])
def test_spiral(tmp_path, count, turns):
    scene = open_scene(llff(tmp_path / "tiny", seed=count))
    path = spiral(scene.poses, scene.depths, count, turns)
    check_rotations(path)
    np.testing.assert_allclose(path, original_spiral(scene.poses, *scene.depths, count, turns), atol=1e-12)


def test_recentred_poses_have_the_identity_in_their_middle(tmp_path):
    scene = open_scene(llff(tmp_path / "tiny"))
    np.testing.assert_allclose(mean_pose(scene.poses), np.eye(4)[:3], atol=1e-12)


def test_path_of_a_scene(tmp_path):
    """An orbit at the training cameras' mean distance and height; a spiral where all look one way."""
    round_ = open_scene(blender(tmp_path / "round"))
    path = camera_path(round_, 12)
    np.testing.assert_allclose(np.linalg.norm(path[:, :, 3], axis=1), 4.0, rtol=1e-6)
    assert path.shape == (12, 3, 4)
    forward = open_scene(llff(tmp_path / "forward"))
    np.testing.assert_array_equal(camera_path(forward, 9), spiral(forward.poses, forward.depths, 9))
    assert forward.rays(camera_path(forward, 9)[4]).directions.isfinite().all()


def test_places():
    np.testing.assert_allclose(on_sphere(30, 0, 2), [np.sqrt(3), 1, 0], atol=1e-12)
    with pytest.raises(ConfigError, match="0 cameras"):
        orbit(0)
