"""Every place on disk, named once. Notebooks run from any folder, so nothing here depends on the working directory."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The repository: `$COMPRESS3D_ROOT`, else the checkout that this (editable) package was installed from."""
    named = os.environ.get("COMPRESS3D_ROOT")
    return Path(named) if named else Path(__file__).resolve().parents[2]


def cache() -> Path:
    """Stores built from data sources: `$COMPRESS3D_CACHE`, else `_cache/` in the repository. Never in git."""
    return Path(os.environ.get("COMPRESS3D_CACHE", root() / "_cache"))


def runs() -> Path:
    """Checkpoints of training runs: `$COMPRESS3D_RUNS`, else `_runs/` in the repository. Never in git."""
    return Path(os.environ.get("COMPRESS3D_RUNS", root() / "_runs"))


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
