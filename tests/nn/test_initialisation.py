"""He initialisation keeps the size of a signal through LeakyReLU layers; PyTorch's default does not."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compress3d.nn.initialisation import he_normal


@pytest.mark.parametrize("width", [64, 256])
def test_signal_keeps_its_size_through_ten_layers(width):
    torch.manual_seed(0)
    layers = nn.ModuleList(nn.Linear(width, width) for _ in range(10))

    def size(x):
        for layer in layers:
            x = F.leaky_relu(layer(x))
        return x.square().mean().item()

    x = torch.randn(512, width)
    default = size(x)
    he_normal(layers)
    assert all(layer.bias.abs().sum() == 0 for layer in layers)
    assert 0.3 < size(x) < 3  # E[x^2] stays near 1
    assert default < 0.05


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 16, 3), nn.Conv3d(4, 8, 3), nn.Linear(300, 40)])
def test_variance_by_hand(layer):
    torch.manual_seed(0)
    he_normal(nn.ModuleList([layer]))
    fan_in = layer.weight[0].numel()
    assert layer.weight.var().item() == pytest.approx(2 / (1.0001 * fan_in), rel=0.15)
