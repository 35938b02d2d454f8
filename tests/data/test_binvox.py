"""binvox: against a plain loop written from the format's description, hand-worked bytes, and round trips."""

import numpy as np
import pytest

from compress3d.data.shapenet.decode import decode_binvox
from tools.shapenet_files import encode_binvox


def plain_reader(data: bytes) -> np.ndarray:
    """The format read voxel by voxel: the file's index is x * n * n + z * n + y."""
    header, body = data.split(b"\ndata\n", 1)
    edge = int(header.split(b"dim ")[1].split()[0])
    grid, index = np.zeros((edge, edge, edge), bool), 0
    for value, count in zip(body[0::2], body[1::2], strict=True):
        for _ in range(count):
            x, rest = divmod(index, edge * edge)
            z, y = divmod(rest, edge)
            grid[x, y, z] = value
            index += 1
    assert index == edge**3
    return grid


@pytest.mark.parametrize("edge", [1, 2, 3, 7, 8, 16, 32])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_both_ways_against_a_plain_reader(edge, density):
    grid = np.random.default_rng(edge).random((edge, edge, edge)) < density
    data = encode_binvox(grid)
    assert np.array_equal(plain_reader(data), grid)
    assert np.array_equal(decode_binvox(data, size=edge), grid)


def test_bytes_worked_by_hand():
    grid = np.zeros((2, 2, 2), bool)
    grid[0, 1, 0] = True  # file index 0*4 + z 0*2 + y 1 = 1
    grid[1, 0, 1] = True  # file index 4 + 2 + 0 = 6
    body = bytes([0, 1, 1, 1, 0, 4, 1, 1, 0, 1])
    assert encode_binvox(grid).endswith(b"\ndata\n" + body)
    header = b"#binvox 1\ndim 2 2 2\ntranslate -0.06 -0.11 -0.5\nscale 1\ndata\n"
    assert np.array_equal(decode_binvox(header + body, size=2), grid)


@pytest.mark.parametrize("length", [254, 255, 256, 509, 510, 511, 1000, 32768])
def test_long_runs_are_cut_at_255(length):
    flat = np.zeros(32**3, bool)
    flat[:length] = True
    grid = flat.reshape(32, 32, 32).transpose(0, 2, 1)
    data = encode_binvox(grid)
    runs = data.split(b"\ndata\n", 1)[1]
    assert sum(runs[1::2]) == 32**3 and min(runs[1::2]) > 0
    assert np.array_equal(decode_binvox(data), grid)


def test_header_values_change_no_voxel():
    grid = np.random.default_rng(0).random((32, 32, 32)) < 0.3
    data = encode_binvox(grid, translate=(1, 2, 3), scale=0.5)
    assert b"\ntranslate 1 2 3\nscale 0.5\n" in data and np.array_equal(decode_binvox(data), grid)


def test_only_cubes_are_written():
    with pytest.raises(ValueError, match="cube"):
        encode_binvox(np.zeros((2, 2, 3), bool))


def test_runs_of_length_zero_are_read_over():
    """Public writers leave (value, 0) behind a run whose length is a multiple of 255."""
    grid = np.zeros((32, 32, 32), bool)
    grid[8:] = True
    header, body = encode_binvox(grid).split(b"data\n", 1)
    assert body[:2] == b"\x00\xff"
    assert (decode_binvox(header + b"data\n" + b"\x00\x00" + body + b"\x01\x00") == grid).all()
