"""Masks: which weights act, which cells are kept. A bit's chance comes from bits that the decoder has already."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from compress3d.nerf.packing.entropy import TOTAL, Contexts, Reader, Writer

DENSITIES = 16  # classes of a row's share of ones, sent ahead of the row
WEIGHT = 12  # how many rows a column's history is worth against the row's own share


def write_matrix(writer: Writer, mask: np.ndarray) -> None:
    """Which weights (out, in) act: by the share of their row and the history of their column."""
    classes = Contexts(DENSITIES * 5)
    columns = _Columns(mask.shape[1])
    for row in mask:
        share = _class(row)
        _write_class(writer, classes, share)
        writer.bits(row, columns.chances(share))
        columns.learn(row)


def read_matrix(reader: Reader, shape: tuple[int, int]) -> np.ndarray:
    """Inverse of `write_matrix`, bool."""
    mask = np.zeros(shape, bool)
    classes = Contexts(DENSITIES * 5)
    columns = _Columns(shape[1])
    for row in mask:
        share = _read_class(reader, classes)
        row[:] = reader.bits(columns.chances(share))
        columns.learn(row)
    return mask


class _Columns:
    """The history of every column of a matrix of which rows are known so far."""

    def __init__(self, count: int):
        self.ones = np.zeros(count, np.int64)

    def chances(self, share: int) -> np.ndarray:
        """Of being 1 in the next row, whose share of ones is in class `share`: whole numbers 1 .. 2^16 - 1."""
        total, count = int(self.ones.sum()), len(self.ones)
        own = (2 * share + 1) * TOTAL // (2 * DENSITIES)
        # A column's ones against the average column's scale the row's own share; both start at 1 (WEIGHT rows).
        mean = (total * TOTAL // count + WEIGHT * TOTAL // 8) or 1
        column = self.ones * TOTAL + WEIGHT * TOTAL // 8
        odds = own * 256 // (TOTAL - own)  # so that a chance stays below 1
        scaled = odds * (column * 256 // mean)
        return (scaled * TOTAL // (scaled + 256 * 256)).clip(1, TOTAL - 1)

    def learn(self, row: np.ndarray) -> None:
        self.ones += row


def _class(row: np.ndarray) -> int:
    return min(DENSITIES - 1, int(row.sum()) * DENSITIES // max(1, len(row)))


def _write_class(writer: Writer, contexts: Contexts, value: int) -> None:
    node = 1
    for place in (3, 2, 1, 0):
        bit, at = np.array([value >> place & 1]), np.array([node])
        writer.bits(bit, contexts.chances(at))
        contexts.learn(at, bit)
        node = 2 * node + int(bit[0])


def _read_class(reader: Reader, contexts: Contexts) -> int:
    node = 1
    for _ in range(4):
        at = np.array([node])
        bit = reader.bits(contexts.chances(at))
        contexts.learn(at, bit)
        node = 2 * node + int(bit[0])
    return node - DENSITIES


# Neighbours of a cell, (x, y, z) from it, that are known when it is coded. Every other cell of a line comes first;
# those between them then know both sides, which makes the grids of two scenes a sixth smaller.
FIRST = (
    (-1, 0, 0), (-1, 1, 0), (-1, -1, 0), (-1, 0, 1), (-1, 0, -1), (0, -1, -1), (0, -1, 0), (0, -1, 1), (-2, 0, 0),
    (0, -2, 0),
)  # fmt: skip
BETWEEN = ((-1, 0, 0), (-1, 1, 0), (0, -1, -1), (0, -1, 0), (0, -1, 1), (0, 0, -1), (0, 0, 1))
MARGIN = 2  # of zeros around a grid


class _Halves:
    """Lines of a grid (X, Y, Z) in two halves, each cell with the context that its neighbours make."""

    def __init__(self, shape: tuple[int, ...]):
        self.known = np.zeros([n + 2 * MARGIN for n in shape], np.int64)
        self.contexts = [Contexts(1 << len(of), weight=0.25) for of in (FIRST, BETWEEN)]

    def code(self, code: Callable[[tuple[int, int, slice], np.ndarray], np.ndarray]) -> None:
        """Call `code(place, chances)`, which gives the bits there, for each half line in order."""
        X, Y, Z = (n - 2 * MARGIN for n in self.known.shape)
        for x, y, half in product(range(X), range(Y), (0, 1)):
            context, z = np.zeros(len(range(half, Z, 2)), np.int64), MARGIN + half
            for dx, dy, dz in (FIRST, BETWEEN)[half]:
                line = self.known[x + MARGIN + dx, y + MARGIN + dy]
                context = 2 * context + line[z + dz : MARGIN + Z + dz : 2]
            learnt = self.contexts[half]
            bits = code((x, y, slice(half, Z, 2)), learnt.chances(context))
            learnt.learn(context, bits)
            self.known[x + MARGIN, y + MARGIN, z : MARGIN + Z : 2] = bits


def write_grid(writer: Writer, kept: np.ndarray) -> None:
    """Which cells of a grid (X, Y, Z) are kept: by their neighbours."""

    def code(place: tuple[int, int, slice], chances: np.ndarray) -> np.ndarray:
        writer.bits(kept[place], chances)
        return kept[place]

    _Halves(kept.shape).code(code)


def read_grid(reader: Reader, shape: tuple[int, int, int]) -> np.ndarray:
    """Inverse of `write_grid`, bool."""
    kept = np.zeros(shape, bool)

    def code(place: tuple[int, int, slice], chances: np.ndarray) -> np.ndarray:
        kept[place] = reader.bits(chances)
        return kept[place]

    _Halves(shape).code(code)
    return kept
