"""What an experiment is, and the register of all of them: nothing about an experiment stands anywhere else.

A system is a package `compress3d.<system>` with a module `experiments`, which describes its models and registers what
is trained. It is found here by looking: nobody lists systems.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatch
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import compress3d
from compress3d.errors import ConfigError
from compress3d.scales import scale as find_scale

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.data import Dataset

    from compress3d.codecs.channel import Channel, OperatingPoint, Output
    from compress3d.data.store import Store
    from compress3d.engine.distributed import ProcessGroup
    from compress3d.engine.sources import Sources
    from compress3d.engine.train import Trainer
    from compress3d.scales import Scale


class Measured(NamedTuple):
    """What an evaluation found: entries of a results file."""

    test: dict  # what was tested on: `store`, its name; `sha256`; `objects`, names of objects or views
    points: list[dict]  # each `setting`, `metrics`, and `bytes_per_view` where bytes are sent


class DataConfig:
    """What the engine asks of a description of data, a frozen dataclass."""

    name: str  # of the preset
    stores: tuple[str, ...] = ()  # names of the stores that training and test need
    background: str = "black"  # of pictures

    def usual(self, scale: str) -> str:
        """The preset of a scale, which ids do not name."""
        raise NotImplementedError

    def presets(self) -> tuple[str, ...]:
        """Names that `on` knows."""
        raise NotImplementedError

    def on(self, name: str) -> DataConfig:
        """The same augmentation on another preset."""
        raise NotImplementedError

    def open(self, experiment: Experiment) -> Any:
        """Training data, made where it can be made.

        Raises:
            DataError: something is missing or broken; the message has the command that makes it.
        """
        raise NotImplementedError

    def record(self, opened: Any) -> dict:
        """Of opened data, for the header of weights: `objects` and `rows` of an epoch, `stores`: name -> sha256."""
        raise NotImplementedError

    def batches(self, experiment: Experiment, opened: Any, group: ProcessGroup | None = None) -> Dataset:
        """Minibatches, named tuples of tensors, indexed by step; this process's rows where `group` has several."""
        raise NotImplementedError

    def measure(
        self, experiment: Experiment, model: nn.Module, store: Store | None = None, rows: Sequence[int] | None = None
    ) -> Measured:
        """Test a model, on the device where it is, on the experiment's own test set.

        Args:
            store, rows: another one, where the data are stores.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class DataSource:
    """A part of the training data: a store by name, its split, and how often an epoch visits each object."""

    store: str
    split: str = "train"
    repeat: int = 1


@dataclass(frozen=True)
class ViewData(DataConfig):
    """Views of objects and their voxels, out of stores."""

    name: str  # of the preset, see `DATA`
    sources: tuple[DataSource, ...]  # training data
    test: str = ""  # store whose test split is the test set; empty for the one that ships with the repository
    views: tuple[int, int] = (1, 5)  # smallest and largest number of views, drawn for each minibatch
    background: str = "black"  # or "white", "random", "pictures": crops of the pictures in the folder `pictures`
    mirror: bool = True  # show every object mirrored half of the time (images and voxels alike)
    flip: bool = False  # flip each view by itself half of the time, voxels as they are
    replacement: bool = False  # draw views with replacement
    pictures: str = ""

    @property
    def stores(self) -> tuple[str, ...]:  # type: ignore[override]  # only read
        """Names of the stores that training and test need; the shipped test set is none."""
        return tuple(dict.fromkeys([*(source.store for source in self.sources), *filter(None, [self.test])]))

    def usual(self, scale: str) -> str:
        return USUAL[scale]

    def presets(self) -> tuple[str, ...]:
        return tuple(DATA)

    def on(self, name: str) -> ViewData:
        return replace(self, name=name, sources=DATA[name].sources, test=DATA[name].test)

    def open(self, experiment: Experiment) -> Sources:
        from compress3d.engine.sources import open_sources

        return open_sources(experiment)

    def record(self, opened: Sources) -> dict:
        return {
            "objects": sum(len(set(rows.tolist())) for _, rows in opened),
            "rows": sum(len(rows) for _, rows in opened),
            "stores": {store.name: store.sha256 for store, _ in opened},
        }

    def batches(self, experiment: Experiment, opened: Sources, group: ProcessGroup | None = None) -> Dataset:
        from compress3d.engine.sources import batches

        return batches(experiment, opened, group)

    def measure(
        self, experiment: Experiment, model: nn.Module, store: Store | None = None, rows: Sequence[int] | None = None
    ) -> Measured:
        from compress3d.engine.evaluate import measure_views

        return measure_views(experiment, model, store, rows)


# ShapeNet's 13 classes by its two published splits: 80 % of the sorted names of a class, or a list of ids
# (ShapeNet.json, all.csv). Each is a store of its own, see `compress3d data build`.
DATA: dict[str, ViewData] = {
    "open": ViewData("open", (DataSource("shapes"), DataSource("cad", repeat=2))),
    "smoke": ViewData("smoke", (DataSource("smoke"),)),
    **{name: ViewData(name, (DataSource(name),), test=name) for name in ("shapenet", "shapenet-ids")},
}
USUAL = {"smoke": "smoke", "demo": "open", "paper": "open"}  # data of a scale that ids do not name
ORDER = ("demo", "smoke", "paper")  # of scales: what ships comes first


@dataclass(frozen=True)
class OptimConfig:
    """How a model is trained."""

    steps: int = 3600  # minibatches of the whole schedule
    batch_size: int = 16  # objects a minibatch
    learning_rate: float = 1e-3  # peak of Adam's step, reached after `warmup` steps of linear rise
    warmup: int = 100
    # The same for the weights of a compression RNN, whose first task, a black background out of a tanh without a bias,
    # takes 3 times as many steps at 1e-3.
    codec_learning_rate: float = 3e-3
    codec_warmup: int = 100
    clip: float = 1.0  # largest norm of the gradient; infinite for any
    milestones: tuple[int, ...] = ()  # the rate is a tenth from each of them on; without any it is a cosine to zero
    weight_decay: float = 0.0  # L2 on all weights but biases, added to the gradient
    precision: str = "bfloat16"  # autocast, where the device computes in it by itself; or "float32"

    def factor(self, step: int, warmup: int) -> float:
        """Fraction of the peak learning rate: a linear rise over `warmup` steps, then a cosine to zero at `steps`.

        With `milestones` no cosine: a tenth from each of them on.

        Example:
            >>> OptimConfig(steps=10).factor(0, warmup=2), OptimConfig(steps=10).factor(1, warmup=2)
            (0.5, 1.0)
        """
        if step < warmup:
            return (step + 1) / warmup
        if self.milestones:
            return 0.1 ** sum(step >= milestone for milestone in self.milestones)
        progress = (step - warmup) / max(1, self.steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class ExponentialOptim(OptimConfig):
    """A learning rate that falls by the same factor in every step."""

    decay: float = 0.1  # what is left of the peak at `decay_steps`
    decay_steps: int | None = None  # `steps` where None
    first_step: int = 0  # of the schedule: where a training goes on from another's end

    def factor(self, step: int, warmup: int) -> float:
        """Fraction of the peak learning rate.

        Example:
            >>> ExponentialOptim(steps=10, decay=0.01).factor(5, warmup=0)
            0.1
        """
        rise = (step + 1) / warmup if step < warmup else 1.0
        return rise * self.decay ** ((self.first_step + step) / (self.decay_steps or self.steps))


class ModelConfig:
    """What the engine asks of a system's description of a model, a frozen dataclass."""

    name: str  # of the model, in ids
    rate: float | None = None  # compression rate, for models that have one
    makes_voxels: bool = True  # whether the model ends in voxels

    def build(self, scale: Scale) -> nn.Module:
        """The network with fresh weights, drawn from torch's global generator."""
        raise NotImplementedError

    def start(self, trainer: Trainer, opened: Any) -> None:
        """Bring a trainer's fresh network to where training starts; `opened` is the training data."""

    def operating_points(self, scale: Scale) -> list[OperatingPoint]:
        """Every rate and way of counting bytes that the model is evaluated at; none where no pictures are sent."""
        return []

    def training_channel(self) -> tuple[Channel, Sequence[float]] | None:
        """What the views of a training minibatch go through, and the rates of which one is drawn for each."""
        return None

    def outputs(
        self, model: nn.Module, images: Tensor, points: Sequence[OperatingPoint]
    ) -> Iterator[tuple[OperatingPoint, Output]]:
        """What comes out at each of `points` for a minibatch of views, uint8 (B, V, 3, H, W), on any device."""
        raise NotImplementedError


