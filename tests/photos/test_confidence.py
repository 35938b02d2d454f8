"""Confidence against plain loops, the verdict on both sides of every limit, the shipped calibration on its own data."""

from pathlib import Path

import numpy as np
import pytest

from compress3d import results
from compress3d.data.testset import open_test_set
from compress3d.engine.experiment import get_experiment
from compress3d.errors import ConfigError
from compress3d.metrics import THRESHOLD
from compress3d.photos import Photo, confidence, frame, prepare, synthetic
from compress3d.photos import studies as calibration
from compress3d.photos.reconstruction import Reconstruction, best_run, check, reconstruct, with_voxels


def test_mean_confidence_equals_a_loop():
    p = np.random.default_rng(0).random((3, 4, 4, 4))
    p[2] *= THRESHOLD
    for found, grid in zip(confidence.mean_confidence(p), p, strict=True):
        sure = [value for value in grid.ravel() if value > THRESHOLD]
        assert found == pytest.approx(sum(sure) / len(sure) if sure else 0)


def rebuilt(p, picture):
    run = get_experiment("demo/implicit-r384-s0")
    photo = Photo(Path("a.png"), picture, (64, 64), "RGB", "PNG", 1, (), "kept", 1.0, (0, 0, 64, 64))
    return Reconstruction(run, run.operating_point(), [photo], np.full((4, 4, 4), p, np.float32), 0.4, 32.0, None)


def test_a_result_is_doubted_for_low_confidence_and_for_a_kept_background():
    framed, filled = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 90, np.uint8)
    framed[20:50, 10:54] = 200
    limit = confidence.calibration(get_experiment("demo/implicit-r384-s0"))["threshold"]
    good = confidence.assess(rebuilt(limit + 0.1, framed))
    assert not good.reasons and "Nothing speaks against" in good.sentence and 0.5 < good.useful <= 1
    (reason,) = confidence.assess(rebuilt(limit - 0.1, framed)).reasons
    assert "mean voxel confidence" in reason
    (reason,) = confidence.assess(rebuilt(limit + 0.1, filled)).reasons
    assert "background" in reason
    both = confidence.assess(rebuilt(limit - 0.1, filled))
    assert len(both.reasons) == 2 and both.sentence.startswith("Not to be trusted: ")


def test_pictures_that_run_through_are_seen_and_touching_one_edge_is_not():
    picture = np.zeros((32, 32, 3), np.uint8)
    assert frame.border_occupancy(picture) == 0
    picture[:16, 8:24] = 99
    assert frame.border_occupancy(picture) == 0  # one edge
    picture[:, 8:24] = 99
    assert frame.border_occupancy(picture) == 0.5
    assert frame.border_occupancy(np.full((32, 32, 3), 240, np.uint8), background=240) == 0


def test_best_cut_equals_brute_force():
    rng = np.random.default_rng(0)
    values = rng.random(60)
    useful = values + rng.normal(0, 0.3, 60) > 0.5
    tried = np.linspace(0, 1, 5001)
    scores = [((values[useful] >= cut).mean() + (values[~useful] < cut).mean()) / 2 for cut in tried]
    cut = calibration.best_cut(values, useful)
    assert calibration.balanced_accuracy(values, useful, cut) == pytest.approx(max(scores), abs=1e-9)


def test_the_shipped_calibration_follows_from_the_values_it_ships():
    found = results.load("demo/confidence")
    assert found["best"] == best_run().id
    best, floor = found["networks"][found["best"]], results.load("demo/mean-shape")["points"][0]["miou"]
    assert floor == found["floor"]
    p, useful = (
        np.concatenate([best["cases"][case][key] for case in calibration.FITTED]) for key in ("confidence", "iou")
    )
    useful = useful > floor
    chosen = calibration.balanced_accuracy(p, useful, best["threshold"])
    assert chosen == pytest.approx(best["accuracy"], abs=1e-6)
    assert all(
        calibration.balanced_accuracy(p, useful, cut) <= chosen + 1e-9 for cut in np.linspace(p.min(), p.max(), 999)
    )
    for network in found["networks"].values():
        assert network["above"]["miou"] > network["below"]["miou"]  # on every network the sure ones are better
        assert network["below"]["useful"] < 0.5 < network["above"]["useful"]  # what the verdict's sentence says
        assert network["held_out_accuracy"] > 0.6


def test_a_run_without_a_calibration_of_its_own_takes_the_median():
    known = results.load("demo/confidence")
    assert confidence.calibration(get_experiment("demo/implicit-r480-s0")) == known["networks"]["demo/implicit-r480-s0"]
    assert confidence.calibration(get_experiment("demo/implicit-r384-600-s0")) == known["median"]
    assert confidence.calibration(get_experiment("paper/uncompressed-s0"))["threshold"] is None


@pytest.mark.parametrize("run_id", ["demo/uncompressed-s0", "demo/sequential-s0", "demo/direct-s0", "demo/jpeg2000-s0"])
def test_every_kind_of_run_rebuilds_photographs(tmp_path, run_id):
    store = open_test_set()
    paths = [tmp_path / f"{n}.png" for n in range(2)]
    for n, path in enumerate(paths):
        synthetic.on_paper(synthetic.rgba_image(store, 3, n), (300, 200)).save(path)
    run = get_experiment(run_id)
    photos = [prepare(path, 64) for path in paths]
    found = reconstruct(photos, run)
    assert found.probability.shape == (32, 32, 32) and found.bytes_per_view > 0
    assert (found.received is None) == (run_id == "demo/uncompressed-s0")
    if found.received is not None:
        assert found.received.shape == (2, 64, 64, 3) and found.received.dtype == np.uint8


def test_what_cannot_be_served_is_refused_before_the_work():
    with pytest.raises(ConfigError, match="makes no voxels"):
        check(get_experiment("demo/small-600-s0"))
    with pytest.raises(ConfigError, match="is not served"):
        check(get_experiment("demo/implicit-r384-s0"), rate=100)
    with pytest.raises(ConfigError, match="threshold"):
        check(get_experiment("demo/implicit-r384-s0"), threshold=1.0)
    assert best_run() in with_voxels("demo")
    with pytest.raises(ConfigError, match="no trained and evaluated"):
        best_run("paper")
