"""The baseline of every table: a constant mean shape per category, which looks at no image.

A network that does no better has learned the categories and nothing of the object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch

from compress3d import metrics, results
from compress3d.data.store import Store
from compress3d.data.testset import open_test_set
from compress3d.engine.experiment import get_experiment
from compress3d.engine.hardware import commit, describe
from compress3d.engine.sources import open_sources
from compress3d.errors import ConfigError


def mean_shapes(sources: list[tuple[Store, np.ndarray]]) -> dict[str, np.ndarray]:
    """Mean occupancy of a category over training objects, float (32, 32, 32) in [0, 1]; a repeated row counts again."""
    sums: dict[str, np.ndarray] = {}
    counts: Counter[str] = Counter()
    for store, rows in sources:
        for row in rows:
            category = store.objects[row].category
            sums[category] = sums.get(category, 0) + store.occupancy(row)
            counts[category] += 1
    return {category: total / counts[category] for category, total in sums.items()}


def evaluate_mean_shape(sources: list[tuple[Store, np.ndarray]], test: Store, scale: str = "demo") -> dict:
    """Score the mean shape of each test object's own category, at the threshold that suits the training objects best.

    Writes `results/<scale>/mean-shape.json`. The networks do not know the category. `sources` are
    the training data of the runs it stands beside.

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
        cuts = np.arange(0.1, 0.7, 0.05)
        scores = [metrics.iou(np.broadcast_to(mean, truth.shape), truth, cut).mean() for cut in cuts]
        found[category] = float(cuts[np.argmax(scores)])
    return found


def run_mean_shape(scale: str = "demo") -> Iterator[str]:
    """Score a constant mean shape per category, the baseline that sees no image."""
    sources = open_sources(get_experiment(f"{scale}/uncompressed-s0"))
    point = evaluate_mean_shape(sources, open_test_set(), scale)["points"][0]
    yield f"mean shape of the object's own category: mIoU {point['miou']:.4f}"


STUDIES = {"mean-shape": run_mean_shape}
