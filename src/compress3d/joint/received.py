"""What the receiver sees of some views: shipped codecs at several rates, for the figures of decoded images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from compress3d.engine.evaluate import output
from compress3d.engine.experiment import get_experiment
from compress3d.engine.weights import load_model, weights_path
from compress3d.errors import ConfigError


def received_images(
    run_ids: Mapping[str, str], images: Tensor, rates: Sequence[float]
) -> dict[str, dict[float, Tensor | None]]:
    """What the receiver sees of images, uint8 (N, 3, H, W), at nominal rates by the shipped weights of several runs.

    Args:
        run_ids: label -> run id, of runs with decoded images. JPEG 2000 needs no weights; it counts payload bytes.

    Returns:
        label -> rate -> uint8 (N, 3, H, W), or None where the run does not serve the rate, or has no weights.

    Example:
        >>> import torch
        >>> images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
        >>> received_images({"JPEG 2000": "demo/jpeg2000-s0"}, images, [384])["JPEG 2000"][384].shape
        torch.Size([1, 3, 64, 64])
    """
    found: dict[str, dict[float, Tensor | None]] = {}
    for label, run_id in run_ids.items():
        experiment = get_experiment(run_id)
        trained = weights_path(experiment).is_file()
        model = load_model(experiment) if trained else experiment.build().eval()  # JPEG 2000 decodes without weights
        trained = trained or experiment.model.training_channel() is not None
        found[label] = dict.fromkeys(rates)
        for rate in rates if trained else ():
            try:
                point = experiment.operating_point(rate)
            except ConfigError:  # N_original has no 384:1
                continue
            decoded = output(experiment, model, images[:, None], point).images
            found[label][rate] = None if decoded is None else decoded[:, 0]
    return found
