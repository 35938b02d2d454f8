"""Block diagrams of the chapters, drawn by matplotlib: what the paper shows in its Fig. 1, 2 and 4 to 7.

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


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Empty axes of the given size in inches, one data unit an inch."""
    import matplotlib.pyplot as plt

    with plot_style():
        figure = plt.figure(figsize=(width, height))
        ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return figure, ax


def _box(
    ax: Axes, x: float, y: float, text: str, colour: str = NETWORK, w: float = 0.9, h: float = 0.5, size: float = 10
):
    """A rounded box centred on (x, y)."""
    from matplotlib.patches import FancyBboxPatch

    ax.add_patch(
        FancyBboxPatch(
            (x - w / 2, y - h / 2),
            w,
            h,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=colour,
            edgecolor=EDGE.get(colour, INK),
            linewidth=1.2,
            zorder=2,
        )  # fmt: skip
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=size, color="#1d1d1d", zorder=3)


def _circle(ax: Axes, x: float, y: float, text: str, radius: float = 0.15):
    """An operation on elements, such as a product."""
    from matplotlib.patches import Circle

    ax.add_patch(Circle((x, y), radius, facecolor="#ffffff", edgecolor=INK, linewidth=1.1, zorder=2))
    ax.text(x, y, text, ha="center", va="center", fontsize=11, color="#1d1d1d", zorder=3)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]):
    """An arrow between two points."""
    ax.annotate(
        "",
        end,
        start,
        zorder=1,
        arrowprops=dict(arrowstyle="-|>", color=INK, linewidth=1.2, shrinkA=0, shrinkB=0, mutation_scale=10),
    )


def _line(ax: Axes, *points: tuple[float, float]):
    ax.plot(*zip(*points, strict=True), color=INK, linewidth=1.2, zorder=1, solid_capstyle="round")


def _word(ax: Axes, x: float, y: float, text: str, ha: str = "center", size: float = 10, colour: str = INK):
    ax.text(x, y, text, ha=ha, va="center", fontsize=size, color=colour, zorder=4)


def unrolled(steps: int = 4) -> Figure:
    """A recurrent network as a loop, and the same network unrolled over `steps` time steps (Fig. 1).

    Example:
        >>> unrolled(steps=4)
        >>> plt.show()
    """
    figure, ax = _canvas(6.6, 2.5)
    left = 0.85
    _box(ax, left, 1.25, "$f_w$")
    _arrow(ax, (left, 0.45), (left, 1.0))
    _arrow(ax, (left, 1.5), (left, 2.05))
    _word(ax, left, 0.3, r"$\mathbf{x}_t$")
    _word(ax, left, 2.2, r"$\mathbf{y}_t$")
    _line(ax, (left + 0.45, 1.35), (left + 0.7, 1.35), (left + 0.7, 0.8), (left - 0.7, 0.8), (left - 0.7, 1.25))
    _arrow(ax, (left - 0.7, 1.25), (left - 0.45, 1.25))
    _word(ax, left + 0.52, 0.63, r"$\mathbf{h}_{t-1}$")
    _word(ax, 2.0, 1.25, "=", size=16)
    first, gap = 3.0, (6.1 - 3.0) / max(1, steps - 1)
    _arrow(ax, (first - 0.75, 1.25), (first - 0.34, 1.25))
    _word(ax, first - 0.6, 1.45, r"$\mathbf{h}_0$")
    for n in range(steps):
        x = first + n * gap
        _box(ax, x, 1.25, "$f_w$", w=0.68)
        _arrow(ax, (x, 0.45), (x, 1.0))
        _arrow(ax, (x, 1.5), (x, 2.05))
        _word(ax, x, 0.3, rf"$\mathbf{{x}}_{n + 1}$")
        _word(ax, x, 2.2, rf"$\mathbf{{y}}_{n + 1}$")
        if n + 1 < steps:
            _arrow(ax, (x + 0.34, 1.25), (x + gap - 0.34, 1.25))
            _word(ax, x + gap / 2, 1.45, rf"$\mathbf{{h}}_{n + 1}$")
    return figure


