"""Masks: which weights act, which cells are kept. A bit's chance comes from bits that the decoder has already."""

from __future__ import annotations

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
        self.ones, self.rows = np.zeros(count, np.int64), 0

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
        self.rows += 1


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


def _neighbours(grid: np.ndarray, x: int, y: int) -> np.ndarray:
    """Contexts (Z,) of a line of a grid that has a layer of zeros around: 9 bits of the slice before, 3 of the line."""
    Z = grid.shape[2] - 2
    lines = [grid[x, y + dy] for dy in (0, 1, 2)] + [grid[x + 1, y]]  # the grid's indices are shifted by the layer
    found = np.zeros(Z, np.int64)
    for line in lines:
        for dz in (0, 1, 2):
            found = 2 * found + line[dz : dz + Z]
    return found


def write_grid(writer: Writer, kept: np.ndarray) -> None:
    """Which cells of a grid (X, Y, Z) are kept: by twelve neighbours."""
    grid, contexts = np.pad(kept, 1), Contexts(1 << 12)
    for x in range(kept.shape[0]):
        for y in range(kept.shape[1]):
            context = _neighbours(grid, x, y)
            writer.bits(kept[x, y], contexts.chances(context))
            contexts.learn(context, kept[x, y])


def read_grid(reader: Reader, shape: tuple[int, int, int]) -> np.ndarray:
    """Inverse of `write_grid`, bool."""
    grid, contexts = np.zeros([n + 2 for n in shape], bool), Contexts(1 << 12)
    for x in range(shape[0]):
        for y in range(shape[1]):
            context = _neighbours(grid, x, y)
            bits = reader.bits(contexts.chances(context))
            contexts.learn(context, bits)
            grid[x + 1, y + 1, 1:-1] = bits
    return grid[1:-1, 1:-1, 1:-1]
