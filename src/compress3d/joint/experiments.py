"""What is trained of Golts & Schechner 2021: three joint models, their codecs, and the network on JPEG 2000 images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from compress3d.codecs.channel import BITS, Channel, Jpeg2000, Learned, OperatingPoint, Output
from compress3d.data.loader import to_float
from compress3d.engine.experiment import Experiment, ModelConfig, OptimConfig, register
from compress3d.joint.compression import ARCHITECTURES, Coded, CompressionRNN
from compress3d.joint.direct import Direct
from compress3d.joint.implicit import Implicit
from compress3d.joint.rates import CODE_CELLS, implicit_channels, recurrent_iterations, true_rate
from compress3d.joint.sequential import Sequential
from compress3d.layers.initialisation import init_code_conv, init_convlstm_unit_variance
from compress3d.r2n2.experiments import OPTIM, SIXTH, THIRD, R2N2Config, VoxelConfig, short, trained_alike
from compress3d.r2n2.network import Reconstruction, init_decoder_he, init_r2n2_he
from compress3d.scales import Scale

RATES = (48, 96, 128, 192, 384, 480)  # of the implicit runs; the paper's Fig. 8 spans the same range
FLOAT_RATES = (12, 6)  # Sec. 4.3
JPEG2000_RATES = (48, 64, 96, 128, 192, 384, 480)  # drawn with equal chances, one for a minibatch
SHOWN_ITERATIONS = (1, 2, 3, 4, 6, 8)  # with 384/N bits an iteration: 384, 192, 128, 96, 64 and 48


def most_iterations(architecture: str) -> int:
    """Iterations at 48:1, the lowest rate of Fig. 8, 10 and 11: N_original sends twice the bits in each."""
    return 4 if architecture == "original" else 8


def start(model: nn.Module, initialisation: str) -> nn.Module:
    """Draw the starting weights of a joint model: "he", or "default" for PyTorch's."""
    if initialisation == "he":
        for part in model.modules():
            if isinstance(part, Reconstruction):
                init_r2n2_he(part)
            elif isinstance(part, Direct):
                init_decoder_he(part.decoder)
            elif isinstance(part, CompressionRNN):
                init_convlstm_unit_variance(part)
                init_code_conv(part.encoder)
    return model


@dataclass(frozen=True)
class ImplicitConfig(VoxelConfig):
    """The implicit model at one rate; settings as of `Implicit`, and an `initialisation`, see `start`."""

    rate: float
    fully_connected: bool = False
    binary: bool = True
    initialisation: str = "he"
    name = "implicit"

    @property
    def accounting(self) -> str:
        return "bits" if self.binary else "floats"

    def build(self, scale: Scale) -> nn.Module:
        return start(Implicit(scale, self.rate, self.fully_connected, self.binary), self.initialisation)

    def operating_points(self, scale: Scale) -> list[OperatingPoint]:
        """Its own rate."""
        K = CODE_CELLS * implicit_channels(scale.image_size, self.rate, BITS[self.accounting])
        return [OperatingPoint(self.rate, self.accounting, None, K)]


@dataclass(frozen=True)
class Jpeg2000Config(VoxelConfig):
    """3D-LSTM-3 on images out of JPEG 2000, the paper's baseline.

    `rate` is that of every training minibatch (Sec. 4.3); it is drawn from `JPEG2000_RATES` where None.
    """

    rate: float | None = None
    initialisation: str = "he"
    name = "jpeg2000"

    @property
    def rates(self) -> tuple[float, ...]:
        return JPEG2000_RATES if self.rate is None else (self.rate,)

    def build(self, scale: Scale) -> nn.Module:
        return R2N2Config(initialisation=self.initialisation).build(scale)

    def operating_points(self, scale: Scale) -> list[OperatingPoint]:
        """Every rate, counting payload bytes or whole files."""
        return [OperatingPoint(rate, accounting) for accounting in ("payload", "file") for rate in self.rates]

    def training_channel(self) -> tuple[Channel, Sequence[float]]:
        """Payload bytes: at 64 pixels a header alone is larger than most budgets."""
        return Jpeg2000("payload"), self.rates

    def outputs(
        self, model: nn.Module, images: Tensor, points: Sequence[OperatingPoint]
    ) -> Iterator[tuple[OperatingPoint, Output]]:
        for point in points:
            channel = Jpeg2000(point.accounting)  # type: ignore[arg-type]  # "payload" or "file", see operating_points
            received = channel.send(images, point.rate)
            pixels = to_float(received.images)
            probabilities = torch.sigmoid(model(pixels)).float()
            yield point, Output(probabilities, pixels.unsqueeze(2), received.bytes, received.fits)


