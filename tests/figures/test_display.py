"""Fragments: same bytes for the same figure, small, no scripts from elsewhere; live Jupyter gets plotly's own."""

import json
import re

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest

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
    text = display.fragment("plotly-book", {"title": "</script><b>"}, "1px", "1px", "")
    assert text.count("</script>") == 1


def test_twin_is_stored_beside(chair, monkeypatch):
    monkeypatch.setenv(display.BOOK_VARIABLE, "1")
    found = bundle(chair, twin=voxels.voxel_picture(chair))
    assert found["image/png"].startswith(b"\x89PNG")


@pytest.mark.parametrize("value", ["", "0"])
def test_live_jupyter_gets_plotlys_own_output(chair, monkeypatch, value):
    import plotly.io

    monkeypatch.setenv(display.BOOK_VARIABLE, value)
    before = plotly.io.renderers.default
    plotly.io.renderers.default = "plotly_mimetype"  # what a kernel has, among others
    try:
        assert list(bundle(chair)) == ["application/vnd.plotly.v1+json"]
    finally:
        plotly.io.renderers.default = before
