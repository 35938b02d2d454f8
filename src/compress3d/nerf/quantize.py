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
EIGHTHS = np.array([1.0, 0.917004043, 0.840896415, 0.771105413, 0.707106781, 0.648419777, 0.594603558, 0.545253866])
"""2^(-n / 8): a row's scale is the largest one's times such a power, and takes one byte instead of four."""
TRIED = 12  # scales of a row, from one that clips nothing down to 2^(-11 / 8) of it
SMALLEST = 255  # of scales: 2^(-255 / 8); rows below it are rounded to zero


class Whole(NamedTuple):
    """A matrix in whole numbers."""

    numbers: np.ndarray  # int32 (out, in), within +-(2^(bits - 1) - 1)
    steps: np.ndarray  # uint8 (out,), eighths of powers of two below the largest scale; (1,) for a tensor's one scale
    largest: np.float32  # the largest scale; 0 where all is zero


def check_bits(bits: int) -> None:
    """ConfigError: no weights of so many bits are made."""
    if bits not in FLOATS and not LEAST <= bits <= MOST:
        raise ConfigError(f"{bits} bits", "are not made", f"choose 32, 16, or {LEAST} to {MOST}")


def to_whole(values: np.ndarray, bits: int, rows: bool = True) -> Whole:
    """Round float32 values (out, in) to whole numbers of `bits` bits.

    Args:
        rows: a scale for each row; else one for all.

    Raises:
        DataError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise DataError("weights", "hold values that are not finite", "train the network again")
    most = 2 ** (bits - 1) - 1
    sides = np.abs(values).max(1, initial=0) if rows else np.abs(values).max(initial=0)[None]
    largest = np.float32(sides.max(initial=0) / most)
    if largest == 0:
        return Whole(np.zeros(values.shape, np.int32), np.full(len(sides), SMALLEST, np.uint8), np.float32(0))
    # From the smallest scale of the ladder that holds a row, so that nothing is clipped, down: the one with the least
    # squared error. With 6 bits that is worth 0.6 dB of a network's pictures.
    ladder = scales_of(largest, np.arange(SMALLEST + 1)).astype(np.float64)
    first = np.searchsorted(-ladder, -sides.astype(np.float64) / most, side="right") - 1
    parts = values.astype(np.float64) if rows else values.astype(np.float64).reshape(1, -1)
    best, steps = np.full(len(sides), np.inf), np.zeros(len(sides), np.int64)
    for more in range(TRIED):
        tried = (first + more).clip(0, SMALLEST)
        scales = ladder[tried][:, None]
        error = np.square(np.rint(parts / scales).clip(-most, most) * scales - parts).sum(1)
        better = error < best
        best[better], steps[better] = error[better], tried[better]
    numbers = np.rint(values / ladder[steps][:, None]).clip(-most, most).astype(np.int32)
    return Whole(numbers, steps.astype(np.uint8), largest)


def scale_of(largest: np.float32, step: int) -> np.float32:
    """The scale that is `step` eighths of powers of two below the largest."""
    return np.float32(np.float64(largest) * EIGHTHS[step % 8] * 2.0 ** -(step // 8))


def scales_of(largest: np.float32, steps: np.ndarray) -> np.ndarray:
    """Scales, float32, of steps."""
    return np.array([scale_of(largest, int(step)) for step in steps], np.float32)


def from_whole(whole: Whole) -> np.ndarray:
    """Values, float32 (out, in)."""
    return whole.numbers.astype(np.float32) * scales_of(whole.largest, whole.steps)[:, None]


def rounded(values: np.ndarray, bits: int, rows: bool = True) -> np.ndarray:
    """Values (out, in) as they are after `bits` bits, float32."""
    if bits == 32:
        return values.astype(np.float32)
    if bits == 16:
        return as_half(values)
    return from_whole(to_whole(values, bits, rows))


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
        layer.weight.copy_(torch.from_numpy(rounded(weight, bits, rows)))
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
