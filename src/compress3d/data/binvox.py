"""The binvox format of ShapeNetVox32: an ASCII header, then run-length pairs (value, count) in the order x, z, y.

Source: binvox by P. Min; the axis order is that of `lib/binvox_rw.py` in the public 3D-R2N2 code.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compress3d.errors import DataError

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
        >>> header = b"#binvox 1\\ndim 2 2 2\\ntranslate 0 0 0\\nscale 1\\ndata\\n"
        >>> np.argwhere(decode_binvox(header + bytes([0, 6, 1, 1, 0, 1]), size=2)).tolist()
        [[1, 0, 1]]
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
