"""Compression RNNs against the naive reference, their layer tables, and what variable rate means."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.naive import naive_compression
from compress3d.data.loader import Batch
from compress3d.engine.experiment import OptimConfig
from compress3d.engine.step import Step
from compress3d.errors import ConfigError
from compress3d.joint.compression import ARCHITECTURES, CompressionRNN
from compress3d.losses import compression_loss
from compress3d.scales import SCALES, Scale, scale

# Layer: (input channels, output channels, kernel) of a convolution; a fourth number is the hidden kernel of a ConvLSTM.
ENTRY = (3, 64, 3)
LAYERS = {
    "original": (
        [ENTRY, (64, 256, 3, 1), (256, 512, 3, 1), (512, 512, 3, 1), (512, 32, 1)],
        [(32, 512, 1), (512, 512, 3, 1), (128, 512, 3, 1), (128, 256, 3, 3), (64, 128, 3, 3), (32, 3, 1)],
    ),
    "small": (
        [ENTRY, (64, 256, 3, 1), (256, 512, 3, 1), (512, 16, 3, 1)],
        [(16, 512, 1), (128, 256, 3, 1), (64, 128, 3, 3), (32, 64, 3, 3), (16, 3, 1)],
    ),
    "small-a2": (
        [ENTRY, (64, 256, 3, 1), (256, 512, 3, 1), (512, 16, 3, 1)],
        [(16, 512, 1), (128, 512, 3, 1), (128, 256, 3, 3), (64, 128, 3, 3), (32, 3, 1)],
    ),
    "small-b": (
        [ENTRY, (64, 256, 3, 1), (256, 512, 3, 1), (512, 16, 3, 1)],
        [(16, 256, 1), (256, 256, 3, 1), (64, 256, 3, 1), (64, 128, 3, 3), (32, 12, 1)],
    ),
}
MILLIONS = {"original": "35.5", "small": "9.47", "small-a2": "14.8", "small-b": "11.3"}


def weights_of(layer):
    """No bias anywhere; a ConvLSTM has four gates, each with a convolution on x_t and one on h_{t-1}."""
    a, b, k, *hidden = layer
    return 4 * (a * b * k**2 + b * b * hidden[0] ** 2) if hidden else a * b * k**2


# Values are float64: images about 1, at most 60 layers one behind the other, sums of at most 2,304 products.
ROUNDING = dict(atol=1e-11, rtol=0)


def network(architecture, name="smoke", gain=4.0, seed=0, **options):
    """A float64 network whose weights are large enough that gates open, states matter and images leave [0, 1]."""
    torch.manual_seed(seed)
    model = CompressionRNN(scale(name), architecture, **options)
    for value in model.parameters():
        nn.init.normal_(value, std=gain / value[0].numel() ** 0.5)
    return model.eval().double()


def random_images(model, count=2, seed=1):
    side = model.scale.image_size
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class FixedCodes(nn.Module):
    """In the binarizer's place: gives fixed codes, and keeps the values that it was to binarize."""

    def __init__(self, codes):
        super().__init__()
        self.codes, self.seen = codes, []

    def forward(self, x):
        self.seen.append(x)
        return self.codes[:, len(self.seen) - 1]


