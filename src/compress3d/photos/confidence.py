"""Whether a rebuilt object can be trusted: how sure the network is of its voxels, and what it was shown.

*Mean voxel confidence* is the mean probability of the voxels called occupied (above 0.4): the share of them that the
network itself expects to be right. `studies` compares it with IoU on the shipped test set, framed as `compress3d
reconstruct` does, and in ways that go wrong; a result is useful where its IoU is above that of a mean shape of the
right category. It tells 70 % rightly, where a coin tells 50 % (results/demo/confidence.json): a hint, no proof.

A network is also sure of itself where the background was left in: it fills the grid, and means it. So the pictures are
looked at too. What neither sees is an object that lies on its side: 45 % of those seem sure, a quarter of them useful.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress3d import metrics, results
from compress3d.engine.experiment import Experiment
from compress3d.photos import frame
from compress3d.photos.reconstruction import Reconstruction

BORDER_LIMIT = 0.5  # mean `frame.border_occupancy` of the views: over the test set 0.00 framed, 0.995 in a room


def mean_confidence(probability: np.ndarray) -> np.ndarray:
    """Mean probability of the voxels of (..., G, G, G) above 0.4, whatever threshold the result is drawn at; or 0.

    Example:
        >>> float(mean_confidence(np.array([[[0.1, 0.5, 0.9]]])))
        0.7
    """
    axes = (-3, -2, -1)
    occupied = probability > metrics.THRESHOLD
    return np.where(occupied, probability, 0).sum(axes, dtype=np.float64) / np.maximum(occupied.sum(axes), 1)


@dataclass(frozen=True)
class Assessment:
    """What is to be said of a result."""

    confidence: float  # mean voxel confidence
    threshold: float | None  # what tells useful results from others best; None where that was never measured
    reasons: tuple[str, ...]  # why the result is not to be trusted; empty where nothing speaks against it
    useful: float | None = None  # share of test objects with such a confidence that were better than a mean shape

    @property
    def sentence(self) -> str:
        """The verdict for people."""
        if self.reasons:
            return "Not to be trusted: " + "; ".join(self.reasons) + "."
        if self.threshold is None:
            return "Nothing speaks against the result, but this network's confidence was never compared with the truth."
        if self.useful is None:
            return "Nothing speaks against the result."
        return (
            "Nothing speaks against the result: of the test objects rebuilt with such a confidence,"
            f" {self.useful:.0%} were better than a mean shape of the right category."
        )


def assess(found: Reconstruction) -> Assessment:
    """Whether a result can be trusted, by its confidence and by what the network was shown.

    Raises:
        DataError: the calibration file is damaged.
    """
    confidence, limits = float(mean_confidence(found.probability)), calibration(found.run)
    threshold, reasons = limits["threshold"], []
    doubted = threshold is not None and confidence < threshold
    useful = limits["below" if doubted else "above"]["useful"]
    background = frame.BACKGROUND_GREY[found.run.data.background]
    filled = float(np.mean([frame.border_occupancy(photo.image, background) for photo in found.photos]))
    if filled > BORDER_LIMIT:
        reasons.append(
            f"the background is in the pictures ({filled:.0%} of their edges are filled), and this network only knows"
            " objects on a plain background: photograph on one, or cut the object out (PNG with transparency)"
        )
    if doubted:
        reasons.append(
            f"the mean voxel confidence is {confidence:.2f}, and of the test objects below {threshold:.2f} only"
            f" {useful:.0%} were better than a mean shape of the right category"
        )
    return Assessment(confidence, threshold, tuple(reasons), useful)


def calibration(run: Experiment) -> dict:
    """`threshold`, `above` and `below` of `studies.measure` for `run`; medians of its scale where it was not measured.

    The threshold is None where no network of the scale was.
    """
    if not results.path_of(f"{run.scale}/confidence").is_file():
        return {"threshold": None, "above": {"useful": None}, "below": {"useful": None}}
    found = results.load(f"{run.scale}/confidence")
    return found["networks"].get(run.id, found["median"])
