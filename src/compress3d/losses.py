"""Losses, an equation each, and what a network hands to the training loop.

Eq. 14 to 16 of Golts & Schechner 2021; the photometric loss of radiance fields.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from compress3d.errors import ConfigError
from compress3d.layers.precision import at_least_float32

VIEW_WEIGHTS = ("sum", "mean")


class LossTerms(NamedTuple):
    """Losses of one minibatch, scalars; of the main paper "compression" (Eq. 14) and "reconstruction" (15)."""

    total: Tensor  # what the optimizer minimizes
    terms: dict[str, Tensor]  # its parts by name, for the record


def compression_loss(images: Tensor, decoded: Tensor) -> Tensor:
    """L_comp with beta = 1 / (B H W 3 N): the mean absolute residual over images, pixels and iterations.

    Args:
        images: (B, 3, H, W) in [0, 1].
        decoded: (B, N, 3, H, W), images after each of N iterations.

    Example:
        >>> import torch
        >>> compression_loss(torch.zeros(2, 3, 4, 4), torch.full((2, 8, 3, 4, 4), 0.25))
        tensor(0.2500)
    """
    return (images.unsqueeze(1) - decoded).abs().mean()  # Eq. 14


def occupancy_loss(logits: Tensor, occupancy: Tensor) -> Tensor:
    """L_3D as a mean negative log likelihood over voxels and batch.

    The printed equation lacks the minus sign and writes a sum; the authors' code takes the mean.

    Args:
        logits: (B, G, G, G), any float dtype; computed in float32 at least.
        occupancy: (B, G, G, G) of 0 and 1.

    Example:
        >>> import torch
        >>> occupancy_loss(torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2))  # log 2
        tensor(0.6931)
    """
    logits = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, occupancy.to(logits.dtype))  # Eq. 15


def joint_loss(l_comp: Tensor, l_3d: Tensor, views: int, view_weight: str = "sum") -> Tensor:
    """L_comp of every view and L_3D after the last one, scalars.

    Args:
        l_comp: a mean over views.
        l_3d, views: L_3D and V.
        view_weight: "sum" adds L_comp of the views up, as the equation reads; "mean" averages.

    Raises:
        ConfigError: `view_weight` is neither.

    Example:
        >>> import torch
        >>> joint_loss(torch.tensor(0.125), torch.tensor(0.5), views=4)
        tensor(1.)
    """
    if view_weight not in VIEW_WEIGHTS:
        raise ConfigError(f"view weight {view_weight!r}", "does not exist", "choose 'sum' or 'mean'")
    weight = views if view_weight == "sum" else 1
    return weight * l_comp + l_3d  # Eq. 16


def photometric_loss(rendered: Tensor, colours: Tensor) -> Tensor:
    """Mean squared error of pixels over rays and channels.

    Mildenhall et al. 2020, Eq. 6, sums over rays; the authors' code, as here, takes the mean.

    Args:
        rendered: (R, 3), any float dtype; computed in float32 at least.
        colours: (R, 3) in [0, 1].

    Example:
        >>> import torch
        >>> photometric_loss(torch.zeros(4, 3), torch.full((4, 3), 0.5))
        tensor(0.2500)
    """
    return F.mse_loss(at_least_float32(rendered), at_least_float32(colours))
