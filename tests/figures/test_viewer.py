"""Run lengths: by hand, there and back, and broken ones; what the viewer refuses."""

import numpy as np
import pytest

from compress3d.errors import DataError
from compress3d.figures import display
from compress3d.figures.viewer import Shape, from_run_lengths, payload, run_lengths, viewer


@pytest.mark.parametrize(
    "bits, expected",
    [("0111", b"\x01\x03"), ("1100", b"\x00\x02\x02"), ("0000", b"\x04"), ("1111", b"\x00\x04")],
)
def test_run_lengths_by_hand(bits, expected):
    grid = np.array([[[bit == "1" for bit in bits]]])
    assert run_lengths(grid) == expected


def test_long_runs_take_seven_bits_a_byte():
    grid = np.zeros((1, 1, 300), bool)
    grid[0, 0, 299] = True
    assert run_lengths(grid) == bytes([299 & 127 | 128, 299 >> 7, 1])


@pytest.mark.parametrize("side", [1, 5, 16, 32])
@pytest.mark.parametrize("density", [0, 0.01, 0.5, 1])
def test_there_and_back(side, density):
    grid = np.random.default_rng(side).random((side,) * 3) < density
    assert (from_run_lengths(run_lengths(grid), grid.shape) == grid).all()


@pytest.mark.parametrize("broken", [b"", b"\x03", b"\x05", b"\x84"])
def test_broken_run_lengths(broken):
    with pytest.raises(DataError, match="voxels"):
        from_run_lengths(broken, (1, 2, 2))


def test_a_solid_is_small():
    x, y, z = np.ogrid[:32, :32, :32]
    ball = (x - 16) ** 2 + (y - 16) ** 2 + (z - 16) ** 2 < 150
    assert len(run_lengths(ball)) < 1200  # 4096 as bits


def test_viewer_refuses_what_it_cannot_show():
    grid = np.ones((2, 2, 2), bool)
    with pytest.raises(DataError, match="no object"):
        payload([])
    with pytest.raises(DataError, match="other methods"):
        payload([Shape("a", {"m": grid}), Shape("b", {"n": grid})])
    with pytest.raises(DataError, match="another grid"):
        payload([Shape("a", {"m": grid}), Shape("b", {"m": np.ones((3, 2, 2), bool)})])


def test_viewer_output_is_deterministic_and_live_output_is_plotly(monkeypatch):
    grid = np.ones((2, 2, 2), bool)
    shapes = [Shape("a", {"m": grid, "n": ~grid}, [np.zeros((4, 4, 3), np.uint8)], {"m": "IoU 1.00"}, "CC0")]
    monkeypatch.setenv(display.BOOK_VARIABLE, "1")
    one, two = (viewer(shapes, chosen="n")._repr_mimebundle_()["text/html"] for _ in range(2))
    assert one == two and '"chosen":1' in one
    figure = viewer(shapes).figure()
    assert [trace.visible for trace in figure.data] == [True, False, None]
    assert len(figure.layout.updatemenus[0].buttons) == 2