@dataclass(frozen=True)
class Experiment:
    """One training run."""

    system: str  # name of the package that registered it
    scale: str  # "smoke", "demo" or "paper"
    model: ModelConfig
    data: DataConfig
    optim: OptimConfig
    seed: int = 0  # of weights, batches and binarizer draws
    tag: str = ""  # tells variants of a comparison apart; empty for the runs of tables and figures

    @property
    def id(self) -> str:
        """`<scale>/<model>[-r<rate>][-<tag>][@<data>]-s<seed>`."""
        rate = "" if self.model.rate is None else f"-r{self.model.rate:g}"
        data = "" if self.data.name == self.data.usual(self.scale) else f"@{self.data.name}"
        return f"{self.scale}/{self.model.name}{rate}{'-' + self.tag if self.tag else ''}{data}-s{self.seed}"

    def build(self) -> nn.Module:
        """The network with fresh weights."""
        return self.model.build(find_scale(self.scale))

    def operating_points(self) -> list[OperatingPoint]:
        """See `ModelConfig.operating_points`."""
        return self.model.operating_points(find_scale(self.scale))

    def operating_point(self, rate: float | None = None, accounting: str | None = None) -> OperatingPoint:
        """The operating point at `rate` (within 1 %) and `accounting`; the first one where they are None.

        Raises:
            ConfigError: the model does not serve that rate; the message lists those it serves.
        """
        served = self.operating_points()
        for found in served:
            if (rate is None or abs(found.rate / rate - 1) < 0.01) and accounting in (None, found.accounting):
                return found
        known = ", ".join(f"{s.rate:g}:1 ({s.accounting})" for s in served) or "a run that sends pictures"
        asked = ("" if rate is None else f" at {rate:g}:1") + ("" if accounting is None else f", {accounting}")
        raise ConfigError(self.id + asked, "is not served", f"choose one of {known}")

    def describe(self) -> dict:
        """Every setting, nested as it is here, for results files and the headers of weights."""
        described = asdict(self)
        named = {"name": self.model.name, "rate": self.model.rate}  # of the class, where they are no fields
        return {"id": self.id, **described, "model": named | described["model"]}

    def variant(self, tag: str, **changes) -> Experiment:
        """A copy told apart by `tag`: for measured comparisons.

        Args:
            tag: of the copy.
            changes: fields of the experiment, or of its model, data or optimisation.
        """
        own = {name: changes.pop(name) for name in list(changes) if name in self.__dataclass_fields__}
        for part in ("model", "data", "optim"):
            before = own.get(part, getattr(self, part))
            fields = {name: changes.pop(name) for name in list(changes) if name in before.__dataclass_fields__}
            own[part] = replace(before, **fields)
        if changes:
            raise TypeError(f"no part of an experiment has {', '.join(changes)}")
        return replace(self, tag=tag, **own)


