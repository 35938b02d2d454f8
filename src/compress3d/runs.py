"""The frozen table of every experiment: one line a run, nothing about a run stands anywhere else.

A run's id is `<scale>/<model>[-r<rate>]-s<seed>`, such as `demo/implicit-r384-s0`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from torch import nn

from compress3d.errors import ConfigError
from compress3d.models.joint import Implicit
from compress3d.models.reconstruction import Reconstruction
from compress3d.nn.initialisation import he_normal
from compress3d.scales import scale

RATES = (48, 96, 192, 384, 480)  # of the shipped runs; the paper's Fig. 8 spans the same range
JPEG2000_RATES = (48, 64, 96, 128, 192, 384, 480)  # drawn with equal chances, one for a minibatch


@dataclass(frozen=True)
class Part:
    """A share of the training data: a store by name, its split, and how often an epoch visits each object."""

    store: str
    split: str = "train"
    repeat: int = 1


@dataclass(frozen=True)
class Run:
    """One experiment.

    Attributes:
        model: "uncompressed", "jpeg2000" (the same network on images out of JPEG 2000) or "implicit".
        rate: compression rate c of an implicit model; None for the others.
        scale: "smoke", "demo" or "paper".
        seed: of weights, batches and binarizer draws.
        steps: minibatches of the whole schedule; the learning rate falls to zero over them as a cosine.
        batch_size: objects a minibatch.
        learning_rate: peak of Adam's step, reached after `warmup` steps.
        warmup: steps of linear rise.
        clip: largest norm of the gradient.
        views: smallest and largest number of views, drawn for each minibatch.
        parts: training data.
        background: "black", "white" or "random".
        mirror: show every object mirrored half of the time (images and voxels alike).
        precision: "bfloat16" (autocast) or "float32".
        fully_connected: reading R2 of the implicit model.
        initialisation: "he" for encoder and decoder, or "default" (PyTorch's, as the authors' code).
    """

    model: str
    rate: float | None = None
    scale: str = "demo"
    seed: int = 0
    steps: int = 3600
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup: int = 100
    clip: float = 1.0
    views: tuple[int, int] = (1, 5)
    parts: tuple[Part, ...] = (Part("shapes"), Part("cad", repeat=2))
    background: str = "black"
    mirror: bool = True
    precision: str = "bfloat16"
    fully_connected: bool = False
    initialisation: str = "he"
    tag: str = ""  # tells variants of a comparison apart; empty for the runs of tables and figures

    @property
    def id(self) -> str:
        rate = "" if self.rate is None else f"-r{self.rate:g}"
        return f"{self.scale}/{self.model}{rate}{'-' + self.tag if self.tag else ''}-s{self.seed}"

    def build(self) -> nn.Module:
        """The run's network with fresh weights."""
        if self.model == "implicit":
            model = Implicit(scale(self.scale), self.rate, fully_connected=self.fully_connected)
        else:
            model = Reconstruction(scale(self.scale))
        if self.initialisation == "he":
            he_normal(model.encoder)
            he_normal(model.decoder.convs)  # the classifier keeps its small start: odds near 1
            if model.fc is not None:
                he_normal(model.fc)
        return model

    def describe(self) -> dict:
        """Every field, for results files and checkpoints."""
        return {"id": self.id, **asdict(self)}


def _headline(**settings) -> tuple[Run, ...]:
    """The seven runs of Fig. 8 with one set of settings: what is compared was trained alike."""
    return (
        Run("uncompressed", **settings),
        Run("jpeg2000", **settings),
        *(Run("implicit", rate, **settings) for rate in RATES),
    )


_SMOKE = dict(
    scale="smoke", steps=150, batch_size=8, learning_rate=3e-3, warmup=20, precision="float32", parts=(Part("smoke"),)
)
_PAPER = dict(scale="paper", steps=60_000, batch_size=24, learning_rate=5e-4, warmup=500)

TABLE: dict[str, Run] = {
    run.id: run
    for run in (
        *_headline(),
        Run("uncompressed", **_SMOKE),
        Run("implicit", 384, **_SMOKE),
        *_headline(**_PAPER),
    )
}


def find(run_id: str) -> Run:
    """The run called `run_id`.

    Raises:
        ConfigError: no such run; the message lists the runs of that scale.
    """
    if run_id not in TABLE:
        known = [name for name in TABLE if name.split("/")[0] == run_id.split("/")[0]] or list(TABLE)
        raise ConfigError(f"run {run_id!r}", "is not in the table of runs", f"choose one of {', '.join(known)}")
    return TABLE[run_id]


def variant(run: Run, tag: str, **changes) -> Run:
    """A copy of `run` with `changes`, told apart by `tag`: for measured comparisons."""
    return replace(run, tag=tag, **changes)
