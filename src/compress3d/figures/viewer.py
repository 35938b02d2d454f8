"""The interactive voxel viewer: choose object, model and rate, turn the result, see the views it was made from.

A 32^3 grid is 4 kB of bits; as run lengths it is about 1 kB, so one page carries hundreds of reconstructions and the
page's script (book/assets/voxel-viewer.js) makes the mesh of the one that is looked at.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress3d.errors import DataError
from compress3d.figures import display
from compress3d.figures.style import BODY
from compress3d.figures.voxels import UNLIT, shade_scale, voxel_scene

Method = str | tuple[str, str]  # a name, or (model, rate): the page then has one selector for each

NOTHING_DECODED = "no decoded picture: this model sends only what it needs to rebuild"
NOTHING_SENT = "no decoded picture: nothing is sent"  # models without a rate, such as ("ground truth", "")


@dataclass(frozen=True)
class Shape:
    """One object of the viewer.

    A method is a name such as "codec 384:1", or a pair such as ("codec", "384:1"), whose rate is "" for models without
    rates. Beside pairs, a name is a model without rates.

    `decoded` are the `views` as they arrive, as many, uint8 (H, W, 3) each. Methods that send no image are left out,
    and the viewer says so where the others show theirs.
    """

    name: str  # what readers see, such as "chair: Wooden chair"
    grids: Mapping[Method, np.ndarray]  # occupancy (G, G, G) bool; every object has the same methods
    views: Sequence[np.ndarray] = ()  # the images that were taken
    notes: Mapping[Method, str] = field(default_factory=dict)  # short texts such as "IoU 0.62"
    credit: str = ""  # author and licence of the model
    decoded: Mapping[Method, Sequence[np.ndarray]] = field(default_factory=dict)
    image_notes: Mapping[Method, str] = field(default_factory=dict)  # short texts beside the decoded images


def title(method: Method) -> str:
    """A method's name in one text: "codec 384:1"."""
    return method if isinstance(method, str) else " ".join(method).strip()


def run_lengths(occupancy: np.ndarray) -> bytes:
    """Lengths of the runs of equal voxels in C order, the first run empty voxels (maybe 0 of them).

    Each length is written seven bits a byte, low bits first, the eighth bit set on all but its last byte.

    Example:
        >>> run_lengths(np.array([[[False, True, True, True]]]))
        b'\\x01\\x03'
    """
    flat = np.concatenate([[False], np.asarray(occupancy, bool).ravel()])
    bounds = np.flatnonzero(np.diff(flat))  # a run ends before each change, the first one maybe at once
    out = bytearray()
    for length in np.diff(bounds, prepend=0, append=flat.size - 1).tolist():
        while length >= 128:
            out.append(length & 127 | 128)
            length >>= 7
        out.append(length)
    return bytes(out)


def image_url(image: np.ndarray) -> str:
    """An image as a data URL without loss: WebP or PNG, whichever is smaller.

    Args:
        image: uint8 (H, W, 3).

    Raises:
        DataError: another type or shape; floats in [0, 1] would be black.
    """
    from PIL import Image, features

    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DataError("viewer image", f"is {pixels.dtype} {pixels.shape}", "give uint8 (H, W, 3)")
    ways: dict[str, dict] = {"png": dict(optimize=True)}
    if features.check("webp"):
        ways["webp"] = dict(lossless=True)  # more effort takes 20 times as long and saves nothing at 64 x 64
    files = {}
    for kind, options in ways.items():
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind, **options)
        files[kind] = stream.getvalue()
    kind = min(files, key=lambda kind: len(files[kind]))
    return f"data:image/{kind};base64," + base64.b64encode(files[kind]).decode()


