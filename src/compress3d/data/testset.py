"""The held-out test set that ships with the repository, in ShapeNet's layout."""

from __future__ import annotations

import shutil
from pathlib import Path

from filelock import FileLock

from compress3d import paths
from compress3d.data.shapenet.build import build_shapenet, sha256_of
from compress3d.data.store import Store
from compress3d.errors import DataError


def open_test_set() -> Store:
    """The held-out CAD models that ship with the repository, as a store in the cache. DataError: they are broken."""
    archive, out = paths.shipped_data() / "cad-test.tgz", paths.cache() / "cad-test"
    if not archive.is_file():
        raise DataError(archive, "is missing", "restore it from the repository (git checkout -- data)")
    shipped = sha256_of(archive)
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.with_name("cad-test.lock")):  # where several processes ask at once, the first one builds
        if not _holds(out, shipped):
            for rest in (out, out.with_name("cad-test.partial")):
                shutil.rmtree(rest, ignore_errors=True)
            build_shapenet(archive, out, workers=0)
    return Store.open(out)


def _holds(out: Path, archive_sha256: str) -> bool:
    """Whether `out` is a sound store built from that archive."""
    try:
        return Store.open(out).info["parameters"].get("archive") == archive_sha256
    except DataError:
        return False
