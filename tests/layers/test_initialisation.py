"""He initialisation keeps the size of a signal through LeakyReLU layers; PyTorch's default does not."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compress3d.joint.compression import CompressionRNN
from compress3d.layers.convgru3d import ConvGRU3D
from compress3d.layers.convlstm3d import ConvLSTM3D
from compress3d.layers.initialisation import (
    init_code_conv,
    init_convlstm_unit_variance,
    init_he_normal,
    init_msra_normal,
)
from compress3d.layers.upsampling import UpsampleConv3d
from compress3d.scales import scale


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
    init_he_normal(layers)
    assert all(layer.bias.abs().sum() == 0 for layer in layers)
    assert 0.3 < size(x) < 3  # E[x^2] stays near 1
    assert default < 0.05


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("mode", ["nearest", "zeros"])
def test_signal_keeps_its_size_through_upsamplings(mode, kernel):
    """By zeros, seven inputs in eight are zero: weights drawn for all of them would leave 1/8 of E[x^2] a layer."""
    torch.manual_seed(0)
    layers = nn.ModuleList(UpsampleConv3d(32, 32, kernel, mode) for _ in range(3))
    init_he_normal(layers)
    x = torch.randn(2, 32, 4, 4, 4)
    with torch.no_grad():
        for layer in layers:
            x = F.leaky_relu(layer(x))
    assert 0.3 < x.square().mean().item() < 3


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 16, 3), nn.Conv3d(4, 8, 3), nn.Linear(300, 40)])
def test_variance_by_hand(layer):
    torch.manual_seed(0)
    init_he_normal(nn.ModuleList([layer]))
    fan_in = layer.weight[0].numel()
    assert layer.weight.var().item() == pytest.approx(2 / (1.0001 * fan_in), rel=0.15)


def test_msra_by_hand():
    """Deviation sqrt(2 / n), n the mean of fan-in and fan-out; for the grid's matrices n = (4 + N_h) / 2."""
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(64, 32, 3), nn.Linear(300, 200)
    gru, lstm = ConvGRU3D(64, 128), ConvLSTM3D(64, 128)
    for module in (conv, linear, gru, lstm):
        init_msra_normal(module)
    expected = {
        conv: (2 / ((64 * 9 + 32 * 9) / 2)) ** 0.5,
        linear: (2 / 250) ** 0.5,
        gru.input_map: (2 / 66) ** 0.5,
        lstm.input_map: (2 / 66) ** 0.5,
        gru.candidate_map: (2 / (128 * 27)) ** 0.5,
    }
    for layer, deviation in expected.items():
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.03)
        assert layer.weight.mean().abs().item() < 0.1 * deviation
    assert (conv.bias == 0.1).all() and (gru.candidate_map.bias == 0.1).all() and gru.input_map.bias is None
    assert ((lstm.input_map.bias.view(-1, 64) + lstm.hidden_map.bias[:, None]) == 0.1).all()


@pytest.mark.parametrize("architecture", ["original", "small"])
def test_code_follows_the_image_at_the_start(architecture):
    """N_original's code grows from under 0.1 to 0.4, of at most 1; N_small has no such layer, and nothing changes."""
    torch.manual_seed(0)
    model = CompressionRNN(scale("demo"), architecture)
    init_convlstm_unit_variance(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    init_code_conv(model.encoder)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == ({"encoder.code.weight"} if architecture == "original" else set())
    code, _ = model.encoder(torch.rand(8, 3, 64, 64) - 0.5, [None] * 3)
    if architecture == "original":
        assert 0.3 < code.square().mean().sqrt() < 0.8
        model.load_state_dict(before)
        assert model.encoder(torch.rand(8, 3, 64, 64) - 0.5, [None] * 3)[0].square().mean().sqrt() < 0.1
