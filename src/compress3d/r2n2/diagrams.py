"""3D-R2N2's grid of recurrent units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compress3d.figures.voxels import draw_voxels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_units(
    ax: Axes, unit: tuple[int, int, int] = (1, 1, 0), side: int = 4, colours: tuple[str, str] = ("#e0731d", "#b9c2cf")
) -> None:
    """The grid of LSTM units as cubes on ordinary axes, one of them marked, in two colours.

    A `unit` (x, y, z) with x = 0, y = side - 1 or z = 0 can be seen from the default camera.
    """
    # The default camera looks from -x, +y, -z: sorted by these, later units cover earlier ones and never the reverse.
    x, y, z = np.indices((side, side, side))
    order = (y * side + (side - 1 - x)) * side + (side - 1 - z)
    marked = order[unit]
    for group, colour in ((order < marked, colours[1]), (order == marked, colours[0]), (order > marked, colours[1])):
        if group.any():
            draw_voxels(ax, group, colour)
    ax.set(xlim=(-0.95, 0.95), ylim=(-0.95, 0.95))  # a full cube is wider than the objects that `draw_voxels` expects
