"""What more views bring, and what their order does: every reconstruction network on 1 to 24 views of the objects."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from compress3d import metrics
from compress3d.data.loader import to_float
from compress3d.data.store import VIEWS as ALL_VIEWS
from compress3d.data.store import Store
from compress3d.data.testset import open_test_set
from compress3d.engine.evaluate import held_out
from compress3d.engine.experiment import Experiment
from compress3d.engine.studies import save_study
from compress3d.engine.weights import load_model, parameter_count, with_weights
from compress3d.errors import ConfigError

COUNTS = (1, 2, 3, 4, 5, 8, 12, 16, 20, 24)  # training sees 1 to 5; the literature's tables end at 20
ORDERS = 8  # orders of the same views, the first one as everywhere else
ORDERED_VIEWS = 5
BATCH = 16  # objects at once


def networks(scale: str) -> list[Experiment]:
    """The runs of a scale that turn plain images into voxels and whose weights are here; ConfigError for none."""
    runs = with_weights(scale, lambda experiment: experiment.system in ("r2n2", "baselines"))
    if not runs:
        raise ConfigError(f"scale {scale}", "has no trained network", f"run `compress3d sweep --scale {scale}` first")
    return runs


@torch.no_grad()
def encode_views(model: Any, images: torch.Tensor) -> torch.Tensor:
    """What the network makes of every view by itself, of uint8 (N, V, 3, H, W): encoded once, joined in many ways."""
    return torch.cat([model.encode_views(to_float(part)) for part in images.split(BATCH)])


@torch.no_grad()
def joined(model: Any, views: torch.Tensor) -> np.ndarray:
    """Probabilities, float32 (N, G, G, G), of `encode_views` or of some of its views in some order."""
    return torch.cat([torch.sigmoid(model.fuse_views(part)).float() for part in views.split(BATCH)]).numpy()


def by_count(model: torch.nn.Module, views: torch.Tensor, truth: np.ndarray, categories: list[str]) -> list[dict]:
    """`metrics.summary` after the first 1, 2, 3 ... of an object's `views`, (N, V, ...) as of `encode_views`."""
    return [
        {"views": count, **metrics.summary(joined(model, views[:, :count]), truth, categories)}
        for count in COUNTS
        if count <= views.shape[1]
    ]


def by_order(model: torch.nn.Module, views: torch.Tensor, truth: np.ndarray, orders: int = ORDERS) -> dict:
    """How much the order of the same views matters, over different permutations; the first is the given order.

    Returns:
        `miou` of each order, `spread`, the mean over objects of the deviation of their IoU over orders, and `largest`,
        the largest difference of an object's IoU between two orders.
    """
    rng, count = np.random.default_rng(0), views.shape[1]
    permutations = [tuple(range(count))]
    while len(permutations) < min(orders, math.factorial(count)):
        drawn = tuple(rng.permutation(count).tolist())
        if drawn not in permutations:
            permutations.append(drawn)
    iou = np.stack([metrics.iou(joined(model, views[:, list(p)]), truth) for p in permutations])
    return {
        "miou": [float(v) for v in iou.mean(axis=1)],
        "spread": float(iou.std(axis=0).mean()),
        "largest": float(np.ptp(iou, axis=0).max()),
        "views": count,
    }


def score(store: Store, scale: str = "demo") -> dict:
    """Score every network of `networks` on the test objects of `store`; writes `results/<scale>/views.json`."""
    started, trained = time.monotonic(), networks(scale)
    rows = store.select(split="test", clean=True)
    categories = [store.objects[row].category for row in rows]
    found = {}
    for network in trained:
        images, truth = held_out(network, store, rows, views=ALL_VIEWS)
        model = load_model(network)
        views = encode_views(model, images)
        found[network.id] = {
            "counts": by_count(model, views, truth, categories),
            "order": by_order(model, views[:, :ORDERED_VIEWS], truth),
            "parameters": parameter_count(model),
        }
    test = {
        "store": store.name, "sha256": store.sha256, "objects": [store.objects[r].uid for r in rows],
        "categories": categories, "threshold": metrics.THRESHOLD,
    }  # fmt: skip
    return save_study("views", scale, found, started, test=test)


def run(scale: str = "demo") -> Iterator[str]:
    """Score every trained reconstruction network from 1 to 24 views, and over orders of the same views."""
    for run_id, found in score(open_test_set(), scale)["networks"].items():
        curve = "  ".join(f"{point['views']}: {point['miou']:.3f}" for point in found["counts"])
        yield f"{run_id:32s} {curve}  order +-{found['order']['spread']:.4f}"
