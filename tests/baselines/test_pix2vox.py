"""Pix2Vox-F against its layer table, against a naive reference, and the algebra of its merger."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compress3d.baselines.pix2vox import Pix2Vox, merged_logits
from compress3d.errors import ConfigError, DataError
from compress3d.losses import LossTerms
from compress3d.scales import SCALES, scale

# Published network: in * out * kernel + biases, and 2 weights a channel of batch normalisation.
LAYERS = {
    # VGG16-BN, features 0 to 26: eight convolutions
    "encoder.vgg.0": 3 * 64 * 9 + 64,
    "encoder.vgg.1": 2 * 64,
    "encoder.vgg.3": 64 * 64 * 9 + 64,
    "encoder.vgg.4": 2 * 64,
    "encoder.vgg.7": 64 * 128 * 9 + 128,
    "encoder.vgg.8": 2 * 128,
    "encoder.vgg.10": 128 * 128 * 9 + 128,
    "encoder.vgg.11": 2 * 128,
    "encoder.vgg.14": 128 * 256 * 9 + 256,
    "encoder.vgg.15": 2 * 256,
    "encoder.vgg.17": 256 * 256 * 9 + 256,
    "encoder.vgg.18": 2 * 256,
    "encoder.vgg.20": 256 * 256 * 9 + 256,
    "encoder.vgg.21": 2 * 256,
    "encoder.vgg.24": 256 * 512 * 9 + 512,
    "encoder.vgg.25": 2 * 512,
    "encoder.tail.0": 512 * 512 + 512,
    "encoder.tail.1": 2 * 512,
    "encoder.tail.3": 512 * 256 * 9 + 256,
    "encoder.tail.4": 2 * 256,
    "encoder.tail.7": 256 * 128 * 9 + 128,
    "encoder.tail.8": 2 * 128,
    # no biases in the decoder
    "decoder.layers.0": 256 * 128 * 64,
    "decoder.layers.1": 2 * 128,
    "decoder.layers.3": 128 * 64 * 64,
    "decoder.layers.4": 2 * 64,
    "decoder.layers.6": 64 * 32 * 64,
    "decoder.layers.7": 2 * 32,
    "decoder.layers.9": 32 * 8 * 64,
    "decoder.layers.10": 2 * 8,
    "decoder.classify": 8,
    "merger.convs.0": 9 * 16 * 27 + 16,
    "merger.convs.1": 16 * 8 * 27 + 8,
    "merger.convs.2": 8 * 4 * 27 + 4,
    "merger.convs.3": 4 * 2 * 27 + 2,
    "merger.convs.4": 2 * 27 + 1,
    "merger.norms.0": 2 * 16,
    "merger.norms.1": 2 * 8,
    "merger.norms.2": 2 * 4,
    "merger.norms.3": 2 * 2,
    "merger.norms.4": 2,
}

# The naive reference, one row a layer: (kind, in, out) with kinds as in `naive_layers`; written out by hand.
TABLES = {
    "paper": {
        "side": 224,
        "vgg": "c3 64, c64 64, pool, c64 128, c128 128, pool, c128 256, c256 256, c256 256, pool, c256 512",
        "tail": "k512 512, v512 256, pool4, v256 128",
        "start": 256,
        "decoder": "t256 128, t128 64, t64 32, t32 8",
        "merger": "m9 16, m16 8, m8 4, m4 2, m2 1",
    },
    "demo": {
        "side": 112,
        "vgg": "c3 16, c16 16, pool, c16 32, c32 32, pool, c32 64, c64 64, c64 64, c64 128",
        "tail": "k128 128, v128 64, pool4, v64 32",
        "start": 64,
        "decoder": "t64 32, t32 16, t16 8, t8 8",
        "merger": "m9 4, m4 2, m2 1, m1 1, m1 1",
    },
    "smoke": {
        "side": 56,
        "vgg": "c3 8, c8 8, pool, c8 16, c16 16, c16 32, c32 32, c32 32, c32 64",
        "tail": "k64 64, v64 32, pool4, v32 16",
        "start": 32,
        "decoder": "s32 16, t16 8, t8 4, t4 8",
        "merger": "m9 2, m2 1, m1 1, m1 1, m1 1",
    },
}


NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def naive_layers(row: str) -> nn.Sequential:
    """Layers of one row of `TABLES`."""
    layers = []
    for item in row.split(", "):
        if item.startswith("pool"):
            layers.append(nn.MaxPool2d(int(item[4:] or 2)))
            continue
        kind, (a, b) = item[0], map(int, item[1:].split())
        layers += {
            "c": lambda a, b: [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()],
            "k": lambda a, b: [nn.Conv2d(a, b, 1), nn.BatchNorm2d(b), nn.ELU()],
            "v": lambda a, b: [nn.Conv2d(a, b, 3), nn.BatchNorm2d(b), nn.ELU()],
            "t": lambda a, b: [nn.ConvTranspose3d(a, b, 4, 2, 1, bias=False), nn.BatchNorm3d(b), nn.ReLU()],
            "s": lambda a, b: [nn.Conv3d(a, b, 3, 1, 1, bias=False), nn.BatchNorm3d(b), nn.ReLU()],
            "m": lambda a, b: [nn.Conv3d(a, b, 3, padding=1), nn.BatchNorm3d(b), nn.LeakyReLU(0.2)],
        }[kind](a, b)
    return nn.Sequential(*layers)


class Naive(nn.Module):
    """The published table, one view after another, probabilities all the way."""

    def __init__(self, name: str):
        super().__init__()
        table = TABLES[name]
        self.side, self.start = table["side"], table["start"]
        self.vgg, self.tail = naive_layers(table["vgg"]), naive_layers(table["tail"])
        self.decoder, self.merger = naive_layers(table["decoder"]), naive_layers(table["merger"])
        self.classify = nn.Conv3d(self.merger[0].in_channels - 1, 1, 1, bias=False)

    def take(self, model: Pix2Vox) -> None:
        """The weights of `model`, layer by layer in the order of the table."""
        merger = [part for pair in zip(model.merger.convs, model.merger.norms, strict=True) for part in pair]
        theirs = [*model.encoder.vgg, *model.encoder.tail, *model.decoder.layers, *merger, model.decoder.classify]
        ours = [*self.vgg, *self.tail, *self.decoder, *self.merger, self.classify]
        for a, b in zip(*([m for m in part if m.state_dict()] for part in (ours, theirs)), strict=True):
            a.load_state_dict(b.state_dict())

    def forward(self, images):
        volumes, scores = [], []
        for t in range(images.shape[1]):
            x = (images[:, t] - 0.5) / 0.5
            x = nn.Upsample(size=(self.side, self.side), mode="bilinear")(x)
            x = self.tail(self.vgg(x))
            features = self.decoder(x.reshape(len(x), self.start, 2, 2, 2))
            volume = torch.sigmoid(self.classify(features))
            scores.append(self.merger(torch.cat([features, volume], dim=1))[:, 0])
            volumes.append(volume[:, 0])
        weights = torch.softmax(torch.stack(scores), dim=0)
        return torch.clamp((weights * torch.stack(volumes)).sum(0), 0, 1)


def squares(name: str, objects: int, views: int) -> torch.Tensor:
    """Images (B, V, 3, H, W) of coarse coloured squares: they differ as a whole."""
    colours = torch.rand(objects * views, 3, 4, 4)
    return F.interpolate(colours, size=scale(name).image_size).unflatten(0, (objects, views))


def lively(name: str, seed: int = 0) -> Pix2Vox:
    """A network in evaluation mode whose every weight and statistic matters, and whose views disagree."""
    torch.manual_seed(seed)
    model = Pix2Vox(scale(name))
    for module in model.modules():
        if isinstance(module, NORMS):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, std=0.3)
        elif getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, std=0.1)
    with torch.no_grad():
        model(squares(name, 1, 2))  # leaves its statistics
    return model.eval()


def test_parameter_counts_of_the_published_network():
    model = Pix2Vox(scale("paper"))
    got = {}
    for name, value in model.named_parameters():
        layer = name.rsplit(".", 1)[0]
        got[layer] = got.get(layer, 0) + value.numel()
    assert got == LAYERS
    assert sum(LAYERS.values()) == 7_436_307  # the article says 7.41 million
    floats = sum(value.numel() for value in model.state_dict().values() if value.is_floating_point())
    assert round(4 * floats / 1e6, 1) == 29.8  # megabytes of the authors' published weights


@pytest.mark.parametrize("name, total", [("paper", 7_436_307), ("demo", 470_499), ("smoke", 100_647)])
def test_sizes_of_every_scale(name, total):
    with torch.device("meta"):
        model, images = Pix2Vox(scale(name)), squares(name, 1, 2)
    assert sum(p.numel() for p in model.parameters()) == total
    views = F.interpolate(images[0], size=(model.encoder.side,) * 2)
    assert model.encoder.vgg(views).shape == (2, scale(name).channels(512), 28, 28)
    assert model.encoder(images[0]).shape == (2, scale(name).channels(128), 4, 4)
    assert model(images).shape == (1, *(scale(name).grid,) * 3)


@pytest.mark.parametrize(
    "name, millions",
    [
        ("paper", {"encoder.vgg": 10_260, "encoder.tail": 1_008, "decoder": 185, "merger": 278}),
        ("demo", {"encoder.vgg": 208, "encoder.tail": 63, "decoder": 24, "merger": 42}),
        ("smoke", {"encoder.vgg": 38, "encoder.tail": 16, "decoder": 1, "merger": 3}),
    ],
)
def test_multiply_adds_are_those_of_the_module_docstring(name, millions):
    with torch.device("meta"):
        model, images = Pix2Vox(scale(name)), squares(name, 1, 1)
    with FlopCounterMode(display=False) as counter:
        model(images)
    counts = counter.get_flop_counts()
    assert {part: round(sum(counts[f"Pix2Vox.{part}"].values()) / 2e6) for part in millions} == millions


@pytest.mark.parametrize("name, views", [("paper", 2), ("demo", 3), ("smoke", 5)])
def test_equals_the_naive_reference(name, views):
    model, naive = lively(name).double(), Naive(name).eval().double()
    naive.take(model)
    images = squares(name, 1 if name == "paper" else 2, views).double()
    with torch.no_grad():
        expected, got = naive(images), torch.sigmoid(model(images))
        logits = model.encode_views(images)[:, :, 1]
    assert expected.std() > 0.1 and logits.std(dim=1).mean() > 0.1  # no constant, and views that disagree
    # float64: 20 layers of sums over at most 4,608 products of about 1
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["demo", "smoke"])
def test_loss_and_gradients_equal_those_of_the_naive_reference(name):
    model, naive = lively(name, seed=1).double(), Naive(name).eval().double()
    naive.take(model)
    images = squares(name, 1, 3).double()
    truth = torch.rand(1, *(scale(name).grid,) * 3) > 0.8
    logits = model(images)
    loss = F.binary_cross_entropy_with_logits(logits, truth.double())
    naive_loss = F.binary_cross_entropy(naive(images), truth.double())
    torch.testing.assert_close(loss, naive_loss, atol=1e-12, rtol=1e-9)
    loss.backward()
    naive_loss.backward()
    for a, b in [
        (model.encoder.vgg[0], naive.vgg[0]),
        (model.encoder.tail[3], naive.tail[3]),
        (model.decoder.layers[0], naive.decoder[0]),
        (model.decoder.classify, naive.classify),
        (model.merger.convs[0], naive.merger[0]),
        (model.merger.norms[-1], naive.merger[-2]),
    ]:
        assert b.weight.grad.abs().max() > 0
        torch.testing.assert_close(a.weight.grad, b.weight.grad, atol=1e-12, rtol=1e-6)


def test_merged_logits_equal_the_naive_formula_with_its_gradient():
    torch.manual_seed(4)
    scores, logits = (3 * torch.randn(5, 4, 6, dtype=torch.float64) for _ in range(2))
    scores.requires_grad_(), logits.requires_grad_()
    got = merged_logits(scores, logits)
    expected = torch.logit((torch.softmax(scores, 1) * torch.sigmoid(logits)).sum(1))
    torch.testing.assert_close(got, expected)
    pull = torch.randn_like(got)
    for a, b in zip(
        torch.autograd.grad(got, (scores, logits), pull),
        torch.autograd.grad(expected, (scores, logits), pull),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_merged_logits_stay_finite_where_the_naive_formula_does_not():
    logits = torch.tensor([[300.0, 200.0], [-300.0, -200.0], [300.0, -300.0]], requires_grad=True)
    scores = torch.tensor([[0.0, 0.0], [0.0, 0.0], [40.0, -40.0]], requires_grad=True)
    assert torch.logit((torch.softmax(scores, 1) * torch.sigmoid(logits)).sum(1)).isinf().any()
    got = merged_logits(scores, logits)
    # log(1 - p) of a mean of two sure views is that of the less sure one, halved; a distrusted view caps the logits
    torch.testing.assert_close(got, torch.tensor([200 + 0.693147, -200 - 0.693147, 80.0]))
    loss = F.binary_cross_entropy_with_logits(got, torch.tensor([0.0, 1.0, 0.0]))
    for gradient in torch.autograd.grad(loss, (scores, logits)):
        assert gradient.isfinite().all() and gradient.abs().max() > 0.1


@pytest.mark.parametrize(
    "views, training", [(1, False), (2, False), (7, False), (20, False), (1, True), (2, True), (5, True)]
)
def test_order_of_views_does_not_matter(views, training):
    model = lively("smoke", seed=views).train(training).double()
    images = squares("smoke", 1, views).double()
    expected = model(images)
    assert expected.shape == (1, 16, 16, 16)
    for _ in range(2):
        torch.testing.assert_close(model(images[:, torch.randperm(views)]), expected, atol=1e-8, rtol=1e-8)


def test_the_merged_volume_lies_between_those_of_the_views():
    model, images = lively("smoke", seed=6).double(), squares("smoke", 2, 4).double()
    with torch.no_grad():
        logits = model.encode_views(images)[:, :, 1]
        merged = model(images)
        assert (merged >= logits.amin(1) - 1e-9).all() and (merged <= logits.amax(1) + 1e-9).all()
        torch.testing.assert_close(model(images[:, :1]), logits[:, 0], atol=1e-9, rtol=1e-9)  # one view: its own volume
        torch.testing.assert_close(model(images.repeat(1, 3, 1, 1, 1)), merged, atol=1e-9, rtol=1e-9)


def test_evaluation_treats_every_object_alone():
    model, images = lively("smoke", seed=7).double(), squares("smoke", 3, 2).double()
    alone = torch.cat([model(images[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(model(images), alone, atol=1e-9, rtol=1e-9)
    model.train()
    assert not torch.allclose(model(images)[:1], model(images[:1]), atol=1e-3)  # statistics of the minibatch


@pytest.mark.parametrize("name", ["demo", "smoke"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gradient_reaches_every_parameter(name, precision):
    torch.manual_seed(8)
    model = Pix2Vox(scale(name))
    images, truth = squares(name, 2, 3), torch.rand(2, *(scale(name).grid,) * 3) > 0.8
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        losses = model.loss(images, truth, iterations=4)
    assert losses.total.dtype == torch.float32
    losses.total.backward()
    for key, value in model.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all(), key
        layer = model.get_submodule(key.rsplit(".", 1)[0])
        cancelled = key.endswith("bias") and not isinstance(layer, NORMS)  # batch normalisation subtracts it again
        assert cancelled or value.grad.abs().max() > 0, key


def test_bfloat16_is_near_float32():
    model, images = lively("smoke", seed=9), squares("smoke", 2, 3)
    with torch.no_grad():
        exact = torch.sigmoid(model(images))
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(images)
    assert logits.dtype == torch.float32
    assert (torch.sigmoid(logits) - exact).abs().mean() < 0.01


def test_losses_are_the_mean_cross_entropy_of_all_models():
    model, images = lively("smoke", seed=10).double(), squares("smoke", 2, 2).double()
    truth = torch.rand(2, 16, 16, 16) > 0.8
    losses = model.loss(images, truth)
    assert isinstance(losses, LossTerms) and losses.terms == {"reconstruction": losses.total}
    logits = model(images)
    two_way = torch.stack([F.logsigmoid(-logits), F.logsigmoid(logits)], dim=1)
    torch.testing.assert_close(losses.total, F.nll_loss(two_way, truth.long()), atol=0, rtol=1e-12)
    published = 10 * F.binary_cross_entropy(torch.sigmoid(logits), truth.double())
    torch.testing.assert_close(10 * losses.total, published, atol=0, rtol=1e-9)


def test_learns_two_objects_by_heart():
    torch.manual_seed(11)
    model, images = Pix2Vox(scale("smoke")), squares("smoke", 2, 2)
    truth = torch.zeros(2, 16, 16, 16)
    truth[0, 2:14, 4:12, 2:8] = truth[1, 2:6, 2:14, 6:14] = 1
    constant = F.binary_cross_entropy(truth.mean().expand(truth.shape), truth)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(images, truth).total.backward()
        optimizer.step()
    with torch.no_grad():
        assert model.eval().loss(images, truth).total < constant / 2


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"image_size": 48}, "48 pixels"),
        ({"image_size": 256}, "16, 32, 64 or 128"),
        ({"grid": 24}, "24"),
        ({"grid": 64}, "2, 4, 8, 16 or 32"),
        ({"width": 1 / 1000}, "1/2"),
    ],
)
def test_sizes_that_cannot_be(changes, words):
    with pytest.raises(ConfigError, match=words.replace("^", r"\^")):
        Pix2Vox(replace(scale("smoke"), **changes))


@pytest.mark.parametrize(
    "images, words",
    [
        (torch.zeros(2, 3, 3, 64, 64), r"\(2, 3, 3, 64, 64\).*smoke.*32, 32"),
        (torch.zeros(2, 3, 32, 32), "objects, views, 3"),
        (torch.zeros(2, 0, 3, 32, 32), "at least one view"),
        (torch.zeros(2, 1, 3, 32, 32, dtype=torch.uint8), "divide them by 255"),
    ],
)
def test_images_that_do_not_fit(images, words):
    with pytest.raises(DataError, match=words):
        Pix2Vox(scale("smoke"))(images)


def test_every_scale_is_in_the_tables():
    assert set(TABLES) == set(SCALES)
