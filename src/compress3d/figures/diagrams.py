"""What block diagrams are drawn from: boxes, arrows, words and small images; and codes as fields of bits.

A diagram's coordinates are inches from the lower left corner, so that every text has the same size in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from compress3d.figures.style import plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#333333"
NETWORK, STATE, SENT = "#dbe6f6", "#fbe8c8", "#d9f0df"  # a learned block; a memory; what crosses the channel
EDGE = {NETWORK: "#4a74b5", STATE: "#b98a2f", SENT: "#3b8a55"}


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Empty axes of the given size in inches, one data unit an inch."""
    import matplotlib.pyplot as plt

    with plot_style():
        figure = plt.figure(figsize=(width, height))
        ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return figure, ax


def box(
    ax: Axes, x: float, y: float, text: str, colour: str = NETWORK, w: float = 0.9, h: float = 0.5, size: float = 10
):
    """A rounded box centred on (x, y)."""
    from matplotlib.patches import FancyBboxPatch

    shape = FancyBboxPatch(
        (x - w / 2, y - h / 2), w, h, boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=colour, edgecolor=EDGE.get(colour, INK), linewidth=1.2, zorder=2,
    )  # fmt: skip
    ax.add_patch(shape)
    ax.text(x, y, text, ha="center", va="center", fontsize=size, color="#1d1d1d", zorder=3)


def circle(ax: Axes, x: float, y: float, text: str, radius: float = 0.15):
    """An operation on elements, such as a product."""
    from matplotlib.patches import Circle

    ax.add_patch(Circle((x, y), radius, facecolor="#ffffff", edgecolor=INK, linewidth=1.1, zorder=2))
    ax.text(x, y, text, ha="center", va="center", fontsize=11, color="#1d1d1d", zorder=3)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]):
    """An arrow between two points."""
    look = dict(arrowstyle="-|>", color=INK, linewidth=1.2, shrinkA=0, shrinkB=0, mutation_scale=10)
    ax.annotate("", end, start, zorder=1, arrowprops=look)


def line(ax: Axes, *points: tuple[float, float]):
    """A line through points."""
    ax.plot(*zip(*points, strict=True), color=INK, linewidth=1.2, zorder=1, solid_capstyle="round")


def word(ax: Axes, x: float, y: float, text: str, ha: str = "center", size: float = 10, colour: str = INK):
    """Text at a point, above everything else."""
    ax.text(x, y, text, ha=ha, va="center", fontsize=size, color=colour, zorder=4)


def inset(figure: Figure, x: float, y: float, side: float) -> Axes:
    """Empty square axes centred on (x, y), for an image or a grid of voxels."""
    width, height = figure.get_size_inches()
    ax = figure.add_axes(((x - side / 2) / width, (y - side / 2) / height, side / width, side / height))
    ax.axis("off")
    return ax


def image(figure: Figure, x: float, y: float, side: float, pixels: np.ndarray):
    """An image (H, W, 3) uint8 centred on (x, y)."""
    inset(figure, x, y, side).imshow(pixels, interpolation="nearest")


def broken_line(ax: Axes, x: float, top: float, gaps: Sequence[tuple[float, float]], colour: str = EDGE[SENT]):
    """A dashed line down from `top` to the bottom edge, open at `gaps` (upper, lower), where words stand."""
    ends = [top, *(end for gap in gaps for end in gap), 0.1]
    for upper, lower in zip(ends[::2], ends[1::2], strict=True):
        ax.plot((x, x), (upper, lower), color=colour, linewidth=1.2, linestyle=(0, (3, 2)), zorder=0)


def draw_bits(ax: Axes, bits: np.ndarray, columns: int) -> None:
    """A code, (K,) of -1 and +1, as a field of squares: dark where the bit is +1, light where it is -1.

    There are `columns` a row; the last row is filled up with nothing.
    """
    rows = -(-len(bits) // columns)
    field = np.pad(np.asarray(bits, float), (0, rows * columns - len(bits)), constant_values=np.nan)
    ax.imshow(field.reshape(rows, columns), cmap="cividis_r", vmin=-1.35, vmax=1.35, interpolation="nearest")
    ax.set(xticks=np.arange(columns + 1) - 0.5, yticks=np.arange(rows + 1) - 0.5, xticklabels=[], yticklabels=[])
    ax.grid(color="#ffffff", linewidth=0.6)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def strip(
    images: Mapping[str, np.ndarray],
    cmap: str = "gray",
    limits: tuple[float, float] | None = None,
    cell: float = 1.15,
) -> Figure:
    """Small images side by side, each under its title.

    Args:
        images: title -> (H, W) numbers, or pixels (H, W, 3) uint8.
        cmap: colours of numbers.
        limits: values of the colour map's two ends; each image's own extremes where None.
        cell: inches an image.
    """
    import matplotlib.pyplot as plt

    low, high = limits or (None, None)
    with plot_style():
        figure, axes = plt.subplots(1, len(images), figsize=(cell * len(images), cell + 0.3), squeeze=False)
    for ax, (title, pixels) in zip(axes[0], images.items(), strict=True):
        ax.imshow(pixels, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        ax.set_title(title, fontsize=8.5, pad=4, color=INK)
        ax.axis("off")
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.3 / (cell + 0.3), bottom=0.01, wspace=0.06)
    return figure
