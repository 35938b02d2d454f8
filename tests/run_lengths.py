"""What the viewer's script does in the browser, for tests: run lengths back to a grid."""

import numpy as np


def from_run_lengths(data: bytes, shape) -> np.ndarray:
    """The grid behind `compress3d.figures.viewer.run_lengths`, bool of `shape`; ValueError where it is not filled."""
    lengths, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            lengths.append(value)
            value, shift = 0, 0
    if sum(lengths) != int(np.prod(shape)) or shift:
        raise ValueError(f"run lengths cover {sum(lengths)} of {int(np.prod(shape))} voxels")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(tuple(shape))
