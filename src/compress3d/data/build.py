"""One entry for all sources: each builds the same kind of store, so nothing later asks where objects came from."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from pathlib import Path

from filelock import FileLock

from compress3d import paths
from compress3d.data.store import Store
from compress3d.errors import ConfigError, DataError

SOURCES = ("shapes", "cad", "shapenet")


def build(source: str, out: str | Path, /, **options) -> Store:
    """Build a store, or go on with an interrupted build; the same call on a finished store returns it.

    `source` is "shapes" (procedural), "cad" (open human-made models) or "shapenet" (as distributed), `out` the store's
    folder; options are handed to `build_shapes`, `build_cad` or `build_shapenet`.

    Raises ConfigError: there is no such source. DataError: the input is missing or broken, or the disk is too small.
    """
    if source not in SOURCES:
        raise ConfigError(f"source {source!r}", "does not exist", f"choose one of {', '.join(SOURCES)}")
    # Imported on use: reading CAD models or rendering needs more than opening a store does.
    module = importlib.import_module(f"compress3d.data.{source}.build")
    return getattr(module, f"build_{source}")(out=Path(out), **options)


def smoke_store() -> Store:
    """The 52 procedural objects of the smoke scale, four a class, in the cache under "smoke"; made on first use."""
    return _made_here("smoke", count=52, seed=0)


def _made_here(name: str, **options) -> Store:
    """A procedural store in the cache, made by the first process that asks for it; the others wait."""
    path = paths.cache() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with nullcontext() if (path / "store.json").is_file() else FileLock(path.with_suffix(".lock")):
        return build("shapes", path, **options)


COMMANDS = {  # of stores that need input
    "cad": "compress3d data build cad --source FOLDER",
    "shapenet": "compress3d data build shapenet --split sorted --source FOLDER",
    "shapenet-ids": "compress3d data build shapenet --split FILE --source FOLDER --out shapenet-ids",
}


def ensure(name: str) -> Store:
    """The store called `name` in the cache; "shapes" and "smoke", which need no input, are made where they are missing.

    A DataError says that another store is missing, and has the command that builds it.
    """
    if name == "smoke":
        return smoke_store()
    path = paths.cache() / name
    if (path / "store.json").is_file():
        return Store.open(path)
    if name == "shapes":
        return _made_here("shapes")
    command = COMMANDS.get(name, "compress3d data build")
    raise DataError(path, "holds no finished store (no store.json)", f"build it with `{command}`")
