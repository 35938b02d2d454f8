"""Cameras and paths of cameras: poses (N, 3, 4), camera to world, that look along their -z, y up (Blender, OpenGL)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from compress3d.errors import ConfigError

if TYPE_CHECKING:  # scenes know cameras
    from compress3d.nerf.scenes.scene import Scene

ORIGIN = (0.0, 0.0, 0.0)


def unit(vector: np.ndarray) -> np.ndarray:
    """A vector of length 1."""
    return vector / np.linalg.norm(vector)


def look(backward: np.ndarray, up: np.ndarray, position: np.ndarray) -> np.ndarray:
    """The pose (3, 4) of a camera at `position` that looks along -`backward`; `up` is where its y points, roughly.

    Example:
        >>> look(np.array([0.0, 0, 2]), np.array([0.0, 1, 0]), np.array([5.0, 6, 7])).tolist()
        [[1.0, 0.0, 0.0, 5.0], [0.0, 1.0, 0.0, 6.0], [0.0, 0.0, 1.0, 7.0]]
    """
    backward = unit(np.asarray(backward, np.float64))
    right = unit(np.cross(up, backward))
    return np.stack([right, np.cross(backward, right), backward, position], axis=1)


def look_at(position: ArrayLike, target: ArrayLike = ORIGIN, up: ArrayLike = (0.0, 0.0, 1.0)) -> np.ndarray:
    """The pose (3, 4) of a camera at `position` that looks at `target`; z is up, as in Blender."""
    position = np.asarray(position, np.float64)
    return look(position - np.asarray(target), np.asarray(up, np.float64), position)


def on_sphere(azimuth: float, elevation: float, radius: float) -> np.ndarray:
    """A place (3,), z up, angles in degrees, azimuth from +x towards +y.

    Example:
        >>> on_sphere(90, 0, 4).round(6).tolist()
        [0.0, 4.0, 0.0]
    """
    a, e = np.radians((azimuth, elevation))
    return radius * np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])


def orbit(count: int = 40, radius: float = 4.0, elevation: float = 30.0, target: ArrayLike = ORIGIN) -> np.ndarray:
    """Cameras once around `target` at one height, float64 (count, 3, 4); the first and last are neighbours.

    Defaults are the original's video: 40 views, 30 degrees up, 4 away.
    """
    _check_count(count)
    turns = 360.0 * np.arange(count) / count
    target = np.asarray(target, np.float64)
    return np.stack([look_at(target + on_sphere(turn, elevation, radius), target) for turn in turns])


def mean_pose(poses: np.ndarray) -> np.ndarray:
    """The pose (3, 4) in the middle of poses (N, 3, 4): means of places, of directions, of y axes."""
    return look(poses[:, :, 2].sum(0), poses[:, :, 1].sum(0), poses[:, :, 3].mean(0))


def spiral(poses: np.ndarray, depths: tuple[float, float], count: int = 120, turns: int = 2) -> np.ndarray:
    """A path around the middle of forward-facing cameras, float64 (count, 3, 4), as the original's videos have it.

    Cameras lie on an ellipse as wide as 90 % of the poses, move to and fro at half that rate, and look at a point as
    far away as a weighted mean of inverse depths says (3/4 of the weight on the farthest).

    Args:
        poses: (N, 3, 4).
        depths: nearest and farthest of what is seen.
    """
    _check_count(count)
    middle = mean_pose(poses)
    nearest, farthest = 0.9 * depths[0], 5.0 * depths[1]
    focus = 1.0 / (0.25 / nearest + 0.75 / farthest)
    radii = np.percentile(np.abs(poses[:, :, 3]), 90, axis=0)
    target = middle[:, :3] @ [0.0, 0.0, -focus] + middle[:, 3]
    up = poses[:, :, 1].sum(0)
    path = []
    for angle in 2 * np.pi * turns * np.arange(count) / count:
        offset = np.array([np.cos(angle), -np.sin(angle), -np.sin(angle / 2)]) * radii
        place = middle[:, :3] @ offset + middle[:, 3]
        path.append(look(place - target, up, place))
    return np.stack(path)


def camera_path(scene: Scene, count: int = 40) -> np.ndarray:
    """The path that suits a scene, float64 (count, 3, 4): a spiral where it is forward-facing, else an orbit.

    The orbit is as far from the middle of the box and as high above it as the training cameras are on average, and no
    lower than 10 degrees.
    """
    poses = scene.poses[scene.split["train"]]
    if scene.ndc:
        return spiral(scene.poses, scene.depths, count)
    middle = scene.bounds.mean(0, dtype=np.float64)
    away = poses[:, :, 3] - middle
    radius = np.linalg.norm(away, axis=1)
    elevation = float(np.degrees(np.arcsin(away[:, 2] / radius)).mean())
    return orbit(count, float(radius.mean()), max(10.0, elevation), middle)


def _check_count(count: int) -> None:
    if count < 1:
        raise ConfigError("count", f"{count} cameras make no path", "give at least 1")
