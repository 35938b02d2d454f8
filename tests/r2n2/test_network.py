"""3D-LSTM-3 against its layer table and against the plain reference."""

import pytest
import torch

from benchmarks.naive import plain_layout, plain_reconstruction
from compress3d.r2n2.convert import to_pytorch
from compress3d.r2n2.network import Decoder, Encoder, Reconstruction
from compress3d.scales import SCALES, scale

# weights + biases of the published network: in * out * kernel + out
LAYERS = {
    "encoder.convs.0": 3 * 96 * 49 + 96,
    "encoder.convs.1": 96 * 128 * 9 + 128,
    "encoder.convs.2": 128 * 256 * 9 + 256,
    "encoder.convs.3": 256 * 256 * 9 + 256,
    "encoder.convs.4": 256 * 256 * 9 + 256,
    "encoder.convs.5": 256 * 256 * 9 + 256,
    "fc": 1024 * 1024 + 1024,
    "lstm.input_map": 1024 * 3 * 128 * 64 + 3 * 128 * 64,
    "lstm.hidden_map": 128 * 3 * 128 * 27 + 3 * 128,
    "decoder.convs.0": 128 * 128 * 27 + 128,
    "decoder.convs.1": 128 * 128 * 27 + 128,
    "decoder.convs.2": 128 * 64 * 27 + 64,
    "decoder.convs.3": 64 * 32 * 27 + 32,
    "decoder.classify": 32 * 2 * 27 + 2,
}


def test_parameter_counts_of_the_published_network():
    model = Reconstruction(scale("paper"))
    got = {}
    for name, value in model.named_parameters():
        layer = name.rsplit(".", 1)[0]
        got[layer] = got.get(layer, 0) + value.numel()
    assert got == LAYERS


@pytest.mark.parametrize("name", SCALES)
def test_shapes_of_every_scale(name):
    size = scale(name)
    encoder = Encoder(size, channels=5)
    side = size.image_size
    assert encoder.features(torch.zeros(2, 3, side, side)).shape == (2, 5, 2, 2)
    h = torch.zeros(1, size.channels(128), 4, 4, 4)
    assert Decoder(size)(h).shape == (1, size.grid, size.grid, size.grid)


@pytest.mark.parametrize("name, views", [("smoke", 1), ("smoke", 3), ("demo", 2)])
def test_equals_the_plain_reference_in_single_precision(name, views):
    """Double precision, gradients, and the other networks: test_networks.py."""
    torch.manual_seed(2)
    model = Reconstruction(scale(name))
    images = torch.rand(2, views, 3, model.scale.image_size, model.scale.image_size)
    expected = plain_reconstruction(to_pytorch(model), images, plain_layout(model))
    torch.testing.assert_close(model.log_probabilities(images), expected, atol=1e-5, rtol=0)


def test_views_are_encoded_alone_and_read_in_order():
    torch.manual_seed(3)
    model = Reconstruction(scale("smoke")).eval()
    images = torch.rand(1, 3, 3, 32, 32)
    _, state = model.remember(images[:, :2])
    h, _ = model.remember(images[:, 2:], state)
    torch.testing.assert_close(model.decoder(h), model(images))
    assert not torch.allclose(model(images.flip(1)), model(images))
