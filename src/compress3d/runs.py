"""The frozen table of every experiment: one line a run, nothing about a run stands anywhere else.

A run's id is `<scale>/<model>[-r<rate>]-s<seed>`, such as `demo/implicit-r384-s0`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import partial

from torch import nn

from compress3d.baselines.pix2vox import Pix2Vox
from compress3d.errors import ConfigError
from compress3d.joint.compression import ARCHITECTURES, CompressionRNN
from compress3d.joint.models import Direct, Implicit, Sequential
from compress3d.joint.rates import FLOAT_BITS, recurrent_iterations
from compress3d.layers.initialisation import he_normal, msra, unit_code, unit_gates
from compress3d.r2n2.network import NETWORKS, Reconstruction
from compress3d.r2n2.residual import ResidualDecoder
from compress3d.scales import scale

RATES = (48, 96, 128, 192, 384, 480)  # of the implicit runs; the paper's Fig. 8 spans the same range
LARGEST_N = {"original": 4, "small": 8}  # iterations at 48:1, the lowest rate of Fig. 8, 10 and 11
FLOAT_RATES = (12, 6)  # Sec. 4.3
JPEG2000_RATES = (48, 64, 96, 128, 192, 384, 480)  # drawn with equal chances, one for a minibatch


@dataclass(frozen=True)
class Part:
    """A share of the training data: a store by name, its split, and how often an epoch visits each object."""

    store: str
    split: str = "train"
    repeat: int = 1


R2N2 = tuple(name for name in NETWORKS if name != "lstm-3")  # 3D-LSTM-3 is called "uncompressed" here
RECONSTRUCTIONS = ("uncompressed", *R2N2, "pix2vox-f")  # from plain pictures to voxels
MODELS = ("jpeg2000", "sequential", "direct", "implicit", "original", "small", *RECONSTRUCTIONS)


@dataclass(frozen=True)
class Run:
    """One experiment.

    Attributes:
        model: "uncompressed", "jpeg2000" (the same network on images out of JPEG 2000), "sequential", "direct",
            "implicit", a compression RNN alone, "original" or "small", another of Choy's networks ("lstm-1", "gru-1",
            "gru-3", "res-gru-3"), or "pix2vox-f".
        rate: compression rate c: of an implicit model, of JPEG 2000 or a compression RNN trained at one rate. None: the
            rate is drawn for every minibatch.
        scale: "smoke", "demo" or "paper".
        seed: of weights, batches and binarizer draws.
        steps: minibatches of the whole schedule; the learning rate falls to zero over them as a cosine, or is divided
            by ten at each of `milestones` where there are any.
        batch_size: objects a minibatch.
        learning_rate: peak of Adam's step, reached after `warmup` steps.
        codec_learning_rate, codec_warmup: the same for the weights of a compression RNN, whose first task, a black
            ground out of a tanh without a bias, takes 3 times as many steps at 1e-3.
        warmup: steps of linear rise. The sequential model's 3D part rises slowly to half the peak: it is fed with what
            the compression RNN decodes, and saturates where it learns faster than the pictures come.
        clip: largest norm of the gradient.
        views: smallest and largest number of views, drawn for each minibatch.
        parts: training data.
        background: "black", "white", "random" or "pictures", crops of the pictures in the folder `pictures`.
        mirror: show every object mirrored half of the time (images and voxels alike).
        flip: flip each view by itself half of the time, voxels as they are (3D-R2N2).
        replacement: draw views with replacement (3D-R2N2).
        weight_decay: L2 on all weights but biases, added to the gradient as 3D-R2N2 does.
        precision: "bfloat16" (autocast) or "float32".
        fully_connected: reading R2 of the implicit model.
        architecture: compression RNN of the sequential and direct models.
        additive: gamma = 1 of Eq. 10.
        binary: False switches the binarizer off and sends 32-bit floats (Sec. 4.3).
        view_weight: "sum" or "mean" of L_comp over views in Eq. 16.
        concatenated: reading D2 of the direct model.
        upsampling: of 3D-R2N2's decoder, "nearest" (the main paper's code) or "zeros" (the original).
        padded: pooling of 3D-R2N2's encoder with a cell of padding (the original).
        initialisation: "he" (see `he_start`), "default" (PyTorch's, as the authors' code), or "msra" (the original
            3D-R2N2's).
    """

    model: str
    rate: float | None = None
    scale: str = "demo"
    seed: int = 0
    steps: int = 3600
    batch_size: int = 16
    learning_rate: float = 1e-3
    codec_learning_rate: float = 3e-3
    codec_warmup: int = 100
    warmup: int = 100
    clip: float = 1.0
    views: tuple[int, int] = (1, 5)
    parts: tuple[Part, ...] = (Part("shapes"), Part("cad", repeat=2))
    background: str = "black"
    mirror: bool = True
    precision: str = "bfloat16"
    fully_connected: bool = False
    architecture: str = "small"
    additive: bool = True
    binary: bool = True
    view_weight: str = "sum"
    concatenated: bool = False
    initialisation: str = "he"
    flip: bool = False
    replacement: bool = False
    pictures: str = ""
    milestones: tuple[int, ...] = ()
    weight_decay: float = 0.0
    upsampling: str = "nearest"
    padded: bool = False
    tag: str = ""  # tells variants of a comparison apart; empty for the runs of tables and figures

    @property
    def id(self) -> str:
        rate = "" if self.rate is None else f"-r{self.rate:g}"
        return f"{self.scale}/{self.model}{rate}{'-' + self.tag if self.tag else ''}-s{self.seed}"

    @property
    def iterations(self) -> tuple[int, int] | None:
        """Fewest and most iterations N of the run's compression RNN in training; None where it has none."""
        name = self.architecture if self.model in ("sequential", "direct") else self.model
        if name not in ARCHITECTURES:
            return None
        if self.rate is None:
            return 1, LARGEST_N["original" if name == "original" else "small"]
        size = scale(self.scale).image_size
        N = recurrent_iterations(size, self.rate, ARCHITECTURES[name].bits, 1 if self.binary else FLOAT_BITS)
        return N, N

    def build(self) -> nn.Module:
        """The run's network with fresh weights.

        Raises:
            ConfigError: there is no such model, or the model cannot have the rate.
        """
        size = scale(self.scale)
        unified = dict(
            architecture=self.architecture, additive=self.additive, binary=self.binary, view_weight=self.view_weight
        )
        makers = {
            "uncompressed": lambda: Reconstruction(size, "lstm-3", self.upsampling, self.padded),
            "jpeg2000": lambda: Reconstruction(size),
            "sequential": lambda: Sequential(size, **unified),
            "direct": lambda: Direct(size, **unified, concatenated=self.concatenated),
            "implicit": lambda: Implicit(size, self.rate, fully_connected=self.fully_connected, binary=self.binary),
            "pix2vox-f": lambda: Pix2Vox(size),
        }
        if self.model in makers:
            model = makers[self.model]()
        elif self.model in R2N2:
            model = Reconstruction(size, self.model, self.upsampling, self.padded)
        elif self.model in ARCHITECTURES:
            model = CompressionRNN(size, self.model, self.additive, self.binary)
        else:
            raise ConfigError(f"model {self.model!r}", "does not exist", f"choose one of {', '.join(MODELS)}")
        if self.initialisation == "msra":
            msra(model)
        elif self.initialisation == "he":
            for part in model.modules():
                if isinstance(part, (Reconstruction, Direct)):
                    he_start(part)
                elif isinstance(part, CompressionRNN):
                    unit_gates(part)
                    unit_code(part.encoder)
        return model

    def describe(self) -> dict:
        """Every field, for results files and checkpoints."""
        return {"id": self.id, **asdict(self)}


def variant(run: Run, tag: str, **changes) -> Run:
    """A copy of `run` with `changes`, told apart by `tag`: for measured comparisons."""
    return replace(run, tag=tag, **changes)


def he_start(model: Reconstruction | Direct) -> None:
    """He initialisation of encoder, decoder and fully connected layer, as far as `model` has them."""
    if isinstance(model, Reconstruction):
        he_normal(model.encoder)
    layers = "stages" if isinstance(model.decoder, ResidualDecoder) else "convs"
    he_normal(getattr(model.decoder, layers))  # the classifier keeps its small start: probabilities near 1/2
    if isinstance(model, Reconstruction) and model.fc is not None:
        he_normal(model.fc)


def _sequential(rate: float | None = None, **settings) -> Run:
    """A sequential run with the slow start that its 3D part needs."""
    run = Run("sequential", rate, **settings)
    return replace(run, learning_rate=run.learning_rate / 2, warmup=4 * run.warmup)


def _table(**settings) -> tuple[Run, ...]:
    """The runs of Fig. 8 and 10 with one set of settings: what is compared was trained alike."""
    return (
        Run("uncompressed", **settings),
        Run("jpeg2000", **settings),
        Run("implicit", 384, **settings),
        _sequential(**settings),
        Run("direct", **settings),
        *(Run("implicit", rate, **settings) for rate in RATES if rate != 384),
        Run("small", **settings),
    )


def _low_rates(**settings) -> tuple[Run, ...]:
    """Sec. 4.3 at 12:1 and 6:1, binarizer off, JPEG 2000 trained at the one rate; and the uncompressed network.

    Sequential's codec learns at a third of the usual rate here: at 3e-3 it saturated on a flat picture (L_comp 0.079
    at 12:1, mIoU 0.09).
    """
    makers = (
        partial(Run, "implicit"),
        partial(_sequential, codec_learning_rate=1e-3, codec_warmup=200),
        partial(Run, "direct"),
    )
    return (
        Run("uncompressed", **settings),
        *(make(rate, binary=False, **settings) for rate in FLOAT_RATES for make in makers),
        *(Run("jpeg2000", rate, **settings) for rate in FLOAT_RATES),
    )


def _networks(**settings) -> tuple[Run, ...]:
    """Fig. 11: N_small and N_original, random and constant iterations."""
    return tuple(Run(model, rate, **settings) for model in ("small", "original") for rate in (None, 48))


def _rivals(**settings) -> tuple[Run, ...]:
    """What stands beside 3D-LSTM-3 in Choy's comparison, and Pix2Vox-F; 3D-GRU-3 with the original's layers too.

    These want the original's start: with "he" it stayed at one answer for all objects (L_3D 0.29, mIoU 0.08).
    """
    return (
        *(Run(model, **settings) for model in reversed(R2N2)),
        Run("pix2vox-f", **settings),
        variant(
            Run("gru-3", **settings),
            f"{settings['tag']}-original",
            upsampling="zeros",
            padded=True,
            initialisation="msra",
        ),
    )


def _published(**settings) -> tuple[Run, ...]:
    """3D-R2N2 trained as its authors did: their layers, start, augmentation, schedule and L2."""
    return tuple(
        Run(
            model,
            tag="published",
            batch_size=36,
            steps=60_000,
            learning_rate=1e-4,
            milestones=(20_000, 60_000),
            warmup=1,
            weight_decay=5e-5,
            background="random",
            mirror=False,
            flip=True,
            replacement=True,
            upsampling="zeros",
            padded=True,
            initialisation="msra",
            **settings,
        )
        for model in (*reversed(R2N2), "uncompressed")
    )


def _ablations(tag: str, **settings) -> tuple[Run, ...]:
    """What the paper leaves open, one setting changed at a time."""
    base = {
        "implicit-r384": Run("implicit", 384, tag=tag, **settings),
        "implicit-r48": Run("implicit", 48, tag=tag, **settings),
        "sequential": _sequential(tag=tag, **settings),
        "direct": Run("direct", tag=tag, **settings),
        "small": Run("small", tag=tag, **settings),
    }
    return (
        *base.values(),
        variant(base["implicit-r384"], f"{tag}-fc", fully_connected=True),
        variant(base["implicit-r48"], f"{tag}-fc", fully_connected=True),
        variant(base["direct"], f"{tag}-concatenated", concatenated=True),
        variant(base["sequential"], f"{tag}-mean", view_weight="mean"),
        variant(base["direct"], f"{tag}-mean", view_weight="mean"),
        variant(base["sequential"], f"{tag}-oneshot", additive=False),
        variant(base["small"], f"{tag}-oneshot", additive=False),
    )


_SMOKE = dict(
    scale="smoke", steps=150, batch_size=8, learning_rate=3e-3, warmup=20, precision="float32", parts=(Part("smoke"),)
)
_PAPER = dict(scale="paper", steps=60_000, batch_size=24, learning_rate=5e-4, warmup=500)


def _scale_runs(third: int, sixth: int, seeds: tuple[int, ...], **settings) -> tuple[Run, ...]:
    """Every run of a scale, in order of worth: figures 8 to 11, seeds, lower rates, ablations.

    Args:
        third: steps of the runs of Table 1 and Sec. 4.3, compared among themselves.
        sixth: steps of the ablations.
        seeds: further seeds of the implicit curve and of Choy's networks.
    """
    low = {**settings, "steps": third, "tag": str(third)}
    short = {**settings, "steps": sixth, "tag": str(sixth)}
    return (
        *_table(**settings),
        *_networks(**short),
        *(Run("implicit", rate, seed=seed, **settings) for rate in (384, 192, 480) for seed in seeds),
        *_low_rates(**low),
        *_rivals(**low),
        *_ablations(**short),
        *(Run(model, seed=seed, **low) for seed in seeds for model in ("uncompressed", *R2N2)),
    )


TABLE: dict[str, Run] = {
    run.id: run
    for run in (
        *_scale_runs(third=1200, sixth=600, seeds=(1, 2)),
        *(Run(model, **_SMOKE) for model in ("uncompressed", "direct", "small")),
        Run("implicit", 384, **_SMOKE),
        _sequential(**_SMOKE),
        *_scale_runs(third=20_000, sixth=10_000, seeds=(1, 2), **_PAPER),
        *_published(scale="paper"),
    )
}


def find(run_id: str) -> Run:
    """The run called `run_id`.

    Raises:
        ConfigError: no such run; the message names those with the nearest ids.
    """
    if run_id not in TABLE:
        near = get_close_matches(run_id, TABLE, n=5, cutoff=0.4) or list(TABLE)[:5]
        remedy = f"`compress3d runs` lists them; near it are {', '.join(near)}"
        raise ConfigError(f"run {run_id!r}", "is not in the table of runs", remedy)
    return TABLE[run_id]
