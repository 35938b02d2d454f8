"""The held-out test set that ships with the repository, in ShapeNet's layout."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

from compress3d import paths
from compress3d.data.shapenet.build import build_shapenet, sha256_of
from compress3d.data.store import Store
from compress3d.errors import DataError


def open_test_set() -> Store:
    """The held-out real CAD models that ship with the repository, as a store; built in the cache on first use.

    Two processes may do it at once: each builds beside, and the first to finish gives it the name.

    Raises:
        DataError: the shipped archive is missing or broken.
    """
    archive, out = paths.shipped_data() / "cad-test.tgz", paths.cache() / "cad-test"
    if not archive.is_file():
        raise DataError(archive, "is missing", "restore it from the repository (git checkout -- data)")
    shipped = sha256_of(archive)
    if _holds(out, shipped):
        return Store.open(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="cad-test.") as beside:
        build_shapenet(archive, Path(beside) / "new", workers=0)
        for _ in range(10):
            try:
                os.rename(Path(beside) / "new", out)
                break
            except OSError:  # a folder is there: another process was faster, or the archive is newer than the folder
                if _holds(out, shipped):
                    break
                with contextlib.suppress(OSError):
                    os.rename(out, Path(beside) / f"old{time.monotonic_ns()}")
    return Store.open(out)


def _holds(out: Path, archive_sha256: str) -> bool:
    """Whether `out` is a sound store built from that archive."""
    try:
        return Store.open(out).info["parameters"].get("archive") == archive_sha256
    except DataError:
        return False
