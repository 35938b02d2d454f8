"""The camera of ShapeNetRendering: where it stands, what it sees, and the columns of its metadata.

Azimuth U[0, 360), elevation U[25, 30] degrees, distance ratio U[0.65, 0.95] of 1.75 units. The metadata's last column
says 25, but the published renderer never applied it: the pictures are those of Blender's default lens, 35 mm before a
32 mm sensor, 49.13 degrees.
"""

from __future__ import annotations

import numpy as np

from compress3d.data.store import SIDE as IMAGE_SIDE
from compress3d.data.store import VIEWS

FOCAL = 35.0 / 32.0  # focal length in units of the sensor's width
MAX_DISTANCE = 1.75


def sample_cameras(rng: np.random.Generator, count: int = VIEWS) -> np.ndarray:
    """Random metadata rows (count, 5): azimuth and elevation in degrees, in-plane rotation 0, distance ratio, 25."""
    azimuth, elevation, ratio = (rng.uniform(*ends, count) for ends in ((0.0, 360.0), (25.0, 30.0), (0.65, 0.95)))
    return np.stack([azimuth, elevation, np.zeros(count), ratio, np.full(count, 25.0)], axis=1)


def position(azimuth: float, elevation: float, distance: float = 1.0) -> np.ndarray:
    """Where a camera stands, float64 (3,): Y up, angles in degrees, azimuth from +X towards +Z.

    Example:
        >>> position(90, 0, 2).round(6).tolist()
        [0.0, 0.0, 2.0]
    """
    a, e = np.radians((azimuth, elevation))
    return distance * np.array([np.cos(e) * np.cos(a), np.sin(e), np.cos(e) * np.sin(a)])


def pose(camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eye (3,) and rotation (3, 3) of a metadata row.

    Rows of the rotation are the camera's right, up and backward axes in object coordinates (Y up, front -Z):
    `rotation @ (point - eye)` has z < 0 before the camera.
    """
    eye = position(camera[0], camera[1], camera[3] * MAX_DISTANCE)
    backward = eye / np.linalg.norm(eye)
    right = np.cross([0.0, 1.0, 0.0], backward)
    right /= np.linalg.norm(right)
    return eye, np.stack([right, np.cross(backward, right), backward])


def project(points: np.ndarray, camera: np.ndarray, side: int = IMAGE_SIDE) -> np.ndarray:
    """Pixel coordinates (N, 2), column and row, of points (N, 3); pixel (0, 0) covers [0, 1) x [0, 1)."""
    return project_from(points, *pose(camera), FOCAL, side)


def project_from(points: np.ndarray, eye: np.ndarray, rotation: np.ndarray, focal: float, side: int) -> np.ndarray:
    """Pixel coordinates (N, 2) of points (N, 3) before a camera at `eye`; `focal` in units of the picture's side."""
    local = (points - eye) @ rotation.T
    scale = focal * side / -local[:, 2]
    return np.stack([scale * local[:, 0] + side / 2, -scale * local[:, 1] + side / 2], axis=1)
