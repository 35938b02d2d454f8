"""Studies of the baselines, by name."""

from __future__ import annotations

from collections.abc import Iterator

from compress3d.baselines.mean_shape import evaluate_mean_shape
from compress3d.data.testset import open_test_set
from compress3d.engine.experiment import get_experiment
from compress3d.engine.sources import open_sources


def run_mean_shape(scale: str = "demo") -> Iterator[str]:
    """Score a constant mean shape per category, the baseline that sees no image."""
    sources = open_sources(get_experiment(f"{scale}/uncompressed-s0"))
    point = evaluate_mean_shape(sources, open_test_set(), scale)["points"][0]
    yield f"mean shape of the object's own category: mIoU {point['miou']:.4f}"


STUDIES = {"mean-shape": run_mean_shape}
