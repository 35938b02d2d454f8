"""Voxel grids as crisp cubes, the mesh of their exposed faces drawn by plotly (to turn) or by matplotlib (to print).

Everything is in the object frame: Y up, front towards -Z, right-handed; a grid is indexed [x, y, z].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from compress3d.data.camera import position
from compress3d.data.voxel_mesh import NORMALS, exposed_faces, exposed_mesh
from compress3d.figures.style import BODY, GREY, plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AZIMUTH, ELEVATION = 235.0, 25.0  # default view: front left, from a little above
_DISTANCE = 2.6  # in units of the grid's side; near enough for depth, far enough not to distort
# Brightness of -x +x -y +y -z +z faces. Painted on, not lit: plotly's light moves with neither camera nor object.
# Any two sides that meet differ, so edges show from everywhere.
_BRIGHTNESS = np.array([0.70, 0.53, 0.40, 1.08, 0.88, 0.60])


def shades(colour: str) -> np.ndarray:
    """Colour of each of the six face directions of a body of `colour`: RGB in [0, 1], (6, 3)."""
    from matplotlib.colors import to_rgb

    return np.clip(np.outer(_BRIGHTNESS, to_rgb(colour)), 0, 1)


def shade_scale(colour: str) -> list[list]:
    """`shades` as a plotly colour scale over face directions 0..5."""
    rgb = [tuple(int(value) for value in row) for row in np.rint(255 * shades(colour))]
    return [[number / 5, f"rgb{row}".replace(" ", "")] for number, row in enumerate(rgb)]


UNLIT = dict(ambient=1, diffuse=0, specular=0, fresnel=0)  # the shading is in the colours

# --- plotly -------------------------------------------------------------------------------------------------------


def voxel_scene(azimuth: float = AZIMUTH, elevation: float = ELEVATION) -> dict[str, Any]:
    """Layout of a plotly scene: no axes, true proportions, Y up, seen from `azimuth` and `elevation`."""
    x, y, z = (round(float(value), 4) for value in position(azimuth, elevation, 1.5))
    hidden = dict(visible=False)
    return dict(
        aspectmode="data", xaxis=hidden, yaxis=hidden, zaxis=hidden, bgcolor="rgba(0,0,0,0)",
        camera=dict(eye=dict(x=x, y=y, z=z), up=dict(x=0, y=1, z=0)),
    )  # fmt: skip


def voxel_figure(
    occupancy: np.ndarray, colour: str = BODY, azimuth: float = AZIMUTH, elevation: float = ELEVATION, size: int = 420
):
    """The grid as an interactive `plotly.graph_objects.Figure`; show it in the book with `display.show(figure)`."""
    import plotly.graph_objects as go

    vertices, triangles, directions = exposed_mesh(occupancy)
    x, y, z = vertices.T
    i, j, k = triangles.T
    body = go.Mesh3d(
        x=x, y=y, z=z, i=i, j=j, k=k, hoverinfo="skip", showscale=False,
        intensity=directions, intensitymode="cell", cmin=0, cmax=5, colorscale=shade_scale(colour), lighting=UNLIT,
    )  # fmt: skip
    # Two unseen points at the grid's ends: every object has the same scale.
    x, y, z = ([0, int(side)] for side in np.shape(occupancy))
    ends = go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=dict(size=0.1, opacity=0), hoverinfo="skip")
    figure = go.Figure([body, ends])
    figure.update_layout(
        template="none", showlegend=False, width=size, height=size, margin=dict(l=0, r=0, t=0, b=0),
        paper_bgcolor="rgba(0,0,0,0)", scene=voxel_scene(azimuth, elevation),
    )  # fmt: skip
    return figure


# --- matplotlib ---------------------------------------------------------------------------------------------------


def project_faces(
    occupancy: np.ndarray, azimuth: float = AZIMUTH, elevation: float = ELEVATION
) -> tuple[np.ndarray, np.ndarray]:
    """Visible faces as polygons in the image plane, farthest first; those turned away are dropped.

    The order is exact, not a guess by distance: along any ray from the eye the distance to the eye grows in each
    coordinate, so sorting by its sum over x, y, z never draws a hidden cube last.

    Args:
        occupancy: bool (X, Y, Z).
        azimuth, elevation: of the camera in degrees, as in the store's `cameras`.

    Returns:
        Polygons (F, 4, 2) float64, right and up in units of the grid's longest side, and directions (F,) int8.
    """
    voxels, corners, directions = exposed_faces(occupancy)
    shape = np.array(np.shape(occupancy))
    eye = position(azimuth, elevation, _DISTANCE)
    side = float(shape.max())
    points = (corners - shape / 2) / side
    centres = (voxels + 0.5 - shape / 2) / side
    faces_us = ((eye - points.mean(axis=1)) * NORMALS[directions]).sum(axis=1) > 0

    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, (0.0, 1.0, 0.0))
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)

    order = np.argsort(-np.abs(centres - eye).sum(axis=1), kind="stable")
    order = order[faces_us[order]]
    towards = points[order] - eye
    flat = np.stack([towards @ right, towards @ up], axis=-1) / (towards @ forward)[..., None] * _DISTANCE
    return flat, directions[order]


def draw_voxels(
    ax: Axes, occupancy: np.ndarray, colour: str = BODY, azimuth: float = AZIMUTH, elevation: float = ELEVATION
) -> None:
    """Draw the grid into two-dimensional matplotlib axes; some 15 ms, where `Axes3D.voxels` takes seconds.

    Args:
        ax: its frame is switched off.
        occupancy: bool (X, Y, Z); an empty grid says so in words.
        colour: of the body.
        azimuth, elevation: of the camera in degrees: with a view's own angles, from where the photo was taken.
    """
    from matplotlib.collections import PolyCollection

    ax.set(xlim=(-0.75, 0.75), ylim=(-0.75, 0.75), xticks=[], yticks=[], aspect="equal")
    ax.axis("off")
    polygons, directions = project_faces(occupancy, azimuth, elevation)
    if not len(polygons):
        ax.text(0, 0, "empty", ha="center", va="center", color=GREY)
        return
    fill = shades(colour)[directions]
    ax.add_collection(PolyCollection(list(polygons), facecolors=fill, edgecolors=fill * 0.82, linewidths=0.25))


def gallery(
    columns: dict[str, Sequence[np.ndarray]],
    rows: Sequence[str] = (),
    colours: dict[str, str] | None = None,
    notes: dict[str, Sequence[str]] | None = None,
    cameras: Sequence[tuple[float, float]] | None = None,
    cell: float = 1.35,
) -> Figure:
    """Objects x methods as one figure: the layout of the paper's Table 2.

    Args:
        columns: title -> one entry an object: an image (H, W, 3) uint8, or a grid (X, Y, Z) bool.
        rows: name of each object, written at the left.
        colours: title -> colour of its voxels.
        notes: title -> a short text under each cell, such as its IoU.
        cameras: (azimuth, elevation) for each object's grids; default one view for all.
        cell: inches a cell.

    Example:
        >>> photo, grid = np.zeros((64, 64, 3), np.uint8), np.ones((8, 8, 8), bool)
        >>> figure = gallery({"photo": [photo], "rebuilt": [grid]}, rows=["a cube"])
    """
    import matplotlib.pyplot as plt

    count = max(len(column) for column in columns.values())
    with plot_style():
        size = cell * len(columns), (cell + 0.12) * count
        figure, axes = plt.subplots(count, len(columns), figsize=size, squeeze=False)
        for c, (title, column) in enumerate(columns.items()):
            axes[0, c].set_title(title, fontsize=8.5, pad=4)
            for r in range(count):
                ax = axes[r, c]
                ax.axis("off")
                if r >= len(column) or column[r] is None:
                    continue
                item = np.asarray(column[r])
                if item.ndim == 3 and item.shape[2] in (3, 4) and item.dtype == np.uint8:
                    ax.imshow(item, interpolation="nearest")
                else:
                    view = cameras[r] if cameras is not None else (AZIMUTH, ELEVATION)
                    draw_voxels(ax, item, (colours or {}).get(title, BODY), *view)
                if notes and title in notes:
                    ax.text(0.5, 0.02, notes[title][r], transform=ax.transAxes, ha="center", va="top", fontsize=7.5)
        for r, label in enumerate(rows):
            axes[r, 0].text(-0.06, 0.5, label, transform=axes[r, 0].transAxes, rotation=90, ha="right", va="center",
                            fontsize=8.5)  # fmt: skip
    figure.subplots_adjust(left=0.04, right=0.995, top=0.95, bottom=0.02, wspace=0.02, hspace=0.1)
    return figure
