"""The joint models: Eq. 16 from its parts, who learns from which loss, in what order codes are read."""

import itertools
import math

import pytest
import torch

from compress3d.engine.experiment import OptimConfig
from compress3d.errors import ConfigError
from compress3d.joint.compression import Coded
from compress3d.joint.direct import Direct
from compress3d.joint.implicit import Implicit
from compress3d.joint.rates import true_rate
from compress3d.joint.sequential import Sequential
from compress3d.losses import joint_loss, occupancy_loss
from compress3d.scales import scale

ROUNDING = dict(atol=1e-11, rtol=1e-11)  # values are float64; about 80 layers one behind the other
CHANNELS = {48: 2048, 384: 256, 480: 205}  # rate -> C at 128 pixels: raw bits 393216 / rate / 4


@pytest.mark.parametrize("rate", [48, 384, 480])
@pytest.mark.parametrize("fully_connected", [False, True])
def test_parameter_counts_of_the_implicit_model_at_paper_scale(rate, fully_connected):
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


# --- sequential and direct -------------------------------------------------------------------------------------------
UNIFIED = {
    "sequential": lambda **options: Sequential(scale("smoke"), **options),
    "direct D1": lambda **options: Direct(scale("smoke"), **options),
    "direct D2": lambda **options: Direct(scale("smoke"), concatenated=True, max_iterations=4, **options),
}


def unified(kind, seed=0, **options):
    """A float64 model whose compression weights are large enough that codes and images tell views apart."""
    torch.manual_seed(seed)
    model = UNIFIED[kind](**options)
    with torch.no_grad():
        for value in model.compression.parameters():
            value.normal_(std=3 / value[0].numel() ** 0.5)
    return model.double()


def sample(B=2, V=3, seed=1):
    torch.manual_seed(seed)
    return torch.rand(B, V, 3, 32, 32, dtype=torch.float64), torch.rand(B, 16, 16, 16) < 0.3


def norms(model):
    """Norm of the gradient of every part, None where nothing arrived."""
    found = {}
    for name, value in model.named_parameters():
        if value.grad is not None:
            part = ".".join(name.split(".")[:2]) if name.startswith("compression.") else name.split(".")[0]
            found[part] = found.get(part, 0.0) + value.grad.norm().item()
    return {part: norm for part, norm in found.items() if norm > 0}


@pytest.mark.parametrize("iterations", [1, 2])
@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("weight", ["sum", "mean"])
@pytest.mark.parametrize("kind", UNIFIED)
@torch.no_grad()
def test_eq_16_by_hand(kind, weight, views, iterations):
    model = unified(kind, view_weight=weight).eval()
    images, occupancy = sample(V=views)
    l_comp, codes, decoded = [], [], []
    for v in range(views):  # one view after another, as Eq. 16 sums
        coded = model.compression(images[:, v], iterations)
        l_comp.append(sum((images[:, v] - x).abs().mean() for x in coded.decoded.unbind(1)) / iterations)
        codes.append(coded.codes)
        decoded.append(coded.decoded[:, -1].clamp(0, 1))
    if kind == "sequential":
        logits = model.reconstruction(torch.stack(decoded, 1))
    else:
        logits = model.read_codes(torch.stack(codes, 1).flatten(0, 1), views)
    p = torch.sigmoid(logits)
    l_3d = -torch.where(occupancy, p.log(), (1 - p).log()).mean()
    total, terms = model.loss(images, occupancy, iterations)
    torch.testing.assert_close(terms["compression"], sum(l_comp) / views, **ROUNDING)
    torch.testing.assert_close(terms["reconstruction"], l_3d, **ROUNDING)
    torch.testing.assert_close(total, (sum(l_comp) if weight == "sum" else sum(l_comp) / views) + l_3d, **ROUNDING)
    assert list(terms) == ["compression", "reconstruction"]


