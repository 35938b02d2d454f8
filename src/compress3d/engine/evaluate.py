"""Evaluate a run on held-out objects and write `results/<run>.json`.

What is evaluated is what ships: the weights are read back from `weights/`, so anyone gets the same numbers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from compress3d import metrics, paths, results
from compress3d.data.loader import test_views, to_float
from compress3d.data.store import Store
from compress3d.engine.train import Trained, open_parts
from compress3d.engine.weights import load_weights, save_weights, weights_origin
from compress3d.errors import ConfigError
from compress3d.runs import TABLE, Run
from compress3d.scales import scale
from compress3d.transmit import (
    bytes_per_view,
    compressor,
    probabilities,
    progressive,
    raw_bytes,
    setting,
    settings,
    through_jpeg2000,
)

VIEWS = 5  # at test, as in Fig. 8


def weights_path(run: Run) -> Path:
    """Where the run's shipped weights lie."""
    return paths.weights() / f"{run.id}.safetensors"


def with_weights(scale_name: str, models: Sequence[str]) -> list[Run]:
    """Runs of a scale, of some models, whose weights are here; in the order of the table."""
    runs = [run for run in TABLE.values() if run.scale == scale_name and run.model in models]
    return [run for run in runs if weights_path(run).is_file()]


def load_model(run: Run) -> nn.Module:
    """The run's network with its shipped weights, in evaluation mode.

    Raises:
        CheckpointError: the weights are missing, damaged, or fit another network.
    """
    model = run.build()
    load_weights(model, weights_path(run))
    return model.eval()


def held_out(run: Run, store: Store, indices: np.ndarray, views: int = VIEWS) -> tuple[torch.Tensor, np.ndarray]:
    """Views and ground truth of held-out objects: uint8 (N, V, 3, H, W) and bool (N, G, G, G).

    The same objects give the same views to every run.
    """
    size = scale(run.scale)
    found = list(
        test_views(store, indices, views=views, image_size=size.image_size, grid=size.grid, background=run.background)
    )
    return torch.cat([b.images for b in found]), torch.cat([b.occupancy for b in found]).numpy().astype(bool)


def reconstruct(
    run: Run, store: Store, rows: np.ndarray, rate: float | None = None, accounting: str | None = None
) -> np.ndarray:
    """Probabilities (N, G, G, G) that the run's shipped weights give for objects of `store`, from five views each.

    Args:
        run: the experiment.
        store, rows: the objects.
        rate: for models that serve several rates; their first one where None.
        accounting: what the rate of JPEG 2000 counts, "payload" or "file"; payload where None.

    Raises:
        ConfigError: the run does not serve that rate.
    """
    images, _ = held_out(run, store, rows)
    at = setting(run, rate, accounting)
    if run.model == "jpeg2000":
        images, _, _ = through_jpeg2000(images, at.rate, at.accounting)
    return probabilities(load_model(run), images, at.iterations)


def points(run: Run, model: nn.Module, images: torch.Tensor, truth: np.ndarray, categories: list[str]) -> list[dict]:
    """Metrics of a run at each setting it serves.

    Each point has `rate` (nominal), `true_rate` (raw bytes over bytes really spent), `accounting`, `bytes_per_view`,
    `iterations` of a compression RNN; those of JPEG 2000 also `fits`, the share of pictures for which a stream within
    the budget exists; models with voxels what `metrics.summary` gives, models with decoded pictures what
    `metrics.pictures` gives.
    """
    rnn, found = compressor(model), []
    counts = [at.iterations for at in settings(run) if at.iterations]
    progress = progressive(rnn, images, max(counts)) if rnn is not None else None
    for at in settings(run):
        arrived, more = images, {}
        if run.model == "jpeg2000":
            arrived, spent, fits = through_jpeg2000(images, at.rate, at.accounting)
            cost, more["fits"] = float(spent.mean()), float(fits.mean())
            more |= metrics.pictures(images, to_float(arrived).unsqueeze(2))
        else:
            cost = bytes_per_view(run, at)
        if progress is not None:
            more |= {"iterations": at.iterations, **metrics.pictures(images, progress[:, :, : at.iterations])}
        if rnn is not model:
            more |= metrics.summary(probabilities(model, arrived, at.iterations), truth, categories)
        found.append(
            {
                "rate": at.rate,
                "true_rate": raw_bytes(run) / cost,
                "accounting": at.accounting,
                "bytes_per_view": cost,
                **more,
            }
        )
    return found


def ship(run: Run, trained: Trained, parts: list[tuple[Store, np.ndarray]] | None = None) -> Path:
    """Write the weights of a finished run to `weights/`, with their origin in the file's header."""
    stores = open_parts(run) if parts is None else parts
    origin = {
        "run": run.describe(),
        "device": trained.device,
        "minutes": trained.minutes,
        "steps": trained.step,
        "objects": sum(len(np.unique(rows)) for _, rows in stores),
        "passes": trained.step * run.batch_size / sum(len(rows) for _, rows in stores),
        "data": {store.name: store.sha256 for store, _ in stores},
        "history": trained.history,
        "terms": trained.terms,
        "versions": results.versions(),
    }
    path = weights_path(run)
    save_weights(trained.model, path, results.rounded(origin))
    return path


def evaluate(run: Run, store: Store, indices: Sequence[int] | None = None) -> dict:
    """Evaluate the run's shipped weights on held-out objects of `store` and write its results file.

    Args:
        run: the experiment.
        store: data set with a test split.
        indices: objects; the whole test split where None.

    Returns:
        What `results.load(run.id)` returns.

    Raises:
        ConfigError: the store has no test objects.
        CheckpointError: see `load_model`.
    """
    chosen = store.select(split="test", clean=True) if indices is None else np.asarray(indices)
    if not len(chosen):
        raise ConfigError(store.name, "has no objects in its test split", "name objects with `indices`")
    started = time.monotonic()
    model = run.build()
    sha256 = load_weights(model, weights_path(run))
    model.eval()
    images, truth = held_out(run, store, chosen)
    records = [store.objects[i] for i in chosen]
    training = weights_origin(weights_path(run))
    training.pop("run", None)  # said once, above
    data = {
        "run": run.describe(),
        "test": {
            "store": store.name,
            "sha256": store.sha256,
            "objects": [r.uid for r in records],
            "categories": [r.category for r in records],
            "views": VIEWS,
            "threshold": metrics.THRESHOLD,
        },
        "points": points(run, model, images, truth, [r.category for r in records]),
        "provenance": {
            "commands": [f"compress3d train {run.id}", f"compress3d evaluate {run.id}"],
            "device": training["device"],
            "minutes": training["minutes"],
            "training": training,
            "parameters": sum(p.numel() for p in model.parameters()),
            "weights_sha256": sha256,
            "evaluation_minutes": (time.monotonic() - started) / 60,
            "versions": results.versions(),
        },
    }
    results.save(run.id, data)
    return results.load(run.id)
