"""Atomic files: what stands there before, after, and when writing fails."""

import pytest

from compress3d.io import atomic_path, write_atomically


def test_a_file_is_replaced_whole_and_nothing_is_left_beside(tmp_path):
    path = tmp_path / "new" / "a.bin"
    for data in (b"first", b"second, and longer"):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]


def test_the_old_file_stands_until_the_block_ends_and_where_it_fails(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as beside:
        beside.write_bytes(b"half")
        assert path.read_bytes() == b"old" and beside.parent == path.parent  # same disk: a rename, no copy
        1 / 0  # noqa: B018
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
