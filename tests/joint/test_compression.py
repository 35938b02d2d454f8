"""Compression RNNs against the plain reference, their layer tables, and what variable rate means."""

import pytest
import torch
from torch import nn

from benchmarks.naive import plain_compression
from compress3d.errors import ConfigError
from compress3d.joint.compression import ARCHITECTURES, CompressionRNN, compression_loss
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


def network(architecture, name="smoke", gain=4.0, seed=0, **options):
    """A network whose weights are large enough that gates open, states matter and pictures leave [0, 1]."""
    torch.manual_seed(seed)
    model = CompressionRNN(scale(name), architecture, **options)
    for value in model.parameters():
        nn.init.normal_(value, std=gain / value[0].numel() ** 0.5)
    return model.eval()


def pictures(model, count=2, seed=1):
    side = model.scale.image_size
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


class Told(nn.Module):
    """In the binarizer's place: gives the codes it was told, and keeps the values that it was to binarize."""

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
def test_equals_the_plain_reference(architecture, additive, name, iterations):
    """Two ways of summing differ in the last digits, and the sign of a value near 0 may differ with them, which changes
    every later iteration. So the network is told the reference's bits: all values must agree, and all signs of values
    that are further from 0 than the tolerance; bit by bit, that is the whole recursion."""
    model = network(architecture, name, additive=additive)
    x = pictures(model)
    codes, decoded = plain_compression(model.state_dict(), x, iterations, architecture, additive)
    assert codes.abs().eq(1).all() and 0.2 < codes.gt(0).float().mean() < 0.8

    model.binarizer = Told(codes)
    coded = model(x, iterations)
    torch.testing.assert_close(coded.decoded, decoded, atol=1e-5, rtol=0)
    seen = torch.stack(model.binarizer.seen, 1)
    sure = seen.abs() > 1e-5
    assert sure.float().mean() > 0.99
    assert torch.equal(seen[sure].sign(), codes[sure])

    model.binarizer = Told(codes)
    model.encode(x, iterations)
    torch.testing.assert_close(torch.stack(model.binarizer.seen, 1), seen, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.decode(codes), decoded.clamp(0, 1), atol=1e-5, rtol=0)


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
    x, N = pictures(model, 3), 5
    codes = model.encode(x, N)
    decoded = model.decode(codes)
    for n in range(1, N):
        assert torch.equal(model.encode(x, n), codes[:, :n])
        assert torch.equal(model.decode(codes[:, :n]), decoded[:, :n])
    for t in range(N - 1):  # no iteration repeats another
        assert not torch.equal(codes[:, t], codes[:, t + 1]) and not torch.equal(decoded[:, t], decoded[:, t + 1])


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("additive", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_sender_and_receiver_together_are_the_forward_pass(architecture, additive, binary):
    model = network(architecture, additive=additive, binary=binary)
    x = pictures(model)
    coded = model(x, 3)
    codes = model.encode(x, 3)
    assert torch.equal(codes, coded.codes)
    assert torch.equal(codes, model(x, 3).codes)  # evaluation draws nothing
    torch.testing.assert_close(model.decode(codes), coded.decoded.clamp(0, 1), atol=1e-6, rtol=0)
    assert codes.abs().eq(1).all() if binary else codes.abs().lt(1).all() and codes.unique().numel() > 100
    if additive:  # what is added in an iteration is tanh / 2 of something; without it, the whole picture is
        assert coded.decoded.min() < 0 or coded.decoded.max() > 1
        step = coded.decoded.diff(dim=1)
    else:
        step = coded.decoded - 0.5
    assert step.abs().max() <= 0.5 + 1e-6


@torch.no_grad()
def test_every_picture_is_coded_by_itself():
    model = network("small").double()  # in float32 a picture's sums may depend on how many pictures there are
    x = pictures(model, 3).double()
    together = model(x, 3)
    for n in range(3):
        alone = model(x[n : n + 1], 3)
        torch.testing.assert_close(alone.decoded[0], together.decoded[n], atol=1e-6, rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_training_draws_bits_whose_mean_is_the_value_before(architecture):
    model = network(architecture)
    x, draws = pictures(model, 1), 2000
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
    x = pictures(model)
    compression_loss(x, model(x, 2).decoded).backward()
    for name, value in model.named_parameters():
        assert value.grad is not None and value.grad.abs().sum() > 0, name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_binarizer_hands_the_gradient_of_the_bits_to_the_encoder(architecture):
    model = network(architecture)
    x = pictures(model)
    parameters = list(model.encoder.parameters())
    loss = compression_loss(x, model(x, 1).decoded)
    got = torch.autograd.grad(loss, parameters, allow_unused=True)  # one iteration: no hidden convolution takes part

    value, _ = model.encoder(x - 0.5, [None] * 3)
    bits = torch.where(value < 0, -1.0, 1.0).requires_grad_()
    output, _ = model.decoder(bits, [None] * len(model.decoder.rnns))
    (of_bits,) = torch.autograd.grad((x - 0.5 - output).abs().mean(), bits)
    expected = torch.autograd.grad(value, parameters, grad_outputs=of_bits, allow_unused=True)
    reached = 0
    for a, b in zip(got, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b)
            reached += a.abs().sum() > 0
    assert reached == len(parameters) - 3


def test_compression_loss_by_hand():
    images = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1)
    decoded = torch.tensor([[0.0, 0.5, 0.6], [0.3, 0.4, 1.2]]).view(1, 2, 3, 1, 1)
    # |0.2| + |-0.1| + 0, then |-0.1| + 0 + |-0.6|; beta = 1 / (3 values x 2 iterations)
    assert compression_loss(images, decoded).item() == pytest.approx((0.3 + 0.7) / 6)


@pytest.mark.parametrize("B, N, side", [(1, 1, 1), (2, 3, 4), (3, 2, 5)])
def test_compression_loss_is_the_mean_over_pictures_pixels_and_iterations(B, N, side):
    torch.manual_seed(B)
    images, decoded = torch.rand(B, 3, side, side), torch.randn(B, N, 3, side, side)
    total = sum((images[b] - decoded[b, t]).abs().sum().item() for b in range(B) for t in range(N))
    assert compression_loss(images, decoded).item() == pytest.approx(total / (B * N * 3 * side**2))


def test_losses_of_views_are_those_of_as_many_pictures():
    model = network("small")
    views = pictures(model, 6).unflatten(0, (2, 3))
    losses = model.losses(views, None, 2)
    _, decoded = plain_compression(model.state_dict(), views.flatten(0, 1), 2, "small")
    expected = (views.flatten(0, 1)[:, None] - decoded).abs().mean()
    torch.testing.assert_close(losses.total, expected)
    assert losses.compression is losses.total and losses.reconstruction is None


@pytest.mark.parametrize("side", [8, 24, 40, 127, 137])
def test_picture_whose_side_is_no_multiple_of_16_is_refused(side):
    with pytest.raises(ConfigError, match=f"image size {side}.*multiple of 16"):
        CompressionRNN(Scale("odd", image_size=side, width=1 / 8, grid=16))


@pytest.mark.parametrize("name", ["", "Small", "small-c", "huge"])
def test_unknown_architecture_is_refused(name):
    with pytest.raises(ConfigError, match="original, small, small-a2, small-b"):
        CompressionRNN(scale("smoke"), name)
