"""Curves draw what the results say, in the paper's colours."""

from math import sqrt

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from compress3d.errors import DataError
from compress3d.figures import plots, style


def result(model, points, scale="demo", rate=None):
    return {"run": {"model": model, "scale": scale, "rate": rate}, "points": points}


def point(true_rate, miou, accounting="bits", n=4):
    return {"true_rate": true_rate, "miou": miou, "miou_std": 0.2, "accounting": accounting, "iou": [miou] * n}


@pytest.fixture
def found():
    return [
        result("uncompressed", [point(12, 0.5, "floats")]),
        result("jpeg2000", [point(380, 0.1, "payload"), point(48, 0.4, "payload"), point(60, 0.1, "file")]),
        result("implicit", [point(384, 0.49)]),
        result("implicit", [point(48, 0.5)]),
    ]


def test_series_are_joined_over_runs_and_sorted(found):
    curves = plots.series(found)
    assert [p["true_rate"] for p in curves["implicit", "bits"]] == [48, 384]
    assert [p["miou"] for p in curves["jpeg2000", "payload"]] == [0.4, 0.1]


def test_standard_error_by_hand():
    assert plots.standard_error(point(1, 0.5, n=16)) == pytest.approx(0.2 / sqrt(16))


def test_scales_never_share_an_axis(found):
    with pytest.raises(DataError, match="one figure a scale"):
        plots.rate_curve([*found, result("implicit", [point(96, 0.6)], scale="paper")])
    with pytest.raises(DataError, match="no evaluated run"):
        plots.rate_curve([])


@pytest.mark.parametrize("dark", [False, True])
def test_curve_shows_the_numbers_in_the_papers_colours(found, dark):
    figure = plots.rate_curve(found, floor=0.2, dark=dark)
    ax = figure.axes[0]
    drawn = {c.get_label(): c.lines[0] for c in ax.containers}
    implicit = drawn["implicit"]
    assert list(implicit.get_xdata()) == [48, 384] and list(implicit.get_ydata()) == [0.5, 0.49]
    assert to_hex(drawn["uncompressed"].get_color()) == style.COLOURS["uncompressed"]
    assert drawn["uncompressed"].get_marker() == "s"
    assert drawn["JPEG 2000, whole file"].get_linestyle() == "--"
    if not dark:
        assert to_hex(implicit.get_color()) == style.COLOURS["implicit"]
    assert ax.get_xscale() == "log"
    plt.close(figure)


def test_training_curves_and_bars_draw_every_line():
    figure = plots.training_curves({"a": [(1, 0.5), (2, 0.4)], "b": [(1, 0.6), (2, 0.3)]})
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.5, 0.4], [0.6, 0.3]]
    plt.close(figure)
    figure = plots.category_bars({"one": {"car": 0.5, "chair": 0.7}, "two": {"car": 0.4}})
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [0.7, 0.5, 0.0, 0.4]  # sorted by the first method: chair, car
    plt.close(figure)