@dataclass(frozen=True)
class RecurrentConfig(ModelConfig):
    """What everything with a compression RNN has in common: N iterations of m values a view, all N from one pass.

    Attributes:
        rate: the one rate that training uses; None: N is drawn for every minibatch.
        additive, binary: see `CompressionRNN`.
        initialisation: see `start`.
    """

    rate: float | None = None
    additive: bool = True
    binary: bool = True
    initialisation: str = "he"

    @property
    def codec(self) -> str:
        """Architecture of the compression RNN."""
        raise NotImplementedError

    @property
    def accounting(self) -> str:
        return "bits" if self.binary else "floats"

    def training_iterations(self, scale: Scale) -> tuple[int, int]:
        """Fewest and most iterations N in training."""
        if self.rate is None:
            return 1, most_iterations(self.codec)
        bits = ARCHITECTURES[self.codec].bits
        N = recurrent_iterations(scale.image_size, self.rate, bits, BITS[self.accounting])
        return N, N

    def options(self, scale: Scale) -> dict[str, Any]:
        """What the network is made with beside its scale."""
        return {
            "architecture": self.codec,
            "additive": self.additive,
            "binary": self.binary,
            "training_iterations": self.training_iterations(scale),
        }

    def operating_points(self, scale: Scale) -> list[OperatingPoint]:
        """The rates of the figures; with floats that of the training."""
        m, bits = ARCHITECTURES[self.codec].code_size(scale.image_size), BITS[self.accounting]
        shown = [N for N in SHOWN_ITERATIONS if N <= most_iterations(self.codec)]
        counts = shown if self.binary else [self.training_iterations(scale)[1]]
        return [OperatingPoint(true_rate(scale.image_size, N * m, bits), self.accounting, N, N * m) for N in counts]

    def outputs(
        self, model: Any, images: Tensor, points: Sequence[OperatingPoint]
    ) -> Iterator[tuple[OperatingPoint, Output]]:
        """See `ModelConfig.outputs`. Codes and images of fewer iterations are the first ones of the most."""
        rnn = model.compression if self.makes_voxels else model
        B, V = images.shape[:2]
        coded = rnn(to_float(images).flatten(0, 1), max(cast(int, point.iterations) for point in points))
        for point in points:
            N = point.iterations
            decoded, probabilities = coded.decoded[:, :N], None
            if self.makes_voxels:
                logits = model.recover(Coded(coded.codes[:, :N], decoded), V)
                probabilities = torch.sigmoid(logits).float()
            yield point, Output(probabilities, decoded.unflatten(0, (B, V)), np.full((B, V), point.bytes_per_view))

    def channel(self, model: nn.Module, scale: Scale) -> Learned:
        """The trained codec as a channel of images."""
        points = {point.rate: point for point in self.operating_points(scale)}
        return Learned(lambda images, point: next(self.outputs(model, images, [point]))[1], points.__getitem__)


@dataclass(frozen=True)
class CompressionConfig(RecurrentConfig):
    """A compression RNN alone, called by its architecture: "small" or "original"."""

    network: str = "small"
    makes_voxels = False

    @property
    def name(self) -> str:  # type: ignore[override]  # only read
        return self.network

    @property
    def codec(self) -> str:
        return self.network

    def build(self, scale: Scale) -> nn.Module:
        return start(CompressionRNN(scale, **self.options(scale)), self.initialisation)


@dataclass(frozen=True)
class UnifiedConfig(RecurrentConfig):
    """What the sequential and the direct model have in common; settings as of `compress3d.joint.unified.Unified`."""

    architecture: str = "small"
    view_weight: str = "sum"

    @property
    def codec(self) -> str:
        return self.architecture

    def options(self, scale: Scale) -> dict[str, Any]:
        return super().options(scale) | {"view_weight": self.view_weight}


