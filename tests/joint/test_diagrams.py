"""Diagrams: they draw for every argument, and what they draw from data is where the data says."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from compress3d.figures import style  # noqa: E402
from compress3d.joint import diagrams  # noqa: E402


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_unrolled_has_one_block_a_step(steps):
    assert texts(diagrams.unrolled(steps)).count("$f_w$") == steps + 1  # and the one with the loop


def test_lstm_without_output_gate_has_one_gate_less():
    whole, less = texts(diagrams.lstm_cell()), texts(diagrams.lstm_cell(output_gate=False))
    assert "output" in whole and "output" not in less
    assert whole.count(r"$\sigma$") == 3 and less.count(r"$\sigma$") == 2


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("binarizer", [False, True])
def test_pipeline_shows_every_view(views, binarizer):
    photos = [np.zeros((16, 16, 3), np.uint8)] * views
    figure = diagrams.pipeline(photos, np.ones((4, 4, 4), bool), binarizer=binarizer)
    assert sum(len(ax.images) for ax in figure.axes) == views
    assert texts(figure).count(r"$\mathcal{B}$") == (views if binarizer else 0)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("direct", [False, True])
def test_joint_shows_views_and_decoded_views_and_encodes_again_only_in_sequence(views, direct):
    photos = [np.zeros((16, 16, 3), np.uint8)] * views
    figure = diagrams.joint(photos, photos, np.ones((4, 4, 4), bool), direct=direct)
    assert sum(len(ax.images) for ax in figure.axes) == 2 * views
    words = texts(figure)
    assert words.count(r"$\mathcal{E}^\mathrm{comp}$") == words.count(r"$\mathcal{D}^\mathrm{comp}$") == views
    assert words.count(r"$\mathcal{E}^{3D}$") == (0 if direct else views)


def test_joint_needs_one_decoded_image_a_view():
    photos = [np.zeros((16, 16, 3), np.uint8)] * 3
    with pytest.raises(ValueError):
        diagrams.joint(photos, photos[:2], np.ones((4, 4, 4), bool))


def test_diagrams_have_no_background_of_their_own():
    with style.plot_style():
        assert diagrams.unrolled().get_facecolor() == (0, 0, 0, 0)
