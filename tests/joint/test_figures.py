"""The paper's curves draw what the results say, in the paper's colours."""

from math import sqrt

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from compress3d.errors import DataError
from compress3d.joint import figures, style


def result(model, points, scale="demo", rate=None):
    return {"experiment": {"model": {"name": model, "rate": rate}, "scale": scale}, "points": points}


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
    curves = figures.curve_points(found)
    assert [p["true_rate"] for p in curves["implicit", "bits"]] == [48, 384]
    assert [p["miou"] for p in curves["jpeg2000", "payload"]] == [0.4, 0.1]


def test_scales_never_share_an_axis(found):
    with pytest.raises(DataError, match="one figure a scale"):
        figures.rate_curve([*found, result("implicit", [point(96, 0.6)], scale="paper")])
    with pytest.raises(DataError, match="no evaluated run"):
        figures.rate_curve([])


@pytest.mark.parametrize("dark", [False, True])
def test_curve_shows_the_numbers_in_the_papers_colours(found, dark):
    figure = figures.rate_curve(found, floor=0.2, dark=dark)
    ax = figure.axes[0]
    drawn = {c.get_label(): c.lines[0] for c in ax.containers}
    implicit = drawn["implicit"]
    assert list(implicit.get_xdata()) == [48, 384] and list(implicit.get_ydata()) == [0.5, 0.49]
    assert to_hex(drawn["uncompressed"].get_color()) == style.colour("uncompressed")
    assert drawn["uncompressed"].get_marker() == "s"
    assert drawn["JPEG 2000, whole file"].get_linestyle() == "--"
    assert to_hex(implicit.get_color()) == style.colour("implicit", dark)
    assert ax.get_xscale() == "log"
    plt.close(figure)


def image_point(true_rate, loss, accounting="bits"):
    """A point of a compression RNN alone: images and no voxels."""
    return {"true_rate": true_rate, "accounting": accounting, "compression_loss": loss, "l1": loss / 2, "psnr": 20.0}


def test_points_without_voxels_stay_out_of_fig8(found):
    figure = figures.rate_curve([*found, result("small", [image_point(6, 0.1)])])
    assert "N_small" not in {c.get_label() for c in figure.axes[0].containers}
    assert figure.axes[0].get_xlim()[0] == pytest.approx(12 / 1.2)  # its 6:1 does not widen the axis
    plt.close(figure)
    with pytest.raises(DataError, match="no evaluated run"):
        figures.rate_curve([result("small", [image_point(48, 0.1)])])


def test_points_without_a_rate_stay_out_of_fig8(found):
    assert ("mean", "none") not in figures.curve_points([*found, result("mean", [point(None, 0.3, "none")])])


@pytest.fixture
def losses():
    return {
        "random N": result("small", [image_point(384, 0.3), image_point(48, 0.1)]),
        "constant N": result("small", [image_point(384, 0.4), image_point(48, 0.08)], rate=48),
        "JPEG 2000": result("jpeg2000", [image_point(380, 0.2, "payload"), image_point(60, 0.5, "file")]),
        "implicit": result("implicit", [point(384, 0.5)]),  # no images: left out
    }


@pytest.mark.parametrize("key, values", [("compression_loss", [0.1, 0.3]), ("l1", [0.05, 0.15]), ("psnr", [20, 20])])
def test_loss_curve_draws_the_callers_labels(losses, key, values):
    figure = figures.loss_curve(losses, key)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines) == ["random N", "constant N", "JPEG 2000"]
    assert list(lines["random N"].get_xdata()) == [48, 384]
    assert list(lines["random N"].get_ydata()) == pytest.approx(values)
    assert lines["random N"].get_linestyle() == "-" and lines["constant N"].get_linestyle() == "--"
    assert to_hex(lines["random N"].get_color()) == style.colour("small")
    assert list(lines["JPEG 2000"].get_xdata()) == [380]  # payload alone
    assert figure.axes[0].get_xscale() == "log"
    plt.close(figure)


def test_loss_curve_with_both_ways_of_counting(losses):
    figure = figures.loss_curve(losses, accountings=("bits", "payload", "file"))
    lines = {line.get_label(): line.get_linestyle() for line in figure.axes[0].lines}
    assert lines["JPEG 2000, payload"] == "-" and lines["JPEG 2000, file"] == "--"
    plt.close(figure)


def test_loss_curve_says_what_is_wrong(losses):
    with pytest.raises(DataError, match="choose one of compression_loss, l1, psnr"):
        figures.loss_curve(losses, "miou")
    with pytest.raises(DataError, match="no evaluated run"):
        figures.loss_curve({"implicit": losses["implicit"]})
    with pytest.raises(DataError, match="counted in file"):
        figures.loss_curve({"random N": losses["random N"]}, accountings=("file",))


def test_bin_curve_by_hand():
    """Objects 0 and 2 of three: 0.2 and 0.6, mean 0.4, deviation 0.2, standard error 0.2 / sqrt(2)."""
    at = {**point(384, 0.5), "iou": [0.2, 0.9, 0.6]}
    figure = figures.bin_curve([result("implicit", [at]), result("small", [image_point(48, 0.1)])], [0, 2])
    (container,) = figure.axes[0].containers
    assert list(container.lines[0].get_ydata()) == pytest.approx([0.4])
    (bars,) = container.lines[2]
    low, high = bars.get_segments()[0][:, 1]
    assert (high - low) / 2 == pytest.approx(0.2 / sqrt(2))
    assert figure.axes[0].get_ylabel() == "mIoU of 2 objects"
    plt.close(figure)


def test_bin_curve_needs_objects_and_the_same_ones():
    first = {**result("implicit", [point(384, 0.5)]), "test": {"objects": ["a", "b"]}}
    second = {**result("direct", [point(384, 0.5)]), "test": {"objects": ["a", "c"]}}
    with pytest.raises(DataError, match="name no object"):
        figures.bin_curve([first], [])
    with pytest.raises(DataError, match="different objects"):
        figures.bin_curve([first, second], [0])
