"""What is trained in occupied cells: a voxel field, coarse to fine, and a network in the cells that it leaves."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.engine.experiment import OptimConfig
from compress3d.engine.step import Step
from compress3d.errors import ConfigError
from compress3d.losses import LossTerms, photometric_loss
from compress3d.nerf.cells import OccupiedCells, Samples, Watch, dilated, distortion, render_in_cells
from compress3d.nerf.mlp import MLP
from compress3d.nerf.rays import RayBatch, Rays
from compress3d.nerf.rendering import Rendered, SceneFacts, SceneModel
from compress3d.nerf.voxels import VoxelField, checked_bounds

STREAM = 21  # of a step's random numbers: jitter of samples


class InCells(SceneModel):
    """A field that is rendered in occupied cells."""

    resizes: tuple[str, ...] = ()  # names in the state whose size a fresh model takes over
    wave = 0  # samples of a ray that are asked together; see `render_in_cells`

    @property
    def cells(self) -> OccupiedCells:
        """Where the field is asked."""
        raise NotImplementedError

    @property
    def step_length(self) -> float:
        """Between samples along a ray, in units of the scene."""
        raise NotImplementedError

    @property
    def field(self) -> Any:
        """The field that is rendered."""
        raise NotImplementedError

    def render(self, rays: Rays, rng: torch.Generator | None = None, watch: Watch | None = None) -> Rendered:
        """Pixels of rays; `rng` jitters samples, as in training; `watch` is shown samples and weights."""
        return render_in_cells(
            self.field, self.cells, rays, self.step_length, self.near, self.far, self.white, rng,
            wave=self.wave, watch=watch,
        )  # fmt: skip

    def training_step(self, batch: RayBatch, step: Step) -> LossTerms:
        """Squared error of pixels, "pixels"; jitter is a function of `step`."""
        loss = photometric_loss(self.render(batch.rays, _rng(batch, step)).colour, batch.colours)
        return LossTerms(loss, {"pixels": loss})


def _rng(batch: RayBatch, step: Step) -> torch.Generator:
    """Of the jitter of a step."""
    rng = torch.Generator(batch.origins.device)
    rng.manual_seed(int(step.rng(STREAM).integers(2**63)))
    return rng


class VoxelScene(InCells):
    """A voxel field that is trained coarse to fine, and gives up cells that stop no light or that no light reaches.

    One process trains it: which cells go depends on the rays that it saw.

    Attributes:
        voxels: the field.
        cells: its kept cells.
        done: int64, changes made so far; part of the state.
        seen: (cells,), the largest weight in a pixel that a training sample had in a kept cell since the last change;
            part of the state.

    A state of any size loads into it; parameters stay the same objects then, and are other ones after a change.

    Args:
        bounds: (2, 3); taken from the scene by `set_scene`.
        sizes: (step, lattice points on the longest side) from which step on; the first step is 0.
        prune: steps at which cells are given up.
        threshold: a cell that stops a smaller share of light along its edge, at its densest corner, is given up,
        faint: and so is one in which no training sample had such a weight; both unless a neighbour is kept.
        trim: a step at which they go even where a neighbour is kept; None for none.
        relative_step: between samples along a ray, in cells.
        compact: weight of the distortion of rays in the loss, in units of the box's longest side, and the step from
            which on it counts. It makes fog into surfaces: fewer cells, and 0.15 dB more in unseen views of lego.

    Example:
        >>> scene = VoxelScene(sizes=((0, 9), (10, 17)), prune=(), trim=None)
        >>> scene.begin(9), scene.begin(10), scene.begin(10), scene.voxels.index.shape
        (False, True, False, torch.Size([17, 17, 17]))
    """

    done: Tensor
    seen: Tensor
    resizes = ("voxels.rows", "voxels.index", "seen")

    def __init__(
        self,
        bounds: Any = ((-1.3,) * 3, (1.3,) * 3),
        sizes: tuple[tuple[int, int], ...] = ((0, 32), (80, 64), (250, 96)),
        prune: tuple[int, ...] = (50, 80, 120, 180, 250, 400, 600, 800),
        threshold: float = 0.03,
        faint: float = 0.01,
        trim: int | None = 800,
        relative_step: float = 0.9,
        compact: tuple[float, int] = (0.04, 100),
    ):
        super().__init__()
        if not sizes or sizes[0][0] != 0 or any(a[0] >= b[0] for a, b in zip(sizes, sizes[1:], strict=False)):
            raise ConfigError(f"sizes {sizes}", "do not rise from step 0", "give (step, size) pairs in order, from 0")
        self.voxels = VoxelField(bounds, sizes[0][1])
        self.threshold, self.faint, self.relative_step, self.compact = threshold, faint, relative_step, compact
        # Cells are given up before the lattice of the same step becomes finer: fewer points to fill.
        changes = [(step, "prune", 1) for step in prune if step != trim]
        changes += [(step, "resize", size) for step, size in sizes[1:]]
        self.changes = sorted(changes + ([] if trim is None else [(trim, "prune", 0)]))
        self.register_buffer("done", torch.tensor(0))
        self.register_buffer("seen", torch.zeros(self.voxels.cell_count))
        self._cells: tuple[Tensor, OccupiedCells] | None = None  # of an index grid

    @property
    def field(self) -> VoxelField:
        return self.voxels

    @property
    def cells(self) -> OccupiedCells:
        index, bounds = self.voxels.index, self.voxels.bounds
        if self._cells is None or self._cells[0] is not index or not torch.equal(self._cells[1].bounds, bounds):
            self._cells = index, OccupiedCells.of_voxels(self.voxels)
        return self._cells[1]

    @property
    def step_length(self) -> float:
        return self.relative_step * self.voxels.cell_side

    def set_scene(self, scene: SceneFacts) -> None:
        super().set_scene(scene)
        self.voxels.bounds.copy_(checked_bounds(scene.bounds))
        if self.voxels.kept.all():  # nothing is learned yet: cells become cubes in the new box
            self.voxels.resize(max(self.voxels.index.shape))
            self.seen = self.seen.new_zeros(self.voxels.cell_count)

    def begin(self, step: int) -> bool:
        """Make the changes that are due before `step`, each once; True where parameters were replaced."""
        due = [change for change in self.changes if change[0] <= step][int(self.done) :]
        for _, kind, number in due:
            if kind == "resize":
                self.voxels.resize(number)
            else:
                self._prune(number)
            self.seen = self.seen.new_zeros(self.voxels.cell_count)
        self.done += len(due)
        return bool(due)

    def training_step(self, batch: RayBatch, step: Step) -> LossTerms:
        """Squared error of pixels, "pixels", and the weighted mean "distortion" of rays; jitter is by `step`."""
        weight, start = self.compact
        watched: list[tuple[Samples, Tensor]] = []
        colour = self.render(batch.rays, _rng(batch, step), lambda *found: watched.append(found)).colour
        pixels = photometric_loss(colour, batch.colours)
        ((samples, weights),) = watched
        self._watch(samples, weights)
        if not weight or step.number < start:
            return LossTerms(pixels, {"pixels": pixels})
        side = (self.voxels.bounds[1] - self.voxels.bounds[0]).max()
        spread = weight * distortion(weights, samples, batch.directions.norm(dim=-1) / side).mean()
        return LossTerms(pixels + spread, {"pixels": pixels, "distortion": spread})

    def parameter_groups(self, optim: OptimConfig) -> list[dict]:
        """All values at one rate."""
        return [{"params": [self.voxels.rows], "peak": optim.learning_rate, "warmup": optim.warmup, "lr": 0.0}]

    @torch.no_grad()
    def _prune(self, neighbours: int) -> None:
        kept = self.voxels.cells
        seen = torch.zeros(kept.shape, device=kept.device)
        seen[kept] = self.seen
        cells = dilated((self.voxels.opacity() > self.threshold) & (seen > self.faint), neighbours)
        if cells.any():  # a field that has not learned yet stops no light anywhere
            self.voxels.keep(cells)

    @torch.no_grad()
    def _watch(self, samples: Samples, weights: Tensor) -> None:
        cell = self.voxels.cell_of(samples.points)  # rounding may put a sample on the other side of a face
        at = (cell >= 0).nonzero().squeeze(-1)
        cell, weights = cell.index_select(0, at).long(), weights.index_select(0, at)
        self.seen.scatter_reduce_(0, cell, weights.to(self.seen.dtype), "amax")

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Of torch: takes the size of the state."""
        found = state_dict.get(f"{prefix}seen")
        if isinstance(found, Tensor) and found.dim() == 1:
            self.seen = torch.empty_like(found, dtype=self.seen.dtype, device=self.seen.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


class MLPScene(InCells):
    """A network in given cells, such as those that a voxel field left.

    Its density is `scale` * softplus of the network's raw output, not ReLU: cells hold surfaces, and a ReLU that is 0
    there at the start learns nothing.

    Attributes:
        mlp: the network.
        occupancy: the cells.

    Args:
        mlp: a network.
        cells: bool (X, Y, Z) and box; all of a box of any size where None, until `set_cells` or a state brings others.
        samples: steps along the box's diagonal.
        scale: density of softplus(raw) = 1, in units of 1 / the box's longest side.
    """

    resizes = ("occupancy.occupied",)
    wave = 4

    def __init__(self, mlp: MLP, cells: OccupiedCells | None = None, samples: int = 160, scale: float = 65.0):
        super().__init__()
        self.mlp, self.samples, self.scale = mlp, samples, scale
        self.occupancy = OccupiedCells() if cells is None else cells
        nn.init.constant_(mlp.density_head.bias, 0.5)

    @property
    def field(self) -> MLPScene:
        return self

    @property
    def cells(self) -> OccupiedCells:
        return self.occupancy

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
