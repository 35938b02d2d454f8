"""Decoded images side by side, which objects to show, and what of the images is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from compress3d import metrics
from compress3d.figures import style
from compress3d.figures.pairs import ACCOUNTINGS
from compress3d.figures.tables import MISSING, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

DPI = 80


def texture(images: np.ndarray | Tensor) -> np.ndarray:
    """Mean absolute difference of neighbouring pixels inside the object: how much fine detail its views have.

    A pixel is inside where any channel is not black; a difference counts where both neighbours are inside, so that the
    outline, which every object has, says nothing.

    Args:
        images: uint8 (N, V, 3, H, W) on a black background.

    Returns:
        (N,) in [0, 1]; 0 where there are no differences.
    """
    pixels = np.asarray(images, np.float32) / 255
    inside = (pixels > 0).any(2)
    total, pairs = np.zeros(len(pixels)), np.zeros(len(pixels))
    for axis in (2, 3):  # of `inside`: rows and columns
        n = inside.shape[axis] - 1
        both = inside.take(range(n), axis) & inside.take(range(1, n + 1), axis)
        total += (np.abs(np.diff(pixels, axis=axis + 1)).mean(2) * both).sum((1, 2, 3))
        pairs += both.sum((1, 2, 3))
    return total / np.maximum(pairs, 1)


def spread_rows(values: Sequence[float], count: int) -> np.ndarray:
    """Rows of `count` objects, evenly from the lowest to the highest of `values`.

    Example:
        >>> spread_rows([0.3, 0.1, 0.2], 2)
        array([1, 0])
    """
    order = np.argsort(values, kind="stable")
    return order[np.linspace(0, len(order) - 1, count).round().astype(int)]


def decoded_grid(
    images: np.ndarray | Tensor,
    decoded: Mapping[str, Mapping[float, np.ndarray | Tensor | None]],
    across: int = 2,
    side: int = 64,
    dark: bool = False,
) -> Figure:
    """A block an object, a row a method; in columns the image and what arrives at each rate, with its PSNR in dB.

    Images of `side` pixels are shown as they are, but with 6 bits a channel, off by 2 in 255 at most: nobody sees that,
    and the noise of a network's black background costs half of the page otherwise. PSNR is that of the full images.

    Args:
        images: uint8 (N, 3, H, W).
        decoded: method -> rate -> uint8 (N, 3, H, W), or None, which is drawn as a dash.
        across: objects side by side.
        side: pixels an image on the page.
        dark: colours for a dark page.
    """
    import matplotlib.pyplot as plt

    methods, rates = list(decoded), list(next(iter(decoded.values())))
    ink = style.ink(dark)
    gap, line, left, top = 4, 14, 72, 18  # pixels: between images, under one, for names, for rates
    block = (1 + len(rates)) * (side + gap) + 2 * gap, len(methods) * (side + line) + 2 * gap
    width, height = left + across * block[0], top + -(-len(images) // across) * block[1]
    with style.plot_style():
        figure = plt.figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        for number, image in enumerate(images):
            down, right = divmod(number, across)
            for row, method in enumerate(methods):
                shown = [image if row == 0 else None]
                shown += [None if (of := decoded[method][rate]) is None else of[number] for rate in rates]
                y = top + down * block[1] + row * (side + line)
                for column, (rate, pixels) in enumerate(zip([1, *rates], shown, strict=True)):
                    x = left + right * block[0] + column * (side + gap)
                    ax = figure.add_axes((x / width, 1 - (y + side) / height, side / width, side / height))
                    decibels = metrics.psnr(image, pixels).item() if column and pixels is not None else None
                    _cell(ax, pixels, decibels, ink, MISSING if column else "")
                    if down == row == 0:
                        ax.set_title(f"{rate:g}:1", fontsize=8.5, color=ink, pad=3)
                    if right == column == 0:
                        ax.set_ylabel(method, fontsize=8, color=ink, rotation=0, ha="right", va="center", labelpad=4)
    return figure


def _cell(ax, pixels: np.ndarray | Tensor | None, decibels: float | None, ink: str, missing: str) -> None:
    """One cell: an image with its PSNR below, or what stands for a missing one."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if pixels is None:
        ax.text(0.5, 0.5, missing, transform=ax.transAxes, ha="center", va="center", color=ink)
        return
    ax.imshow(np.clip((np.moveaxis(np.asarray(pixels, int), 0, -1) + 2) // 4 * 4, 0, 255).astype(np.uint8))
    if decibels is not None:
        ax.set_xlabel(f"{decibels:.1f} dB", fontsize=6.5, color=ink, labelpad=1.5)


def loss_table(results: Mapping[str, Mapping], caption: str = "") -> Table:
    """Every point with decoded images, without headers: rate, bytes, N, L_comp, L1 and PSNR of the last image.

    Args:
        results: label -> contents of a results file.
        caption: says scale, data and device.
    """
    rows = [
        [label, f"{p['rate']:g}", f"{p['true_rate']:.1f}", f"{p['bytes_per_view']:.0f}", p.get("iterations"),
         f"{p['compression_loss']:.4f}", f"{p['l1']:.4f}", f"{p['psnr']:.1f}"]
        for label, result in results.items()
        for p in sorted(result["points"], key=lambda p: p["rate"] or 0)
        if "compression_loss" in p and p["accounting"] in ACCOUNTINGS
    ]  # fmt: skip
    return Table(["model", "rate", "reached", "bytes", "N", "L_comp", "L1", "PSNR [dB]"], rows, caption)
