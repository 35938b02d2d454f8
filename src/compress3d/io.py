"""Files that are whole or absent: written beside their place, flushed and renamed; and their sha256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def digest(data: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(data).hexdigest()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write to: flushed to disk and renamed at the end of the block, removed if that fails.

    A reader sees the old file or the new one.

    Example:
        >>> with atomic_path("scene.bin") as beside:                       # doctest: +SKIP
        ...     beside.write_bytes(data)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        with open(beside, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write bytes with `atomic_path`."""
    with atomic_path(path) as beside:
        beside.write_bytes(data)
