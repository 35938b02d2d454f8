"""The study of confidence on tiny input: every case goes through every network, and the numbers follow from them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from compress3d import results
from compress3d.engine.experiment import get_experiment
from compress3d.photos import studies as calibration
from compress3d.photos.studies import FITTED, FRAMED, MIXED, ONE, ROOM, SIDE

BEST, OTHER = get_experiment("demo/implicit-r384-s0"), get_experiment("demo/direct-s0")


@pytest.fixture
def study(boxes, tmp_path, monkeypatch):
    """Three boxes; a network is sure and mostly right on five framed views, unsure and wrong elsewhere."""
    monkeypatch.setenv("COMPRESS3D_ROOT", str(tmp_path))
    results.save(
        "demo/mean-shape",
        {"points": [{"setting": {}, "metrics": {"miou": 0.5}, "bytes_per_view": 0.0}], "provenance": {}},
    )
    rows = boxes.select(split="test", clean=True)
    truth = np.stack([boxes.occupancy(row) for row in rows]).astype(np.float32)
    cases, seen = [*FITTED, ROOM], []

    def send(run, model, images, point):
        return SimpleNamespace(probabilities=torch.from_numpy(np.asarray(answer(run, images))))

    def answer(run, images):
        case = cases[len(seen) % len(cases)]
        seen.append((run.id, case, images))
        if case != FRAMED:
            return 0.5 * (1 - truth)
        worse = np.arange(len(rows)).reshape(-1, 1, 1, 1) / 10  # 0, 0.1, 0.2: of the voxels missed, and less sure
        return (0.9 - worse) * truth * (np.random.default_rng(0).random(truth.shape) > worse)

    monkeypatch.setattr(calibration, "best_run", lambda scale: BEST)
    monkeypatch.setattr(calibration, "with_voxels", lambda scale: [BEST, OTHER])
    monkeypatch.setattr(calibration, "open_test_set", lambda: boxes)
    monkeypatch.setattr(calibration, "load_model", lambda run: None)
    monkeypatch.setattr(calibration, "output", send)
    lines = list(calibration.run("demo"))
    return results.load("demo/confidence"), seen, lines, len(rows)


def test_what_is_written_follows_from_what_the_networks_said(study):
    found, _, lines, count = study
    assert found["best"] == BEST.id and found["floor"] == 0.5
    best, other = found["networks"][BEST.id], found["networks"][OTHER.id]
    assert best["threshold"] == pytest.approx((0.5 + 0.7) / 2) and best["accuracy"] == 1.0
    assert best["above"] == {"objects": count, "miou": pytest.approx(0.9, abs=0.01), "useful": 1.0}
    assert best["below"] == {"objects": 0, "miou": None, "useful": None}
    assert best["cases"][FRAMED]["confidence"] == pytest.approx([0.9, 0.8, 0.7])  # every object of the best run
    assert other["cases"][FRAMED]["confidence"] == pytest.approx(0.8)  # the mean for others
    assert best["correlation"] > 0.99
    assert found["median"]["threshold"] == best["threshold"]
    assert found["runs_through"][FRAMED] == 0 and found["runs_through"][ROOM] > 0.5
    assert sorted(line.split()[0] for line in lines) == sorted([BEST.id, OTHER.id])


def test_each_case_shows_what_it_says(study):
    _, seen, _, count = study
    shown = {case: images.numpy() for run, case, images in seen if run == BEST.id}
    assert {case: images.shape for case, images in shown.items()} == {
        case: (count, 1 if case == ONE else 5, 3, 64, 64) for case in (*FITTED, ROOM)
    }
    np.testing.assert_array_equal(shown[ONE][:, 0], shown[FRAMED][:, 0])
    np.testing.assert_array_equal(shown[SIDE], np.rot90(shown[FRAMED], axes=(-2, -1)))
    np.testing.assert_array_equal(shown[MIXED][:, 0], shown[FRAMED][:, 0])  # the first view is the object's own
    assert (shown[MIXED][:, 1] != shown[FRAMED][:, 1]).any()
    assert (shown[ROOM].min(axis=(2, 3, 4)) > 0).any() or (shown[ROOM] > 0).mean() > (shown[FRAMED] > 0).mean()
