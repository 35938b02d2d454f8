"""Fragments: same bytes for the same figure, small, no scripts from elsewhere; outside the book it brings them."""

import html
import json
import re

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest

from compress3d.errors import ConfigError
from compress3d.figures import display, voxels


@pytest.fixture
def chair():
    grid = np.zeros((32, 32, 32), bool)
    grid[8:24, 14:16, 8:24] = True
    grid[8:24, 16:29, 22:24] = True
    return grid


def bundle(grid, **more):
    return display.show(voxels.voxel_figure(grid), **more)._repr_mimebundle_()


def test_same_figure_gives_the_same_bytes(chair, monkeypatch):
    monkeypatch.setenv(display.BOOK_VARIABLE, "1")
    first, second = bundle(chair)["text/html"], bundle(chair.copy())["text/html"]
    assert first == second
    chair[0, 0, 0] = True
    assert bundle(chair)["text/html"] != first


def test_fragment_is_light_and_asks_nobody(chair, monkeypatch):
    monkeypatch.setenv(display.BOOK_VARIABLE, "1")
    text = bundle(chair, words="A <chair>")["text/html"]
    assert len(text) < 40_000
    assert "http" not in text and "<script src" not in text
    assert "A &lt;chair&gt;" in text
    payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text)[1])
    assert [trace["type"] for trace in payload["data"]] == ["mesh3d", "scatter3d"]


def test_payload_cannot_end_its_script(monkeypatch):
    text = display.Shown("plotly-book", {"title": "</script><b>"}, "").html()
    assert text.count("</script>") == 1


@pytest.mark.parametrize("value", ["", "0"])
def test_outside_the_book_a_figure_brings_its_scripts(chair, monkeypatch, value):
    monkeypatch.setenv(display.BOOK_VARIABLE, value)
    text = bundle(chair)["text/html"]
    assert text.startswith("<iframe srcdoc=") and text.count("<") == 2  # nothing of it is the page's own
    inside = html.unescape(re.search(r'srcdoc="(.*?)"', text, re.S)[1])
    monkeypatch.setenv(display.BOOK_VARIABLE, "1")
    assert bundle(chair)["text/html"] in inside and "plotly.js v" in inside[:20_000]
    assert not re.search(r"<script[^>]*src|<link", re.sub(r"<script>.*?</script>", "", inside, flags=re.S))


def test_a_missing_script_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(display.paths, "book", lambda: tmp_path)
    with pytest.raises(ConfigError, match="plotly-book.js.*cannot be read"):
        display.document("a", "")
