"""The mean-shape baseline by hand on the store of boxes."""

import numpy as np
import pytest

from compress3d import paths
from compress3d.baselines.studies import best_thresholds, evaluate_mean_shape, mean_shapes


def test_mean_and_threshold_by_hand(boxes, sources):
    rows = sources[0][1]
    mean = mean_shapes(sources)["box"]
    np.testing.assert_allclose(mean, np.mean([boxes.occupancy(r) for r in rows], axis=0))
    cut = best_thresholds({"box": mean}, sources)["box"]

    def score(c):
        guess = mean > c
        return np.mean([(boxes.occupancy(r) & guess).sum() / (boxes.occupancy(r) | guess).sum() for r in rows])

    assert score(cut) == pytest.approx(max(score(c) for c in np.arange(0.1, 0.7, 0.05)))


def test_mean_shape_writes_results(boxes, sources, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda: tmp_path)
    got = evaluate_mean_shape(sources, boxes, "demo")
    mean, cut = mean_shapes(sources)["box"], got["provenance"]["training"]["thresholds"]["box"]
    row = boxes.select(split="test")[0]
    truth, guess = boxes.occupancy(row), mean > cut
    assert got["points"][0]["iou"][0] == pytest.approx((truth & guess).sum() / (truth | guess).sum(), abs=0.02)
    assert (tmp_path / "manifest.json").is_file()
