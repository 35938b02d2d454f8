"""Weights as whole numbers: a scale for each row of a matrix, so that a small row keeps its digits.

Everything here is exact: whole numbers, and products of a float32 and a whole number. Any machine gets the same values.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from compress3d.errors import ConfigError, DataError
from compress3d.nerf.prune import named_layers
from compress3d.nerf.voxels import VoxelField

FLOATS = (32, 16)  # bits that are IEEE values; fewer are whole numbers
LEAST, MOST = 2, 12
POWERS = np.array([
    1.0, 0.957603281, 0.917004043, 0.878126080, 0.840896415, 0.805245166, 0.771105413, 0.738413073,
    0.707106781, 0.677127773, 0.648419777, 0.620928906, 0.594603558, 0.569394317, 0.545253866, 0.522136891,
])  # fmt: skip
"""2^(-n / 16): a scale is the largest one's times such a power, and takes one byte instead of four."""
SMALLEST = 255  # of scales: 2^(-255 / 16) of the largest
TRIED = 4  # scales of a block, from one that clips nothing down to 2^(-3 / 16) of it
COARSE, GROUP = 6, 32  # with so few bits or fewer a scale holds for that many columns of a row


class Whole(NamedTuple):
    """A matrix in whole numbers."""

    numbers: np.ndarray  # int32 (out, in), within +-(2^(bits - 1) - 1)
    steps: np.ndarray  # uint8 (out, blocks), sixteenths of powers of two below the largest scale; (1, 1): one for all
    largest: np.float32  # the largest scale; 0 where all is zero
    blocks: tuple[int, ...]  # columns that share a row's scale


def check_bits(bits: int) -> None:
    """ConfigError: no weights of so many bits are made."""
    if bits not in FLOATS and not LEAST <= bits <= MOST:
        raise ConfigError(f"{bits} bits", "are not made", f"choose 32, 16, or {LEAST} to {MOST}")


def blocks_of(joined: tuple[int, ...], bits: int) -> tuple[int, ...]:
    """Columns that share a row's scale: each part of a joined input has its own.

    An encoded direction's weights are 1.3 times as large as those of features, and with a scale for both 6 bits cost
    the public port's network 1.5 dB instead of 1.0; with one for 32 columns 0.7.

    Example:
        >>> blocks_of((128, 27), 8), blocks_of((40, 27), 6)
        ((128, 27), (32, 8, 27))
    """
    if bits > COARSE:
        return joined
    return tuple(min(GROUP, width - start) for width in joined for start in range(0, width, GROUP))


