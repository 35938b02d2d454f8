"""What is trained in occupied cells: a voxel field, coarse to fine, and a network in the cells that it leaves."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.engine.experiment import OptimConfig
from compress3d.engine.step import Step
from compress3d.errors import ConfigError, TrainingError
from compress3d.losses import LossTerms, photometric_loss
from compress3d.nerf.cells import OccupiedCells, dilated, render_in_cells
from compress3d.nerf.mlp import MLP
from compress3d.nerf.rays import RayBatch, Rays
from compress3d.nerf.rendering import Rendered
from compress3d.nerf.voxels import VoxelField, checked_bounds

STREAM = 21  # of a step's random numbers: jitter of samples


class SceneFacts(Protocol):
    """What a model has to know of a scene."""

    bounds: np.ndarray  # (2, 3)
    near: float
    far: float
    white: bool
    ndc: bool


class InCells(nn.Module):
    """A field that is rendered in occupied cells.

    Attributes:
        cells: where it is asked.
        near, far, white, ndc: of the scene; tensors of one element, part of the state. t between which rays are
            sampled, whether the background is white, whether rays are in NDC.
    """

    cells: OccupiedCells
    near: Tensor
    far: Tensor
    white: Tensor
    ndc: Tensor

    def __init__(self):
        super().__init__()
        for name, value in {"near": 0.0, "far": 1e10, "white": True, "ndc": False}.items():
            self.register_buffer(name, torch.tensor(value))

    def set_scene(self, scene: SceneFacts) -> None:
        """Take over what a model has to know of a scene; a model that is loaded knows it."""
        for name in ("near", "far", "white", "ndc"):
            getattr(self, name).fill_(getattr(scene, name))

    @property
    def step_length(self) -> float:
        """Between samples along a ray, in units of the scene."""
        raise NotImplementedError

    @property
    def field(self) -> Any:
        """The field that is rendered."""
        raise NotImplementedError

    def render(self, rays: Rays, rng: torch.Generator | None = None) -> Rendered:
        """Pixels of rays; `rng` jitters samples, as in training."""
        return render_in_cells(self.field, self.cells, rays, self.step_length, self.near, self.far, self.white, rng)

    def training_step(self, batch: RayBatch, step: Step) -> LossTerms:
        """Squared error of pixels, "pixels"; jitter is a function of `step`."""
        rng = torch.Generator(batch.origins.device)
        rng.manual_seed(int(step.rng(STREAM).integers(2**63)))
        loss = photometric_loss(self.render(batch.rays, rng).colour, batch.colours)
        return LossTerms(loss, {"pixels": loss})


class VoxelScene(InCells):
    """A voxel field that is trained coarse to fine, and loses cells that stop no light.

    Attributes:
        voxels: the field.
        done: int64, changes made so far; part of the state.

    Args:
        bounds: (2, 3); taken from the scene by `set_scene`.
        sizes: (step, lattice points on the longest side) from which step on; the first step is 0.
        prune: steps at which cells are given up.
        threshold: share of light along a cell's edge below which it is given up, unless a neighbour stops more.
        relative_step: between samples along a ray, in cells.

    Example:
        >>> scene = VoxelScene(sizes=((0, 9), (10, 17)), prune=())
        >>> scene.begin(9), scene.begin(10), scene.begin(10), scene.voxels.index.shape
        (False, True, False, torch.Size([17, 17, 17]))
    """

    done: Tensor

    def __init__(
        self,
        bounds: Any = ((-1.3,) * 3, (1.3,) * 3),
        sizes: tuple[tuple[int, int], ...] = ((0, 48), (300, 80), (700, 112)),
        prune: tuple[int, ...] = (100, 200, 300, 500, 700, 1000),
        threshold: float = 0.01,
        relative_step: float = 0.9,
    ):
        super().__init__()
        if not sizes or sizes[0][0] != 0 or any(a[0] >= b[0] for a, b in zip(sizes, sizes[1:], strict=False)):
            raise ConfigError(f"sizes {sizes}", "do not rise from step 0", "give (step, size) pairs in order, from 0")
        self.voxels = VoxelField(bounds, sizes[0][1])
        self.cells = OccupiedCells.of_voxels(self.voxels)
        self.sizes, self.threshold, self.relative_step = sizes, threshold, relative_step
        # Cells are given up before the lattice of the same step becomes finer: fewer points to fill.
        changes = [(step, 0, 0) for step in prune] + [(step, 1, size) for step, size in sizes[1:]]
        self.changes = sorted(changes)
        self.register_buffer("done", torch.tensor(0))

    @property
    def field(self) -> VoxelField:
        return self.voxels

    @property
    def step_length(self) -> float:
        return self.relative_step * self.voxels.cell_side

    def set_scene(self, scene: SceneFacts) -> None:
        super().set_scene(scene)
        self.voxels.bounds.copy_(checked_bounds(scene.bounds))
        if self.voxels.kept.all():  # nothing is learned yet: cells may become cubes in another box
            self.voxels.resize(max(self.voxels.index.shape))
        self._follow()

    def begin(self, step: int) -> bool:
        """Make the changes that are due before `step`, each once; True where parameters were changed.

        Raises:
            TrainingError: no cell stops any light.
        """
        due = [change for change in self.changes if change[0] <= step][int(self.done) :]
        for _, _, size in due:
            if size:
                self.voxels.resize(size)
            else:
                self._prune()
        self.done += len(due)
        if due:
            self._follow()
        return bool(due)

    def parameter_groups(self, optim: OptimConfig) -> list[dict]:
        """All values at one rate."""
        return [{"params": [self.voxels.rows], "peak": optim.learning_rate, "warmup": optim.warmup, "lr": 0.0}]

    def _prune(self) -> None:
        cells = dilated(self.voxels.opacity() > self.threshold, 1)
        if not cells.any():
            problem = f"no cell stops {self.threshold:.1%} of the light"
            raise TrainingError("voxel field", problem, "check cameras and bounds, or prune later")
        self.voxels.keep(cells)

    def _follow(self) -> None:
        self.cells.set(self.voxels.cells, self.voxels.bounds)


class MLPScene(InCells):
    """A network in given cells, such as those that a voxel field left.

    Its density is `scale` * softplus of the network's raw output, not ReLU: cells hold surfaces, and a ReLU that is 0
    there at the start learns nothing.

    Attributes:
        mlp: the network.
        cells: where it is asked.

    Args:
        mlp: a network.
        cells: bool (X, Y, Z) and box; all of a box of any size where None, until `set_cells` or a state brings others.
        samples: steps along the box's diagonal.
        scale: density of softplus(raw) = 1, in units of 1 / the box's longest side.
    """

    def __init__(self, mlp: MLP, cells: OccupiedCells | None = None, samples: int = 160, scale: float = 65.0):
        super().__init__()
        self.mlp, self.samples, self.scale = mlp, samples, scale
        self.cells = OccupiedCells() if cells is None else cells
        nn.init.constant_(mlp.density_head.bias, 0.5)

    @property
    def field(self) -> MLPScene:
        return self

    @property
    def step_length(self) -> float:
        sides = self.cells.bounds[1] - self.cells.bounds[0]
        return float(sides.norm()) / self.samples

    def set_cells(self, cells: OccupiedCells) -> None:
        """Other cells."""
        self.cells.set(cells.occupied.clone(), cells.bounds)

    def begin(self, step: int) -> bool:
        """Nothing changes while it learns."""
        return False

    def density(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """As the network's; see `Field`."""
        return self.mlp.density(points)

    def activate(self, raw: Tensor) -> Tensor:
        """Density: softplus."""
        return self.scale / float((self.cells.bounds[1] - self.cells.bounds[0]).max()) * F.softplus(raw)

    def colour(self, features: Tensor, views: Tensor, ray: Tensor | int) -> Tensor:
        """As the network's; see `Field`."""
        return self.mlp.colour(features, views, ray)
