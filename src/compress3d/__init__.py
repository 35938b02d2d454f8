"""compress3d: image compression optimised for 3D reconstruction, as an executable paper companion.

The functions below import what they need when they are called, so that `import compress3d` costs nothing.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from compress3d.engine.experiment import Experiment
    from compress3d.photos.reconstruction import Reconstruction

__all__ = ["__version__", "experiments", "load_model", "reconstruct"]

try:
    __version__ = version("compress3d")
except PackageNotFoundError:  # run from the sources, not installed
    __version__ = "0+unknown"


def experiments(scale: str | None = None, only: str = "*", data: str = "") -> list[Experiment]:
    """The table of experiments, the most worth first; see `compress3d.engine.experiment.experiments`."""
    from compress3d.engine import experiment

    return experiment.experiments(scale, only, data)


def load_model(name: str, rate: float | None = None, scale: str = "demo", seed: int = 0) -> nn.Module:
    """A network with its shipped weights, in evaluation mode.

    Args:
        name: of a model, such as "implicit", or a whole id, such as "demo/implicit-r384-s0".
        rate: for models with one network a rate, such as 384.
        scale, seed: of the experiment, where `name` is no id.

    Raises:
        ConfigError: there is no such experiment.
        CheckpointError: its weights are not here.

    Example:
        >>> load_model("implicit", rate=384).code_size
        256
    """
    from compress3d.engine.experiment import get_experiment
    from compress3d.engine.weights import load_model as load

    of_rate = "" if rate is None else f"-r{rate:g}"
    return load(get_experiment(name if "/" in name else f"{scale}/{name}{of_rate}-s{seed}"))


def reconstruct(
    photos: Sequence[str], run: str = "", rate: float | None = None, background: str = "auto", threshold: float = 0.4
) -> Reconstruction:
    """An object rebuilt from photos of it: voxels, what was sent, and what the network saw.

    Args:
        photos: files, folders or patterns.
        run: experiment; the shipped one with the highest mIoU where empty.
        rate: for experiments that serve several.
        background: how it is taken away, see `compress3d.photos.METHODS`.
        threshold: a voxel is occupied above this probability.

    Raises:
        DataError: no photo can be used.
        ConfigError: no such experiment, rate or method.

    Example:
        >>> reconstruct(["chair-*.jpg"]).occupancy.shape  # doctest: +SKIP
        (32, 32, 32)
    """
    from compress3d.photos.command import reconstruct_files

    return reconstruct_files(photos, [], run, rate, background, threshold)[0]
