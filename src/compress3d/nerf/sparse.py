"""Is a pruned network faster? Sparse against dense products of its layers, measured (Isik 2021, Sec. 4.2: "faster").

A mask saves no time by itself: `Linear` multiplies by zeros as by anything else. What a sparse product can save is
measured here, for layers alone, without what lies between them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from compress3d.errors import ConfigError
from compress3d.nerf.mlp import Linear
from compress3d.nerf.prune import prune

RATIOS = (0.0, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98)  # of the paper's Tables 1 and 2


class Speed(NamedTuple):
    """One layer at one ratio."""

    width: int  # inputs and outputs
    ratio: float  # share of the weights that are zero
    dense_ms: float
    sparse_ms: float

    @property
    def factor(self) -> float:
        """How many times as fast the sparse product is."""
        return self.dense_ms / self.sparse_ms


def sparse_speed(
    ratios: Sequence[float] = RATIOS, widths: Sequence[int] = (128, 256), points: int = 8192, repeats: int = 9
) -> list[Speed]:
    """Time of one layer's product for many points: compressed sparse rows (CSR) times dense, and dense times dense.

    Random weights, pruned by magnitude; the two take turns on the threads that torch has. Milliseconds of wall
    time are those of the fastest of `repeats`: what else a machine does only ever adds.

    Args:
        ratios: in [0, 1].
        widths: of square layers.
        points: multiplied at once.
        repeats: of each product, after one to warm up.

    Raises:
        ConfigError: a ratio is none, or a number is not positive.

    Example:
        >>> [(found.width, found.ratio) for found in sparse_speed((0.9,), (16, 32), 8, 1)]
        [(16, 0.9), (32, 0.9)]
    """
    if min((*widths, points, repeats)) < 1:
        raise ConfigError(
            f"widths {tuple(widths)}, {points} points, {repeats} repeats", "must be positive", "change it"
        )
    rows = []
    for width in widths:
        rng = torch.Generator().manual_seed(0)
        x = torch.rand(width, points, generator=rng)
        for ratio in ratios:
            layer = Linear(width, width)
            with torch.no_grad():
                layer.weight.normal_(generator=rng)
                prune(layer, ratio)
                dense, sparse = products(layer.acting_weight)
                rows.append(Speed(width, ratio, *_alternate((dense, sparse), x, repeats)))
    return rows


def products(weight: Tensor) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """What multiplies (out, in) by (in, P), densely and sparsely."""
    dense = weight.detach().contiguous()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its CSR a beta
        rows = dense.to_sparse_csr()
    return (lambda x: dense @ x), (lambda x: rows @ x)


def _alternate(calls: Sequence[Callable[[Tensor], Tensor]], x: Tensor, repeats: int) -> list[float]:
    """Fewest milliseconds of each call on x."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats + 1):
        for call, taken in zip(calls, times, strict=True):
            started = time.perf_counter()
            call(x)
            taken.append(1e3 * (time.perf_counter() - started))
    return [min(taken[1:]) for taken in times]
