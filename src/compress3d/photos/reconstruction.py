"""Photographs of one object through a run: what is sent, what arrives, and the voxels at the other end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress3d import results
from compress3d.codecs.channel import OperatingPoint
from compress3d.engine.evaluate import output
from compress3d.engine.experiment import Experiment
from compress3d.engine.weights import load_model, with_weights
from compress3d.errors import ConfigError
from compress3d.metrics import THRESHOLD
from compress3d.photos import Photo, photo_tensor


@dataclass(frozen=True)
class Reconstruction:
    """One object out of photographs."""

    run: Experiment  # the network
    setting: OperatingPoint  # the rate at which the photographs were sent
    photos: list[Photo]  # as the network saw them
    probability: np.ndarray  # float32 (G, G, G) in [0, 1], indexed [x, y, z]: Y up, front towards -Z
    threshold: float  # a voxel is occupied above it
    bytes_per_view: float  # what was sent for a photograph, on average
    received: np.ndarray | None  # uint8 (V, S, S, 3) as the receiver sees them; None for models that send no image

    @property
    def occupancy(self) -> np.ndarray:
        """Bool (G, G, G)."""
        return self.probability > self.threshold


def with_voxels(scale: str) -> list[Experiment]:
    """Experiments of a scale that rebuild voxels and whose weights are here."""
    return with_weights(scale, lambda experiment: experiment.model.makes_voxels)


def best_run(scale: str = "demo") -> Experiment:
    """The run with the highest mIoU on the test set, at the rate it is evaluated at first, of those with weights here.

    Raises:
        ConfigError: no run of the scale has weights and results.
    """
    found = results.load_all(scale)
    scored = {run: found[run.id]["points"][0]["miou"] for run in with_voxels(scale) if run.id in found}
    if not scored:
        remedy = f"run `compress3d sweep --scale {scale}`, or name a run with --run"
        raise ConfigError(f"scale {scale!r}", "has no trained and evaluated network", remedy)
    return max(scored, key=scored.__getitem__)


def reconstruct(
    photos: list[Photo], run: Experiment, rate: float | None = None, threshold: float = THRESHOLD
) -> Reconstruction:
    """Send photographs at a rate and rebuild the object.

    Args:
        photos: of one object, prepared for `scale(run.scale).image_size`; at least one.
        run: any experiment with voxels.
        rate: for those that serve several; their first one where None.
        threshold: a voxel is occupied above it, in [0, 1).

    Raises:
        ConfigError: the run makes no voxels or does not serve the rate; the threshold is out of range.
        CheckpointError: its weights are missing.
    """
    point = check(run, rate, threshold)
    sent = output(run, load_model(run), photo_tensor(photos), point)
    assert sent.probabilities is not None  # `check`
    received = None if sent.images is None else sent.images[0].permute(0, 2, 3, 1).contiguous().numpy()
    probability, cost = sent.probabilities[0].numpy(), float(sent.bytes.mean())
    return Reconstruction(run, point, list(photos), probability, threshold, cost, received)


def check(run: Experiment, rate: float | None = None, threshold: float = THRESHOLD) -> OperatingPoint:
    """The operating point if `reconstruct` can serve these, before any photograph is read; errors as there."""
    if not run.model.makes_voxels:
        raise ConfigError(run.id, "compresses images and makes no voxels", "choose another run; `compress3d runs`")
    if not 0 <= threshold < 1:
        raise ConfigError(f"threshold {threshold:g}", "is not in [0, 1)", "give a probability such as 0.4")
    return run.operating_point(rate)
