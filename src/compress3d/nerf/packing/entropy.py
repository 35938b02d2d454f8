"""Whole numbers to bits and back: range coding with probabilities that are whole numbers over 2^16.

Frequencies over 2^16 are exact in any float, so every machine decodes the same. The coder is that of `constriction`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compress3d.errors import DataError

TOTAL = 1 << 16  # what frequencies add up to


def _stream() -> Any:
    try:
        from constriction import stream
    except ImportError as error:
        raise DataError("constriction", "is not installed", "run `pip install 'compress3d[nerf]'`") from error
    return stream


def frequencies(numbers: np.ndarray, count: int) -> np.ndarray:
    """Frequencies (count,) of numbers 0 .. count - 1, uint16, that add up to 2^16 - 1, none that occurs being 0.

    Example:
        >>> frequencies(np.array([0, 0, 0, 1]), 3).tolist()
        [49151, 16384, 0]
    """
    return shared_out(np.bincount(numbers.ravel(), minlength=count).astype(np.int64))


def shared_out(weights: np.ndarray) -> np.ndarray:
    """Frequencies, uint16, about as whole numbers `weights` (count,), none that is positive becoming 0."""
    room = TOTAL - 1 - int((weights > 0).sum())
    if not weights.any():
        return np.zeros(len(weights), np.uint16)
    shared = (weights > 0) + (weights * room) // weights.sum()
    shared[weights.argmax()] += TOTAL - 1 - shared.sum()
    return shared.astype(np.uint16)


def code_length(numbers: np.ndarray, table: np.ndarray) -> float:
    """Bits that numbers take by frequencies."""
    return float(-np.log2(table[numbers] / TOTAL).sum())


def _model(table: np.ndarray) -> Any:
    """A distribution of a table of frequencies; what is missing to 2^16 belongs to a number that never occurs."""
    probabilities = np.append(table.astype(np.float64), 1.0) / TOTAL
    return _stream().model.Categorical(probabilities, perfect=False)


class Writer:
    """Bits of whole numbers."""

    def __init__(self) -> None:
        self._coder = _stream().queue.RangeEncoder()

    def numbers(self, numbers: np.ndarray, table: np.ndarray) -> None:
        """Numbers of any shape, by frequencies as of `frequencies`."""
        if numbers.size:
            self._coder.encode(numbers.ravel().astype(np.int32), _model(table))

    def bits(self, bits: np.ndarray, ones: np.ndarray) -> None:
        """Bits (N,), each with the chance `ones` (N,) of being 1, whole numbers 1 .. 2^16 - 1."""
        if bits.size:
            bernoulli = _stream().model.Bernoulli(perfect=False)
            self._coder.encode(bits.astype(np.int32), bernoulli, ones.astype(np.float64) / TOTAL)

    def done(self) -> bytes:
        """All that was written."""
        return self._coder.get_compressed().astype("<u4").tobytes()


class Reader:
    """The numbers of a `Writer`, asked for in the same order."""

    def __init__(self, data: bytes, name: str):
        if len(data) % 4:
            raise DataError(name, "holds a stream of a broken length", "get the file again")
        self._coder, self._name = _stream().queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32)), name

    def numbers(self, count: int, table: np.ndarray) -> np.ndarray:
        """`count` numbers, int32."""
        if not count:
            return np.zeros(0, np.int32)
        if int(table.astype(np.int64).sum()) != TOTAL - 1:
            raise DataError(self._name, "holds frequencies that do not add up", "get the file again")
        return self._read(lambda: self._coder.decode(_model(table), count))

    def bits(self, ones: np.ndarray) -> np.ndarray:
        """As many bits as chances, bool."""
        if not ones.size:
            return np.zeros(0, bool)
        bernoulli = _stream().model.Bernoulli(perfect=False)
        return self._read(lambda: self._coder.decode(bernoulli, ones.astype(np.float64) / TOTAL)).astype(bool)

    def _read(self, decode: Any) -> np.ndarray:
        try:
            return decode()
        except (AssertionError, ValueError) as error:  # what the coder says of bits that nobody wrote
            raise DataError(
                self._name, f"holds a stream that cannot be decoded ({error})", "get the file again"
            ) from error


class Contexts:
    """Chances of a bit in each of many contexts, learnt from the bits before, the same way on both sides.

    Before any bit a context has seen `weight` of them, half of them ones.
    """

    def __init__(self, count: int, weight: float = 2):
        self.ones = np.full(count, int(weight * TOTAL / 2), np.int64)  # in 2^-16
        self.all = np.full(count, int(weight * TOTAL), np.int64)

    def chances(self, context: np.ndarray) -> np.ndarray:
        """Of being 1, whole numbers 1 .. 2^16 - 1."""
        return (self.ones[context] * TOTAL // self.all[context]).clip(1, TOTAL - 1)

    def learn(self, context: np.ndarray, bits: np.ndarray) -> None:
        """Count bits."""
        np.add.at(self.all, context, TOTAL)
        np.add.at(self.ones, context[bits.astype(bool)], TOTAL)
