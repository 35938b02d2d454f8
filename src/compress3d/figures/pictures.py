"""Decoded pictures side by side (Tables 4-6), which objects to show, and what of the pictures is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from compress3d import metrics
from compress3d.figures import style
from compress3d.figures.tables import MISSING, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

DPI = 80


def texture(images: Tensor) -> np.ndarray:
    """Mean absolute difference of neighbouring pixels inside the object: how much fine detail its views have.

    A pixel is inside where any channel is not black; a difference counts where both neighbours are inside, so that the
    outline, which every object has, says nothing.

    Args:
        images: uint8 (N, V, 3, H, W) on a black ground.

    Returns:
        (N,) in [0, 1]; 0 for an object of one colour, or without two neighbouring pixels.
    """
    pictures = images.numpy().astype(np.float32) / 255
    inside = (pictures > 0).any(2)
    total, pairs = np.zeros(len(pictures)), np.zeros(len(pictures))
    for axis in (2, 3):  # of `inside`: rows and columns
        n = inside.shape[axis] - 1
        both = inside.take(range(n), axis) & inside.take(range(1, n + 1), axis)
        total += (np.abs(np.diff(pictures, axis=axis + 1)).mean(2) * both).sum((1, 2, 3))
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


def decode(run_ids: Mapping[str, str], images: Tensor, rates: Sequence[float]) -> dict[str, dict[float, Tensor | None]]:
    """What the receiver sees of one view of each object, by the shipped weights of several runs.

    Args:
        run_ids: label -> run id, of runs with decoded pictures. JPEG 2000 needs no weights; it counts payload bytes.
        images: uint8 (N, 3, H, W).
        rates: nominal rates.

    Returns:
        label -> rate -> uint8 (N, 3, H, W), or None where the run does not serve the rate, or has no weights.

    Example:
        >>> decode({"JPEG 2000": "demo/jpeg2000-s0"}, images, [384])["JPEG 2000"][384].shape
        torch.Size([4, 3, 64, 64])
    """
    from compress3d.engine.evaluate import output
    from compress3d.engine.experiment import get_experiment
    from compress3d.engine.weights import load_model, weights_path
    from compress3d.errors import ConfigError

    found: dict[str, dict[float, Tensor | None]] = {}
    for label, run_id in run_ids.items():
        experiment = get_experiment(run_id)
        trained = weights_path(experiment).is_file()
        model = load_model(experiment) if trained else experiment.build().eval()  # JPEG 2000 decodes without weights
        trained = trained or experiment.model.training_channel() is not None
        found[label] = dict.fromkeys(rates)
        for rate in rates if trained else ():
            try:
                at = experiment.operating_point(rate)
            except ConfigError:  # N_original has no 384:1
                continue
            found[label][rate] = output(experiment, model, images[:, None], at).images[:, 0]
    return found


def decoded_grid(
    images: Tensor,
    decoded: Mapping[str, Mapping[float, Tensor | None]],
    across: int = 2,
    side: int = 64,
    dark: bool = False,
) -> Figure:
    """Tables 4-6: a block an object, a row a method; in columns the original and what arrives at each rate.

    All stands on whole pixels, so that pictures of `side` pixels are shown as they are. They are drawn with 6 bits
    a channel, off by 2 in 255 at most: nobody sees that, and the noise of a network's black ground costs half of the
    page otherwise. PSNR is that of the full pictures.

    Args:
        images: uint8 (N, 3, H, W).
        decoded: as `decode` gives it. None is drawn as a dash.
        across: objects side by side.
        side: pixels a picture on the page.
        dark: colours for a dark page.

    Returns:
        matplotlib figure, with PSNR in dB under each decoded picture. The original stands in the first row of a block.
    """
    import matplotlib.pyplot as plt

    methods, rates = list(decoded), list(next(iter(decoded.values())))
    ink = "#d8d8d8" if dark else "#333333"
    gap, line, left, top = 4, 14, 72, 18  # pixels: between pictures, under one, for names, for rates
    block = (1 + len(rates)) * (side + gap) + 2 * gap, len(methods) * (side + line) + 2 * gap
    width, height = left + across * block[0], top + -(-len(images) // across) * block[1]
    with style.plot_style():
        figure = plt.figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        for number, image in enumerate(images):
            down, right = divmod(number, across)
            for row, method in enumerate(methods):
                shown = {None: image if row == 0 else None}
                shown |= {rate: None if (of := decoded[method][rate]) is None else of[number] for rate in rates}
                y = top + down * block[1] + row * (side + line)
                for column, (rate, picture) in enumerate(shown.items()):
                    x = left + right * block[0] + column * (side + gap)
                    ax = figure.add_axes((x / width, 1 - (y + side) / height, side / width, side / height))
                    decibels = None if rate is None or picture is None else metrics.psnr(image, picture).item()
                    _picture(ax, picture, decibels, ink, MISSING if rate else "")
                    if down == row == 0:
                        ax.set_title("1:1" if rate is None else f"{rate:g}:1", fontsize=8.5, color=ink, pad=3)
                    if right == column == 0:
                        ax.set_ylabel(method, fontsize=8, color=ink, rotation=0, ha="right", va="center", labelpad=4)
    return figure


def _picture(ax, picture: Tensor | None, decibels: float | None, ink: str, missing: str) -> None:
    """One cell: a picture with its PSNR below, or what stands for a missing one."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if picture is None:
        ax.text(0.5, 0.5, missing, transform=ax.transAxes, ha="center", va="center", color=ink)
        return
    ax.imshow(np.clip((picture.permute(1, 2, 0).numpy().astype(int) + 2) // 4 * 4, 0, 255).astype(np.uint8))
    if decibels is not None:
        ax.set_xlabel(f"{decibels:.1f} dB", fontsize=6.5, color=ink, labelpad=1.5)


def loss_table(results: Mapping[str, Mapping], caption: str = "", accountings=("bits", "floats", "payload")) -> Table:
    """Every point with decoded pictures: rate, bytes, N, L_comp, L1 and PSNR of the last picture.

    Args:
        results: label -> contents of a results file.
        caption: says scale, data and device.
        accountings: ways of counting that are shown.
    """
    rows = [
        [label, f"{p['rate']:g}", f"{p['true_rate']:.1f}", f"{p['bytes_per_view']:.0f}", p.get("iterations"),
         f"{p['compression_loss']:.4f}", f"{p['l1']:.4f}", f"{p['psnr']:.1f}"]
        for label, result in results.items()
        for p in sorted(result["points"], key=lambda p: p["rate"] or 0)
        if "compression_loss" in p and p["accounting"] in accountings
    ]  # fmt: skip
    return Table(["model", "rate", "reached", "bytes", "N", "L_comp", "L1", "PSNR [dB]"], rows, caption)
