"""3D-LSTM-3 against its layer table and the naive reference, and the loss of networks that make voxels."""

import pytest
import torch

from benchmarks.naive import log_probabilities, naive_layout, naive_reconstruction
from compress3d.data.loader import Batch
from compress3d.engine.step import Step
from compress3d.losses import occupancy_loss
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


@torch.no_grad()
def test_demo_equals_the_naive_reference():
    """Gradients, and the other networks at smoke scale: test_network_variants.py."""
    torch.manual_seed(2)
    model = Reconstruction(scale("demo")).double()
    images = torch.rand(2, 2, 3, 64, 64, dtype=torch.float64)
    expected = naive_reconstruction(to_pytorch(model), images, naive_layout(model))
    torch.testing.assert_close(log_probabilities(model, images), expected, atol=1e-12, rtol=0)


def test_views_are_encoded_alone_and_read_in_order():
    torch.manual_seed(3)
    model = Reconstruction(scale("smoke")).eval().double()
    images = torch.rand(1, 3, 3, 32, 32, dtype=torch.float64)
    alone = torch.stack([model.encode(images[:, v]) for v in range(3)], 1)
    torch.testing.assert_close(model.encode_views(images), alone, atol=1e-12, rtol=0)
    torch.testing.assert_close(model.fuse_views(alone), model(images), atol=1e-12, rtol=0)
    assert not torch.allclose(model(images.flip(1)), model(images))


@torch.no_grad()
def test_training_step_is_the_loss_of_the_batch():
    torch.manual_seed(4)
    model = Reconstruction(scale("smoke"))
    views = torch.randint(256, (2, 3, 3, 32, 32), dtype=torch.uint8)
    batch = Batch(views, torch.rand(2, 16, 16, 16) > 0.8, torch.arange(2))
    total, terms = model.training_step(batch, Step(0, seed=0))
    assert terms == {"reconstruction": total}
    expected = occupancy_loss(model(views.float() / 255), batch.occupancy)
    torch.testing.assert_close(total, expected)  # a mean of 8,192 terms, the same ones: float32's own tolerance
