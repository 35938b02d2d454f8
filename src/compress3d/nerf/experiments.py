"""What is trained of scenes: a voxel field, networks in the cells that it leaves, and the original's two networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compress3d.codecs.channel import OperatingPoint, Output
from compress3d.engine.experiment import Experiment, ExponentialOptim, ModelConfig, get_experiment, register
from compress3d.engine.weights import load_model
from compress3d.nerf.cells import dilated
from compress3d.nerf.data import SIZES, SceneData
from compress3d.nerf.mlp import MLP
from compress3d.nerf.models import MLPScene, VoxelScene
from compress3d.nerf.packing import read_packed
from compress3d.nerf.rendering import CoarseFine
from compress3d.scales import Scale

if TYPE_CHECKING:
    from compress3d.engine.train import Trainer
    from compress3d.nerf.scenes import Scene

SEEDS = (0, 1, 2)
STAGES = ((0, 32), (80, 64), (250, 96))  # of the voxel field: from this step on, so many lattice points a side
PRUNED = (50, 80, 120, 180, 250, 400, 600, 800)  # steps at which it gives up empty cells
SOLID = 0.1  # a network is trained where the voxel field stops this share of light, and one cell around


class SceneConfig(ModelConfig):
    """A model that renders a scene: nothing is sent, and no voxels of an object come out."""

    makes_voxels = False

    def outputs(
        self, model: nn.Module, images: Tensor, points: Sequence[OperatingPoint]
    ) -> Iterator[tuple[OperatingPoint, Output]]:
        return iter(())

    def start(self, trainer: Trainer, opened: Scene) -> None:
        """Tell the model what it has to know of the scene."""
        trainer.model.set_scene(opened)  # type: ignore[operator]


@dataclass(frozen=True)
class VoxelConfig(SceneConfig):
    """A voxel field, coarse to fine; settings as of `VoxelScene`."""

    sizes: tuple[tuple[int, int], ...] = STAGES
    prune: tuple[int, ...] = PRUNED
    trim: int | None = PRUNED[-1]
    name = "voxels"

    def build(self, scale: Scale) -> nn.Module:
        return VoxelScene(sizes=self.sizes, prune=self.prune, trim=self.trim)


def network(depth: int, width: int) -> MLP:
    """The original's network; one of up to five layers has no skip."""
    return MLP(depth, width, skip=4 if depth > 5 else None)


@dataclass(frozen=True)
class MLPConfig(SceneConfig):
    """The original's network in the cells that the voxel field of the same scene and seed left."""

    depth: int = 4
    width: int = 128
    cells: str = ""  # packed voxel field whose cells are taken; the shipped weights of that of the scene where empty

    @property
    def name(self) -> str:  # type: ignore[override]  # only read
        return f"mlp-{self.depth}x{self.width}"

    def build(self, scale: Scale) -> nn.Module:
        return MLPScene(network(self.depth, self.width))

    def start(self, trainer: Trainer, opened: Scene) -> None:
        """Take the cells of the voxel field.

        Raises:
            CheckpointError: it is not trained yet; the message has the command.
        """
        model = trainer.model
        assert isinstance(model, MLPScene)
        model.set_scene(opened)
        voxels = read_packed(self.cells) if self.cells else load_model(voxel_experiment(trainer.experiment))
        assert isinstance(voxels, VoxelScene)
        voxels.voxels.keep(dilated(voxels.voxels.opacity() > SOLID, 1))
        model.set_cells(voxels.cells)


@dataclass(frozen=True)
class OriginalConfig(SceneConfig):
    """Coarse and fine network, as Mildenhall et al. 2020 train them."""

    depth: int = 8
    width: int = 256
    samples: tuple[int, int] = (64, 64)
    noise: float = 0.0

    @property
    def name(self) -> str:  # type: ignore[override]  # only read
        return f"nerf-{self.depth}x{self.width}"

    def build(self, scale: Scale) -> nn.Module:
        coarse, fine = network(self.depth, self.width), network(self.depth, self.width)
        return CoarseFine(coarse, fine, near=2.0, far=6.0, white=True, samples=self.samples, noise=self.noise)


def voxel_experiment(experiment: Experiment) -> Experiment:
    """The voxel field of the same scene, scale and seed."""
    base = get_experiment(f"{experiment.scale}/{VoxelConfig.name}-s{experiment.seed}")
    return replace(base, data=experiment.data)


def optim(steps: int, rays: int, peak: float, **more: Any) -> ExponentialOptim:
    """Adam without clipping, a learning rate that falls to a tenth unless `more` says otherwise."""
    common: dict[str, Any] = {"warmup": 1, "clip": float("inf"), "precision": "float32"}
    return ExponentialOptim(steps=steps, batch_size=rays, learning_rate=peak, **common | more)


def experiment(model: SceneConfig, scale: str, optim: ExponentialOptim, seed: int = 0, **data: Any) -> Experiment:
    """A model of the scale's scene."""
    return Experiment("nerf", scale, model, SceneData(size=SIZES[scale], **data), optim, seed)


VOXELS = optim(1000, 2048, 0.1, decay=0.2)
# The port's schedule on lego; the original's paper has 500,000 steps of 1,024 rays.
ORIGINAL = optim(200_000, 1024, 5e-4, decay=0.1, decay_steps=500_000, precision="bfloat16")

register(
    [
        experiment(VoxelConfig(((0, 16), (40, 32)), (30, 60), 60), "smoke", optim(100, 512, 0.1, decay=0.2)),
        experiment(MLPConfig(2, 32), "smoke", optim(60, 128, 5e-3)),
        experiment(OriginalConfig(2, 16, samples=(16, 16)), "smoke", optim(20, 64, 5e-3)),
    ],
    worth=8,
)
for _seed in SEEDS:
    register([experiment(VoxelConfig(), "demo", VOXELS, _seed)], worth=8 + _seed / 10)
    register([experiment(MLPConfig(), "demo", optim(3000, 512, 3e-3), _seed)], worth=8.01 + _seed / 10)
register([experiment(MLPConfig(8, 256), "demo", optim(3000, 512, 1e-3))], worth=8.3)
register([experiment(OriginalConfig(4, 128), "demo", optim(500, 1024, 5e-3))], worth=8.4)
register(
    [
        experiment(VoxelConfig(((0, 48), (200, 96), (600, 160)), PRUNED), "paper", optim(3000, 4096, 0.1, decay=0.2)),
        experiment(MLPConfig(8, 256), "paper", optim(20_000, 4096, 1e-3, precision="bfloat16")),
        experiment(OriginalConfig(), "paper", ORIGINAL, as_original=True, one_view=True, cropped_steps=500),
    ],
    worth=8,
)