@dataclass(frozen=True)
class SequentialConfig(UnifiedConfig):
    """The sequential model."""

    name = "sequential"

    def build(self, scale: Scale) -> nn.Module:
        return start(Sequential(scale, **self.options(scale)), self.initialisation)


@dataclass(frozen=True)
class DirectConfig(UnifiedConfig):
    """The direct model; `concatenated` is reading D2."""

    concatenated: bool = False
    name = "direct"

    def build(self, scale: Scale) -> nn.Module:
        return start(Direct(scale, concatenated=self.concatenated, **self.options(scale)), self.initialisation)


experiment = partial(trained_alike, "joint")


def slow(optim: OptimConfig, **changes) -> OptimConfig:
    """The slow start of the sequential model's 3D part: four times the steps to half the peak.

    It is fed with what the compression RNN decodes, and saturates where it learns faster than the images come.
    """
    return replace(optim, learning_rate=optim.learning_rate / 2, warmup=4 * optim.warmup, **changes)


def _low_rates(scale: str) -> Iterator[Experiment]:
    """Sec. 4.3 at 12:1 and 6:1, binarizer off, JPEG 2000 trained at the one rate.

    Sequential's codec learns at a third of the usual rate here: at 3e-3 it saturated on a flat image.
    """
    third = short(scale, THIRD)
    gentle = third | {"optim": slow(third["optim"], codec_learning_rate=1e-3, codec_warmup=200)}
    for rate in FLOAT_RATES:
        yield experiment(ImplicitConfig(rate, binary=False), scale, **third)
        yield experiment(SequentialConfig(rate, binary=False), scale, **gentle)
        yield experiment(DirectConfig(rate, binary=False), scale, **third)
    yield from (experiment(Jpeg2000Config(rate), scale, **third) for rate in FLOAT_RATES)


def _ablations(scale: str) -> Iterator[Experiment]:
    """What the paper leaves open, one setting changed at a time."""
    sixth = short(scale, SIXTH)
    low, high = (experiment(ImplicitConfig(rate), scale, **sixth) for rate in (384, 48))
    sequential = experiment(SequentialConfig(), scale, **sixth | {"optim": slow(sixth["optim"])})
    direct, small = (experiment(model, scale, **sixth) for model in (DirectConfig(), CompressionConfig()))
    yield from (low, high, sequential, direct)
    tag = sixth["tag"]
    yield low.variant(f"{tag}-fc", fully_connected=True)
    yield high.variant(f"{tag}-fc", fully_connected=True)
    yield direct.variant(f"{tag}-concatenated", concatenated=True)
    yield sequential.variant(f"{tag}-mean", view_weight="mean")
    yield direct.variant(f"{tag}-mean", view_weight="mean")
    yield sequential.variant(f"{tag}-oneshot", additive=False)
    yield small.variant(f"{tag}-oneshot", additive=False)


def _register(scale: str) -> None:
    """Everything of a scale: Fig. 8, 10 and 11, further seeds, lower rates, ablations."""
    sixth = short(scale, SIXTH)
    register(
        [
            experiment(Jpeg2000Config(), scale),
            experiment(ImplicitConfig(384), scale),
            experiment(SequentialConfig(), scale, optim=slow(OPTIM[scale])),
            experiment(DirectConfig(), scale),
            *(experiment(ImplicitConfig(rate), scale) for rate in RATES if rate != 384),
            experiment(CompressionConfig(), scale),
        ],
        worth=0.5,
    )
    codecs = [CompressionConfig(rate, network=name) for name in ("small", "original") for rate in (None, 48)]
    register([experiment(model, scale, **sixth) for model in codecs], worth=1)
    further = [experiment(ImplicitConfig(rate), scale, seed=seed) for rate in (384, 192, 480) for seed in (1, 2)]
    register(further, worth=2)
    register(_low_rates(scale), worth=3.5)
    register(_ablations(scale), worth=5)


_register("demo")
_register("paper")
register(
    [
        experiment(DirectConfig(), "smoke"),
        experiment(CompressionConfig(), "smoke"),
        experiment(ImplicitConfig(384), "smoke"),
        experiment(SequentialConfig(), "smoke", optim=slow(OPTIM["smoke"])),
    ],
    worth=0.5,
)
