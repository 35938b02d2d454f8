"""The main paper's block diagrams: its Fig. 1, 2 and 4 to 7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from compress3d.figures import diagrams as draw
from compress3d.figures.voxels import draw_voxels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def unrolled(steps: int = 4) -> Figure:
    """A recurrent network as a loop, and the same network unrolled over `steps` time steps (Fig. 1)."""
    figure, ax = draw.canvas(6.6, 2.5)
    left = 0.85
    draw.box(ax, left, 1.25, "$f_w$")
    draw.arrow(ax, (left, 0.45), (left, 1.0))
    draw.arrow(ax, (left, 1.5), (left, 2.05))
    draw.word(ax, left, 0.3, r"$\mathbf{x}_t$")
    draw.word(ax, left, 2.2, r"$\mathbf{y}_t$")
    draw.line(ax, (left + 0.45, 1.35), (left + 0.7, 1.35), (left + 0.7, 0.8), (left - 0.7, 0.8), (left - 0.7, 1.25))
    draw.arrow(ax, (left - 0.7, 1.25), (left - 0.45, 1.25))
    draw.word(ax, left + 0.52, 0.63, r"$\mathbf{h}_{t-1}$")
    draw.word(ax, 2.0, 1.25, "=", size=16)
    first, gap = 3.0, (6.1 - 3.0) / max(1, steps - 1)
    draw.arrow(ax, (first - 0.75, 1.25), (first - 0.34, 1.25))
    draw.word(ax, first - 0.6, 1.45, r"$\mathbf{h}_0$")
    for n in range(steps):
        x = first + n * gap
        draw.box(ax, x, 1.25, "$f_w$", w=0.68)
        draw.arrow(ax, (x, 0.45), (x, 1.0))
        draw.arrow(ax, (x, 1.5), (x, 2.05))
        draw.word(ax, x, 0.3, rf"$\mathbf{{x}}_{n + 1}$")
        draw.word(ax, x, 2.2, rf"$\mathbf{{y}}_{n + 1}$")
        if n + 1 < steps:
            draw.arrow(ax, (x + 0.34, 1.25), (x + gap - 0.34, 1.25))
            draw.word(ax, x + gap / 2, 1.45, rf"$\mathbf{{h}}_{n + 1}$")
    return figure


def lstm_cell(output_gate: bool = True) -> Figure:
    """One step of an LSTM (Fig. 2), with or without `output_gate`, as 3D-R2N2: h_t = tanh(c_t)."""
    figure, ax = draw.canvas(6.6, 3.1)
    top, gate, bottom = 2.5, 1.25, 0.45
    draw.arrow(ax, (0.55, top), (1.35, top))
    draw.word(ax, 0.3, top, r"$\mathbf{c}_{t-1}$")
    draw.circle(ax, 1.5, top, r"$\odot$")
    draw.arrow(ax, (1.65, top), (3.15, top))
    draw.circle(ax, 3.3, top, "+")
    draw.arrow(ax, (3.45, top), (6.0, top))
    draw.word(ax, 6.25, top, r"$\mathbf{c}_t$")
    draw.line(ax, (0.6, bottom), (4.4 if output_gate else 3.6, bottom))
    draw.word(ax, 0.3, bottom + 0.13, r"$\mathbf{h}_{t-1}$")
    draw.word(ax, 0.3, bottom - 0.17, r"$\mathbf{x}_t$")
    names = [(1.5, r"$\sigma$", r"$\mathbf{f}_t$", "forget"), (2.75, r"$\sigma$", r"$\mathbf{i}_t$", "input"),
             (3.6, "tanh", r"$\mathbf{g}_t$", "candidate")]  # fmt: skip
    if output_gate:
        names.append((4.4, r"$\sigma$", r"$\mathbf{o}_t$", "output"))
    for x, function, symbol, word in names:
        draw.arrow(ax, (x, bottom), (x, gate - 0.2))
        draw.box(ax, x, gate, function, w=0.6, h=0.4)
        draw.word(ax, x - 0.2, gate + 0.36, symbol)
        draw.word(ax, x, bottom - 0.2, word, size=8.5)
    draw.arrow(ax, (1.5, gate + 0.2), (1.5, top - 0.15))
    draw.circle(ax, 3.3, 1.95, r"$\odot$")
    draw.line(ax, (2.75, gate + 0.2), (2.75, 1.95))
    draw.arrow(ax, (2.75, 1.95), (3.15, 1.95))
    draw.line(ax, (3.6, gate + 0.2), (3.6, 1.95))
    draw.arrow(ax, (3.6, 1.95), (3.45, 1.95))
    draw.arrow(ax, (3.3, 2.1), (3.3, top - 0.15))
    draw.arrow(ax, (5.2, top), (5.2, gate + 0.65))
    draw.box(ax, 5.2, gate + 0.45, "tanh", colour="#ffffff", w=0.6, h=0.36)
    if output_gate:
        draw.circle(ax, 5.2, gate - 0.1, r"$\odot$")
        draw.arrow(ax, (5.2, gate + 0.27), (5.2, gate + 0.05))
        draw.arrow(ax, (4.7, gate - 0.1), (5.05, gate - 0.1))
        draw.arrow(ax, (5.35, gate - 0.1), (6.0, gate - 0.1))
    else:
        draw.line(ax, (5.2, gate + 0.27), (5.2, gate - 0.1))
        draw.arrow(ax, (5.2, gate - 0.1), (6.0, gate - 0.1))
    draw.word(ax, 6.25, gate - 0.1, r"$\mathbf{h}_t$")
    return figure


def pipeline(
    views: Sequence[np.ndarray], occupancy: np.ndarray, code: str = "K floats", binarizer: bool = False
) -> Figure:
    """From views, uint8 (H, W, 3), to voxels: 3D-LSTM-3 (Fig. 4), or implicit with its binarizer (Fig. 7).

    `code` is written over the arrow into the LSTM.
    """
    count = len(views)
    row = 0.85
    figure, ax = draw.canvas(7.0, row * count + 0.75)
    height = figure.get_figheight()
    middle = 0.2 + row * count / 2
    ys = [middle + row * ((count - 1) / 2 - n) for n in range(count)]
    lstm = 4.0 if binarizer else 3.55
    for n, (view, y) in enumerate(zip(views, ys, strict=True)):
        draw.image(figure, 0.51, y, 0.72, view)
        draw.arrow(ax, (0.9, y), (1.15, y))
        draw.box(ax, 1.6, y, r"$\mathcal{E}^{3D}_K$" if binarizer else r"$\mathcal{E}^{3D}$", w=0.86)
        if binarizer:
            draw.arrow(ax, (2.03, y), (2.22, y))
            draw.box(ax, 2.45, y, r"$\mathcal{B}$", draw.SENT, w=0.42)
        draw.arrow(ax, (2.67 if binarizer else 2.05, y), (lstm - 0.53, y))
        at, colour = (3.08, draw.EDGE[draw.SENT]) if binarizer else (2.52, draw.INK)
        draw.word(ax, at, y + 0.13, code, size=8.5, colour=colour)
        draw.box(ax, lstm, y, f"3D LSTM\nview {n + 1}", draw.STATE, w=1.05, h=0.55, size=9)
        if n:
            draw.arrow(ax, (lstm, ys[n - 1] - 0.28), (lstm, y + 0.28))
            draw.word(ax, lstm + 0.12, (y + ys[n - 1]) / 2, r"$\mathbf{h},\mathbf{c}$", ha="left", size=8.5)
    last = ys[-1]
    draw.arrow(ax, (lstm + 0.53, last), (lstm + 0.75, last))
    draw.box(ax, lstm + 1.17, last, r"$\mathcal{D}^{3D}$", w=0.8)
    draw.arrow(ax, (lstm + 1.58, last), (lstm + 1.8, last))
    draw_voxels(draw.inset(figure, lstm + 2.35, last + 0.33, 1.2), occupancy)
    draw.word(ax, lstm + 2.35, last - 0.4, r"$\mathbf{p}_V > \tau$", size=9)
    if binarizer:
        draw.broken_line(ax, 3.08, height - 0.42, [(y + 0.26, y - 0.1) for y in ys])  # the channel
        draw.word(ax, 3.08, height - 0.27, "channel", size=9, colour=draw.EDGE[draw.SENT])
        draw.word(ax, 1.35, height - 0.27, "camera", size=9)
        draw.word(ax, 5.0, height - 0.27, "receiver", size=9)
    else:
        draw.word(ax, 1.6, height - 0.27, "the same weights for every view", size=9)
    return figure


def joint(
    views: Sequence[np.ndarray], decoded: Sequence[np.ndarray], occupancy: np.ndarray, direct: bool = False
) -> Figure:
    """From views over a channel to decoded views (H, W, 3) and voxels: sequential (Fig. 5) or direct (Fig. 6)."""
    count, row = len(views), 1.05 if direct else 0.9
    figure, ax = draw.canvas(7.4, row * count + 0.6)
    height = figure.get_figheight()
    ys = [height - 0.85 - row * n for n in range(count)]
    channel, lstm, end = 2.58, 5.45, 6.72
    for n, (view, received, y) in enumerate(zip(views, decoded, ys, strict=True)):
        draw.image(figure, 0.48, y, 0.72, view)
        draw.arrow(ax, (0.86, y), (1.02, y))
        draw.box(ax, 1.35, y, r"$\mathcal{E}^\mathrm{comp}$", w=0.64)
        draw.arrow(ax, (1.67, y), (1.83, y))
        draw.box(ax, 2.02, y, r"$\mathcal{B}$", draw.SENT, w=0.38)
        draw.word(ax, channel, y + 0.13, "$N m$ bits", size=8.5, colour=draw.EDGE[draw.SENT])
        if direct:
            below, turn = y - 0.43, 2.98
            draw.arrow(ax, (2.21, y), (lstm - 0.44, y))
            draw.line(ax, (turn, y), (turn, below))
            draw.arrow(ax, (turn, below), (turn + 0.2, below))
            draw.box(ax, turn + 0.52, below, r"$\mathcal{D}^\mathrm{comp}$", w=0.64, h=0.4)
            draw.arrow(ax, (turn + 0.84, below), (turn + 1.0, below))
            draw.image(figure, turn + 1.28, below, 0.52, received)
            draw.word(ax, turn + 1.62, below, r"$L_\mathrm{comp}$", ha="left", size=8.5)
        else:
            draw.arrow(ax, (2.21, y), (2.96, y))
            draw.box(ax, 3.28, y, r"$\mathcal{D}^\mathrm{comp}$", w=0.64)
            draw.arrow(ax, (3.6, y), (3.74, y))
            draw.image(figure, 4.02, y + 0.04, 0.52, received)
            draw.word(ax, 4.02, y - 0.32, r"$L_\mathrm{comp}$", size=8.5)
            draw.arrow(ax, (4.3, y), (4.42, y))
            draw.box(ax, 4.66, y, r"$\mathcal{E}^{3D}$", w=0.48)
            draw.arrow(ax, (4.9, y), (lstm - 0.44, y))
        draw.box(ax, lstm, y, f"3D LSTM\nview {n + 1}", draw.STATE, w=0.88, h=0.5, size=8.5)
        if n:
            draw.arrow(ax, (lstm, ys[n - 1] - 0.25), (lstm, y + 0.25))
            draw.word(ax, lstm + 0.1, (y + ys[n - 1]) / 2, r"$\mathbf{h},\mathbf{c}$", ha="left", size=8.5)
    last = ys[-1]
    draw.arrow(ax, (lstm + 0.44, last), (end - 0.34, last))
    draw.box(ax, end, last, r"$\mathcal{D}^{3D}$", w=0.68)
    draw.arrow(ax, (end, last + 0.25), (end, last + 0.5))
    draw_voxels(draw.inset(figure, end, last + 1.0, 1.2), occupancy)
    draw.word(ax, end, last + 1.6, r"$\mathbf{p}_V > \tau$", size=9)
    draw.word(ax, end + 0.16, last + 0.36, "$L_{3D}$", ha="left", size=8.5)
    draw.broken_line(ax, channel, height - 0.42, [(y + 0.26, y - 0.08) for y in ys])
    draw.word(ax, channel, height - 0.27, "channel", size=9, colour=draw.EDGE[draw.SENT])
    draw.word(ax, 1.35, height - 0.27, "camera", size=9)
    draw.word(ax, 4.66, height - 0.27, "receiver", size=9)
    return figure
