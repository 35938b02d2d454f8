"""An experiment on the store of boxes that is small enough to train in a second."""

import pytest
import torch

from compress3d.engine.experiment import DataSource, OptimConfig, ViewData
from compress3d.joint.experiments import ImplicitConfig, experiment


@pytest.fixture
def run():
    torch.set_num_threads(1)
    return experiment(
        ImplicitConfig(384), "smoke", data=ViewData("smoke", (DataSource("boxes"),), views=(1, 3)),
        optim=OptimConfig(steps=8, batch_size=3, learning_rate=3e-3, warmup=2, precision="float32"),
    )  # fmt: skip
