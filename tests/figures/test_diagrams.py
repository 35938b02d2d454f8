"""Codes and small images are drawn where the data says."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from compress3d.figures import diagrams  # noqa: E402


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_bits_are_laid_out_row_by_row_and_padded():
    _, ax = plt.subplots()
    bits = np.array([1, -1, -1, 1, 1])
    diagrams.draw_bits(ax, bits, columns=3)
    field = ax.images[0].get_array()
    assert field.shape == (2, 3)
    assert field.filled(0).tolist() == [[1, -1, -1], [1, 1, 0]]


def test_strip_keeps_order_and_limits():
    figure = diagrams.strip({"a": np.zeros((2, 2)), "b": np.ones((2, 2))}, limits=(-1, 1))
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert figure.axes[1].images[0].get_clim() == (-1, 1)
