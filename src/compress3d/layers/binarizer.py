"""The stochastic binarizer with a straight-through gradient (Eq. 13; Toderici 2016, Raiko 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _StraightThrough(torch.autograd.Function):
    """b(x) forward; dE[b]/dx = 1 backward, because E[b(x)] = x on [-1, 1]."""

    @staticmethod
    def forward(ctx, x: Tensor, noise: Tensor | None) -> Tensor:
        if noise is None:
            return torch.where(x < 0, -1.0, 1.0).to(x.dtype)
        return torch.where(noise < (1 + x) / 2, 1.0, -1.0).to(x.dtype)  # Eq. 13: +1 with probability (1 + x) / 2

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient, None


def binarize(
    x: Tensor, stochastic: bool, generator: torch.Generator | None = None, shard: tuple[int, int] = (0, 1)
) -> Tensor:
    """Bits of `x`, values in [-1, 1], any shape.

    Args:
        stochastic: draw as in Eq. 13 (training) rather than take the sign (test; sign(0) is +1).
        generator: source of the draws, on the device of `x`; the global one where None.
        shard: (rank, world size) where `x` holds one process's rows of a minibatch: draw for all rows, keep these.

    Returns:
        Tensor of -1 and +1 of the shape and dtype of `x`. Its gradient is passed to `x` unchanged.

    Example:
        >>> binarize(torch.tensor([-0.2, 0.0, 0.7]), stochastic=False)
        tensor([-1.,  1.,  1.])
    """
    if not stochastic:
        return _StraightThrough.apply(x, None)
    rank, world_size = shard
    noise = torch.rand(world_size, *x.shape, generator=generator, device=x.device)[rank]
    return _StraightThrough.apply(x, noise)


class Binarizer(nn.Module):
    """B of Fig. 3 without learned parameters: stochastic in training mode, deterministic in evaluation mode.

    A training loop sets `generator`, so that a resumed run draws the same bits, and `shard`, see `binarize`.
    """

    def __init__(self):
        super().__init__()
        self.generator: torch.Generator | None = None
        self.shard = (0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return binarize(x, self.training, self.generator, self.shard)
