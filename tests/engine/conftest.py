"""A run on the store of boxes that is small enough to train in a second."""

import pytest
import torch

from compress3d.runs import Part, Run


@pytest.fixture
def run():
    torch.set_num_threads(1)
    return Run(
        "implicit", 384, scale="smoke", steps=8, batch_size=3, learning_rate=3e-3, warmup=2, views=(1, 3),
        precision="float32", parts=(Part("boxes"),),
    )  # fmt: skip
