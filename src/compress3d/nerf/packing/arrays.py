"""Arrays to a stream and back: matrices with masks, biases, tables of voxels. Side by side, so that both stay alike."""

from __future__ import annotations

import base64
import math

import numpy as np

from compress3d.errors import DataError
from compress3d.nerf.packing import file
from compress3d.nerf.packing.entropy import TOTAL, Reader, Writer, code_length, frequencies, shared_out
from compress3d.nerf.packing.masks import read_matrix, write_matrix
from compress3d.nerf.quantize import (
    FLOATS,
    HIGHEST,
    LOWEST,
    MOST,
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

    def get(self, key: str, count: int | None) -> np.ndarray:
        """Frequencies (count,), or any number of them, out of the header."""
        text = file.entry(self.header, key, str, self.name)
        try:
            raw = base64.b85decode(text)
        except ValueError:
            raw = b""
        if len(raw) != 2 * count if count is not None else not 0 < len(raw) <= 1 << 13 or len(raw) % 2:
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
    sent = [(of, of.numbers.ravel() if m is None else of.numbers[m], scale_places(of.numbers.shape, blocks[key], m))
            for of, (key, (_, m)) in zip(whole, layers.items(), strict=True)]  # fmt: skip
    write_whole(writer, header, "weights", sent, bits)


def scale_places(shape: tuple[int, ...], blocks: tuple[int, ...] | None, mask: np.ndarray | None) -> np.ndarray:
    """Place of the scale of each value that is sent, in order, among the scales of a matrix."""
    rows, many = (0, (shape[1],)) if blocks is None else (1, blocks)
    places = np.arange(shape[0])[:, None] * rows * len(many) + np.repeat(np.arange(len(many)), many)
    return places.ravel() if mask is None else places[mask]


def write_whole(
    writer: Writer, header: dict, key: str, sent: list[tuple[Whole, np.ndarray, np.ndarray]], bits: int
) -> None:
    """Whole numbers of several matrices: scales, sizes, signs.

    Args:
        sent: of each matrix: its scales, the numbers (N,) that are sent, the places (N,) of their scales.
    """
    tables = Tables(header)
    header[f"{key} top"] = [of.top for of, _, _ in sent]
    steps = np.concatenate([of.steps.ravel() for of, _, _ in sent]).astype(np.int32)
    writer.numbers(steps, tables.add(f"{key} steps", steps, SMALLEST + 1))
    numbers = np.concatenate([part for _, part, _ in sent])
    k = np.concatenate([(of.top - of.steps.ravel())[places] for of, _, places in sent])
    write_sizes(writer, header, key, np.abs(numbers), k, 2 ** (bits - 1))
    signs = numbers[numbers != 0] < 0
    writer.bits(signs, np.full(len(signs), 1 << 15))


def read_whole(
    reader: Reader, header: dict, key: str, places: list[np.ndarray], scales: list[int], bits: int, name: str
) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Inverse of `write_whole`: numbers that were sent, steps and k of the largest scale, of each matrix.

    Args:
        places: of each matrix, as of `scale_places`.
        scales: how many each matrix has.
    """
    tables = Tables(header, name)
    tops = file.entry(header, f"{key} top", list, name)
    if len(tops) != len(places) or not all(type(top) is int and LOWEST <= top <= HIGHEST for top in tops):
        raise DataError(name, f"has broken scales of {key} in its header", file.RESTORE)
    found = reader.numbers(sum(scales), tables.get(f"{key} steps", SMALLEST + 1))
    steps = np.split(found, np.cumsum(scales)[:-1])
    k = [(top - step)[place] for top, step, place in zip(tops, steps, places, strict=True)]
    numbers = read_sizes(reader, header, key, np.concatenate(k), 2 ** (bits - 1), name)
    negative = np.flatnonzero(numbers)
    numbers[negative[reader.bits(np.full(len(negative), 1 << 15))]] *= -1
    parts = np.split(numbers, np.cumsum([len(place) for place in places])[:-1])
    return list(zip(parts, steps, tops, strict=True))


def write_sizes(writer: Writer, header: dict, key: str, sizes: np.ndarray, k: np.ndarray, count: int) -> None:
    """Sizes below `count` of whole numbers with scales k: by frequencies of sizes, or of values, whichever is smaller.

    Pruning leaves nothing below a threshold: where that lies among a row's whole numbers, its scale says.
    """
    tables = Tables(header)
    plain, binned = Tables({}), Tables({})
    table = plain.add(f"{key} sizes", sizes, count)
    bins = value_bins(sizes, k)
    low = int(bins.min(initial=0))
    shares = binned.add(f"{key} values", bins - low, int(bins.max(initial=0)) - low + 1)
    of_scales = {each: sizes_of_scale(shares, low, each, count) for each in np.unique(k).tolist()}
    cost = sum(code_length(sizes[k == each], of) for each, of in of_scales.items()) / 8 + len(shares)
    if code_length(sizes, table) / 8 + np.count_nonzero(table) * 2 <= cost:
        tables.header |= plain.header
        writer.numbers(sizes, table)
        return
    tables.header |= binned.header
    header[f"{key} lowest"] = low
    for each, of in of_scales.items():
        writer.numbers(sizes[k == each], of)


def read_sizes(reader: Reader, header: dict, key: str, k: np.ndarray, count: int, name: str) -> np.ndarray:
    """Inverse of `write_sizes`, int32."""
    tables = Tables(header, name)
    if f"{key} lowest" not in header:
        return reader.numbers(len(k), tables.get(f"{key} sizes", count))
    low = file.whole_number(header, f"{key} lowest", LOWEST, HIGHEST, name)
    shares = tables.get(f"{key} values", None)
    sizes = np.zeros(len(k), np.int32)
    for each in np.unique(k).tolist():
        at = np.flatnonzero(k == each)
        sizes[at] = reader.numbers(len(at), sizes_of_scale(shares, low, each, count))
    return sizes


BIN = 4  # sixteenths of an octave of values in a bin
OCTAVES = np.rint(16 * np.log2(np.maximum(np.arange(1 << MOST), 0.5))).astype(np.int64)  # of whole numbers; 0: of 1 / 2


def value_bins(sizes: np.ndarray, k: np.ndarray | int) -> np.ndarray:
    """Bin of the value of whole numbers with scales k: quarters of octaves."""
    return (OCTAVES[sizes] + k) // BIN


def sizes_of_scale(shares: np.ndarray, low: int, k: int, count: int) -> np.ndarray:
    """Frequencies (count,) of sizes with the scale k: a bin's share, the same for each size in it.

    Args:
        shares: of bins from `low` on.
    """
    bins = value_bins(np.arange(count), k) - low
    inside = (bins >= 0) & (bins < len(shares))
    of_bin = np.where(inside, shares[bins.clip(0, len(shares) - 1)], 0).astype(np.int64)
    members = np.bincount(bins - bins.min())[bins - bins.min()]
    return shared_out(of_bin * TOTAL // members)


def write_biases(writer: Writer, header: dict, biases: list[np.ndarray], bits: int) -> None:
    """Biases (out,) of layers, with one scale each."""
    if bits in FLOATS:
        write_floats(writer, Tables(header), "biases", np.concatenate(biases), bits)
        return
    whole = [to_whole(bias[None], bits) for bias in biases]
    sent = [(of, of.numbers[0], np.zeros(of.numbers.shape[1], np.int64)) for of in whole]
    write_whole(writer, header, "biases", sent, bits)


def read_biases(reader: Reader, header: dict, counts: list[int], bits: int, name: str) -> list[np.ndarray]:
    """Inverse of `write_biases`, float32."""
    if bits in FLOATS:
        return np.split(read_floats(reader, Tables(header, name), "biases", sum(counts), bits), np.cumsum(counts)[:-1])
    places = [np.zeros(count, np.int64) for count in counts]
    found = read_whole(reader, header, "biases", places, [1] * len(counts), bits, name)
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
    places = [scale_places(shapes[key], blocks[key], masks[key]) for key in shapes]
    found = read_whole(reader, header, "weights", places, scales, bits, name)
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
    header |= {"low": levels.low.tolist(), "scale": levels.k.tolist()}
    for number, column in enumerate(levels.numbers.T):
        writer.numbers(column, tables.add(f"column{number}", column, 2**bits))


def read_table(reader: Reader, header: dict, shape: tuple[int, int], bits: int, name: str) -> np.ndarray:
    """Inverse of `write_table`, float32."""
    tables = Tables(header, name)
    if bits in FLOATS:
        return read_floats(reader, tables, "values", shape[0] * shape[1], bits).reshape(shape)
    limits = {"low": (-(2**25), 2**25), "scale": (LOWEST, HIGHEST)}
    scales = [file.entry(header, key, list, name) for key in limits]
    for of, (least, most) in zip(scales, limits.values(), strict=True):
        if len(of) != shape[1] or not all(type(value) is int and least <= value <= most for value in of):
            raise DataError(name, "has broken scales in its header", file.RESTORE)
    columns = [reader.numbers(shape[0], tables.get(f"column{number}", 2**bits)) for number in range(shape[1])]
    low, k = (np.array(of, np.int32) for of in scales)
    return from_levels(Levels(np.stack(columns, 1), low, k))
