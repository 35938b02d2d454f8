"""Writers of the files that `compress3d.data` reads: ShapeNet's voxels and cameras."""

from __future__ import annotations

import numpy as np

_LONGEST_RUN = 255  # a run's length is one byte


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


def format_metadata(cameras: np.ndarray) -> str:
    """The text of `rendering_metadata.txt` for cameras `(24, 5)`; the inverse of `decode_metadata`."""
    return "".join(" ".join(np.format_float_positional(v, trim="-") for v in row) + "\n" for row in np.float32(cameras))
