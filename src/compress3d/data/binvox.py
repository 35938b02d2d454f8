"""The binvox format of ShapeNetVox32: an ASCII header, then run-length pairs (value, count) in the order x, z, y.

Source: binvox by P. Min; the axis order is that of `lib/binvox_rw.py` in the public 3D-R2N2 code.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compress3d.errors import DataError

_LONGEST_RUN = 255  # a run's length is one byte
_HEADER_LIMIT = 1024  # real headers are about 80 bytes
_REMEDY = "download or build the voxel file again"


def decode_binvox(data: bytes, name: str | Path = "<bytes>", size: int | None = 32) -> np.ndarray:
    """Occupancy from the bytes of a binvox file.

    Args:
        data, name: the whole file, and its name for error messages.
        size: the edge length that is asked for; None takes any cube.

    Returns:
        bool `(size, size, size)`, indexed `[x, y, z]`, True inside.

    Raises:
        DataError: the header is no binvox header, the dimensions differ, or the runs are too short or too long. Runs of
            length zero say nothing and are read over: public writers leave one behind each 255 voxels that end a run.

    Example:
        >>> cube = np.zeros((32, 32, 32), bool)
        >>> cube[4:9, 2, 7] = True
        >>> bool((decode_binvox(encode_binvox(cube)) == cube).all())
        True
    """
    edge, body = _header(data, name)
    if size is not None and edge != size:
        raise DataError(name, f"is a grid of {edge}^3 voxels where {size}^3 are needed", _REMEDY)
    runs = np.frombuffer(body, np.uint8)
    if runs.size % 2:
        raise DataError(name, "ends in the middle of a run (truncated)", _REMEDY)
    values, counts = runs[0::2], runs[1::2]
    if values.size and values.max() > 1:
        raise DataError(name, f"holds the voxel value {values.max()} where only 0 and 1 exist", _REMEDY)
    total = int(counts.sum(dtype=np.int64))
    if total != edge**3:
        word = "truncated" if total < edge**3 else "too long"
        raise DataError(name, f"holds {total} of {edge**3} voxels ({word})", _REMEDY)
    in_file_order = np.repeat(values.astype(bool), counts).reshape(edge, edge, edge)
    return np.ascontiguousarray(in_file_order.transpose(0, 2, 1))


def encode_binvox(occupancy: np.ndarray, translate: tuple[float, float, float] = (0, 0, 0), scale: float = 1) -> bytes:
    """The bytes of a binvox file.

    Args:
        occupancy: bool `(n, n, n)`, indexed `[x, y, z]`.
        translate, scale: of the grid in the model's frame; the 3D-R2N2 readers ignore them.
    """
    occupancy = np.asarray(occupancy, bool)
    if occupancy.ndim != 3 or len(set(occupancy.shape)) != 1:
        raise ValueError(f"occupancy must be a cube, not {occupancy.shape}")
    flat = occupancy.transpose(0, 2, 1).ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    lengths = np.diff(np.append(starts, flat.size))
    # Long runs are cut into pieces of 255; the last piece carries the rest.
    pieces = -(-lengths // _LONGEST_RUN)
    counts = np.full(pieces.sum(), _LONGEST_RUN, np.int64)
    counts[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * _LONGEST_RUN
    runs = np.empty((counts.size, 2), np.uint8)
    runs[:, 0] = np.repeat(flat[starts], pieces)
    runs[:, 1] = counts
    edge = occupancy.shape[0]
    where = " ".join(f"{value:g}" for value in translate)
    header = f"#binvox 1\ndim {edge} {edge} {edge}\ntranslate {where}\nscale {scale:g}\ndata\n"
    return header.encode("ascii") + runs.tobytes()


def _header(data: bytes, name: str | Path) -> tuple[int, bytes]:
    """Edge length and the bytes after the header."""
    if not data:
        raise DataError(name, "is empty", _REMEDY)
    if not data.startswith(b"#binvox 1"):
        raise DataError(name, "is no binvox file (it does not begin with '#binvox 1')", _REMEDY)
    end = data.find(b"\ndata\n", 0, _HEADER_LIMIT)
    if end < 0:
        raise DataError(name, "has no complete binvox header (truncated)", _REMEDY)
    edges = None
    for line in data[:end].splitlines()[1:]:
        words = line.split()
        if words and words[0] == b"dim":
            try:
                edges = [int(word) for word in words[1:]]
            except ValueError:
                edges = None
    if edges is None or len(edges) != 3 or len(set(edges)) != 1 or not 1 <= edges[0] <= 1024:
        raise DataError(name, "has no line 'dim N N N' of a cube in its header", _REMEDY)
    return edges[0], data[end + len(b"\ndata\n") :]
