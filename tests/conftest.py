"""Shared set-up: notebooks under nbval draw their figures as they do for the book; a tiny store of coloured boxes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from compress3d.data.store import ObjectRecord, Store, StoreWriter
from tests import synthetic_objects
from tools.notebooks import kernel_environment

# Kernels inherit this. The backend is left to them: here, tests draw without a screen.
os.environ.update({name: value for name, value in kernel_environment().items() if name != "MPLBACKEND"})


@pytest.fixture(scope="session")
def boxes(tmp_path_factory):
    rng = np.random.default_rng(0)
    writer = StoreWriter.open(tmp_path_factory.mktemp("stores") / "boxes", source="boxes", parameters={}, capacity=12)
    for n in range(12):
        size = rng.integers(6, 30, 3)
        occupancy = np.zeros((32, 32, 32), bool)
        occupancy[tuple(slice((32 - s) // 2, (32 - s) // 2 + s) for s in size)] = True
        rgba = np.zeros((24, 137, 137, 4), np.uint8)
        h, w = 3 * size[1], 3 * size[0]
        rgba[:, 68 - h // 2 : 68 + h // 2, 68 - w // 2 : 68 + w // 2] = (*rng.integers(80, 255, 3), 255)
        cameras = np.tile(np.array([0, 27, 0, 0.8, 25], np.float32), (24, 1))
        split = "test" if n % 4 == 0 else "train"
        writer.add(ObjectRecord(f"box{n}", "box", "boxes", split=split), rgba, occupancy, cameras)
    return writer.finish()


@pytest.fixture
def sources(boxes):
    return [(boxes, boxes.select(split="train"))]


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Store:
    return synthetic_objects.write_store(tmp_path_factory.mktemp("store") / "synthetic", 12)


@pytest.fixture
def tools():
    """The helpers of `tests/synthetic_objects.py`."""
    return synthetic_objects
