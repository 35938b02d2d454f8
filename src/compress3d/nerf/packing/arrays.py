"""Arrays to a stream and back: matrices with masks, biases, tables of voxels. Side by side, so that both stay alike."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from compress3d.errors import DataError
from compress3d.nerf.packing import file
from compress3d.nerf.packing.entropy import Reader, Writer, frequencies
from compress3d.nerf.packing.masks import read_matrix, write_matrix
from compress3d.nerf.quantize import (
    FLOATS,
    SMALLEST,
    Levels,
    Whole,
    as_half,
    from_levels,
    from_whole,
    to_levels,
    to_whole,
)


class Tables:
    """Frequencies by name, for the header: they are sent as they are, so that both sides have the same."""

    def __init__(self, header: dict, name: str = "file"):
        self.header, self.name = header.setdefault("tables", {}), name
        if not isinstance(self.header, dict):
            raise DataError(name, "has no tables in its header", file.RESTORE)

    def add(self, key: str, numbers: np.ndarray, count: int) -> np.ndarray:
        """Frequencies of numbers, put into the header."""
        table = frequencies(numbers, count)
        self.header[key] = base64.b85encode(table.astype("<u2").tobytes()).decode()
        return table

    def get(self, key: str, count: int) -> np.ndarray:
        """Frequencies out of the header."""
        text = file.entry(self.header, key, str, self.name)
        try:
            raw = base64.b85decode(text)
        except ValueError:
            raw = b""
        if len(raw) != 2 * count:
            raise DataError(self.name, f"has a broken table {key}", file.RESTORE)
        return np.frombuffer(raw, "<u2")


def _bytes(values: np.ndarray, bits: int) -> np.ndarray:
    """Bytes (bits / 8, N) of IEEE values, the first row the lowest bytes."""
    raw = (values.astype("<f4") if bits == 32 else as_half(values).astype("<f2")).ravel().view(np.uint8)
    return raw.reshape(-1, bits // 8).T.astype(np.int32)


def write_floats(writer: Writer, tables: Tables, key: str, values: np.ndarray, bits: int) -> None:
    """IEEE values of 32 or 16 bits: each of their bytes by its own frequencies."""
    for place, plane in enumerate(_bytes(values, bits)):
        writer.numbers(plane, tables.add(f"{key}{place}", plane, 256))


def read_floats(reader: Reader, tables: Tables, key: str, count: int, bits: int) -> np.ndarray:
    """Inverse of `write_floats`, float32 (count,)."""
    planes = [reader.numbers(count, tables.get(f"{key}{place}", 256)) for place in range(bits // 8)]
    raw = np.stack(planes, 1).astype(np.uint8).reshape(-1)
    values = raw.view("<f4" if bits == 32 else "<f2").astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(tables.name, "holds values that are not finite", file.RESTORE)
    return values


def write_matrices(
    writer: Writer,
    header: dict,
    layers: dict[str, tuple[np.ndarray, np.ndarray | None]],
    blocks: dict[str, tuple[int, ...] | None],
    bits: int,
) -> None:
    """Weights of layers, name -> (values (out, in), bool mask or None), of which only those that act are sent.

    `blocks` are those of `to_whole`, by name.
    """
    tables = Tables(header)
    for _, mask in layers.values():
        if mask is not None:
            write_matrix(writer, mask)
    acting = {name: v.ravel() if mask is None else v[mask] for name, (v, mask) in layers.items()}
    if bits in FLOATS:
        for name, values in acting.items():
            write_floats(writer, tables, f"{name} ", values, bits)
        return
    whole = [to_whole(values, bits, blocks[key]) for key, (values, _) in layers.items()]
    parts = [of.numbers if m is None else of.numbers[m] for of, (_, m) in zip(whole, layers.values(), strict=True)]
    write_whole(writer, header, "weights", whole, parts, bits)


def write_whole(writer: Writer, header: dict, key: str, whole: list[Whole], parts: list[np.ndarray], bits: int) -> None:
    """Whole numbers of several matrices, of which `parts` are sent: scales, sizes, signs."""
    tables = Tables(header)
    header[f"{key} largest"] = [float(of.largest) for of in whole]
    steps = np.concatenate([of.steps.ravel() for of in whole]).astype(np.int32)
    writer.numbers(steps, tables.add(f"{key} steps", steps, SMALLEST + 1))
    numbers = np.concatenate([part.ravel() for part in parts])
    sizes = np.abs(numbers)
    writer.numbers(sizes, tables.add(f"{key} sizes", sizes, 2 ** (bits - 1)))
    signs = numbers[sizes > 0] < 0
    writer.bits(signs, np.full(len(signs), 1 << 15))


def read_whole(
    reader: Reader, header: dict, key: str, counts: list[int], scales: list[int], bits: int, name: str
) -> list[tuple[np.ndarray, np.ndarray, np.float32]]:
    """Inverse of `write_whole`: numbers that were sent, steps and largest scale of each matrix.

    Args:
        counts, scales: how many numbers and how many scales each matrix has.
    """
    tables = Tables(header, name)
    largest = file.entry(header, f"{key} largest", list, name)
    if len(largest) != len(counts) or not all(isinstance(v, float | int) and 0 <= v < 1e30 for v in largest):
        raise DataError(name, f"has broken scales of {key} in its header", file.RESTORE)
    steps = reader.numbers(sum(scales), tables.get(f"{key} steps", SMALLEST + 1)).astype(np.uint8)
    numbers = reader.numbers(sum(counts), tables.get(f"{key} sizes", 2 ** (bits - 1)))
    places = np.flatnonzero(numbers)
    numbers[places[reader.bits(np.full(len(places), 1 << 15))]] *= -1
    split = zip(
        np.split(numbers, np.cumsum(counts)[:-1]), np.split(steps, np.cumsum(scales)[:-1]), largest, strict=True
    )
    return [(part, step, np.float32(top)) for part, step, top in split]


def write_biases(writer: Writer, header: dict, biases: list[np.ndarray], bits: int) -> None:
    """Biases (out,) of layers, with one scale each."""
    if bits in FLOATS:
        write_floats(writer, Tables(header), "biases", np.concatenate(biases), bits)
        return
    whole = [to_whole(bias[None], bits) for bias in biases]
    write_whole(writer, header, "biases", whole, [of.numbers for of in whole], bits)


def read_biases(reader: Reader, header: dict, counts: list[int], bits: int, name: str) -> list[np.ndarray]:
    """Inverse of `write_biases`, float32."""
    if bits in FLOATS:
        return np.split(read_floats(reader, Tables(header, name), "biases", sum(counts), bits), np.cumsum(counts)[:-1])
    found = read_whole(reader, header, "biases", counts, [1] * len(counts), bits, name)
    return [from_whole(Whole(part[None], step[None], top, part.shape))[0] for part, step, top in found]


def read_matrices(
    reader: Reader, header: dict, shapes: dict[str, tuple[int, int]], masked: dict[str, bool],
    blocks: dict[str, tuple[int, ...] | None], bits: int, name: str,
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:  # fmt: skip
    """Inverse of `write_matrices`: name -> (float32 values, bool mask or None)."""
    tables = Tables(header, name)
    masks = {key: read_matrix(reader, shape) if masked[key] else None for key, shape in shapes.items()}
    counts = {key: int(np.prod(shapes[key])) if of is None else int(of.sum()) for key, of in masks.items()}

    def spread(key: str, values: np.ndarray) -> np.ndarray:
        mask = masks[key]
        if mask is None:
            return values.reshape(shapes[key])
        found = np.zeros(shapes[key], values.dtype)
        found[mask] = values
        return found

    if bits in FLOATS:
        return {
            key: (spread(key, read_floats(reader, tables, f"{key} ", counts[key], bits)), masks[key]) for key in shapes
        }
    grids = {key: (1, 1) if blocks[key] is None else (shapes[key][0], len(blocks[key] or ())) for key in shapes}
    scales = [math.prod(grid) for grid in grids.values()]
    found = read_whole(reader, header, "weights", list(counts.values()), scales, bits, name)
    return {
        key: (
            from_whole(Whole(spread(key, part), step.reshape(grids[key]), top, blocks[key] or shapes[key][1:])),
            masks[key],
        )
        for key, (part, step, top) in zip(shapes, found, strict=True)
    }


def write_table(writer: Writer, header: dict, values: np.ndarray, bits: int) -> None:
    """A table (K, C) of voxels' values: whole numbers of a ladder for each column, by frequencies of their own."""
    tables = Tables(header)
    if bits in FLOATS:
        write_floats(writer, tables, "values", values, bits)
        return
    levels = to_levels(values, bits)
    header |= {"low": [float(v) for v in levels.low], "step": [float(v) for v in levels.step]}
    for number, column in enumerate(levels.numbers.T):
        writer.numbers(column, tables.add(f"column{number}", column, 2**bits))


def read_table(reader: Reader, header: dict, shape: tuple[int, int], bits: int, name: str) -> np.ndarray:
    """Inverse of `write_table`, float32."""
    tables = Tables(header, name)
    if bits in FLOATS:
        return read_floats(reader, tables, "values", shape[0] * shape[1], bits).reshape(shape)
    ladder: list[Any] = [file.entry(header, key, list, name) for key in ("low", "step")]
    if not all(len(of) == shape[1] and all(isinstance(v, float | int) and abs(v) < 1e30 for v in of) for of in ladder):
        raise DataError(name, "has broken ladders in its header", file.RESTORE)
    columns = [reader.numbers(shape[0], tables.get(f"column{number}", 2**bits)) for number in range(shape[1])]
    low, step = (np.array(of, np.float32) for of in ladder)
    return from_levels(Levels(np.stack(columns, 1), low, step))