def lstm_cell(output_gate: bool = True) -> Figure:
    """One step of an LSTM (Fig. 2): the cell state runs along the top, the four gates hang below it.

    Args:
        output_gate: False leaves it out, as 3D-R2N2 does: h_t = tanh(c_t).
    """
    figure, ax = _canvas(6.6, 3.1)
    top, gate, bottom = 2.5, 1.25, 0.45
    _arrow(ax, (0.55, top), (1.35, top))
    _word(ax, 0.3, top, r"$\mathbf{c}_{t-1}$")
    _circle(ax, 1.5, top, r"$\odot$")
    _arrow(ax, (1.65, top), (3.15, top))
    _circle(ax, 3.3, top, "+")
    _arrow(ax, (3.45, top), (6.0, top))
    _word(ax, 6.25, top, r"$\mathbf{c}_t$")
    _line(ax, (0.6, bottom), (4.4 if output_gate else 3.6, bottom))
    _word(ax, 0.3, bottom + 0.13, r"$\mathbf{h}_{t-1}$")
    _word(ax, 0.3, bottom - 0.17, r"$\mathbf{x}_t$")
    names = [(1.5, r"$\sigma$", r"$\mathbf{f}_t$", "forget"), (2.75, r"$\sigma$", r"$\mathbf{i}_t$", "input"),
             (3.6, "tanh", r"$\mathbf{g}_t$", "candidate")]  # fmt: skip
    if output_gate:
        names.append((4.4, r"$\sigma$", r"$\mathbf{o}_t$", "output"))
    for x, function, symbol, word in names:
        _arrow(ax, (x, bottom), (x, gate - 0.2))
        _box(ax, x, gate, function, w=0.6, h=0.4)
        _word(ax, x - 0.2, gate + 0.36, symbol)
        _word(ax, x, bottom - 0.2, word, size=8.5)
    _arrow(ax, (1.5, gate + 0.2), (1.5, top - 0.15))
    _circle(ax, 3.3, 1.95, r"$\odot$")
    _line(ax, (2.75, gate + 0.2), (2.75, 1.95))
    _arrow(ax, (2.75, 1.95), (3.15, 1.95))
    _line(ax, (3.6, gate + 0.2), (3.6, 1.95))
    _arrow(ax, (3.6, 1.95), (3.45, 1.95))
    _arrow(ax, (3.3, 2.1), (3.3, top - 0.15))
    _arrow(ax, (5.2, top), (5.2, gate + 0.65))
    _box(ax, 5.2, gate + 0.45, "tanh", colour="#ffffff", w=0.6, h=0.36)
    if output_gate:
        _circle(ax, 5.2, gate - 0.1, r"$\odot$")
        _arrow(ax, (5.2, gate + 0.27), (5.2, gate + 0.05))
        _arrow(ax, (4.7, gate - 0.1), (5.05, gate - 0.1))
        _arrow(ax, (5.35, gate - 0.1), (6.0, gate - 0.1))
        _word(ax, 6.25, gate - 0.1, r"$\mathbf{h}_t$")
    else:
        _line(ax, (5.2, gate + 0.27), (5.2, gate - 0.1))
        _arrow(ax, (5.2, gate - 0.1), (6.0, gate - 0.1))
        _word(ax, 6.25, gate - 0.1, r"$\mathbf{h}_t$")
    return figure


def pipeline(
    views: Sequence[np.ndarray], occupancy: np.ndarray, code: str = "K floats", binarizer: bool = False
) -> Figure:
    """From views to voxels: 3D-LSTM-3 (Fig. 4), or the implicit model with its binarizer (Fig. 7).

    Args:
        views: two or three photographs, uint8 (H, W, 3).
        occupancy: the grid shown at the end, bool (G, G, G).
        code: what is written over the arrow into the LSTM.
        binarizer: put B behind each encoder, and mark what is sent.
    """
    from compress3d.figures.voxels import draw_voxels

    count = len(views)
    row = 0.85
    figure, ax = _canvas(7.0, row * count + 0.75)
    width, height = figure.get_size_inches()
    middle = 0.2 + row * count / 2
    ys = [middle + row * ((count - 1) / 2 - n) for n in range(count)]
    lstm = 4.0 if binarizer else 3.55
    for n, (view, y) in enumerate(zip(views, ys, strict=True)):
        photo = figure.add_axes((0.15 / width, (y - 0.36) / height, 0.72 / width, 0.72 / height))
        photo.imshow(view, interpolation="nearest")
        photo.axis("off")
        _arrow(ax, (0.9, y), (1.15, y))
        _box(ax, 1.6, y, r"$\mathcal{E}^{3D}_K$" if binarizer else r"$\mathcal{E}^{3D}$", w=0.86)
        if binarizer:
            _arrow(ax, (2.03, y), (2.22, y))
            _box(ax, 2.45, y, r"$\mathcal{B}$", SENT, w=0.42)
        _arrow(ax, (2.67 if binarizer else 2.05, y), (lstm - 0.53, y))
        _word(ax, (3.08 if binarizer else 2.52), y + 0.13, code, size=8.5, colour=EDGE[SENT] if binarizer else INK)
        _box(ax, lstm, y, f"3D LSTM\nview {n + 1}", STATE, w=1.05, h=0.55, size=9)
        if n:
            _arrow(ax, (lstm, ys[n - 1] - 0.28), (lstm, y + 0.28))
            _word(ax, lstm + 0.12, (y + ys[n - 1]) / 2, r"$\mathbf{h},\mathbf{c}$", ha="left", size=8.5)
    last = ys[-1]
    _arrow(ax, (lstm + 0.53, last), (lstm + 0.75, last))
    _box(ax, lstm + 1.17, last, r"$\mathcal{D}^{3D}$", w=0.8)
    _arrow(ax, (lstm + 1.58, last), (lstm + 1.8, last))
    solid = figure.add_axes(((lstm + 1.75) / width, (last - 0.27) / height, 1.2 / width, 1.2 / height))
    draw_voxels(solid, occupancy)
    _word(ax, lstm + 2.35, last - 0.4, r"$\mathbf{p}_V > \tau$", size=9)
    if binarizer:
        ends = [height - 0.42, *(end for y in ys for end in (y + 0.26, y - 0.1)), 0.1]
        for upper, lower in zip(ends[::2], ends[1::2], strict=True):  # the channel, with gaps for the words
            ax.plot((3.08, 3.08), (upper, lower), color=EDGE[SENT], linewidth=1.2, linestyle=(0, (3, 2)), zorder=0)
        _word(ax, 3.08, height - 0.27, "channel", size=9, colour=EDGE[SENT])
        _word(ax, 1.35, height - 0.27, "camera", size=9)
        _word(ax, 5.0, height - 0.27, "receiver", size=9)
    else:
        _word(ax, 1.6, height - 0.27, "the same weights for every view", size=9)
    return figure


