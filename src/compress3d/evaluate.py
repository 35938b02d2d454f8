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
from compress3d.checkpoint import digest, load_weights, save_weights, weights_origin
from compress3d.data.loader import test_views, to_float
from compress3d.data.store import Store
from compress3d.errors import ConfigError
from compress3d.models.joint import Implicit
from compress3d.rates import FLOAT_BITS, true_rate
from compress3d.runs import JPEG2000_RATES, Run
from compress3d.scales import scale
from compress3d.train import Trained, open_parts

VIEWS = 5  # at test, as in Fig. 8
ACCOUNTINGS = ("payload", "file")
MID_GREY = 128


def weights_path(run: Run) -> Path:
    """Where the run's shipped weights lie."""
    return paths.weights() / f"{run.id}.safetensors"


def load_model(run: Run) -> nn.Module:
    """The run's network with its shipped weights, in evaluation mode.

    Raises:
        CheckpointError: the weights are missing, damaged, or fit another network.
    """
    model = run.build()
    load_weights(model, weights_path(run))
    return model.eval()


@torch.no_grad()
def probabilities(model: nn.Module, images: torch.Tensor, batch_size: int = 16) -> np.ndarray:
    """p_V of Eq. 15 for uint8 images (N, V, 3, H, W): float32 (N, G, G, G) in [0, 1]."""
    device = next(model.parameters()).device
    chunks = [torch.sigmoid(model(to_float(part.to(device)))).float().cpu() for part in images.split(batch_size)]
    return torch.cat(chunks).numpy()


def held_out(run: Run, store: Store, indices: np.ndarray, views: int = VIEWS) -> tuple[torch.Tensor, np.ndarray]:
    """Views and ground truth of held-out objects: uint8 (N, V, 3, H, W) and bool (N, G, G, G).

    The same objects give the same views to every run.
    """
    size = scale(run.scale)
    found = list(
        test_views(store, indices, views=views, image_size=size.image_size, grid=size.grid, background=run.background)
    )
    return torch.cat([b.images for b in found]), torch.cat([b.occupancy for b in found]).numpy().astype(bool)


def through_jpeg2000(images: torch.Tensor, rate: float, accounting: str) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Pictures as they arrive over a link that grants each view 1/rate of its raw bytes.

    Args:
        images: uint8 (N, V, 3, H, W).
        rate: compression rate c.
        accounting: "payload" (both ends know the header) or "file". At 64 pixels the smallest file has about 173
            bytes, 71:1; beyond that no file fits, nothing arrives, and the receiver shows what JPEG 2000 decodes from
            nothing: mid-grey.

    Returns:
        Decoded uint8 (N, V, 3, H, W), bytes spent (N V,), and whether a picture fitted its budget (N V,).
    """
    from compress3d.codecs.jpeg2000 import budget_bytes, simulate

    N, V, C, H, W = images.shape
    pictures = images.permute(0, 1, 3, 4, 2).reshape(N * V, H, W, C).contiguous().numpy()
    decoded, spent = simulate(pictures, rate, accounting=accounting)
    budget = budget_bytes(pictures[0], rate)
    fits = spent <= budget
    decoded[~fits] = MID_GREY
    arrived = torch.from_numpy(decoded).view(N, V, H, W, C).permute(0, 1, 4, 2, 3)
    return arrived, np.minimum(spent, budget), fits


def reconstruct(
    run: Run, store: Store, rows: np.ndarray, rate: float | None = None, accounting: str = "payload"
) -> np.ndarray:
    """Probabilities (N, G, G, G) that the run's shipped weights give for objects of `store`, from five views each.

    Args:
        run: the experiment.
        store, rows: the objects.
        rate: for the JPEG 2000 run, the rate its pictures are compressed at; ignored by the others.
        accounting: what the rate counts, "payload" or "file".
    """
    images, _ = held_out(run, store, rows)
    if run.model == "jpeg2000":
        images, _, _ = through_jpeg2000(images, rate, accounting)
    return probabilities(load_model(run), images)


def points(run: Run, model: nn.Module, images: torch.Tensor, truth: np.ndarray, categories: list[str]) -> list[dict]:
    """Metrics of a run at each rate it serves: one for most models, several rates and two byte counts for JPEG 2000.

    Each point has `rate` (nominal), `true_rate` (raw bytes over bytes really spent), `accounting`, `bytes_per_view`; those
    of JPEG 2000 also `fits`, the share of pictures for which a stream within the budget exists.
    """
    size = scale(run.scale).image_size
    raw = 3 * size * size
    if run.model == "jpeg2000":
        found = []
        for accounting in ACCOUNTINGS:
            for rate in JPEG2000_RATES:
                arrived, spent, fits = through_jpeg2000(images, rate, accounting)
                found.append(
                    {
                        "rate": rate,
                        "true_rate": raw / float(spent.mean()),
                        "accounting": accounting,
                        "bytes_per_view": float(spent.mean()),
                        "fits": float(fits.mean()),
                        **metrics.summary(probabilities(model, arrived), truth, categories),
                    }
                )
        return found
    if isinstance(model, Implicit):
        bits = 1 if model.binary else FLOAT_BITS
        rate, length, accounting = run.rate, model.code_size, "bits" if model.binary else "floats"
    else:
        bits, length, accounting = FLOAT_BITS, model.scale.code_size, "floats"
        rate = true_rate(size, length, bits)
    return [
        {
            "rate": rate,
            "true_rate": true_rate(size, length, bits),
            "accounting": accounting,
            "bytes_per_view": length * bits / 8,
            **metrics.summary(probabilities(model, images), truth, categories),
        }
    ]


def ship(run: Run, trained: Trained, parts: list[tuple[Store, np.ndarray]] | None = None) -> Path:
    """Write the weights of a finished run to `weights/`, with their origin in the file's header."""
    stores = open_parts(run) if parts is None else parts
    origin = {
        "device": trained.device,
        "minutes": trained.minutes,
        "steps": trained.step,
        "objects": sum(len(np.unique(rows)) for _, rows in stores),
        "passes": trained.step * run.batch_size / sum(len(rows) for _, rows in stores),
        "data": {store.name: store.sha256 for store, _ in stores},
        "history": trained.history,
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
    model = load_model(run)
    images, truth = held_out(run, store, chosen)
    records = [store.objects[i] for i in chosen]
    training = weights_origin(weights_path(run))
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
            "weights_sha256": digest(weights_path(run).read_bytes()),
            "evaluation_minutes": (time.monotonic() - started) / 60,
            "versions": results.versions(),
        },
    }
    results.save(run.id, data)
    return results.load(run.id)
