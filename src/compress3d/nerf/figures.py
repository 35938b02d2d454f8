"""Figures of scenes: views side by side, and depth as grey."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from compress3d.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from compress3d.nerf.rendering import Rendered


def view_row(pictures: Mapping[str, np.ndarray], size: float = 2.1) -> Figure:
    """Pictures side by side under their titles.

    Args:
        pictures: title -> (H, W, 3) in [0, 1] or uint8, or (H, W) in [0, 1].
        size: inches of one.
    """
    import matplotlib.pyplot as plt

    with style.plot_style():
        figure, axes = plt.subplots(1, len(pictures), figsize=(size * len(pictures), size * 1.15), squeeze=False)
        for ax, (title, picture) in zip(axes[0], pictures.items(), strict=True):
            ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            ax.set_title(title, fontsize=9)
            ax.set_axis_off()
        figure.tight_layout()
    return figure


def colour_and_depth(shown: Rendered, size: tuple[int, int], near: float, far: float) -> tuple[np.ndarray, np.ndarray]:
    """A rendered view as (H, W, 3) and its depth as (H, W), both in [0, 1]; near is bright."""
    depth = (far - shown.depth - (1 - shown.opacity) * far) / (far - near)
    return shown.colour.view(*size, 3).clamp(0, 1).numpy(), depth.view(size).clamp(0, 1).numpy()
