"""Labels and colours of the main paper's models, in every figure and table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from compress3d.figures import style


class Look(NamedTuple):
    """A model's label, and colours of its curve, its voxels, and its curve on a dark page; the first where empty."""

    label: str
    line: str
    body: str = ""
    dark: str = ""


# The lines of the first five are the paper's (Fig. 8); all other colours are ours.
LOOKS = {
    "uncompressed": Look("uncompressed", "#d100d1", "#cf7fd6"),
    "jpeg2000": Look("JPEG 2000", "#1f5fd0", "#6f9be8", "#6ea1ff"),
    "sequential": Look("sequential", "#1a8f3c"),
    "direct": Look("direct", "#d62728"),
    "implicit": Look("implicit", "#111111", style.BODY, "#f2f2f2"),
    "small": Look("N_small", "#c46a00"),
    "original": Look("N_original", "#0e8a9c"),
    "mean": Look("mean shape", style.GREY),
    "truth": Look("ground truth", style.TRUTH, style.TRUTH_BODY),
}


def _look(model: str) -> Look:
    """Grey under its own name where a model is not the paper's."""
    return LOOKS.get(model, Look(model, style.GREY, style.BODY))


def label(model: str) -> str:
    """A model's name as readers see it."""
    return _look(model).label


def colour(model: str, dark: bool = False) -> str:
    """Line colour of a model."""
    return (dark and _look(model).dark) or _look(model).line


def body_colour(model: str) -> str:
    """Voxel colour of a model."""
    return _look(model).body or _look(model).line


def body_colours(titles: Iterable[str | tuple[str, str]]) -> dict[str | tuple[str, str], str]:
    """Voxel colours of titles that begin with a model's label or name.

    Example:
        >>> body_colours(["JPEG 2000 48:1", ("sequential", "384:1"), "truth"])
        {'JPEG 2000 48:1': '#6f9be8', ('sequential', '384:1'): '#1a8f3c', 'truth': '#d9a441'}
    """

    def found(text: str) -> str:
        names = (model for model, of in LOOKS.items() if text.startswith((model, of.label)))
        return body_colour(next(names, ""))

    return {title: found(title if isinstance(title, str) else title[0]) for title in titles}
