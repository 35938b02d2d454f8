"""Networks that were trained before, pruned, and trained on: masks stay, learning rates go on where they ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from compress3d import paths
from compress3d.engine.checkpoint import load_checkpoint
from compress3d.engine.experiment import Experiment, ExponentialOptim, get_experiment
from compress3d.engine.weights import load_model
from compress3d.errors import CheckpointError, ConfigError
from compress3d.nerf.convert import load_port
from compress3d.nerf.data import SceneData
from compress3d.nerf.experiments import SceneConfig
from compress3d.nerf.mlp import Linear
from compress3d.nerf.packing import PACKED, read_packed
from compress3d.nerf.prune import prune
from compress3d.scales import Scale

if TYPE_CHECKING:
    from compress3d.engine.train import Trainer
    from compress3d.nerf.scenes import Scene

STEPS = 500  # Isik 2021, Sec. 4.1
# The public port's networks (krrish94/nerf-pytorch), where `$COMPRESS3D_CACHE/nerf_weights` has them: folder, facts of
# the scene, size of its pictures, and the training that they had.
PORT = {
    "port/lego": ("lego-lowres", {"near": 2.0, "far": 6.0, "white": True}, SceneData("lego", 400, as_original=True)),
    "port/fern": (
        "fern-lowres",
        {"near": 0.0, "far": 1.0, "white": False, "ndc": True},
        SceneData("fern", as_original=True),
    ),
}
# Its configuration; of a retraining on a CPU a quarter of the rays, and a fifth of the steps: a step takes 0.6 s.
PORT_OPTIM = ExponentialOptim(200_000, 256, 5e-3, warmup=1, clip=float("inf"), precision="float32", decay_steps=250_000)
PORT_STEPS = 100


@dataclass(frozen=True)
class Criterion:
    """Which weights go first; see `compress3d.nerf.prune.prune`."""

    score: str = "magnitude"
    scope: str = "global"
    spare: tuple[str, ...] = ()
    biases: bool = False


@dataclass(frozen=True)
class PrunedConfig(SceneConfig):
    """A trained network, pruned.

    Attributes:
        base: id of the trained run, or of a network of the port; or a packed file.
        ratio: share of weights that go.
        fresh: retrain with a fresh optimizer; the paper does not say. Else with the moments that the training of
            `base` left, from its last checkpoint.
    """

    base: str
    ratio: float
    criterion: Criterion = Criterion()
    fresh: bool = True
    name = "pruned"

    def build(self, scale: Scale) -> nn.Module:
        model = load_network(self.base)
        prune(model, self.ratio, **self.criterion.__dict__)
        return model

    def start(self, trainer: Trainer, opened: Scene) -> None:
        """Nothing of the scene: the network knows it.

        Raises:
            CheckpointError: `fresh` is off, and the training of `base` left no checkpoint here.
        """
        if self.fresh:
            return
        folder = paths.runs() / self.base
        state = load_checkpoint(folder)
        if state is None:
            raise CheckpointError(folder, "holds no checkpoint", f"run `compress3d train {self.base}`, or take `fresh`")
        for name, optimizer in trainer.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])


def retraining(
    base: str,
    ratio: float,
    criterion: Criterion = Criterion(),
    steps: int = STEPS,
    trained: Experiment | None = None,
) -> Experiment:
    """The experiment that prunes a trained network and trains on, with the hyper-parameters of its last iterations.

    Args:
        base, ratio, criterion: see `PrunedConfig`.
        steps: of retraining.
        trained: the experiment behind `base`, where that is a packed file.
    """
    if base in PORT:
        scale, data, optim, steps = "paper", PORT[base][2], PORT_OPTIM, min(steps, PORT_STEPS)
    else:
        found = get_experiment(base) if trained is None else trained
        assert isinstance(found.data, SceneData) and isinstance(found.optim, ExponentialOptim)
        scale, data, optim = found.scale, found.data, found.optim
    last = optim.decay_steps or optim.steps
    optim = replace(optim, steps=steps, first_step=optim.first_step + optim.steps, decay_steps=last)
    config = PrunedConfig(base, ratio, criterion)
    parts = [*re.split("[/@]", base), f"{100 * ratio:g}", criterion.score, criterion.scope, *criterion.spare]
    tag = "-".join(part.replace("*", "") for part in parts)
    return Experiment("nerf", scale, config, data, optim, tag=tag)


def load_network(run: str) -> nn.Module:
    """A trained field, in evaluation mode: of a run or of a network of the port by its id, or of a packed file.

    Raises:
        ConfigError, CheckpointError, DataError: there is none.
    """
    if run.endswith(PACKED):
        return read_packed(run)
    if run not in PORT:
        return load_model(get_experiment(run))
    folder, facts, _ = PORT[run]
    files = sorted(port_folder(folder).glob("*.ckpt"))
    if not files:
        raise ConfigError(run, "is not here", f"put the port's checkpoint into {port_folder(folder)}")
    return load_port(files[-1], **facts).eval()  # type: ignore[arg-type]


def port_folder(name: str) -> Path:
    """Where the port's checkpoint of a scene lies."""
    return paths.cache() / "nerf_weights" / name


def weights_of(model: nn.Module) -> int:
    """Weights of a model's networks, without biases: what a pruning ratio is a share of."""
    return sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, Linear))
