"""The interactive voxel viewer: choose an object and a method, turn the result, see the views it was made from.

A 32^3 grid is 4 kB of bits; as run lengths it is about 1 kB, so one page carries hundreds of reconstructions and the
page's script (book/assets/voxel-viewer.js) makes the mesh of the one that is looked at.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress3d.errors import DataError
from compress3d.figures import display
from compress3d.figures.style import body_colour
from compress3d.figures.voxels import UNLIT, grid_frame, shade_scale, voxel_scene, voxel_trace


@dataclass(frozen=True)
class Shape:
    """One object of the viewer.

    Attributes:
        name: what readers see, such as "chair: Wooden chair".
        grids: method -> occupancy (G, G, G) bool; every object has the same methods.
        views: the pictures the methods saw, uint8 (H, W, 3) each; may be empty.
        notes: method -> a short text such as "IoU 0.62"; may be empty.
        credit: author and licence of the model.
    """

    name: str
    grids: dict[str, np.ndarray]
    views: Sequence[np.ndarray] = ()
    notes: dict[str, str] = field(default_factory=dict)
    credit: str = ""


def run_lengths(occupancy: np.ndarray) -> bytes:
    """Lengths of the runs of equal voxels in C order, the first run empty voxels (maybe 0 of them).

    Each length is written seven bits a byte, low bits first, the eighth bit set on all but its last byte.

    Example:
        >>> run_lengths(np.array([[[False, True, True, True]]]))
        b'\\x01\\x03'
    """
    flat = np.asarray(occupancy, bool).ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    bounds = np.concatenate([[0], edges, [flat.size]])
    lengths = np.diff(bounds).tolist()
    if flat.size and flat[0]:
        lengths.insert(0, 0)
    out = bytearray()
    for length in lengths:
        while length >= 128:
            out.append(length & 127 | 128)
            length >>= 7
        out.append(length)
    return bytes(out)


def from_run_lengths(data: bytes, shape: Sequence[int]) -> np.ndarray:
    """The grid behind `run_lengths`, bool of `shape`.

    Raises:
        DataError: the lengths do not add up to the grid.
    """
    lengths, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            lengths.append(value)
            value, shift = 0, 0
    if sum(lengths) != int(np.prod(shape)) or shift:
        raise DataError("run lengths", f"cover {sum(lengths)} of {int(np.prod(shape))} voxels", "write the grid again")
    runs = np.arange(len(lengths)) % 2 == 1
    return np.repeat(runs, lengths).reshape(tuple(shape))


def _image_url(picture: np.ndarray) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.asarray(picture, np.uint8)).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def payload(
    shapes: Sequence[Shape],
    colours: dict[str, str] | None = None,
    turn: bool = False,
    chosen: str | None = None,
    controls: bool = True,
) -> dict[str, Any]:
    """What the page's script needs, as JSON types; see `viewer` for the arguments.

    Raises:
        DataError: no object, objects with different methods, or grids of different sizes.
    """
    if not shapes:
        raise DataError("viewer", "got no object", "give at least one")
    methods = list(shapes[0].grids)
    side = np.shape(shapes[0].grids[methods[0]])
    for shape in shapes:
        if list(shape.grids) != methods or any(np.shape(grid) != side for grid in shape.grids.values()):
            raise DataError(f"viewer object {shape.name!r}", "has other methods or another grid than the first object",
                            "give every object the same methods on the same grid")  # fmt: skip
    return {
        "side": list(side),
        "methods": [
            {"name": m, "colour": colour, "scale": shade_scale(colour)}
            for m in methods
            for colour in [(colours or {}).get(m, body_colour("implicit"))]
        ],
        "lighting": UNLIT,
        "objects": [
            {
                "name": shape.name,
                "credit": shape.credit,
                "views": [_image_url(view) for view in shape.views],
                "grids": [base64.b64encode(run_lengths(shape.grids[m])).decode() for m in methods],
                "notes": [shape.notes.get(m, "") for m in methods],
            }
            for shape in shapes
        ],
        "scene": voxel_scene(),
        "turn": turn,
        "controls": controls,
        "chosen": methods.index(chosen) if chosen else 0,
    }


class Viewer:
    """What `viewer` returns: the book's fragment, or a plotly figure with one menu in a live Jupyter session."""

    def __init__(self, shapes: Sequence[Shape], colours: dict[str, str] | None, turn: bool, chosen: str | None,
                 controls: bool):  # fmt: skip
        self.shapes, self.colours = list(shapes), colours or {}
        self.payload = payload(shapes, colours, turn, chosen, controls)

    def html(self) -> str:
        """The book's fragment."""
        words = f"Interactive viewer of {len(self.shapes)} objects; it draws in the built book."
        return display.fragment("voxel-viewer", self.payload, "100%", "430px", words)

    def figure(self):
        """The same reconstructions as one plotly figure with a menu: every mesh is in it, one is visible."""
        import plotly.graph_objects as go

        pairs = [(shape, method) for shape in self.shapes for method in shape.grids]
        traces = [
            voxel_trace(shape.grids[m], self.colours.get(m, body_colour("implicit"))).update(visible=n == 0)
            for n, (shape, m) in enumerate(pairs)
        ]
        frame = grid_frame(self.payload["side"])
        buttons = [
            dict(
                method="restyle",
                args=[{"visible": [n == k for k in range(len(pairs))] + [True]}],
                label=f"{shape.name}: {m}",
            )
            for n, (shape, m) in enumerate(pairs)
        ]
        figure = go.Figure([*traces, frame])
        figure.update_layout(
            template="none", width=520, height=480, margin=dict(l=0, r=0, t=40, b=0), scene=voxel_scene(),
            updatemenus=[dict(buttons=buttons, x=0, xanchor="left", y=1.08, yanchor="top")],
        )  # fmt: skip
        return figure

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        if not display.in_book():
            return self.figure()._repr_mimebundle_()
        return {"text/html": self.html(), "text/plain": f"voxel viewer of {len(self.shapes)} objects"}


def viewer(
    shapes: Sequence[Shape],
    colours: dict[str, str] | None = None,
    turn: bool = False,
    chosen: str | None = None,
    controls: bool = True,
) -> Viewer:
    """The viewer, as the last expression of a cell. One a page is enough: it holds many objects.

    Args:
        shapes: the objects, all with the same methods.
        colours: method -> voxel colour; see `style.body_colour`.
        turn: the object turns slowly until it is touched.
        chosen: method shown first; default the first one.
        controls: show the two selectors and the pictures; without them it is a picture that can be turned.

    Raises:
        DataError: no object, objects with different methods, or grids of different sizes.

    Example:
        >>> viewer([Shape("chair", {"ground truth": truth, "implicit 384:1": grid}, views)], turn=True)
    """
    return Viewer(shapes, colours, turn, chosen, controls)
