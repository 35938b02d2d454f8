"""What cameras of a scene must be: rotations that are rotations, and places from which the scene is seen."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from compress3d.errors import DataError

TOLERANCE = 1e-3  # of a rotation's rows; files round to 1e-5 at worst


def check_rotation(rotation: np.ndarray, where: str | Path, whose: str) -> None:
    """DataError: (3, 3) is not orthonormal to 1e-3, or mirrors."""
    with np.errstate(all="ignore"):  # of numbers such as 1e300; NaN is not below the tolerance
        off = np.abs(rotation.T @ rotation - np.eye(3)).max()
    remedy = "write camera-to-world matrices without scale or shear, whose determinant is +1"
    if not off < TOLERANCE:
        raise DataError(where, f"{whose} has a pose that is not a rotation (R^T R is off by {off:.2g})", remedy)
    if np.linalg.det(rotation) < 0:
        raise DataError(where, f"{whose} has a pose that mirrors (determinant -1)", remedy)


def check_sees(
    pose: np.ndarray, bounds: np.ndarray, near: float, far: float, half_angle: float, where: str | Path, whose: str
) -> None:
    """DataError: a camera (3, 4) sees nothing of the box `bounds` (2, 3) between `near` and `far`.

    Judged by the ball around the box, so that only what is surely wrong is refused: another unit of length, or the
    axes of OpenCV, whose cameras look along +z.
    """
    middle, radius = bounds.mean(0, dtype=np.float64), math.dist(*bounds.tolist()) / 2
    towards = middle - pose[:, 3]
    distance = math.hypot(*towards)
    if distance - radius > far or distance + radius < near:
        problem = (
            f"{whose} has a camera {distance:.3g} from the middle of the scene, which lies {near:g} to {far:g} away"
        )
        raise DataError(where, problem, "scale the poses, or give `near`, `far` and `bounds` in their units")
    if distance <= radius:
        return
    angle = np.arccos(np.clip(-pose[:, 2] @ towards / distance, -1, 1))
    if angle > half_angle + np.arcsin(radius / distance):
        problem = f"{whose} has a camera that looks away from the scene, by {np.degrees(angle):.0f} degrees"
        raise DataError(
            where, problem, "write poses whose cameras look along -z, y up (turn those of OpenCV or COLMAP)"
        )
