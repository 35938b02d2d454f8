"""Photographs of one object through a run: what is sent, what arrives, and the voxels at the other end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from compress3d import results
from compress3d.engine.evaluate import load_model, with_weights
from compress3d.errors import ConfigError
from compress3d.metrics import THRESHOLD
from compress3d.photos import Photo, photo_tensor
from compress3d.runs import MODELS, Run
from compress3d.transmit import Setting, arrived_pictures, bytes_per_view, probabilities, setting, through_jpeg2000

WITHOUT_VOXELS = ("original", "small")  # compression RNNs alone


@dataclass(frozen=True)
class Reconstruction:
    """One object out of photographs.

    Attributes:
        run, setting: the network, and the rate at which the photographs were sent.
        photos: the photographs as the network saw them.
        probability: float32 (G, G, G) in [0, 1], indexed [x, y, z]: Y up, front towards -Z.
        threshold: a voxel is occupied above it.
        bytes_per_view: what was sent for a photograph, on average.
        arrived: uint8 (V, S, S, 3), the pictures as the receiver sees them; None for models that send no picture.
    """

    run: Run
    setting: Setting
    photos: list[Photo]
    probability: np.ndarray
    threshold: float
    bytes_per_view: float
    arrived: np.ndarray | None

    @property
    def occupancy(self) -> np.ndarray:
        """Bool (G, G, G)."""
        return self.probability > self.threshold


def with_voxels(scale: str) -> list[Run]:
    """Runs of a scale that rebuild voxels and whose weights are here."""
    return with_weights(scale, [model for model in MODELS if model not in WITHOUT_VOXELS])


def best_run(scale: str = "demo") -> Run:
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


def send(run: Run, model: nn.Module, images: Tensor, at: Setting) -> np.ndarray:
    """Probabilities (N, G, G, G) at the other end of the link, from uint8 views (N, V, 3, S, S)."""
    if run.model == "jpeg2000":
        images, _, _ = through_jpeg2000(images, at.rate, at.accounting)
    return probabilities(model, images, at.iterations)


def reconstruct(
    photos: list[Photo], run: Run, rate: float | None = None, threshold: float = THRESHOLD
) -> Reconstruction:
    """Send photographs at a rate and rebuild the object.

    Args:
        photos: of one object, prepared for `scale(run.scale).image_size`; at least one.
        run: any run with voxels.
        rate: for runs that serve several; their first one where None.
        threshold: a voxel is occupied above it, in [0, 1).

    Raises:
        ConfigError: the run makes no voxels or does not serve the rate; the threshold is out of range.
        CheckpointError: its weights are missing.

    Example:
        >>> found = reconstruct([prepare("chair.jpg", 64)], find("demo/implicit-r384-s0"))           # doctest: +SKIP
        >>> found.occupancy.shape                                                                  # doctest: +SKIP
        (32, 32, 32)
    """
    check(run, rate, threshold)
    at, model, images = setting(run, rate), load_model(run), photo_tensor(photos)
    if run.model == "jpeg2000":
        arrived, spent, _ = through_jpeg2000(images, at.rate, at.accounting)
        probability, cost = probabilities(model, arrived), float(spent.mean())
    else:
        arrived, cost = arrived_pictures(run, model, images, at), bytes_per_view(run, at)
        probability = probabilities(model, images, at.iterations)
    shown = None if arrived is None else arrived[0].permute(0, 2, 3, 1).contiguous().numpy()
    return Reconstruction(run, at, list(photos), probability[0], threshold, cost, shown)


def check(run: Run, rate: float | None = None, threshold: float = THRESHOLD) -> None:
    """Whether `reconstruct` can serve these, before any photograph is read; errors as there."""
    if run.model in WITHOUT_VOXELS:
        raise ConfigError(run.id, "compresses pictures and makes no voxels", "choose another run; `compress3d runs`")
    setting(run, rate)
    if not 0 <= threshold < 1:
        raise ConfigError(f"threshold {threshold:g}", "is not in [0, 1)", "give a probability such as 0.4")
