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
"""2^(-n / 16). Scales are 2^(k / 16) for a whole number k, so that what is rounded already finds its own again."""
SMALLEST = 511  # of scales: 2^(-511 / 16) of a matrix's largest; what is smaller is rounded to zero
LOWEST, HIGHEST = -16 * 149, 16 * 120  # k of scales that float32 has
TRIED = 4  # scales of a block, from one that clips nothing down to 2^(-3 / 16) of it
LARGEST = 1e36  # of values
COARSE, GROUP = 6, 32  # with so few bits or fewer a scale holds for that many columns of a row


class Whole(NamedTuple):
    """A matrix in whole numbers."""

    numbers: np.ndarray  # int32 (out, in), within +-(2^(bits - 1) - 1)
    steps: np.ndarray  # int32 (out, blocks): how many scales below the largest one; (1, 1): one for all
    top: int  # k of the largest scale
    blocks: tuple[int, ...]  # columns that share a row's scale


def check_bits(bits: int) -> None:
    """ConfigError: no weights of so many bits are made."""
    if bits not in FLOATS and not LEAST <= bits <= MOST:
        raise ConfigError(f"{bits} bits", "are not made", f"choose 32, 16, or {LEAST} to {MOST}")


def check_values(values: np.ndarray) -> None:
    """DataError: a value is not finite, or so large that its neighbours are not."""
    if not np.isfinite(values).all() or np.abs(values).max(initial=0) > LARGEST:
        raise DataError("weights", "hold values that are not finite, or almost", "train the field again")


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
    check_values(values)
    most = 2 ** (bits - 1) - 1
    whole = blocks is None
    blocks = (values.shape[1],) if blocks is None else blocks
    starts = np.cumsum((0, *blocks[:-1]))

    def sums(of: np.ndarray, add: np.ufunc = np.add) -> np.ndarray:
        """What belongs to one scale, together: (out, blocks), or (1, 1)."""
        return add.reduce(of, axis=(0, 1)).reshape(1, 1) if whole else add.reduceat(of, starts, axis=1)

    def tried(k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whole numbers (out, in) with these scales, and the squared error of what they give."""
        scales = _spread(scales_of(k), values.shape, blocks)
        numbers = np.rint(values / scales.astype(np.float64)).clip(-most, most)
        off = (numbers.astype(np.float32) * scales).astype(np.float64) - values
        return numbers, sums(np.square(off))

    need = sums(np.abs(values).astype(np.float64), np.maximum) / most
    first = scale_above(need)
    # From the smallest scale that clips nothing down: the one with the least squared error. A larger one only where it
    # is exact: the values were rounded to it before.
    best, chosen = np.full(need.shape, np.inf), first
    for more in (-2, -1, *range(TRIED)):
        k = (first - more).clip(LOWEST, HIGHEST)
        error = tried(k)[1]
        better = (error < best) if more >= 0 else (error == 0)
        best, chosen = np.where(better, error, best), np.where(better, k, chosen)
    top = int(chosen[need > 0].max(initial=LOWEST))
    steps = np.where(need > 0, top - chosen, SMALLEST + 1)
    numbers = np.where(_spread(steps, values.shape, blocks) > SMALLEST, 0, tried(chosen)[0])
    return Whole(numbers.astype(np.int32), steps.clip(max=SMALLEST), top, blocks)


def scale_above(sizes: np.ndarray) -> np.ndarray:
    """k of the smallest scales that are not smaller than sizes, float64, within what float32 has."""
    k = np.ceil(16 * np.log2(np.maximum(sizes, 2.0**-149))).astype(np.int64)
    k -= scales_of(k - 1) >= sizes  # where the logarithm was rounded the wrong way
    k += scales_of(k) < sizes
    return k.clip(LOWEST, HIGHEST)


def _spread(scales: np.ndarray, shape: tuple[int, ...], blocks: tuple[int, ...]) -> np.ndarray:
    """The scale of every value, (out, in)."""
    return np.broadcast_to(scales, shape) if scales.size == 1 else np.repeat(scales, blocks, axis=1)


def scales_of(k: np.ndarray) -> np.ndarray:
    """Scales 2^(k / 16), float32: a constant times a power of two, the same on any machine."""
    whole, part = np.divmod(-np.asarray(k, np.int64), 16)
    return (POWERS[part] * np.ldexp(1.0, -whole)).astype(np.float32)


def from_whole(whole: Whole) -> np.ndarray:
    """Values, float32 (out, in)."""
    scales = scales_of(whole.top - whole.steps)
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
    """A table of values: whole numbers, each of its columns with a scale of its own."""

    numbers: np.ndarray  # int32 (K, C), from 0
    low: np.ndarray  # int32 (C,), what is added to them
    k: np.ndarray  # int32 (C,), of the scales they are then multiplied by


CLIPPED = 0.001  # share of values beyond the levels at either end


def to_levels(values: np.ndarray, bits: int) -> Levels:
    """Columns of a table (K, C) in 2^bits levels each, without the outermost 0.1 % at either end.

    Raises:
        DataError: a value is not finite.
    """
    check_values(values)
    columns = [_column(column, 2**bits) for column in values.T.astype(np.float64)]
    numbers = np.stack([numbers for numbers, _, _ in columns], 1).reshape(values.shape)
    return Levels(numbers, *(np.array([of[place] for of in columns], np.int32) for place in (1, 2)))


def _column(values: np.ndarray, levels: int) -> tuple[np.ndarray, int, int]:
    """Whole numbers (K,) below `levels`, what is added to them, and k of the scale."""
    distinct = np.unique(values)
    if len(distinct) <= 1:  # its 24 bits as they are
        part, power = np.frexp(distinct[0] if len(distinct) else 0.0)
        return np.zeros(len(values), np.int32), int(part * 2**24), max(16 * (int(power) - 24), LOWEST)
    if len(distinct) <= levels:  # perhaps rounded before
        largest = round(16 * float(np.log2(np.diff(distinct).min())))
        for k in range(min(largest, HIGHEST), max(largest - 16 * levels.bit_length(), LOWEST), -1):
            scale = scales_of(np.array(k))
            whole = np.rint(distinct / np.float64(scale))
            if np.ptp(whole) >= levels or np.abs(whole).max() >= 2**24:
                break
            if np.array_equal(whole.astype(np.float32) * scale, distinct):
                return (np.rint(values / np.float64(scale)) - whole[0]).astype(np.int32), int(whole[0]), k
    low, high = map(float, np.quantile(values, (CLIPPED, 1 - CLIPPED)))
    # So large that whole numbers stay below 2^24, which float32 has.
    need = max((high - low) / (levels - 1), float(np.abs(values).max()) * 2.0**-22, 2.0**-120)
    k = int(scale_above(np.array([need]))[0])
    side = float(scales_of(np.array(k)))
    start = round(low / side)
    return (np.rint(values / side) - start).clip(0, levels - 1).astype(np.int32), start, k


def from_levels(levels: Levels) -> np.ndarray:
    """Values, float32 (K, C)."""
    return (levels.low + levels.numbers).astype(np.float32) * scales_of(levels.k)


def rounded_values(values: np.ndarray, bits: int) -> np.ndarray:
    """A table (K, C) as it is after `bits` bits, float32."""
    if bits == 32:
        return values.astype(np.float32)
    return as_half(values) if bits == 16 else from_levels(to_levels(values, bits))
