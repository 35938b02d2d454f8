"""The first page: its object is picked by rule, its picture and viewer are made from results and weights."""

import json
import re
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from compress3d import results
from compress3d.engine import evaluate
from compress3d.engine.experiment import get_experiment
from compress3d.errors import DataError
from compress3d.joint.experiments import JPEG2000_RATES
from tests.run_lengths import from_run_lengths
from tools import headline


def point(accounting, rate, miou, iou):
    return {"true_rate": rate, "rate": rate, "accounting": accounting, "miou": miou, "miou_std": 0.2, "iou": iou}


@pytest.fixture
def found():
    from compress3d.data.testset import open_test_set

    uids = [record.uid for record in open_test_set().objects][:6]
    values = [0.1, 0.5, 0.3, 0.4, 0.2, 0.45]
    categories = ["sofa"] * 5 + ["table"]
    results = {
        "demo/uncompressed-s0": [point("floats", 12, 0.3, values)],
        "demo/jpeg2000-s0": [point("payload", rate, 0.2, values) for rate in JPEG2000_RATES],
        "demo/implicit-r384-s0": [point("bits", 384, 0.3, values)],
        "demo/sequential-s0": [point("bits", rate, 0.3, values) for rate in (384, 48)],
        "demo/direct-s0": [point("bits", rate, 0.3, values) for rate in (384, 48)],
    }
    return {
        run_id: {
            "experiment": get_experiment(run_id).describe(),
            "points": points,
            "test": {"objects": uids, "categories": categories},
        }
        for run_id, points in results.items()
    }


def test_object_is_the_upper_quartile_of_the_sofas(found):
    assert headline.chosen_object(found) == 3  # 0.4 of 0.1 .. 0.5; the table's 0.45 does not count


def test_files_of_the_first_page(found, tmp_path, monkeypatch):
    """Untrained networks stand in for the shipped ones; everything else is as in the book."""
    monkeypatch.setattr(headline.results, "load_all", lambda scale: found)
    monkeypatch.setattr(evaluate, "load_model", lambda run: run.build().eval())
    assert headline.write(tmp_path) is True
    for name in ("headline-light.svg", "headline-dark.svg"):
        assert (tmp_path / name).read_text().count("<path") > 20
    text = (tmp_path / "headline-object.html").read_text()
    payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text)[1])
    assert [m["name"] for m in payload["methods"]] == [
        "ground truth",
        "uncompressed",
        "implicit 384:1",
        "direct 384:1",
        "sequential 384:1",
        "JPEG 2000 384:1",
    ]
    assert payload["methods"][payload["chosen"]]["name"] == "implicit 384:1"
    shape = payload["objects"][0]
    assert len(shape["views"]) == 5 and payload["turn"] is True
    truth, *rebuilt = (from_run_lengths(b64decode(grid), payload["side"]) for grid in shape["grids"])
    assert shape["notes"] == ["", *(f"IoU {(truth & of).sum() / (truth | of).sum():.2f}" for of in rebuilt)]
    assert np.prod(payload["side"]) == 32**3
    assert len(text) < 100_000


def test_views_stand_left_of_the_voxels(tmp_path):
    headline.write_chair(tmp_path / "a.png")
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    left, right = np.split(picture, [picture.shape[1] * 5 // 9], axis=1)
    black = (left.max(axis=2) < 5).mean()
    gold = (right[..., 0] - right[..., 2] > 80).mean()  # the object, in the colour of the truth
    assert 0.1 < black < 0.5 and gold > 0.05 and (left[..., 0] - left[..., 2] > 80).mean() < 0.001


def test_readme_shows_what_the_results_files_say():
    text = (headline.paths.root() / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- results: make headline -->\n(.*?)\n<!-- end of results -->", text, re.DOTALL)[1]
    assert shown == headline.results_table()
    assert len(shown.splitlines()) == 9


def test_a_ratio_is_a_mean_over_seeds_with_its_interval():
    """Counted again by hand: the implicit network's three trainings over the uncompressed network's one."""
    row = next(line for line in headline.results_table().splitlines() if line.startswith("| implicit "))
    _, _, rate, seeds, miou, kept, _ = (cell.strip() for cell in row.split("|"))
    runs = [results.load(f"demo/implicit-r384-s{seed}")["points"][0] for seed in range(3)]
    free = results.load("demo/uncompressed-s0")["points"][0]
    mean = sum(run["miou"] for run in runs) / 3
    assert (rate, seeds, miou) == ("384:1", "3", f"{mean:.3f}")
    share, low, high = (int(number) for number in re.findall(r"\d+", kept))
    assert share == round(100 * mean / free["miou"]) != round(100 * max(run["miou"] for run in runs) / free["miou"])
    differences = np.mean([run["iou"] for run in runs], axis=0) - np.array(free["iou"])
    error = 196 * differences.std(ddof=1) / len(differences) ** 0.5 / free["miou"]  # the normal one, in percent
    assert abs(share - error - low) <= 2 and abs(share + error - high) <= 2 and low < 100 < high


def test_the_readme_says_how_the_chair_was_chosen():
    """It is the best of the test set's chairs, by hand, and the picture shows renders."""
    text = (headline.paths.root() / "README.md").read_text(encoding="utf-8")
    result = results.load("demo/implicit-r384-s0")
    chairs = {
        uid: iou
        for uid, iou, category in zip(
            result["test"]["objects"], result["points"][0]["iou"], result["test"]["categories"], strict=True
        )
        if category == "chair"
    }
    assert max(chairs, key=chairs.get) == headline.CHAIR and len(chairs) == 12
    assert "the best of twelve chairs" in text and "renders" in text


def test_readme_without_marks_is_told(tmp_path):
    (tmp_path / "README.md").write_text("# no marks\n")
    with pytest.raises(DataError, match="marks"):
        headline.write_readme(tmp_path / "README.md")