def on_data(experiment: Experiment, name: str) -> Experiment:
    """The same experiment on the data preset `name`, with its own augmentation.

    Raises:
        ConfigError: there is no such preset.
    """
    if name not in (known := experiment.data.presets()):
        raise ConfigError(f"data {name!r}", "does not exist", f"choose one of {', '.join(known)}")
    return replace(experiment, data=experiment.data.on(name))


_REGISTER: list[tuple[tuple[int, float], Experiment]] = []


def register(found: Iterable[Experiment], worth: float) -> None:
    """Make experiments known.

    Args:
        found: in order of worth.
        worth: place among those of the same scale, of all systems: smaller is trained sooner.
    """
    _REGISTER.extend(((ORDER.index(experiment.scale), worth), experiment) for experiment in found)


def modules(name: str) -> list[ModuleType]:
    """Every module `compress3d.<package>.<name>` that there is, by package."""
    # `find_spec` would import every package on the way: 4 s of torch for `compress3d --help`.
    packages = sorted(found.name for found in iter_modules(compress3d.__path__) if found.ispkg)
    return [import_module(f"compress3d.{package}.{name}") for package in packages if _has(package, name)]


def _has(package: str, name: str) -> bool:
    return any(
        (Path(folder) / package / file).is_file()
        for folder in compress3d.__path__
        for file in (f"{name}.py", f"{name}/__init__.py")
    )


@cache
def _table() -> dict[str, Experiment]:
    """Every registered experiment by its id, the most worth first."""
    modules("experiments")
    found = [experiment for _, experiment in sorted(_REGISTER, key=lambda entry: entry[0])]
    table = {experiment.id: experiment for experiment in found}
    if len(table) < len(found):
        raise ValueError("two experiments have one id")
    return table


def experiments(scale: str | None = None, only: str = "*", data: str = "") -> list[Experiment]:
    """Experiments in order of worth.

    Args:
        scale: only those of this one.
        only: shell pattern of ids without their scale.
        data: preset to train and test on instead of the scale's own, such as "shapenet".

    Raises:
        ConfigError: no such scale or data, or nothing matches.

    Example:
        >>> {experiment.data.stores for experiment in experiments("paper", "*-s0", data="shapenet")}
        {('shapenet',)}
    """
    if scale is not None:
        find_scale(scale)
    found = [e for e in _table().values() if scale in (None, e.scale) and fnmatch(e.id.split("/", 1)[1], only)]
    if not found:
        of = "" if scale is None else f" of scale {scale}"
        raise ConfigError(f"pattern {only!r}", f"matches no experiment{of}", "see `compress3d runs`")
    if not data:
        return found
    on = [on_data(experiment, data) for experiment in found if data in experiment.data.presets()]
    if not on:
        known = dict.fromkeys(name for experiment in found for name in experiment.data.presets())
        raise ConfigError(f"data {data!r}", "does not exist", f"choose one of {', '.join(known)}")
    return on


def get_experiment(experiment_id: str) -> Experiment:
    """The experiment with that id; `@<data>` in it names a data preset.

    Raises:
        ConfigError: no such experiment; the message names those with the nearest ids.
    """
    name = re.search(r"@([a-z0-9-]+)(?=-s\d+$)", experiment_id)
    base = experiment_id.replace(name[0], "") if name else experiment_id
    if base in (table := _table()):
        found = on_data(table[base], name[1]) if name else table[base]
        if found.id == experiment_id:
            return found
    near = get_close_matches(base, table, n=5, cutoff=0.4) or list(table)[:5]
    remedy = f"`compress3d runs` lists them; near it are {', '.join(near)}"
    raise ConfigError(f"experiment {experiment_id!r}", "does not exist", remedy)
