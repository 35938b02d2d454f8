"""From training to a results file, and back: what ships is what is scored."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import compress3d.engine.evaluate as evaluation
from compress3d import metrics, paths, results
from compress3d.engine.evaluate import evaluate, held_out, probabilities, ship
from compress3d.engine.train import train
from compress3d.engine.weights import load_model, save_weights, tensors_digest, weights_path
from compress3d.errors import CheckpointError, ConfigError, DataError
from compress3d.io import digest
from compress3d.joint.experiments import DirectConfig, Jpeg2000Config
from compress3d.r2n2.experiments import R2N2Config


@pytest.fixture
def home(tmp_path, monkeypatch, boxes):
    """An empty repository, in whose cache the boxes are the test set that ships."""
    for name in ("results", "weights", "runs"):
        monkeypatch.setattr(paths, name, lambda name=name: tmp_path / name)
    monkeypatch.setattr(evaluation, "test_store", lambda experiment: boxes)
    return tmp_path


@pytest.fixture
def shipped(run, sources, home):
    run = replace(run, scale="demo", data=replace(run.data, name="open")).variant("", steps=2)
    ship(run, train(run, sources=sources, num_workers=0))
    return run


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.json")}


def test_results_file_says_what_the_shipped_weights_do(shipped, boxes, home):
    got, path, written = evaluate(shipped)
    assert written and path == home / "results" / "demo" / "implicit-r384-s0.json"
    images, truth = held_out(shipped, boxes, boxes.select(split="test"))
    assert images.shape == (3, 5, 3, 64, 64) and truth.shape == (3, 32, 32, 32)
    expected = metrics.summary(probabilities(load_model(shipped), images), truth, ["box"] * 3)
    point = got["points"][0]
    assert {name: str(point[name]) for name in expected} == {k: str(results.rounded(v)) for k, v in expected.items()}
    assert (point["rate"], point["true_rate"], point["bytes_per_view"]) == (384, 384, 32)
    assert got["experiment"] == results.rounded(shipped.describe())
    origin = got["provenance"]
    assert origin["weights_sha256"] == tensors_digest(load_file(weights_path(shipped)))
    assert origin["training"]["data"] == {"boxes": boxes.sha256}
    assert origin["training"]["steps"] == 2 and origin["training"]["objects"] == 9
    for what in (origin["training"], origin["evaluation"]):  # what computed, and how
        assert what["device"] == "cpu" and what["processor"] and what["capability"] and what["precision"] == "float32"
    manifest = json.loads((home / "results" / "manifest.json").read_text())
    assert manifest["files"]["demo/implicit-r384-s0.json"]["sha256"] == digest(path.read_bytes())


@pytest.mark.parametrize("model", [R2N2Config(), DirectConfig(), Jpeg2000Config()], ids=lambda model: model.name)
def test_minibatches_give_what_all_objects_at_once_give(run, boxes, home, monkeypatch, model):
    """Per-object values and every average, whatever the minibatch; several operating points."""
    torch.manual_seed(0)
    experiment = replace(run, model=model)
    network, rows = experiment.build().eval(), np.arange(9)
    found = []
    for size in (16, 4):
        monkeypatch.setattr(evaluation, "BATCH", size)
        found.append(evaluation.measure_views(experiment, network, boxes, rows).points)
    assert len(found[0]) == len(experiment.operating_points())
    for one, other in zip(*found, strict=True):
        assert one["setting"] == other["setting"] and one["metrics"].keys() == other["metrics"].keys()
        assert one["bytes_per_view"] == pytest.approx(other["bytes_per_view"])
        for name, value in one["metrics"].items():
            assert other["metrics"][name] == pytest.approx(value, abs=1e-4, nan_ok=True), name
        assert len(one["metrics"]["iou"]) == 9
        assert one["metrics"]["miou"] == pytest.approx(np.mean(one["metrics"]["iou"]))


def test_evaluating_again_changes_no_file(shipped, home):
    first = evaluate(shipped)
    before = files(home)
    second = evaluate(shipped)
    assert not second.written and second.path == first.path
    assert rounded_points(first) == rounded_points(second) and files(home) == before


def rounded_points(found):
    return results.dumps({"points": found.results["points"]})


def test_other_numbers_of_the_same_weights_are_written_beside(shipped, home, capsys):
    first = evaluate(shipped)
    stored = json.loads(first.path.read_text())
    stored["points"][0]["metrics"]["miou"] += 0.001  # as another processor may give them
    first.path.write_text(json.dumps(stored))
    before = files(home / "results" / "demo")
    second = evaluate(shipped)
    assert second.path == home / "results" / "on" / "boxes" / "demo" / "implicit-r384-s0.json"
    assert files(home / "results" / "demo") == before and "written beside" in capsys.readouterr().err
    assert rounded_points(second) == rounded_points(first)
    assert results.load_all("demo").keys() == {shipped.id}


def test_new_weights_replace_results_and_so_does_a_damaged_file(shipped, home):
    path = evaluate(shipped).path
    torch.manual_seed(9)
    save_weights(shipped.build(), weights_path(shipped), {"device": "cpu", "minutes": 0})
    again = evaluate(shipped)
    assert again.path == path and again.written
    path.write_text("{")
    assert evaluate(shipped).path == path and results.load(shipped.id)["points"]


def test_another_store_leaves_the_results_alone(shipped, boxes, home):
    evaluate(shipped)
    before = files(home / "results" / "demo"), (home / "results" / "manifest.json").read_bytes()
    found = evaluate(shipped, boxes, indices=[0, 4])
    assert found.path == results.path_of(shipped.id, "boxes") and found.path.is_file()
    assert len(found.results["points"][0]["iou"]) == 2
    assert (files(home / "results" / "demo"), (home / "results" / "manifest.json").read_bytes()) == before


def test_background_of_the_experiment_is_that_of_the_test(shipped, boxes):
    rows = boxes.select(split="test")
    white = shipped.variant("", background="white")
    black, bright = (held_out(experiment, boxes, rows)[0] for experiment in (shipped, white))
    corner = (..., slice(0, 3), slice(0, 3))
    assert (black[corner] == 0).all() and (bright[corner] == 255).all()
    first, second = (evaluation.measure_views(e, load_model(shipped), boxes, rows).points for e in (shipped, white))
    assert first[0]["metrics"]["loss"] != second[0]["metrics"]["loss"]


def test_smoke_results_are_in_no_manifest(run, home):
    """Git ignores them: a manifest that named them would differ after each test."""
    save_weights(run.build(), weights_path(run), {"device": "cpu", "minutes": 0})
    assert evaluate(run).path == home / "results" / "smoke" / "implicit-r384-s0.json"
    assert not (home / "results" / "manifest.json").exists()


def test_uncompressed_network_counts_its_floats_as_12_to_1(run, home):
    plain = replace(run, model=R2N2Config())
    save_weights(plain.build(), weights_path(plain), {"device": "cpu", "minutes": 0})
    point = evaluate(plain).results["points"][0]
    assert (point["true_rate"], point["accounting"]) == (12, "floats")


def test_missing_weights_results_and_test_objects_are_told(run, boxes, home):
    with pytest.raises(CheckpointError, match="train the run first"):
        evaluate(run, boxes)
    with pytest.raises(DataError, match="compress3d evaluate smoke/implicit-r384-s0"):
        results.load(run.id)
    save_weights(run.build(), weights_path(run), {"device": "cpu", "minutes": 0})
    with pytest.raises(ConfigError, match="no objects"):
        evaluate(run, boxes, indices=[])


@pytest.mark.parametrize("text, message", [("{", "no JSON"), ('{"schema": 1}', "schema 1, expected 2")])
def test_damaged_results_are_told(run, home, text, message):
    path = results.path_of(run.id)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        results.load(run.id)
