"""The implicit model: code lengths, parameter counts, what passes the channel."""

import pytest
import torch

from compress3d.errors import ConfigError
from compress3d.models.joint import Implicit
from compress3d.rates import implicit_channels, recurrent_iterations, true_rate
from compress3d.scales import scale

# rate -> C at 128 pixels: raw bits 393216 / rate / 4
CHANNELS = {48: 2048, 64: 1536, 96: 1024, 128: 768, 192: 512, 384: 256, 480: 205}


@pytest.mark.parametrize("rate, channels", CHANNELS.items())
def test_channels_of_the_paper(rate, channels):
    assert implicit_channels(128, rate) == channels


@pytest.mark.parametrize(
    "size, rate, bits, channels", [(128, 12, 32, 256), (128, 6, 32, 512), (64, 384, 1, 64), (32, 48, 1, 128)]
)
def test_channels_by_hand(size, rate, bits, channels):
    assert implicit_channels(size, rate, bits) == channels
    assert true_rate(size, 4 * channels, bits) == rate


@pytest.mark.parametrize("size, rate", [(128, 70_000), (32, 480), (64, 0), (64, -3), (32, 500)])
def test_rates_that_cannot_be_reached_are_refused(size, rate):
    with pytest.raises(ConfigError):
        implicit_channels(size, rate)


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("channels", [16, 32])
@pytest.mark.parametrize("N", [1, 2, 3, 8])
def test_eq_12_inverts_the_code_length(size, channels, N):
    bits = N * (size // 16) ** 2 * channels
    assert recurrent_iterations(size, 24 * size * size / bits, channels) == N
    with pytest.raises(ConfigError):
        recurrent_iterations(size, 24 * size * size / bits * 1.1, channels)


@pytest.mark.parametrize("rate", [48, 384, 480])
@pytest.mark.parametrize("fully_connected", [False, True])
def test_parameter_counts_at_paper_scale(rate, fully_connected):
    with torch.device("meta"):  # 201 million parameters at 48:1: count them without memory
        model = Implicit(scale("paper"), rate, fully_connected)
    K = 4 * CHANNELS[rate]
    count = {name: sum(p.numel() for p in module.parameters()) for name, module in model.named_children()}
    assert count["lstm"] == K * 24576 + 24576 + 128 * 384 * 27 + 384
    assert count.get("fc", 0) == (K * K + K if fully_connected else 0)
    assert count["binarizer"] == 0
    assert sum(p.numel() for p in model.encoder.convs[5].parameters()) == 256 * CHANNELS[rate] * 9 + CHANNELS[rate]


@pytest.mark.parametrize("binary", [True, False])
def test_code_is_what_the_rate_pays_for(binary):
    torch.manual_seed(0)
    model = Implicit(scale("smoke"), rate=384 if binary else 12, binary=binary).eval()
    code = model.encode(torch.rand(4, 3, 32, 32))
    assert code.shape == (4, 64)
    assert true_rate(32, 64, 1 if binary else 32) == model.rate
    assert (code.abs() == 1).all() if binary else (code.abs() < 1).all()


def test_every_parameter_learns_through_the_binarizer():
    torch.manual_seed(0)
    model = Implicit(scale("smoke"), rate=384).train()
    model(torch.rand(2, 3, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
