"""The baseline of every table: a constant mean shape per category, which looks at no image.

A network that does no better has learned the categories and nothing of the object.
"""

from __future__ import annotations

import numpy as np
import torch

from compress3d import metrics, results
from compress3d.data.store import Store
from compress3d.engine.hardware import commit, describe
from compress3d.errors import ConfigError


def mean_shapes(sources: list[tuple[Store, np.ndarray]]) -> dict[str, np.ndarray]:
    """Mean occupancy of a category over training objects, float (32, 32, 32) in [0, 1]; a repeated row counts again."""
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for store, rows in sources:
        for row in rows:
            category = store.objects[row].category
            sums[category] = sums.get(category, 0) + store.occupancy(row)
            counts[category] = counts.get(category, 0) + 1
    return {category: total / counts[category] for category, total in sums.items()}


def evaluate_mean_shape(sources: list[tuple[Store, np.ndarray]], test: Store, scale: str = "demo") -> dict:
    """Score the mean shape of each test object's own category, at the threshold that suits the training objects best.

    Writes `results/<scale>/mean-shape.json`. Knowing the category is more than the networks are told.

    Args:
        sources: the training data of the runs it stands beside.
        test: store with a test split.
        scale: whose results it joins.

    Raises:
        ConfigError: a test category has no training object.
    """
    means = mean_shapes(sources)
    best = best_thresholds(means, sources)
    rows = test.select(split="test", clean=True)
    categories = [test.objects[row].category for row in rows]
    unknown = sorted(set(categories) - set(means))
    if unknown:
        raise ConfigError(test.name, f"has categories without training objects: {unknown}", "train on them too")
    truth = np.stack([test.occupancy(row) for row in rows])
    # Shift each mean so that the paper's threshold 0.4 cuts it at its own best one.
    guess = np.stack([np.clip(means[c] - best[c] + metrics.THRESHOLD, 0, 1) for c in categories])
    setting = {"rate": None, "true_rate": None, "accounting": "none"}
    data = {
        "experiment": results.study_record(scale, "mean-shape", "", "baselines"),
        "test": {"store": test.name, "sha256": test.sha256, "objects": [test.objects[r].uid for r in rows],
                 "categories": categories, "views": 0, "threshold": metrics.THRESHOLD},
        "points": [{"setting": setting, "metrics": metrics.summary(guess, truth, categories), "bytes_per_view": 0.0}],
        "provenance": {"commands": [f"compress3d study mean-shape --scale {scale}"], **describe(torch.device("cpu")),
                       "precision": "float64", "commit": commit(), "minutes": 0.0,
                       "training": {"data": {s.name: s.sha256 for s, _ in sources}, "thresholds": best},
                       "versions": results.versions()},
    }  # fmt: skip
    results.save(f"{scale}/mean-shape", data)
    return results.load(f"{scale}/mean-shape")


def best_thresholds(means: dict[str, np.ndarray], sources: list[tuple[Store, np.ndarray]]) -> dict[str, float]:
    """For each category the cut of its mean shape with the highest mean IoU over its training objects."""
    found: dict[str, float] = {}
    for category, mean in means.items():
        truth = np.stack(
            [store.occupancy(row) for store, rows in sources for row in rows if store.objects[row].category == category]
        )
        scores = {}
        for cut in np.arange(0.1, 0.7, 0.05):
            guess = mean > cut
            scores[float(cut)] = metrics.ratio((truth & guess).sum((1, 2, 3)), (truth | guess).sum((1, 2, 3))).mean()
        found[category] = max(scores, key=scores.get)
    return found
