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
    if named := os.environ.get("COMPRESS3D_ROOT"):
        return Path(named)
    package = Path(__file__).resolve().parent
    checkout = package.parents[1]
    return checkout if (checkout / "pyproject.toml").is_file() else package / "_shipped"


def is_installed() -> bool:
    """Whether there is no checkout and no `$COMPRESS3D_ROOT`: nothing may be written beside the weights."""
    return root().name == "_shipped"


def _own(variable: str, in_checkout: str, in_cache: str) -> Path:
    """A folder that is never in git: what the variable names, else one in the checkout, else in the user's cache."""
    if named := os.environ.get(variable):
        return Path(named)
    if not is_installed():
        return root() / in_checkout
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "compress3d" / in_cache


def cache() -> Path:
    """Stores built from data sources."""
    return _own("COMPRESS3D_CACHE", "_cache", "stores")


def runs() -> Path:
    """Checkpoints of training runs."""
    return _own("COMPRESS3D_RUNS", "_runs", "runs")


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
