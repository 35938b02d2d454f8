"""A scene: pictures, their cameras, and the rays of their pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from compress3d.nerf.rays import RayBatch, Rays, pixel_rays, to_ndc


@dataclass(frozen=True)
class Scene:
    """Views of one scene. Made by `open_scene`."""

    name: str
    sha256: str  # over pictures and cameras as read, the size and what was done to them
    images: np.ndarray  # float32 (N, H, W, 3) in [0, 1], background composited
    poses: np.ndarray  # float64 (N, 3, 4), camera to world; a camera looks along its -z, its y is up
    names: tuple[str, ...]  # file of each view, below the scene's folder
    focal: float  # in pixels
    near: float  # between which t along a ray the scene lies
    far: float
    split: dict[str, np.ndarray]  # rows of "train", "test", and "val" if it was asked for
    ndc: bool  # forward-facing: rays are in normalised device coordinates
    white: bool  # background is white, else black
    bounds: np.ndarray  # float32 (2, 3): box that holds the scene, in the space of the field
    depths: tuple[float, float]  # nearest and farthest of what is seen, in the space of the poses
    centre: float = 0.5  # where in a pixel its ray goes through; the original's code has 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every picture."""
        return self.images.shape[1], self.images.shape[2]

    @property
    def training_pixels(self) -> int:
        """Pixels of all training views."""
        return len(self.split["train"]) * self.size[0] * self.size[1]

    def rays(
        self,
        view: int | np.ndarray,
        rows: Tensor | None = None,
        columns: Tensor | None = None,
        centre: float | None = None,
    ) -> Rays:
        """Rays of a view's pixels, in NDC where the scene is: (H W) in row-major order, or of the pixels named.

        Args:
            view: its row, or the pose (3, 4) of any camera, as `compress3d.nerf.cameras` makes them.
            rows, columns: (R,), of pixels.
            centre: instead of the scene's own.
        """
        H, W = self.size
        if rows is None or columns is None:
            rows, columns = (axis.flatten() for axis in torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij"))
        pose = self.poses[view] if isinstance(view, int | np.integer) else np.asarray(view, np.float64)
        return self._rays(rows, columns, torch.from_numpy(pose), self.centre if centre is None else centre)

    def training_rays(self, chosen: Tensor, centre: float | None = None) -> RayBatch:
        """Rays and colours of pixels of the training views.

        Args:
            chosen: (R,) int64 in [0, training_pixels): view by view, row by row.
        """
        H, W = self.size
        view, pixel = chosen // (H * W), chosen % (H * W)
        row, column = pixel // W, pixel % W
        view = torch.from_numpy(self.split["train"])[view]
        rays = self._rays(row, column, torch.from_numpy(self.poses)[view], self.centre if centre is None else centre)
        return RayBatch(*rays, torch.from_numpy(self.images)[view, row, column])

    def colours(self, view: int) -> Tensor:
        """Colours (H W, 3) of a view, in the order of its rays."""
        return torch.from_numpy(self.images[view]).reshape(-1, 3)

    def _rays(self, rows: Tensor, columns: Tensor, poses: Tensor, centre: float) -> Rays:
        # In float64: NDC subtracts numbers of like size. What fields get is float32.
        rays = pixel_rays(rows.double(), columns.double(), poses, self.focal, self.size, centre)
        if self.ndc:
            rays = to_ndc(rays, self.focal, self.size)
        return Rays(*(value.float() for value in rays))


class Fingerprint:
    """The sha256 of pictures and cameras as they are read."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, *parts: object) -> None:
        for part in parts:
            if isinstance(part, np.ndarray):
                self._hash.update(f"{part.dtype.str} {part.shape}".encode())
                self._hash.update(np.ascontiguousarray(part).data)
            else:
                self._hash.update(f"{part!r};".encode())

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