def test_losses_by_hand():
    l_comp, l_3d = torch.tensor(0.25), torch.tensor(0.5)
    assert joint_loss(l_comp, l_3d, views=5) == 1.75
    assert joint_loss(l_comp, l_3d, views=5, view_weight="mean") == 0.75
    with pytest.raises(ConfigError, match="'median'"):
        joint_loss(l_comp, l_3d, 5, "median")
    logits = torch.tensor([[[[1 / 9, 3.0]]]], dtype=torch.float64).log()  # p = 1/10 and 3/4
    assert occupancy_loss(logits, torch.tensor([[[[0, 1]]]])).item() == pytest.approx(
        -(math.log(9 / 10) + math.log(3 / 4)) / 2, abs=1e-15
    )
    assert occupancy_loss(torch.zeros(1, 2, 2, 2, dtype=torch.bfloat16), torch.ones(1, 2, 2, 2)).dtype == torch.float32


@pytest.mark.parametrize("iterations", [1, 2])
@pytest.mark.parametrize("kind", UNIFIED)
def test_who_learns_from_which_loss(kind, iterations):
    """Sec. 3: the encoder serves both tasks. The decoder of images learns from L_3D where images feed E3D; in the
    direct model only through the residual, which the second iteration codes."""
    model = unified(kind).train()
    images, occupancy = sample()
    compressing = {"compression.encoder", "compression.decoder"}
    reading = {"reconstruction"} if kind == "sequential" else {"lstm", "decoder"}

    model.loss(images, occupancy, iterations).terms["compression"].backward()
    assert norms(model).keys() == compressing
    model.zero_grad()
    model.loss(images, occupancy, iterations).terms["reconstruction"].backward()
    without = {"compression.decoder"} if kind != "sequential" and iterations == 1 else set()
    assert norms(model).keys() == (compressing | reading) - without


@pytest.mark.parametrize("weight", ["sum", "mean"])
@pytest.mark.parametrize("kind", UNIFIED)
def test_encoder_adds_the_gradients_of_both_losses(kind, weight):
    model = unified(kind, view_weight=weight).train()
    images, occupancy = sample()
    encoder = list(model.compression.encoder.parameters())

    def gradients(term):
        torch.manual_seed(5)  # the same draws of the binarizer
        total, terms = model.loss(images, occupancy, 2)
        return torch.autograd.grad({"total": total, **terms}[term], encoder)

    both = zip(gradients("compression"), gradients("reconstruction"), gradients("total"), strict=True)
    for of_images, of_voxels, total in both:
        assert of_images.abs().sum() > 0 and of_voxels.abs().sum() > 0
        expected = (3 if weight == "sum" else 1) * of_images + of_voxels
        torch.testing.assert_close(total, expected, atol=1e-11, rtol=1e-9)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("kind", UNIFIED)
def test_nothing_is_frozen(kind, binary):
    model = unified(kind, binary=binary).train()
    images, occupancy = sample(V=2)
    model.loss(images, occupancy, 2).total.backward()
    for name, value in model.named_parameters():
        assert value.requires_grad and value.grad is not None and value.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", UNIFIED)
