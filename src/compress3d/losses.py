"""The losses of Golts & Schechner 2021, Eq. 14 to 16, and what a network hands to the training loop."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from compress3d.errors import ConfigError
from compress3d.layers.precision import at_least_float32

VIEW_WEIGHTS = ("sum", "mean")


class LossTerms(NamedTuple):
    """Scalars of one minibatch: `total`, which is minimized, and its parts, "compression" and "reconstruction"."""

    total: Tensor
    terms: dict[str, Tensor]


def compression_loss(images: Tensor, decoded: Tensor) -> Tensor:
    """L_comp of images (B, 3, H, W) in [0, 1] and what N iterations decode, (B, N, 3, H, W).

    With beta = 1 / (B H W 3 N): the mean absolute residual over images, pixels and iterations.

    Example:
        >>> import torch
        >>> compression_loss(torch.zeros(2, 3, 4, 4), torch.full((2, 8, 3, 4, 4), 0.25))
        tensor(0.2500)
    """
    return (images.unsqueeze(1) - decoded).abs().mean()  # Eq. 14


def occupancy_loss(logits: Tensor, occupancy: Tensor) -> Tensor:
    """L_3D of logits (B, G, G, G) and voxels of 0 and 1: a mean negative log likelihood, in float32 at least.

    The printed equation lacks the minus sign and writes a sum; the authors' code takes the mean.

    Example:
        >>> import torch
        >>> occupancy_loss(torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2))  # log 2
        tensor(0.6931)
    """
    logits = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, occupancy.to(logits.dtype))  # Eq. 15


def joint_loss(l_comp: Tensor, l_3d: Tensor, views: int, view_weight: str = "sum") -> Tensor:
    """L_comp of every view and L_3D after the last one, from `l_comp`, the mean over V views.

    `view_weight` "sum" adds L_comp of the views up, as the equation reads; "mean" averages; ConfigError for others.

    Example:
        >>> import torch
        >>> joint_loss(torch.tensor(0.125), torch.tensor(0.5), views=4)
        tensor(1.)
    """
    if view_weight not in VIEW_WEIGHTS:
        raise ConfigError(f"view weight {view_weight!r}", "does not exist", "choose 'sum' or 'mean'")
    weight = views if view_weight == "sum" else 1
    return weight * l_comp + l_3d  # Eq. 16
