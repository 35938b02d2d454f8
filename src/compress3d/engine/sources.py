"""The data of an experiment: its stores, its minibatches, its test set."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch.utils.data import Dataset

from compress3d.codecs.channel import ChannelBatches
from compress3d.data.build import COMMANDS, ensure
from compress3d.data.loader import ViewBatches
from compress3d.data.store import Store
from compress3d.data.testset import open_test_set
from compress3d.engine.distributed import ProcessGroup, ShardedBatches
from compress3d.engine.experiment import Experiment, ViewData
from compress3d.errors import DataError
from compress3d.scales import scale

Sources = list[tuple[Store, np.ndarray]]


def prepare_stores(experiments: Iterable[Experiment]) -> None:
    """Make the stores that some experiments need, as far as they can be made without input.

    Raises:
        DataError: another store is missing; the message has the command that builds it. Nothing is made then.
    """
    needed = dict.fromkeys(store for experiment in experiments for store in experiment.data.stores)
    for name in sorted(needed, key=lambda name: name not in COMMANDS):  # those that need input first
        ensure(name)


def _views(experiment: Experiment) -> ViewData:
    assert isinstance(experiment.data, ViewData), f"{experiment.id} is not trained on stores"
    return experiment.data


def open_sources(experiment: Experiment) -> Sources:
    """The experiment's stores and the rows that an epoch visits; makes stores as `prepare_stores` does.

    Raises:
        DataError: a store is missing or broken; the message has the command that builds it.
    """
    prepare_stores([experiment])
    found = []
    for source in _views(experiment).sources:
        store = ensure(source.store)
        rows = store.select(split=source.split, clean=True)
        if not len(rows):
            problem = f"has no objects in its split {source.split!r}"
            raise DataError(store.path, problem, "build it from more objects, or with another --split")
        found.append((store, np.tile(rows, source.repeat)))
    return found


def test_store(experiment: Experiment) -> Store:
    """The experiment's own test set: the test split of a store, or what ships with the repository."""
    test = _views(experiment).test
    return ensure(test) if test else open_test_set()


def batches(experiment: Experiment, sources: Sources, group: ProcessGroup | None = None) -> Dataset:
    """The experiment's minibatches, indexed by step; this process's rows of them where `group` has several."""
    size, data, optim = scale(experiment.scale), _views(experiment), experiment.optim
    found: Dataset = ViewBatches(
        sources, batch_size=optim.batch_size, views=data.views, image_size=size.image_size, grid=size.grid,
        seed=experiment.seed, steps=optim.steps, mirror=data.mirror, background=data.background,
        pictures=data.pictures, replacement=data.replacement, flip=data.flip,
    )  # fmt: skip
    if group is not None and group.size > 1:
        found = ShardedBatches(found, optim.batch_size, group)
    channel = experiment.model.training_channel()
    return found if channel is None else ChannelBatches(found, *channel, experiment.seed)
