"""Evaluate an experiment on held-out objects, a minibatch at a time, and write its results file.

What is evaluated is what ships: the weights are read back from `weights/`, so anyone gets the same numbers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from compress3d import metrics, results
from compress3d.codecs.channel import OperatingPoint, Output
from compress3d.data.loader import Batch, test_views, to_float
from compress3d.data.store import Store
from compress3d.engine.experiment import Experiment, Measured
from compress3d.engine.hardware import choose_device, commit, describe
from compress3d.engine.sources import test_store
from compress3d.engine.train import Trainer
from compress3d.engine.weights import (
    load_model,
    load_weights,
    parameter_count,
    save_weights,
    weights_origin,
    weights_path,
)
from compress3d.errors import ConfigError
from compress3d.scales import Scale, scale

VIEWS = 5  # at test, as in Fig. 8
BATCH = 16  # objects at once, of views of 64 pixels or fewer


def held_out_batches(experiment: Experiment, store: Store, indices: np.ndarray, views: int = VIEWS) -> Iterator[Batch]:
    """Minibatches of held-out objects, in their order; the same objects give the same views to every experiment."""
    size, background = scale(experiment.scale), experiment.data.background
    found = test_views(
        store, indices, views, size.image_size, background=background, batch_size=objects_at_once(size), grid=size.grid
    )
    return (found[number] for number in range(len(found)))


def objects_at_once(size: Scale) -> int:
    """Objects of a minibatch: fewer where views are large, so that a full-width network stays below 4 GB."""
    return min(BATCH, max(1, BATCH * 64**2 // size.image_size**2))


def held_out(
    experiment: Experiment, store: Store, indices: np.ndarray, views: int = VIEWS
) -> tuple[Tensor, np.ndarray]:
    """Views and ground truth of a few held-out objects: uint8 (N, V, 3, H, W) and bool (N, G, G, G)."""
    found = list(held_out_batches(experiment, store, indices, views))
    return torch.cat([b.images for b in found]), torch.cat([b.occupancy for b in found]).numpy().astype(bool)


@torch.no_grad()
def probabilities(
    model: nn.Module, images: Tensor, iterations: int | None = None, batch_size: int = BATCH
) -> np.ndarray:
    """p_V of Eq. 15 for uint8 images (N, V, 3, H, W): float32 (N, G, G, G) in [0, 1], `batch_size` objects at once.

    Args:
        model: any network with voxels.
        images: what the network is given: behind the channel, where there is one.
        iterations: N, for models with a compression RNN.
    """
    device = next(model.parameters()).device
    more = () if iterations is None else (iterations,)
    chunks = [torch.sigmoid(model(to_float(part.to(device)), *more)).float().cpu() for part in images.split(batch_size)]
    return torch.cat(chunks).numpy()


@torch.no_grad()
def outputs(
    experiment: Experiment, model: nn.Module, images: Tensor, points: Sequence[OperatingPoint]
) -> Iterator[tuple[OperatingPoint, Output]]:
    """What comes out at each operating point for one minibatch of views, uint8 (B, V, 3, H, W), on the model's device.

    A codec that serves several rates runs once for all of them.
    """
    yield from experiment.model.outputs(model, images.to(next(model.parameters()).device), points)


def output(experiment: Experiment, model: nn.Module, images: Tensor, point: OperatingPoint) -> Output:
    """What comes out at one operating point for any number of views, uint8 (N, V, 3, H, W), on the CPU."""
    parts = images.split(objects_at_once(scale(experiment.scale)))
    chunks = [next(outputs(experiment, model, part, [point]))[1] for part in parts]

    def joined(values: tuple):
        if values[0] is None:
            return None
        return torch.cat([v.cpu() for v in values]) if isinstance(values[0], Tensor) else np.concatenate(values)

    return Output(*map(joined, zip(*chunks, strict=True)))


def reconstruct(
    experiment: Experiment, store: Store, rows: np.ndarray, rate: float | None = None, accounting: str | None = None
) -> np.ndarray:
    """Probabilities (N, G, G, G) that the shipped weights give for objects of `store`, from five views each.

    Args:
        experiment: whose weights.
        store, rows: the objects.
        rate, accounting: see `Experiment.operating_point`, also for the error where they are not served.
    """
    images, _ = held_out(experiment, store, rows)
    found = output(experiment, load_model(experiment), images, experiment.operating_point(rate, accounting))
    assert found.probabilities is not None, f"{experiment.id} makes no voxels"
    return found.probabilities.numpy()


class Scores:
    """Metrics of one operating point, added up minibatch by minibatch: a few numbers an object are kept."""

    def __init__(self) -> None:
        self.voxels: list[metrics.ObjectScores] = []
        self.images: list[dict] = []
        self.bytes: list[np.ndarray] = []
        self.fits: list[np.ndarray] = []

    def add(self, images: Tensor, occupancy: np.ndarray, output: Output) -> None:
        """Score a minibatch: its original views, uint8, its ground truth, and what came out."""
        if output.probabilities is not None:
            self.voxels.append(metrics.object_scores(output.probabilities.cpu().numpy(), occupancy))
        if output.decoded is not None:
            images, decoded = images.contiguous(), output.decoded.cpu()  # sums of float32 depend on the order of memory
            pairs = zip(images, decoded, strict=True)
            self.images += [metrics.image_scores(x[None], y[None]) for x, y in pairs]
        if output.fits is not None:
            self.fits.append(output.fits)
        self.bytes.append(output.bytes)

    def metrics(self, categories: list[str]) -> dict:
        """`metrics.summary` of voxels, mean `metrics.image_scores` of decoded images, `fits` where there are any."""
        found: dict = {}
        if self.fits:
            found["fits"] = float(np.concatenate(self.fits).mean())
        if self.images:
            for name in ("compression_loss", "l1", "psnr"):
                found[name] = float(np.mean([scores[name] for scores in self.images]))
            found["image_loss"] = [scores["compression_loss"] for scores in self.images]
        if self.voxels:
            every = metrics.ObjectScores(*map(np.concatenate, zip(*self.voxels, strict=True)))
            found |= metrics.summarise(every, categories)
        return found


def measure_views(
    experiment: Experiment, model: nn.Module, store: Store | None = None, rows: Sequence[int] | None = None
) -> Measured:
    """See `DataConfig.measure`: a point at every operating point, from five views of each object.

    A setting has `rate` (nominal), `true_rate` (raw bytes over bytes really spent), `accounting`, and `iterations` of a
    compression RNN. Metrics are those of `Scores`; `fits` is the share of views with a stream within its budget.

    Raises:
        ConfigError: the store has no test objects.
    """
    store = test_store(experiment) if store is None else store
    chosen = store.select(split="test", clean=True) if rows is None else np.asarray(rows)
    if not len(chosen):
        raise ConfigError(store.name, "has no objects in its test split", "name objects with `indices`")
    points = experiment.operating_points()
    scores = {point: Scores() for point in points}
    for batch in held_out_batches(experiment, store, chosen):
        occupancy = batch.occupancy.numpy().astype(bool)
        for point, out in outputs(experiment, model, batch.images.contiguous(), points):
            scores[point].add(batch.images, occupancy, out)
    found, categories, raw = [], [store.objects[row].category for row in chosen], batch.images[0, 0].numel()
    for point in points:
        cost = point.bytes_per_view or float(np.concatenate(scores[point].bytes).mean())
        setting = {"rate": point.rate, "true_rate": raw / cost, "accounting": point.accounting}
        if point.iterations is not None:
            setting["iterations"] = point.iterations
        values = scores[point].metrics(categories)
        found.append({"setting": setting, "metrics": values, "bytes_per_view": cost})
    test = {
        "store": store.name,
        "sha256": store.sha256,
        "objects": [store.objects[row].uid for row in chosen],
        "categories": categories,
        "views": VIEWS,
        "threshold": metrics.THRESHOLD,
    }
    return Measured(test, found)


class Evaluated(NamedTuple):
    """Results as `results.load` gives them, the file that holds them, and whether it was written just now."""

    results: dict
    path: Path
    written: bool


def evaluate(
    experiment: Experiment,
    store: Store | None = None,
    indices: Sequence[int] | None = None,
    device: str | None = None,
) -> Evaluated:
    """Evaluate the shipped weights on held-out data and write a results file.

    On the experiment's own test set that is `results/<id>.json`. Results of the same weights that are there stay: where
    the numbers are the same nothing is written, else they are written beside, as those of another store are, to
    `results/on/<store>/<id>.json`, which git ignores.

    Args:
        experiment: whose weights.
        store: a data set with a test split; the experiment's own where None.
        indices: objects; the whole test split where None.
        device: "cpu" or "cuda"; a GPU where there is one.

    Raises:
        ConfigError: the store has no test objects.
        CheckpointError: see `load_model`.
    """
    own = store is None and indices is None
    started, model = time.monotonic(), experiment.build()
    sha256 = load_weights(model, weights_path(experiment))
    here = choose_device(device)
    test, points = experiment.data.measure(experiment, model.eval().to(here), store, indices)
    training = weights_origin(weights_path(experiment))
    for name in ("run", "experiment"):  # said once, above
        training.pop(name, None)
    data = {
        "experiment": experiment.describe(),
        "test": test,
        "points": points,
        "provenance": {
            "commands": [f"compress3d train {experiment.id}", f"compress3d evaluate {experiment.id}"],
            "device": training["device"],
            "minutes": training["minutes"],
            "precision": training.get("precision", experiment.optim.precision),
            "training": training,
            "parameters": parameter_count(model),
            "weights_sha256": sha256,
            "evaluation": {**describe(here), "precision": "float32", "commit": commit()},
            "evaluation_minutes": (time.monotonic() - started) / 60,
            "versions": results.versions(),
        },
    }
    if own and (before := _repeated(data)) is not None:
        if results.dumps({"": before["points"]}) == results.dumps({"": points}):  # as text: rounded, and NaN is NaN
            return Evaluated(before, results.path_of(experiment.id), False)
        print(f"{experiment.id}: other numbers than in its results file, written beside", file=sys.stderr)
        own = False
    beside = None if own else test["store"]
    path = results.save(experiment.id, data, beside)
    return Evaluated(results.load(experiment.id, beside), path, True)


def _repeated(data: dict) -> dict | None:
    """Results that are there of the same experiment, weights and test set, None where there are none."""
    before = results.find(data["experiment"]["id"])
    if before is None:
        return None
    same = all(results.rounded(before.get(name)) == results.rounded(data[name]) for name in ("experiment", "test"))
    same = same and before["provenance"].get("weights_sha256") == data["provenance"]["weights_sha256"]
    return before if same else None


def ship(experiment: Experiment, trained: Trainer) -> Path:
    """Write the weights of a finished run to `weights/`, with their origin in the file's header."""
    origin = {
        "experiment": experiment.describe(),
        **trained.hardware,
        "precision": trained.precision,
        "commit": commit(),
        "minutes": trained.minutes,
        "steps": trained.step,
        "objects": trained.data["objects"],
        "passes": trained.step * experiment.optim.batch_size / trained.data["rows"],
        "data": trained.data["stores"],
        "history": trained.history,
        "terms": trained.terms,
        "versions": results.versions(),
    }
    path = weights_path(experiment)
    save_weights(trained.model, path, results.rounded(origin))
    return path
