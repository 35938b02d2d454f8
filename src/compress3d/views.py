"""What more views bring, and what their order does: every reconstruction network from 1 to 24 views of the same objects."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
import torch

from compress3d import metrics, results
from compress3d.data.store import VIEWS as ALL_VIEWS
from compress3d.data.store import Store
from compress3d.errors import ConfigError
from compress3d.evaluate import held_out, load_model, weights_path
from compress3d.runs import TABLE, Run
from compress3d.transmit import probabilities

COUNTS = (1, 2, 3, 4, 5, 8, 12, 16, 20, 24)  # training sees 1 to 5; the literature's tables end at 20
ORDERS = 8  # orders of the same views, the first one as everywhere else
ORDERED_VIEWS = 5


def networks(scale: str) -> Iterator[Run]:
    """The runs of a scale that turn plain pictures into voxels, as far as their weights are here."""
    for run in TABLE.values():
        plain = run.model not in ("jpeg2000", "sequential", "direct", "implicit", "original", "small")
        if run.scale == scale and plain and weights_path(run).is_file():
            yield run


def by_count(model: torch.nn.Module, images: torch.Tensor, truth: np.ndarray, categories: list[str]) -> list[dict]:
    """`metrics.summary` after the first 1, 2, 3 ... of an object's views (N, V, 3, H, W), V at least the largest count."""
    return [
        {"views": count, **metrics.summary(probabilities(model, images[:, :count], None), truth, categories)}
        for count in COUNTS
        if count <= images.shape[1]
    ]


def by_order(model: torch.nn.Module, images: torch.Tensor, truth: np.ndarray, orders: int = ORDERS) -> dict:
    """How much the order of the same views matters.

    Args:
        model: a reconstruction network.
        images: uint8 (N, V, 3, H, W).
        truth: (N, G, G, G).
        orders: different permutations, the same for all objects; the first is the given order.

    Returns:
        `miou` of each order, `spread`, the mean over objects of the deviation of their IoU over orders, and `largest`,
        the largest difference of an object's IoU between two orders.
    """
    rng, count = np.random.default_rng(0), images.shape[1]
    permutations = [tuple(range(count))]
    while len(permutations) < min(orders, math.factorial(count)):
        drawn = tuple(rng.permutation(count).tolist())
        if drawn not in permutations:
            permutations.append(drawn)
    iou = np.stack([metrics.iou(probabilities(model, images[:, list(p)], None), truth) for p in permutations])
    return {
        "miou": [float(v) for v in iou.mean(axis=1)],
        "spread": float(iou.std(axis=0).mean()),
        "largest": float(np.ptp(iou, axis=0).max()),
        "views": images.shape[1],
    }


def compare(store: Store, scale: str = "demo") -> dict:
    """Score every network of `networks` on the test objects of `store`; writes `results/<scale>/views.json`.

    Raises:
        ConfigError: no weights of such a network are here.
    """
    started, runs = time.monotonic(), list(networks(scale))
    if not runs:
        raise ConfigError(f"scale {scale}", "has no trained network", f"run `compress3d sweep --scale {scale}` first")
    rows = store.select(split="test", clean=True)
    categories = [store.objects[row].category for row in rows]
    found = {}
    for run in runs:
        images, truth = held_out(run, store, rows, views=ALL_VIEWS)
        model = load_model(run)
        found[run.id] = {
            "counts": by_count(model, images, truth, categories),
            "order": by_order(model, images[:, :ORDERED_VIEWS], truth),
            "parameters": sum(p.numel() for p in model.parameters()),
        }
    data = {
        "run": {"id": f"{scale}/views", "model": "views", "rate": None, "scale": scale, "seed": None, "tag": "study"},
        "test": {"store": store.name, "sha256": store.sha256, "objects": [store.objects[r].uid for r in rows],
                 "categories": categories, "threshold": metrics.THRESHOLD},
        "points": [],  # nothing here belongs on a curve of rates
        "networks": found,
        "provenance": {"commands": [f"compress3d views --scale {scale}"], "device": "cpu", "minutes": (time.monotonic() - started) / 60,
                       "versions": results.versions()},
    }  # fmt: skip
    results.save(f"{scale}/views", data)
    return results.load(f"{scale}/views")