def _check(shapes: Sequence[Shape]) -> None:
    if not shapes:
        raise DataError("viewer", "got no object", "give at least one")
    methods = list(shapes[0].grids)
    side = np.shape(shapes[0].grids[methods[0]])
    for shape in shapes:
        what = f"viewer object {shape.name!r}"
        if list(shape.grids) != methods or any(np.shape(grid) != side for grid in shape.grids.values()):
            problem = "has other methods or another grid than the first object"
            raise DataError(what, problem, "give every object the same methods on the same grid")
        for method in [*shape.decoded, *shape.image_notes]:
            if method not in methods:
                raise DataError(what, f"has images or a note of {method!r}, of which it has no grid", "add the grid")
        for method, images in shape.decoded.items():
            if len(images) not in (0, len(shape.views)):
                problem = f"has {len(shape.views)} views and {len(images)} decoded by {title(method)}"
                raise DataError(what, problem, "give the same views of both")


def _object(shape: Shape, pairs: bool, decoded: bool) -> dict[str, Any]:
    """One object as JSON types. `pairs`: methods have rates; `decoded`: an object of this viewer has decoded views."""
    out: dict[str, Any] = {
        "name": shape.name,
        "credit": shape.credit,
        "views": [image_url(view) for view in shape.views],
        "grids": [base64.b64encode(run_lengths(grid)).decode() for grid in shape.grids.values()],
        "notes": [shape.notes.get(method, "") for method in shape.grids],
    }
    if decoded:
        out["decoded"] = [[image_url(image) for image in shape.decoded.get(m, ())] for m in shape.grids]
        out["pictureNotes"] = [shape.image_notes.get(m) or _default_note(shape, m, pairs) for m in shape.grids]
    return out


def _default_note(shape: Shape, method: Method, pairs: bool) -> str:
    if len(shape.decoded.get(method, ())):
        return ""
    return NOTHING_SENT if pairs and not _pair(method)[1] else NOTHING_DECODED


def _pair(method: Method) -> tuple[str, str]:
    return (method, "") if isinstance(method, str) else method


def viewer(
    shapes: Sequence[Shape],
    colours: Mapping[Method, str] | None = None,
    turn: bool = False,
    chosen: Method | None = None,
    controls: bool = True,
) -> display.Shown:
    """The viewer, as the last expression of a cell. One a page is enough: it holds many objects.

    Args:
        shapes: the objects, all with the same methods.
        colours: method -> voxel colour; `style.BODY` where left out.
        turn: the object turns slowly until it is touched.
        chosen: method shown first; default the first one.
        controls: show the selectors and the images; without them only the body that can be turned.

    Raises:
        DataError: no object, objects with different methods, grids of different sizes, decoded views of an unknown
            method or not as many as the views, images that are not uint8 (H, W, 3), or an unknown `chosen`.

    Example:
        >>> grids = {("ground truth", ""): np.ones((4, 4, 4), bool), ("codec", "48:1"): np.zeros((4, 4, 4), bool)}
        >>> viewer([Shape("cube", grids)], chosen=("codec", "48:1")).payload["chosen"]
        1
    """
    _check(shapes)
    methods = list(shapes[0].grids)
    if chosen is not None and chosen not in methods:
        raise DataError("viewer", f"has no method {chosen!r} to show first", f"choose one of {methods}")
    pairs = not all(isinstance(m, str) for m in methods)
    decoded = any(len(images) for shape in shapes for images in shape.decoded.values())
    payload = {
        "side": list(np.shape(shapes[0].grids[methods[0]])),
        "methods": [
            {"name": title(m), "colour": colour, "scale": shade_scale(colour)}
            | (dict(zip(("model", "rate"), _pair(m), strict=True)) if pairs else {})
            for m in methods
            for colour in [(colours or {}).get(m, BODY)]
        ],
        "lighting": UNLIT,
        "objects": [_object(shape, pairs, decoded) for shape in shapes],
        "scene": voxel_scene(),
        "turn": turn,
        "controls": controls,
        "chosen": 0 if chosen is None else methods.index(chosen),
    }
    words = f"Interactive viewer of {len(shapes)} objects; it draws in the built book."
    text = f"voxel viewer of {len(shapes)} objects"
    return display.Shown("voxel-viewer", payload, words, frame="560px", text=text)
