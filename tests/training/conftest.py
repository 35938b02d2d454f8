"""A tiny store of coloured boxes and a run small enough to train in a second."""

import numpy as np
import pytest
import torch

from compress3d.data.store import ObjectRecord, StoreWriter
from compress3d.runs import Part, Run


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
def parts(boxes):
    return [(boxes, boxes.select(split="train"))]


@pytest.fixture
def run():
    torch.set_num_threads(1)
    return Run(
        "implicit", 384, scale="smoke", steps=8, batch_size=3, learning_rate=3e-3, warmup=2, views=(1, 3),
        precision="float32", parts=(Part("boxes"),),
    )  # fmt: skip