def joint(
    views: Sequence[np.ndarray], decoded: Sequence[np.ndarray], occupancy: np.ndarray, direct: bool = False
) -> Figure:
    """From views over a channel to decoded views and voxels: the sequential model (Fig. 5) or the direct one (Fig. 6).

    Args:
        views: two or three photographs, uint8 (H, W, 3).
        decoded: what the receiver makes of each, uint8 (H, W, 3).
        occupancy: the grid shown at the end, bool (G, G, G).
        direct: feed the codes to the 3D LSTM, where the sequential model feeds decoded views through an encoder.
    """
    from compress3d.figures.voxels import draw_voxels

    count, row = len(views), 1.05 if direct else 0.9
    figure, ax = _canvas(7.4, row * count + 0.6)
    width, height = figure.get_size_inches()
    ys = [height - 0.85 - row * n for n in range(count)]
    channel, lstm, end = 2.58, 5.45, 6.72

    def photo(x: float, y: float, side: float, picture: np.ndarray) -> None:
        inner = figure.add_axes(((x - side / 2) / width, (y - side / 2) / height, side / width, side / height))
        inner.imshow(picture, interpolation="nearest")
        inner.axis("off")

    for n, (view, picture, y) in enumerate(zip(views, decoded, ys, strict=True)):
        photo(0.48, y, 0.72, view)
        _arrow(ax, (0.86, y), (1.02, y))
        _box(ax, 1.35, y, r"$\mathcal{E}^\mathrm{comp}$", w=0.64)
        _arrow(ax, (1.67, y), (1.83, y))
        _box(ax, 2.02, y, r"$\mathcal{B}$", SENT, w=0.38)
        _word(ax, channel, y + 0.13, "$N m$ bits", size=8.5, colour=EDGE[SENT])
        if direct:
            below, turn = y - 0.43, 2.98
            _arrow(ax, (2.21, y), (lstm - 0.44, y))
            _line(ax, (turn, y), (turn, below))
            _arrow(ax, (turn, below), (turn + 0.2, below))
            _box(ax, turn + 0.52, below, r"$\mathcal{D}^\mathrm{comp}$", w=0.64, h=0.4)
            _arrow(ax, (turn + 0.84, below), (turn + 1.0, below))
            photo(turn + 1.28, below, 0.52, picture)
            _word(ax, turn + 1.62, below, r"$L_\mathrm{comp}$", ha="left", size=8.5)
        else:
            _arrow(ax, (2.21, y), (2.96, y))
            _box(ax, 3.28, y, r"$\mathcal{D}^\mathrm{comp}$", w=0.64)
            _arrow(ax, (3.6, y), (3.74, y))
            photo(4.02, y + 0.04, 0.52, picture)
            _word(ax, 4.02, y - 0.32, r"$L_\mathrm{comp}$", size=8.5)
            _arrow(ax, (4.3, y), (4.42, y))
            _box(ax, 4.66, y, r"$\mathcal{E}^{3D}$", w=0.48)
            _arrow(ax, (4.9, y), (lstm - 0.44, y))
        _box(ax, lstm, y, f"3D LSTM\nview {n + 1}", STATE, w=0.88, h=0.5, size=8.5)
        if n:
            _arrow(ax, (lstm, ys[n - 1] - 0.25), (lstm, y + 0.25))
            _word(ax, lstm + 0.1, (y + ys[n - 1]) / 2, r"$\mathbf{h},\mathbf{c}$", ha="left", size=8.5)
    last = ys[-1]
    _arrow(ax, (lstm + 0.44, last), (end - 0.34, last))
    _box(ax, end, last, r"$\mathcal{D}^{3D}$", w=0.68)
    _arrow(ax, (end, last + 0.25), (end, last + 0.5))
    solid = figure.add_axes(((end - 0.6) / width, (last + 0.4) / height, 1.2 / width, 1.2 / height))
    draw_voxels(solid, occupancy)
    _word(ax, end, last + 1.6, r"$\mathbf{p}_V > \tau$", size=9)
    _word(ax, end + 0.16, last + 0.36, "$L_{3D}$", ha="left", size=8.5)
    ends = [height - 0.42, *(edge for y in ys for edge in (y + 0.26, y - 0.08)), 0.1]
    for upper, lower in zip(ends[::2], ends[1::2], strict=True):  # the channel, with gaps for the words
        ax.plot((channel, channel), (upper, lower), color=EDGE[SENT], linewidth=1.2, linestyle=(0, (3, 2)), zorder=0)
    _word(ax, channel, height - 0.27, "channel", size=9, colour=EDGE[SENT])
    _word(ax, 1.35, height - 0.27, "camera", size=9)
    _word(ax, 4.66, height - 0.27, "receiver", size=9)
    return figure