def to_whole(values: np.ndarray, bits: int, blocks: tuple[int, ...] | None = None) -> Whole:
    """Round float32 values (out, in) to whole numbers of `bits` bits.

    Args:
        blocks: widths of columns that share a row's scale; None for one scale for the whole matrix.

    Raises:
        DataError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise DataError("weights", "hold values that are not finite", "train the network again")
    most = 2 ** (bits - 1) - 1
    whole = blocks is None
    blocks = (values.shape[1],) if blocks is None else blocks
    starts = np.cumsum((0, *blocks[:-1]))

    def sums(of: np.ndarray, add: np.ufunc = np.add) -> np.ndarray:
        """What belongs to one scale, together: (out, blocks), or (1, 1)."""
        return add.reduce(of, axis=(0, 1)).reshape(1, 1) if whole else add.reduceat(of, starts, axis=1)

    sides = sums(np.abs(values).astype(np.float64), np.maximum)
    largest = np.float32(sides.max(initial=0) / most)
    if largest == 0:
        return Whole(np.zeros(values.shape, np.int32), np.full(sides.shape, SMALLEST, np.uint8), largest, blocks)
    # From the smallest scale of the ladder that clips nothing down: the one with the least squared error.
    ladder = scales_of(largest, np.arange(SMALLEST + 1)).astype(np.float64)
    first = np.searchsorted(-ladder, -sides / most, side="right") - 1
    best, steps = np.full(sides.shape, np.inf), np.zeros(sides.shape, np.int64)
    for more in range(TRIED):
        tried = (first + more).clip(0, SMALLEST)
        scales = _spread(ladder[tried], values.shape, blocks)
        error = sums(np.square(np.rint(values / scales).clip(-most, most) * scales - values))
        better = error < best
        best[better], steps[better] = error[better], tried[better]
    numbers = np.rint(values / _spread(ladder[steps], values.shape, blocks)).clip(-most, most).astype(np.int32)
    return Whole(numbers, steps.astype(np.uint8), largest, blocks)


def _spread(scales: np.ndarray, shape: tuple[int, ...], blocks: tuple[int, ...]) -> np.ndarray:
    """The scale of every value, (out, in)."""
    return np.broadcast_to(scales, shape) if scales.size == 1 else np.repeat(scales, blocks, axis=1)


def scales_of(largest: np.float32, steps: np.ndarray) -> np.ndarray:
    """Scales, float32, of steps: exact products but for one rounding, on any machine."""
    whole, part = np.divmod(steps.astype(np.int64), 16)
    return (np.float64(largest) * POWERS[part] * np.ldexp(1.0, -whole)).astype(np.float32)


def from_whole(whole: Whole) -> np.ndarray:
    """Values, float32 (out, in)."""
    scales = scales_of(whole.largest, whole.steps)
    return whole.numbers.astype(np.float32) * _spread(scales, whole.numbers.shape, whole.blocks)


def rounded(values: np.ndarray, bits: int, blocks: tuple[int, ...] | None = None) -> np.ndarray:
    """Values (out, in) as they are after `bits` bits, float32."""
    if bits == 32:
        return values.astype(np.float32)
    if bits == 16:
        return as_half(values)
    return from_whole(to_whole(values, bits, blocks))


def as_half(values: np.ndarray) -> np.ndarray:
    """Values in half precision; DataError: one is too large for it, or not finite."""
    with np.errstate(over="ignore"):
        found = values.astype(np.float16)
    if not np.isfinite(found).all():
        raise DataError("weights", "hold values that half precision does not", "take 32 bits")
    return found.astype(np.float32)


def bias_bits(bits: int) -> int:
    """Bits of biases: those of weights, but 8 at least."""
    return max(8, bits)


@torch.no_grad()
def quantise(model: nn.Module, bits: int, rows: bool = True) -> nn.Module:
    """Round the weights of a model's networks, or the values of its voxel fields, in place; returns the model.

    Biases have `bias_bits`, with one scale a layer; masked weights become zero.

    Raises:
        ConfigError, DataError: see `check_bits` and `to_whole`.
    """
    check_bits(bits)
    fields = [part for part in model.modules() if isinstance(part, VoxelField)]
    for field in fields:
        field.rows.copy_(torch.from_numpy(rounded_values(field.rows.detach().cpu().numpy(), bits)))
    for layer in named_layers(model).values() if not fields else ():
        weight = layer.acting_weight.detach().cpu().numpy()
        blocks = blocks_of(layer.joined, bits) if rows else None
        layer.weight.copy_(torch.from_numpy(rounded(weight, bits, blocks)))
        bias = layer.acting_bias.detach().cpu().numpy()
        layer.bias.copy_(torch.from_numpy(rounded(bias[None], bias_bits(bits))[0]))
    return model


class Levels(NamedTuple):
    """A table of values, each of its columns on a ladder of its own."""

    numbers: np.ndarray  # int32 (K, C), from 0
    low: np.ndarray  # float32 (C,), value of 0
    step: np.ndarray  # float32 (C,)


CLIPPED = 0.001  # share of values beyond the ladder at either end


def to_levels(values: np.ndarray, bits: int) -> Levels:
    """Columns of a table (K, C) in 2^bits levels each, without the outermost 0.1 % at either end.

    Raises:
        DataError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise DataError("voxels", "hold values that are not finite", "train the field again")
    K, C = values.shape
    low, high = np.quantile(values, (CLIPPED, 1 - CLIPPED), axis=0) if K else np.zeros((2, C))
    low = low.astype(np.float32)
    step = ((high - low) / (2**bits - 1)).astype(np.float32)
    safe = np.where(step > 0, step, 1).astype(np.float64)
    numbers = np.rint((values - low.astype(np.float64)) / safe).clip(0, 2**bits - 1)
    return Levels(np.where(step > 0, numbers, 0).astype(np.int32), low, step)


def from_levels(levels: Levels) -> np.ndarray:
    """Values, float32 (K, C)."""
    return levels.low + levels.numbers.astype(np.float32) * levels.step


def rounded_values(values: np.ndarray, bits: int) -> np.ndarray:
    """A table (K, C) as it is after `bits` bits, float32."""
    if bits == 32:
        return values.astype(np.float32)
    return as_half(values) if bits == 16 else from_levels(to_levels(values, bits))
