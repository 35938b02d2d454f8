"""The grid of units marks the one that is asked for."""

import matplotlib
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from compress3d.r2n2 import diagrams  # noqa: E402


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.mark.parametrize("unit", [(0, 3, 0), (1, 1, 0), (0, 0, 3), (2, 3, 1)])
def test_marked_unit_is_one_cube_in_its_own_colour(unit):
    _, ax = plt.subplots()
    diagrams.draw_units(ax, unit, colours=("#ff0000", "#0000ff"))
    red = [c for c in ax.collections if len(c.get_facecolor()) and c.get_facecolor()[0, 0] > 0]
    assert len(red) == 1 and len(red[0].get_paths()) == 3  # three of six faces look at the camera
