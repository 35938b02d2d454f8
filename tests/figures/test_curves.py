"""Curves draw the numbers that they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from compress3d.figures import curves, style


def test_training_curves_and_bars_draw_every_line():
    figure = curves.training_curves({"a": [(1, 0.5), (2, 0.4)], "b": [(1, 0.6), (2, 0.3)]})
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.5, 0.4], [0.6, 0.3]]
    plt.close(figure)
    figure = curves.category_bars({"one": {"car": 0.5, "chair": 0.7}, "two": {"car": 0.4}})
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [0.7, 0.5, 0.0, 0.4]  # sorted by the first method: chair, car
    plt.close(figure)


@pytest.mark.parametrize("dark", [False, True])
def test_rate_curve_by_hand(dark):
    look = {"color": "#123456", "linestyle": "--"}
    series = [curves.Series("a", [12, 48], [0.5, 0.4], look, [0.1, 0.2]), curves.Series("b", [96], [0.3], {})]
    figure = curves.rate_curve(series, "quality", ("nothing", 0.05), (0, 1), dark=dark)
    (ax,) = figure.axes
    (whiskers,) = ax.containers[0].lines[2]
    assert [list(segment[:, 1]) for segment in whiskers.get_segments()] == [[0.4, 0.6], pytest.approx([0.2, 0.6])]
    assert to_hex(ax.containers[0].lines[0].get_color()) == "#123456"
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines["b"].get_xdata()) == [96] and list(lines["nothing"].get_ydata()) == [0.05, 0.05]
    assert ax.get_xscale() == "log" and ax.get_ylim() == (0, 1)
    assert ax.get_xlim() == pytest.approx((10, 115.2))
    assert ax.get_xticks().tolist() == [12, 24, 48, 96, 192, 384, 480]  # none below the lowest rate
    inked = [ax.xaxis.label, ax.yaxis.label, *ax.get_legend().get_texts()]
    assert {part.get_color() for part in inked} == {style.ink(dark)}
    plt.close(figure)