@pytest.mark.parametrize("iterations", [1, 2, 4])
@pytest.mark.parametrize("name", ["smoke", "demo"])
@pytest.mark.parametrize("additive", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_equals_the_naive_reference(architecture, additive, name, iterations):
    """Two ways of summing differ in the last digits, and the sign of a value near 0 may differ with them, which changes
    every later iteration. So the network is given the reference's bits: all values must agree, and all signs of values
    that are further from 0 than the tolerance; bit by bit, that is the whole recursion."""
    model = network(architecture, name, additive=additive)
    x = random_images(model, 1 if name == "demo" else 2)
    codes, decoded = naive_compression(model.state_dict(), x, iterations, architecture, additive)
    assert codes.abs().eq(1).all() and 0.2 < codes.gt(0).double().mean() < 0.8

    model.binarizer = FixedCodes(codes)
    coded = model(x, iterations)
    torch.testing.assert_close(coded.decoded, decoded, **ROUNDING)
    seen = torch.stack(model.binarizer.seen, 1)
    sure = seen.abs() > ROUNDING["atol"]
    assert sure.double().mean() > 0.99
    assert torch.equal(seen[sure].sign(), codes[sure])

    model.binarizer = FixedCodes(codes)
    model.encode(x, iterations)
    torch.testing.assert_close(torch.stack(model.binarizer.seen, 1), seen, **ROUNDING)
    torch.testing.assert_close(model.decode(codes), decoded.clamp(0, 1), **ROUNDING)


@torch.no_grad()
def test_the_sender_does_not_decode_the_last_code():
    model, calls = network("small"), []
    model.decoder.register_forward_hook(lambda *_: calls.append(1))
    model.encode(random_images(model), 3)
    assert len(calls) == 2
    model(random_images(model), 3)
    assert len(calls) == 5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parameter_counts_of_the_layer_table(architecture):
    with torch.device("meta"):
        model = CompressionRNN(scale("paper"), architecture)
    expected = [[weights_of(layer) for layer in part] for part in LAYERS[architecture]]
    got = []
    for part in (model.encoder, model.decoder):
        last = part.code if part is model.encoder else part.exit
        layers = [part.entry, *part.rnns, *([] if last is None else [last])]
        got.append([sum(p.numel() for p in layer.parameters()) for layer in layers])
    assert got == expected
    total = sum(map(sum, expected))
    assert total == sum(p.numel() for p in model.parameters())
    assert f"{total / 1e6:.3g}" == MILLIONS[architecture]


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_code_size_and_shapes_at_every_scale(architecture, name):
    side, M = scale(name).image_size, 32 if architecture == "original" else 16
    with torch.device("meta"):
        model = CompressionRNN(scale(name), architecture)
        coded = model(torch.zeros(2, 3, side, side), 3)
    assert model.code_size == (side // 16) ** 2 * M
    assert coded.codes.shape == (2, 3, M, side // 16, side // 16)
    assert coded.decoded.shape == (2, 3, 3, side, side)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("additive", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_fewer_iterations_are_the_beginning_of_more(architecture, additive, binary):
    model = network(architecture, additive=additive, binary=binary)
    x, N = random_images(model, 3), 5
    codes = model.encode(x, N)
    decoded = model.decode(codes)
    for n in range(1, N):
        torch.testing.assert_close(model.encode(x, n), codes[:, :n], **ROUNDING)
        torch.testing.assert_close(model.decode(codes[:, :n]), decoded[:, :n], **ROUNDING)
    for t in range(N - 1):  # no iteration repeats another
        assert not torch.equal(codes[:, t], codes[:, t + 1]) and not torch.equal(decoded[:, t], decoded[:, t + 1])


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("additive", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_sender_and_receiver_together_are_the_forward_pass(architecture, additive, binary):
    model = network(architecture, additive=additive, binary=binary)
    x = random_images(model)
    coded = model(x, 3)
    codes = model.encode(x, 3)
    torch.testing.assert_close(codes, coded.codes, **ROUNDING)  # evaluation draws nothing
    torch.testing.assert_close(model.decode(codes), coded.decoded.clamp(0, 1), **ROUNDING)
    assert codes.abs().eq(1).all() if binary else codes.abs().lt(1).all() and codes.unique().numel() > 100
    if additive:  # what is added in an iteration is tanh / 2 of something; without it, the whole image is
        assert coded.decoded.min() < 0 or coded.decoded.max() > 1
        step = coded.decoded.diff(dim=1)
    else:
        step = coded.decoded - 0.5
    assert step.abs().max() <= 0.5 + ROUNDING["atol"]


@torch.no_grad()
def test_every_image_is_coded_by_itself():
    model = network("small")
    x = random_images(model, 3)
    together = model(x, 3)
    for n in range(3):
        alone = model(x[n : n + 1], 3)
        torch.testing.assert_close(alone.decoded[0], together.decoded[n], **ROUNDING)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_training_draws_bits_whose_mean_is_the_value_before(architecture):
    model = network(architecture)
    x, draws = random_images(model, 1), 2000
    value, _ = model.encoder(x - 0.5, [None] * 3)
    model.train()
    bits = model.encode(x.expand(draws, -1, -1, -1), 1)[:, 0]
    assert bits.abs().eq(1).all()
    # A bit of mean x has variance 1 - x^2, so these are normal numbers of variance 1.
    z = (bits.mean(0) - value[0]) / ((1 - value[0] ** 2) / draws).sqrt()
    assert z.abs().max() < 5
    assert 0.5 < z.square().mean() < 1.7
    assert value.abs().max() > 0.15  # or a fair coin would pass, too


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradient_reaches_every_parameter(architecture, training):
    model = network(architecture).train(training)
    x = random_images(model)
    compression_loss(x, model(x, 2).decoded).backward()
    for name, value in model.named_parameters():
        assert value.grad is not None and value.grad.abs().sum() > 0, name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_binarizer_hands_the_gradient_of_the_bits_to_the_encoder(architecture):
    model = network(architecture)
    x = random_images(model)
    parameters = list(model.encoder.parameters())
    loss = compression_loss(x, model(x, 1).decoded)
    got = torch.autograd.grad(loss, parameters, allow_unused=True)  # one iteration: no hidden convolution takes part

    value, _ = model.encoder(x - 0.5, [None] * 3)
    bits = torch.where(value < 0, -1.0, 1.0).double().requires_grad_()
    output, _ = model.decoder(bits, [None] * len(model.decoder.rnns))
    (of_bits,) = torch.autograd.grad((x - 0.5 - output).abs().mean(), bits)
    expected = torch.autograd.grad(value, parameters, grad_outputs=of_bits, allow_unused=True)
    reached = 0
    for a, b in zip(got, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-9)
            reached += a.abs().sum() > 0
    assert reached == len(parameters) - 3


def test_compression_loss_by_hand():
    images = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1)
    decoded = torch.tensor([[0.0, 0.5, 0.6], [0.3, 0.4, 1.2]]).view(1, 2, 3, 1, 1)
    # |0.2| + |-0.1| + 0, then |-0.1| + 0 + |-0.6|; beta = 1 / (3 values x 2 iterations)
    assert compression_loss(images, decoded).item() == pytest.approx((0.3 + 0.7) / 6)


@pytest.mark.parametrize("B, N, side", [(1, 1, 1), (2, 3, 4), (3, 2, 5)])
def test_compression_loss_is_the_mean_over_images_pixels_and_iterations(B, N, side):
    torch.manual_seed(B)
    images, decoded = torch.rand(B, 3, side, side), torch.randn(B, N, 3, side, side)
    total = sum((images[b] - decoded[b, t]).abs().sum().item() for b in range(B) for t in range(N))
    assert compression_loss(images, decoded).item() == pytest.approx(total / (B * N * 3 * side**2))


@torch.no_grad()
def test_loss_of_views_is_that_of_as_many_images():
    model = network("small")
    views = random_images(model, 6).unflatten(0, (2, 3))
    total, terms = model.loss(views, None, 2)
    _, decoded = naive_compression(model.state_dict(), views.flatten(0, 1), 2, "small")
    expected = (views.flatten(0, 1)[:, None] - decoded).abs().mean()
    torch.testing.assert_close(total, expected, **ROUNDING)
    assert terms == {"compression": total}


@torch.no_grad()
def test_training_step_draws_n_from_the_whole_range_by_step_and_seed_alone():
    """The numbers that training always drew; the same for every network with a compression RNN."""
    model, seen = network("small", training_iterations=(2, 5)), []
    model.loss = lambda images, occupancy, iterations: seen.append((iterations, images.dtype, images.max().item()))
    batch = Batch(torch.full((1, 1, 3, 32, 32), 255, dtype=torch.uint8), None, None)
    for number in range(200):
        model.training_step(batch, Step(number, seed=7))
    assert seen == [
        (int(np.random.default_rng([7, number, 12]).integers(2, 5, endpoint=True)), torch.float32, 1.0)
        for number in range(200)
    ]
    counts = [sum(N == n for N, *_ in seen) for n in range(1, 7)]
    assert counts[0] == counts[5] == 0 and all(30 <= n <= 70 for n in counts[1:5])  # 50 each, deviation 6


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_compression_rnn_learns_at_its_own_rate(decay):
    optim = OptimConfig(learning_rate=1e-3, warmup=4, codec_learning_rate=3e-3, codec_warmup=7, weight_decay=decay)
    model = network("small")
    (group,) = model.parameter_groups(optim)  # nothing else, and no biases: other groups would be empty
    assert (group["peak"], group["warmup"], group["lr"]) == (3e-3, 7, 0.0)
    assert group.get("weight_decay", 0.0) == decay
    assert all(a is b for a, b in zip(group["params"], model.parameters(), strict=True))


@pytest.mark.parametrize("side", [8, 24, 40, 127, 137])
def test_image_whose_side_is_no_multiple_of_16_is_refused(side):
    with pytest.raises(ConfigError, match=f"image size {side}.*multiple of 16"):
        CompressionRNN(Scale("odd", image_size=side, width=1 / 8, grid=16))


@pytest.mark.parametrize("name", ["", "Small", "small-c", "huge"])
def test_unknown_architecture_is_refused(name):
    with pytest.raises(ConfigError, match="original, small, small-a2, small-b"):
        CompressionRNN(scale("smoke"), name)
