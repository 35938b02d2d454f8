"""Every place on disk, named once. Notebooks run from any folder, so nothing here depends on the working directory."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLES = {
    "COMPRESS3D_ROOT": "folder with weights/, results/ and data/; the checkout, else what is installed",
    "COMPRESS3D_CACHE": "stores built from data sources; _cache/ in the checkout, else ~/.cache/compress3d/stores",
    "COMPRESS3D_RUNS": "checkpoints of training; _runs/ in the checkout, else ~/.cache/compress3d/runs",
    "COMPRESS3D_CHECKPOINT_SECONDS": "seconds between two checkpoints; 120",
    "COMPRESS3D_BOOK": "set while a notebook runs for the book: figures are drawn by the book's own scripts",
}


def root() -> Path:
    """Where weights, results and data lie.

    `$COMPRESS3D_ROOT`, else the checkout that this (editable) package was installed from, else what a plain `pip
    install` brings along: the network that `reconstruct` uses by default, its results, and the test set.
    """
    named = os.environ.get("COMPRESS3D_ROOT")
    if named:
        return Path(named)
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else Path(__file__).resolve().parent / "_shipped"


def is_installed() -> bool:
    """Whether there is no checkout and no `$COMPRESS3D_ROOT`: nothing may be written beside the weights."""
    return root().name == "_shipped"


def _own(name: str) -> Path:
    """A folder that is never in git: `_<name>/` in the checkout, else in the user's cache."""
    if not is_installed():
        return root() / f"_{name}"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "compress3d"
    return folder / {"cache": "stores"}.get(name, name)


def cache() -> Path:
    """Stores built from data sources: `$COMPRESS3D_CACHE`, else `_cache/` in the checkout."""
    named = os.environ.get("COMPRESS3D_CACHE")
    return Path(named) if named else _own("cache")


def runs() -> Path:
    """Checkpoints of training runs: `$COMPRESS3D_RUNS`, else `_runs/` in the checkout."""
    named = os.environ.get("COMPRESS3D_RUNS")
    return Path(named) if named else _own("runs")


def results() -> Path:
    """One JSON per evaluated run, in git."""
    return root() / "results"


def weights() -> Path:
    """Small shipped weights, in git."""
    return root() / "weights"


def shipped_data() -> Path:
    """Data that ships with the repository: the held-out real CAD test set."""
    return root() / "data"


def book() -> Path:
    """Sources of the book."""
    return root() / "book"
