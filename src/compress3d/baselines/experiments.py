"""Pix2Vox-F beside 3D-R2N2's networks."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from compress3d.baselines.pix2vox import Pix2Vox
from compress3d.codecs.channel import OperatingPoint
from compress3d.engine.experiment import register
from compress3d.r2n2.experiments import THIRD, R2N2Config, VoxelConfig, short, trained_alike
from compress3d.scales import Scale


@dataclass(frozen=True)
class Pix2VoxConfig(VoxelConfig):
    """Pix2Vox-F (Xie et al. 2019), which has no settings and starts as its authors start it."""

    name = "pix2vox-f"

    def build(self, scale: Scale) -> nn.Module:
        return Pix2Vox(scale)

    def operating_points(self, scale: Scale) -> list[OperatingPoint]:
        """Counted as 3D-LSTM-3, whose place it takes; no code leaves it."""
        return R2N2Config().operating_points(scale)


for _scale in ("demo", "paper"):
    register([trained_alike("baselines", Pix2VoxConfig(), _scale, **short(_scale, THIRD))], worth=4.1)
