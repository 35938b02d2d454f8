"""Colours, names and font sizes of every figure, said once."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

# The paper's colours (Fig. 8); those of the compression RNNs alone, the mean-shape floor and the truth are ours.
COLOURS = {
    "uncompressed": "#d100d1",
    "jpeg2000": "#1f5fd0",
    "sequential": "#1a8f3c",
    "direct": "#d62728",
    "implicit": "#111111",
    "small": "#c46a00",
    "original": "#0e8a9c",
    "mean": "#8a8a8a",
    "truth": "#c98a2b",
}

NAMES = {
    "uncompressed": "uncompressed",
    "jpeg2000": "JPEG 2000",
    "sequential": "sequential",
    "direct": "direct",
    "implicit": "implicit",
    "small": "N_small",
    "original": "N_original",
    "mean": "mean shape",
    "truth": "ground truth",
}

# Solid bodies need a light colour, or their shading cannot be seen: black voxels are a blot.
BODY_COLOURS = COLOURS | {"implicit": "#8f99a8", "uncompressed": "#cf7fd6", "jpeg2000": "#6f9be8", "truth": "#d9a441"}

DPI = 110  # a 6.4 inch figure is 704 pixels: the width of the text column at 1280 pixels


def colour(model: str) -> str:
    """Line colour of a model; grey for one that is not known."""
    return COLOURS.get(model, "#8a8a8a")


def body_colour(model: str) -> str:
    """Voxel colour of a model."""
    return BODY_COLOURS.get(model, "#8f99a8")


def body_colours(titles: Iterable[str | tuple[str, str]]) -> dict[str | tuple[str, str], str]:
    """Voxel colours of titles such as "implicit 384:1", ("JPEG 2000", "48:1") or "ground truth"."""
    models = {"jpeg": "jpeg2000", "ground": "truth"}
    first = {title: (title if isinstance(title, str) else title[0]).split()[0].lower() for title in titles}
    return {title: body_colour(models.get(word, word)) for title, word in first.items()}


def name(model: str) -> str:
    """A model's name as readers see it."""
    return NAMES.get(model, model)


def plot_style() -> AbstractContextManager:
    """Context in which figures are made: transparent ground, so that light and dark pages both carry them.

    Example:
        >>> with plot_style():
        ...     fig, ax = plt.subplots()
    """
    from matplotlib import rc_context

    return rc_context(
        {
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "figure.dpi": DPI,
            "font.size": 9.5,
            "axes.titlesize": 10.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#88888840",
            "grid.linewidth": 0.7,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "svg.hashsalt": "compress3d",  # the same picture gives the same file
        }
    )
