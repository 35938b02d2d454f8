"""From training to a results file, and back: what ships is what is scored."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file

from compress3d import metrics, paths, results
from compress3d.engine.evaluate import evaluate, held_out, load_model, probabilities, ship, weights_path
from compress3d.engine.train import train
from compress3d.engine.weights import tensors_digest
from compress3d.errors import CheckpointError, ConfigError, DataError
from compress3d.io import digest


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("results", "weights", "runs"):
        monkeypatch.setattr(paths, name, lambda name=name: tmp_path / name)
    return tmp_path


@pytest.fixture
def shipped(run, parts, home):
    ship(run, train(run, parts=parts, workers=0), parts)
    return run


def test_results_file_says_what_the_shipped_weights_do(shipped, boxes, home):
    got = evaluate(shipped, boxes)
    images, truth = held_out(shipped, boxes, boxes.select(split="test"))
    assert images.shape == (3, 5, 3, 32, 32) and truth.shape == (3, 16, 16, 16)
    expected = metrics.iou(probabilities(load_model(shipped), images), truth)
    point = got["points"][0]
    np.testing.assert_allclose(point["iou"], expected, atol=1e-6)
    assert (point["rate"], point["true_rate"], point["bytes_per_view"]) == (384, 384, 8)
    assert got["provenance"]["weights_sha256"] == tensors_digest(load_file(weights_path(shipped)))
    assert got["provenance"]["training"]["data"] == {"boxes": boxes.sha256}
    assert got["provenance"]["training"]["steps"] == shipped.steps
    manifest = json.loads((home / "results" / "manifest.json").read_text())
    file = home / "results" / f"{shipped.id}.json"
    assert manifest["files"][f"{shipped.id}.json"]["sha256"] == digest(file.read_bytes())


def test_evaluating_again_changes_no_number(shipped, boxes):
    first, second = evaluate(shipped, boxes), evaluate(shipped, boxes)
    assert first["points"] == second["points"]


def test_uncompressed_network_counts_its_floats_as_12_to_1(run, parts, boxes, home):
    plain = replace(run, model="uncompressed", rate=None, steps=2)
    ship(plain, train(plain, parts=parts, workers=0), parts)
    point = evaluate(plain, boxes)["points"][0]
    assert (point["true_rate"], point["accounting"]) == (12, "floats")


def test_missing_weights_results_and_test_objects_are_told(run, boxes, home):
    with pytest.raises(CheckpointError, match="train the run first"):
        evaluate(run, boxes)
    with pytest.raises(DataError, match="compress3d evaluate smoke/implicit-r384-s0"):
        results.load(run.id)
    with pytest.raises(ConfigError, match="no objects"):
        evaluate(run, boxes, indices=[])


@pytest.mark.parametrize("text, message", [("{", "no JSON"), ('{"schema": 99}', "schema 99")])
def test_damaged_results_are_told(run, home, text, message):
    path = results.path_of(run.id)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        results.load(run.id)


def test_floats_are_rounded_everywhere():
    assert results.rounded({"a": [1.23456789, {"b": (0.1 + 0.2,)}]}) == {"a": [1.234568, {"b": [0.3]}]}
