"""The studies from end to end on tiny input: what they hand to the network, and what they write."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from compress3d import metrics, results
from compress3d.engine.evaluate import held_out, probabilities
from compress3d.engine.experiment import get_experiment
from compress3d.r2n2.studies import recipe, textures, views

RUN = get_experiment("smoke/uncompressed-s0")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESS3D_ROOT", str(tmp_path))


def untrained(run):
    torch.manual_seed(0)
    return run.build().eval()


def test_views_study_scores_the_first_views_of_the_test_objects(boxes, monkeypatch):
    monkeypatch.setattr(views, "networks", lambda scale: [RUN])
    monkeypatch.setattr(views, "load_model", untrained)
    monkeypatch.setattr(views, "open_test_set", lambda: boxes)
    lines = list(views.run("smoke"))
    found = results.load("smoke/views")
    rows = boxes.select(split="test", clean=True)
    assert found["test"]["objects"] == [boxes.objects[row].uid for row in rows]
    scored = found["networks"][RUN.id]
    assert [point["views"] for point in scored["counts"]] == list(views.COUNTS)
    images, truth = held_out(RUN, boxes, rows, views=24)
    for point in scored["counts"]:
        expected = probabilities(untrained(RUN), images[:, : point["views"]])
        assert point["loss"] == pytest.approx(metrics.negative_log_likelihood(expected, truth).mean(), abs=1e-4)
    assert scored["order"]["views"] == 5 and len(scored["order"]["miou"]) == views.ORDERS
    assert scored["parameters"] == sum(p.numel() for p in untrained(RUN).parameters())
    assert len(lines) == 1 and lines[0].startswith(RUN.id) and " 24: " in lines[0]


def test_textures_study_compares_with_the_coloured_objects(monkeypatch):
    """The stub says "occupied" with the brightness of the images: IoU 0.25, 0.5 and 1 by construction."""
    truth = np.ones((2, 32, 32, 32), bool)
    filled = {"plain": 64, "coloured": 128, "textured": 256}  # of 256 parts of the grid

    def render(name, count, image_size):
        return torch.full((count, 5, 3, image_size, image_size), filled[name] - 1, dtype=torch.uint8), truth, ["a", "b"]

    def answer(model, images, *_):
        parts = images[:, 0, 0, 0, 0].long() + 1
        covered = (torch.arange(256)[None] < parts[:, None]).float()
        return covered.repeat_interleave(128, 1).reshape(-1, 32, 32, 32).numpy()

    monkeypatch.setattr(textures, "networks", lambda scale: [get_experiment("demo/uncompressed-s0")])
    monkeypatch.setattr(textures, "load_model", lambda run: None)
    monkeypatch.setattr(textures, "render", render)
    monkeypatch.setattr(textures, "probabilities", answer)
    found = textures.score("demo", count=2)
    network = found["networks"]["demo/uncompressed-s0"]
    assert {name: of["miou"] for name, of in network["appearances"].items()} == {
        "plain": 0.25, "coloured": 0.5, "textured": 1.0
    }  # fmt: skip
    assert network["differences"] == {"plain": [-0.25] * 3, "textured": [0.5] * 3}
    assert found["test"] == {"store": "shapes", "objects": 2, "views": 5, "threshold": 0.4}
    assert results.load("demo/textures") == found


def test_recipe_study_trains_every_variant_and_keeps_what_it_has(boxes, monkeypatch):
    trained = []

    def train(run):
        trained.append(run)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return SimpleNamespace(
            model=torch.nn.Identity(),
            step=run.optim.steps,
            minutes=0.5,
            hardware={"device": "cpu"},
            precision="float32",
        )

    shares = iter([0.25, 0.5])  # of the true voxels that the first and the second variant find

    def answer(model, images):
        kept = np.random.default_rng(0).random((len(images), 32, 32, 32)) < next(shares)
        return kept * boxes_truth

    monkeypatch.setattr(recipe.Store, "open", lambda path: boxes)
    monkeypatch.setattr(recipe, "open_test_set", lambda: SimpleNamespace(objects=[]))
    rows = recipe.validation(boxes)
    boxes_truth = np.stack([boxes.occupancy(row) for row in rows]).astype(np.float32)
    monkeypatch.setattr(recipe, "train", train)
    monkeypatch.setattr(recipe, "probabilities", answer)
    with pytest.raises(KeyboardInterrupt):
        list(recipe.run("demo"))
    assert [run.data.background for run in trained[:2]] == ["black", "white"]
    assert {run.optim.steps for run in trained} == {recipe.STEPS}
    found = results.load("demo/choices")
    assert [(row["choice"], row["setting"]) for row in found["rows"]] == [
        ("recipe", "as trained"),
        ("background", "white"),
    ]
    assert [row["miou"] for row in found["rows"]] == pytest.approx([0.25, 0.5], abs=0.02)
    assert found["objects"] == len(rows) and found["provenance"]["minutes"] == 1.0
