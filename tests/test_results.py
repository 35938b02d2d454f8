"""Results files: rounding, text, points, and no torch."""

import json
import subprocess
import sys

import pytest

from compress3d import paths, results
from compress3d.results import Point, dumps, rounded


def test_floats_are_rounded_everywhere():
    assert rounded({"a": [1.23456789, {"b": (0.1 + 0.2,)}]}) == {"a": [1.234568, {"b": [0.3]}]}


@pytest.mark.parametrize(
    "value", [{}, {"a": []}, {"a": [[1, 2.5], [3, None]], "b": [{"c": [1]}, {}]}, {"ü": 'x"\n', "n": {"m": True}}]
)
def test_text_is_json_with_lists_on_one_line(value):
    text = dumps(value)
    assert json.loads(text) == value and text.endswith("\n")
    assert dumps(json.loads(text)) == text


def test_a_list_of_numbers_or_of_pairs_takes_one_line():
    text = dumps({"history": [[25, 0.5], [50, 0.25]], "iou": [0.1] * 100})
    assert len(text.splitlines()) == 4


def test_a_point_is_one_flat_mapping():
    point = Point({"rate": 48.0, "iterations": 8}, {"miou": 0.5, "iou": [0.5]}, 256.0)
    assert dict(point) == {"rate": 48.0, "iterations": 8, "miou": 0.5, "iou": [0.5], "bytes_per_view": 256.0}
    assert point.get("psnr") is None and "psnr" not in point and len(point) == 5
    assert rounded(point) == {"setting": {"rate": 48.0, "iterations": 8}, "metrics": {"miou": 0.5, "iou": [0.5]},
                              "bytes_per_view": 256.0}  # fmt: skip


def test_every_shipped_file_is_in_the_text_that_would_be_written():
    found = sorted(paths.results().glob("*/*.json"))
    assert len(found) > 60
    for path in found:
        if path.parent.name not in results.UNTRACKED:
            assert dumps(json.loads(path.read_text())) == path.read_text(), path


def test_manifest_of_the_shipped_files_is_up_to_date(tmp_path, monkeypatch):
    before = (paths.results() / "manifest.json").read_bytes()
    (tmp_path / "results").mkdir()
    for folder in ("demo", "paper", "data"):
        (tmp_path / "results" / folder).symlink_to(paths.results() / folder)
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    assert results.save_manifest().read_bytes() == before


def test_reading_results_needs_no_torch():
    program = "import sys; from compress3d import results; results.load_all('demo'); print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
