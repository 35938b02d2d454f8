"""Colours and font sizes that every figure shares. A system's own colours and labels stand in its folder."""

from __future__ import annotations

from contextlib import AbstractContextManager

GREY = "#8a8a8a"  # what is no network: a baseline's level, an empty cell
# Solid bodies need a light colour: on a dark one the shading of the sides cannot be seen.
BODY = "#8f99a8"
TRUTH, TRUTH_BODY = "#c98a2b", "#d9a441"  # ground truth, as a line and as a body

DPI = 110  # a 6.4 inch figure is 704 pixels: the width of the text column at 1280 pixels


def ink(dark: bool) -> str:
    """Colour of text and axes on a light or on a dark page."""
    return "#d8d8d8" if dark else "#333333"


def plot_style() -> AbstractContextManager:
    """Context in which figures are made: a transparent background, so that light and dark pages both carry them."""
    from matplotlib import rc_context

    return rc_context(
        {
            **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
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
            "svg.hashsalt": "compress3d",  # the same figure gives the same file
        }
    )