def draw_units(
    ax: Axes, unit: tuple[int, int, int] = (1, 1, 0), side: int = 4, colours: tuple[str, str] = ("#e0731d", "#b9c2cf")
) -> None:
    """The grid of LSTM units as cubes, one of them marked.

    Args:
        ax: ordinary axes; its frame is switched off.
        unit: index (x, y, z) of the marked unit; one with x = 0, y = side - 1 or z = 0 can be seen from the default
            camera.
        side: units a side.
        colours: of the marked unit and of the others.
    """
    from compress3d.figures.voxels import draw_voxels

    # The default camera looks from -x, +y, -z: sorted by these, later units cover earlier ones and never the reverse.
    x, y, z = np.indices((side, side, side))
    order = (y * side + (side - 1 - x)) * side + (side - 1 - z)
    marked = order[unit]
    for group, colour in ((order < marked, colours[1]), (order == marked, colours[0]), (order > marked, colours[1])):
        if group.any():
            draw_voxels(ax, group, colour)
    ax.set(xlim=(-0.95, 0.95), ylim=(-0.95, 0.95))  # a full cube is wider than the objects that `draw_voxels` expects


def draw_bits(ax: Axes, bits: np.ndarray, columns: int) -> None:
    """A code as a field of squares, row by row: dark where the bit is +1, light where it is -1.

    Args:
        ax: ordinary axes.
        bits: (K,) of -1 and +1; the last row is filled up with nothing where K is no multiple of `columns`.
        columns: squares a row.
    """
    rows = -(-len(bits) // columns)
    field = np.full(rows * columns, np.nan)
    field[: len(bits)] = bits
    ax.imshow(field.reshape(rows, columns), cmap="cividis_r", vmin=-1.35, vmax=1.35, interpolation="nearest")
    ax.set(xticks=np.arange(columns + 1) - 0.5, yticks=np.arange(rows + 1) - 0.5, xticklabels=[], yticklabels=[])
    ax.grid(color="#ffffff", linewidth=0.6)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def strip(
    pictures: Mapping[str, np.ndarray],
    cmap: str = "gray",
    limits: tuple[float, float] | None = None,
    cell: float = 1.15,
) -> Figure:
    """Small pictures side by side, each under its title.

    Args:
        pictures: title -> (H, W) numbers, or an image (H, W, 3) uint8.
        cmap: colours of pictures that are numbers.
        limits: values of the colour map's two ends; each picture's own extremes where None.
        cell: inches a picture.
    """
    import matplotlib.pyplot as plt

    low, high = limits or (None, None)
    with plot_style():
        figure, axes = plt.subplots(1, len(pictures), figsize=(cell * len(pictures), cell + 0.3), squeeze=False)
    for ax, (title, picture) in zip(axes[0], pictures.items(), strict=True):
        ax.imshow(picture, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        ax.set_title(title, fontsize=8.5, pad=4, color=INK)
        ax.axis("off")
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.3 / (cell + 0.3), bottom=0.01, wspace=0.06)
    return figure