@torch.no_grad()
def test_evaluation_is_deterministic_and_is_what_a_receiver_recovers(kind):
    model = unified(kind).eval()
    images, _ = sample()
    logits = model(images, 2)
    torch.testing.assert_close(logits, model(images, 2), **ROUNDING)
    torch.testing.assert_close(logits, model.recover(model.compress(images, 2), 3), **ROUNDING)
    if kind != "sequential":  # all that was sent are the codes
        torch.testing.assert_close(
            logits, model.read_codes(model.compression.encode(images.flatten(0, 1), 2), 3), **ROUNDING
        )
    assert logits.shape == (2, 16, 16, 16)
    assert not torch.allclose(logits, model(images, 1)) and not torch.allclose(logits, model(images.flip(1), 2))
    model.train()
    assert not torch.equal(model(images, 2), model(images, 2))


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("iterations", [1, 2, 3])
@torch.no_grad()
def test_d1_reads_view_by_view_and_a_views_codes_in_turn(views, iterations):
    model = unified("direct D1").eval()
    images, _ = sample(V=views)
    codes = model.compress(images, iterations).codes

    def read(order):
        h, state = None, None
        for v, t in order:
            step = torch.stack([codes[b * views + v, t].reshape(-1) for b in range(2)])
            h, state = model.lstm(step.unsqueeze(1), state)
        return model.decoder(h)

    order = list(itertools.product(range(views), range(iterations)))
    logits = model(images, iterations)
    torch.testing.assert_close(logits, read(order), **ROUNDING)
    if views > 1 and iterations > 1:  # iteration by iteration is something else
        assert not torch.allclose(logits, read(sorted(order, key=lambda at: at[1])), atol=1e-4)
    assert model.lstm.input_map.in_features == model.compression.code_size == 64


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("iterations", [1, 2, 3, 4])
@torch.no_grad()
def test_d2_reads_a_views_codes_side_by_side_and_zeros_for_those_not_sent(views, iterations):
    model = unified("direct D2").eval()
    images, _ = sample(V=views)
    codes = model.compress(images, iterations).codes
    padded = torch.zeros(2, views, 4 * 64, dtype=torch.float64)
    for b, v, t in itertools.product(range(2), range(views), range(iterations)):
        padded[b, v, 64 * t : 64 * (t + 1)] = codes[b * views + v, t].reshape(-1)
    h, _ = model.lstm(padded)
    torch.testing.assert_close(model(images, iterations), model.decoder(h), **ROUNDING)
    assert model.lstm.input_map.in_features == 4 * 64


def test_d2_refuses_more_codes_than_it_has_room_for():
    with pytest.raises(ConfigError, match="5 iterations: are more than N_max = 4"):
        unified("direct D2")(sample()[0], 5)


@pytest.mark.parametrize("views", [1, 3])
@torch.no_grad()
def test_sequential_clamps_images_in_evaluation_only(views):
    model = unified("sequential")
    decoded = 20 * torch.randn(2 * views, 2, 3, 32, 32, dtype=torch.float64)
    last = decoded[:, -1].unflatten(0, (2, views))
    coded = Coded(torch.zeros(2 * views, 2, 16, 2, 2), decoded)
    whole, clamped = model.reconstruction(last), model.reconstruction(last.clamp(0, 1))
    assert not torch.allclose(whole, clamped, atol=1e-4)
    torch.testing.assert_close(model.eval().recover(coded, views), clamped, **ROUNDING)
    torch.testing.assert_close(model.train().recover(coded, views), whole, **ROUNDING)


@pytest.mark.parametrize("kind", UNIFIED)
def test_unknown_view_weight_is_refused(kind):
    with pytest.raises(ConfigError, match="'median'"):
        UNIFIED[kind](view_weight="median")


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("kind", UNIFIED)
def test_codec_and_the_rest_learn_at_two_rates(kind, decay):
    """First all others, then the codec; with L2, weights before biases. Adam's state is kept in this order."""
    optim = OptimConfig(learning_rate=1e-3, warmup=4, codec_learning_rate=3e-3, codec_warmup=7, weight_decay=decay)
    model = unified(kind)
    codec = {id(p) for p in model.compression.parameters()}
    rest = [p for p in model.parameters() if id(p) not in codec]
    parts = [rest] if not decay else [[p for p in rest if p.dim() > 1], [p for p in rest if p.dim() == 1]]
    *others, last = model.parameter_groups(optim)
    assert [[id(p) for p in group["params"]] for group in others] == [[id(p) for p in part] for part in parts]
    assert [(g["peak"], g["warmup"], g.get("weight_decay", 0.0)) for g in others] == [
        (1e-3, 4, L2) for L2 in ([decay, 0.0] if decay else [0.0])
    ]
    assert {id(p) for p in last["params"]} == codec
    assert (last["peak"], last["warmup"], last.get("weight_decay", 0.0)) == (3e-3, 7, decay)
