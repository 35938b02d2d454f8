"""3D-R2N2's networks (Choy et al. 2016): what is trained of them, and the recipe that all voxel networks here share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compress3d.codecs.channel import OperatingPoint, Output
from compress3d.data.loader import to_float
from compress3d.engine.experiment import DATA, Experiment, ModelConfig, OptimConfig, ViewData, register
from compress3d.layers.initialisation import init_msra_normal
from compress3d.r2n2.network import NETWORKS, Reconstruction, init_r2n2_he
from compress3d.scales import Scale

UNCOMPRESSED = "lstm-3"  # 3D-LSTM-3, called "uncompressed" here: the main paper compares everything with it
OTHERS = tuple(name for name in NETWORKS if name != UNCOMPRESSED)

# What is compared was trained alike.
OPTIM = {
    "smoke": OptimConfig(steps=150, batch_size=8, learning_rate=3e-3, warmup=20, precision="float32"),
    "demo": OptimConfig(),
    "paper": OptimConfig(steps=60_000, batch_size=24, learning_rate=5e-4, warmup=500),
}
VOXEL_DATA: dict[str, ViewData] = {"smoke": DATA["smoke"], "demo": DATA["open"], "paper": DATA["open"]}
THIRD = {"demo": 1200, "paper": 20_000}  # steps of the runs of Table 1 and Sec. 4.3, compared among themselves
SIXTH = {"demo": 600, "paper": 10_000}  # steps of the ablations
# The original's layers want the original's start: with "he" they stayed at one answer for all objects (L_3D 0.29).
ORIGINAL: dict[str, Any] = {"upsampling": "zeros", "padded": True, "initialisation": "msra"}


class VoxelConfig(ModelConfig):
    """A network from plain views to voxels, which sends one code of K numbers a view: one operating point."""

    def outputs(
        self, model: nn.Module, images: Tensor, points: Sequence[OperatingPoint]
    ) -> Iterator[tuple[OperatingPoint, Output]]:
        probabilities = torch.sigmoid(model(to_float(images))).float()
        for point in points:
            yield point, Output(probabilities, None, np.full(images.shape[:2], point.bytes_per_view))


@dataclass(frozen=True)
class R2N2Config(VoxelConfig):
    """One of Choy's networks; settings as of `Reconstruction`.

    `initialisation` is "he" (see `init_r2n2_he`), "default" (PyTorch's, as the main paper's code), or "msra" (the
    original 3D-R2N2's).
    """

    network: str = UNCOMPRESSED
    upsampling: str = "nearest"
    padded: bool = False
    initialisation: str = "he"

    @property
    def name(self) -> str:  # type: ignore[override]  # only read
        return "uncompressed" if self.network == UNCOMPRESSED else self.network

    def build(self, scale: Scale) -> nn.Module:
        model = Reconstruction(scale, self.network, self.upsampling, self.padded)
        if self.initialisation == "msra":
            init_msra_normal(model)
        elif self.initialisation == "he":
            init_r2n2_he(model)
        return model

    def operating_points(self, scale: Scale) -> list[OperatingPoint]:
        """The encoder's K floats."""
        K = scale.code_size
        return [OperatingPoint(24 * scale.image_size**2 / (32 * K), "floats", None, K)]


def short(scale: str, steps: dict[str, int]) -> dict[str, Any]:
    """Tag and optimisation of a shorter schedule, whose steps the tag names."""
    return {"tag": str(steps[scale]), "optim": replace(OPTIM[scale], steps=steps[scale])}


def trained_alike(system: str, model: ModelConfig, scale: str, **more: Any) -> Experiment:
    """A model with the common recipe, or with `more` of an experiment's fields."""
    common: dict[str, Any] = {"data": VOXEL_DATA[scale], "optim": OPTIM[scale]}
    return Experiment(system, scale, model, **common | more)


experiment = partial(trained_alike, "r2n2")


def _published() -> Iterator[Experiment]:
    """3D-R2N2 trained as its authors did: their layers, start, augmentation, schedule and L2."""
    optim = OptimConfig(
        batch_size=36, steps=60_000, learning_rate=1e-4, milestones=(20_000, 60_000), warmup=1, weight_decay=5e-5
    )
    data = replace(DATA["open"], background="random", mirror=False, flip=True, replacement=True)
    for name in (*reversed(OTHERS), UNCOMPRESSED):
        yield experiment(R2N2Config(name, **ORIGINAL), "paper", data=data, optim=optim, tag="published")


register([experiment(R2N2Config(), "smoke")], worth=0)
for _scale in ("demo", "paper"):
    _third = short(_scale, THIRD)
    register([experiment(R2N2Config(), _scale)], worth=0)
    register([experiment(R2N2Config(), _scale, **_third)], worth=3)
    register([experiment(R2N2Config(name), _scale, **_third) for name in reversed(OTHERS)], worth=4)
    _tag = f"{_third['tag']}-original"
    register([experiment(R2N2Config("gru-3", **ORIGINAL), _scale, **_third | {"tag": _tag})], worth=4.2)
    _seeds = [(name, seed) for seed in (1, 2) for name in (UNCOMPRESSED, *OTHERS)]
    register([experiment(R2N2Config(name), _scale, seed=seed, **_third) for name, seed in _seeds], worth=6)
register(_published(), worth=7)
