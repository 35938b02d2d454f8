"""Rays of pixels: the one thing that scenes hand to fields.

A point on a ray is `origin + t * direction`. Directions are not of unit length: before NDC their z in the camera's
frame is -1, so that t is a depth, and the length of an interval is its dt times the direction's length.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rays(NamedTuple):
    """R rays, float32."""

    origins: Tensor  # (R, 3), in the units of the scene, or in NDC
    directions: Tensor  # (R, 3), of any length
    views: Tensor  # (R, 3), of unit length: where the camera looks, before NDC

    def part(self, chosen: slice | Tensor) -> Rays:
        """Some of them."""
        return Rays(*(value[chosen] for value in self))


class RayBatch(NamedTuple):
    """A minibatch of training: rays and the colours of their pixels."""

    origins: Tensor  # (R, 3)
    directions: Tensor  # (R, 3)
    views: Tensor  # (R, 3)
    colours: Tensor  # (R, 3), in [0, 1]

    @property
    def rays(self) -> Rays:
        return Rays(self.origins, self.directions, self.views)


def pixel_rays(
    rows: Tensor, columns: Tensor, poses: Tensor, focal: float, size: tuple[int, int], centre: float
) -> Rays:
    """Rays of pixels of a pinhole camera that looks along its -z (Blender, OpenGL).

    Args:
        rows, columns: (R,) of pixels.
        poses: (R, 3, 4) or (3, 4), camera to world.
        focal: in pixels.
        size: (H, W).
        centre: 0.5 where a picture's pixel (0, 0) covers [0, 1) x [0, 1); 0.0 as the original's code has it.

    Example:
        >>> at = torch.tensor([50.0])
        >>> pixel_rays(at, at, torch.eye(4)[:3], 100.0, (100, 100), centre=0.0).directions.tolist()
        [[0.0, 0.0, -1.0]]
    """
    H, W = size
    x, y = (columns + centre - W / 2) / focal, -(rows + centre - H / 2) / focal
    local = torch.stack([x, y, -torch.ones_like(x)], -1)
    directions = (poses[..., :3, :3] @ local.unsqueeze(-1)).squeeze(-1)
    origins = poses[..., :3, 3].expand_as(directions)
    return Rays(origins, directions, torch.nn.functional.normalize(directions, dim=-1))


def to_ndc(rays: Rays, focal: float, size: tuple[int, int], near: float = 1.0) -> Rays:
    """Rays of a forward-facing scene in normalised device coordinates: t from 0 (the plane `near`) to 1 (infinity).

    Mildenhall et al. 2020, App. C; viewing directions stay.
    """
    H, W = size
    o, d = rays.origins, rays.directions
    o = o - ((near + o[..., 2]) / d[..., 2]).unsqueeze(-1) * d  # onto the near plane
    ax, ay = -2 * focal / W, -2 * focal / H
    origins = torch.stack([ax * o[..., 0] / o[..., 2], ay * o[..., 1] / o[..., 2], 1 + 2 * near / o[..., 2]], -1)
    slope = d[..., :2] / d[..., 2:] - o[..., :2] / o[..., 2:]
    directions = torch.stack([ax * slope[..., 0], ay * slope[..., 1], -2 * near / o[..., 2]], -1)
    return Rays(origins, directions, rays.views)
