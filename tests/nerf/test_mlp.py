"""The network against plain formulas, finite differences, and what its paper's code counts."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from compress3d.errors import ConfigError
from compress3d.nerf import mlp
from compress3d.nerf.mlp import MLP, Linear, encode

ARCHITECTURES = {
    "original, small": dict(depth=8, width=32, skip=4),
    "port": dict(depth=4, width=16, skip=None, first_relu=False, feature_relu=True),
    "port with a joint": dict(depth=4, width=16, skip=0, first_relu=False),
    "late joint without first ReLU": dict(depth=4, width=16, skip=2, first_relu=False, L_position=3, L_direction=0),
    "one layer": dict(depth=1, width=6, skip=4, first_relu=False, L_position=0, L_direction=1),
}


def naive_encoding(x, L):
    values = list(x)
    for octave in range(L):
        values += [math.sin(2**octave * value) for value in x] + [math.cos(2**octave * value) for value in x]
    return values


def naive(field, points, views):
    """Density and colour of points, each with its own view: the network as its figure draws it."""

    def layer(of, x):
        return x @ of.weight.T + of.bias

    encoded = torch.tensor([naive_encoding(p.tolist(), field.L_position) for p in points], dtype=points.dtype)
    looks = torch.tensor([naive_encoding(v.tolist(), field.L_direction) for v in views], dtype=points.dtype)
    hidden = encoded
    for n, of in enumerate(field.position):
        if field.skip is not None and n == field.skip + 1:
            hidden = torch.cat([encoded, hidden], -1)
        hidden = layer(of, hidden)
        if n > 0 or field.first_relu:
            hidden = hidden.clamp(min=0)
    raw = layer(field.density_head, hidden)[:, 0]
    feature = layer(field.feature, hidden)
    if field.feature_relu:
        feature = feature.clamp(min=0)
    hidden = layer(field.direction, torch.cat([feature, looks], -1)).clamp(min=0)
    return raw, 1 / (1 + torch.exp(-layer(field.colour_head, hidden)))


def make(name, seed=0):
    torch.manual_seed(seed)
    return MLP(**ARCHITECTURES[name]).double()


def test_the_originals_numbers_of_weights_and_biases():
    layers = MLP().layers()
    assert sum(layer.weight.numel() for layer in layers.values()) == 593_408
    assert sum(layer.bias.numel() for layer in layers.values()) == 2_436
    assert [layer.in_features for layer in layers.values()] == [63, *[256] * 4, 319, *[256] * 4, 283, 128]


def test_names_in_the_state():
    layers = ["position.0", "position.1", "density_head", "feature", "direction", "colour_head"]
    assert list(MLP(2, 8).layers()) == layers
    assert list(MLP(2, 8).state_dict()) == [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]


@pytest.mark.parametrize("L", [0, 1, 4, 10])
def test_encoding_against_a_loop(L):
    x = torch.rand(7, 3, dtype=torch.float64) * 4 - 2
    expected = torch.tensor([naive_encoding(row, L) for row in x.tolist()], dtype=torch.float64).view(7, -1)
    torch.testing.assert_close(encode(x, L), expected, rtol=0, atol=1e-12)


def test_every_octave_is_as_precise_as_float32_allows():
    x = torch.rand(2000, 3, generator=torch.Generator().manual_seed(0)) * 4 - 2
    error = (encode(x, 10).double() - encode(x.double(), 10)).abs()
    assert error[:, 3:].max() < 2**-23  # two units in the last place of 1


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("gradients", [True, False])
def test_against_the_plain_network(name, gradients):
    field = make(name)
    R, S = 3, 5
    points, views = torch.randn(R * S, 3).double(), F.normalize(torch.randn(R, 3).double(), dim=-1)
    ray = torch.arange(R).repeat_interleave(S)
    raw, rgb = naive(field, points, views[ray])
    with torch.set_grad_enabled(gradients):
        found, features = field.density(points)
        torch.testing.assert_close(found, raw, rtol=0, atol=1e-11)
        assert features.shape == (R * S, field.width)
        torch.testing.assert_close(field.colour(features, views, S), rgb, rtol=0, atol=1e-11)
        order = torch.randperm(R * S)
        torch.testing.assert_close(field.colour(features[order], views, ray[order]), rgb[order], rtol=0, atol=1e-11)


@pytest.mark.parametrize("count", [0, 1, mlp.TILE, mlp.TILE + 1, 3 * mlp.TILE - 1])
def test_tiles_change_nothing(count):
    field = make("port")
    points = torch.randn(count, 3).double()
    with torch.no_grad():
        raw, features = field.density(points)
    expected, expected_features = field.density(points)
    torch.testing.assert_close(raw, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(features, expected_features, rtol=0, atol=1e-11)


def test_as_written_no_layer_is_multiplied_with_another():
    field = make("port").float()
    points = torch.randn(50, 3)
    expected, _ = field.density(points)
    with torch.no_grad():
        assert torch.equal(field.density(points, as_written=True)[0], expected)
        assert not torch.equal(field.density(points)[0], expected)  # rounded once less


def test_a_render_without_gradients_leaves_inputs_alone():
    field = make("original, small")
    points, views = torch.randn(6, 3).double(), torch.eye(3).double()[:2]
    with torch.no_grad():
        _, features = field.density(points)
        before = features.clone()
        first = field.colour(features, views, 3)
        assert torch.equal(features, before)
        assert torch.equal(field.colour(features, views, 3), first)


def test_float32_where_layers_are_multiplied_together():
    torch.manual_seed(0)
    field = MLP(4, 64, None, first_relu=False)
    points, views = torch.randn(500, 3), F.normalize(torch.randn(5, 3), dim=-1)
    with torch.no_grad():
        raw, features = field.density(points)
        rgb = field.colour(features, views, 100)
    expected, expected_features = field.density(points)
    torch.testing.assert_close(raw, expected.detach(), rtol=0, atol=2e-6)
    torch.testing.assert_close(rgb, field.colour(expected_features, views, 100).detach(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradients_against_finite_differences(name):
    field = make(name)
    views = F.normalize(torch.randn(2, 3).double(), dim=-1)
    points = torch.randn(6, 3).double().requires_grad_()

    def both(points, *_):
        raw, features = field.density(points)
        return raw, field.colour(features, views, 3)

    parameters = list(field.parameters())
    assert torch.autograd.gradcheck(both, (points, *parameters), eps=1e-7, atol=1e-5, fast_mode=True)


def test_density_is_never_negative():
    assert MLP(1, 2).activate(torch.tensor([-1.0, 0.0, 2.0])).tolist() == [0, 0, 2]


@pytest.mark.parametrize("changes", [dict(depth=0), dict(width=1), dict(skip=-1), dict(L_position=-1)])
def test_sizes_that_cannot_be(changes):
    with pytest.raises(ConfigError, match="cannot be"):
        MLP(**changes)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture_makes_the_same_network(name):
    field = make(name)
    again = MLP(**field.architecture).double()
    again.load_state_dict(field.state_dict())
    points = torch.randn(4, 3).double()
    assert torch.equal(again.density(points)[0], field.density(points)[0])


# -- masks -----------------------------------------------------------------------------------------------------------


def masked(seed=0):
    torch.manual_seed(seed)
    layer = Linear(5, 4)
    layer.add_mask(torch.rand(4, 5) > 0.5)
    return layer


def test_masked_weights_do_not_act_and_get_no_gradient():
    layer = masked()
    x = torch.randn(3, 5)
    expected = torch.stack([
        torch.stack([
            sum(x[n, i] * layer.weight[o, i] for i in range(5) if layer.mask[o, i]) + layer.bias[o] for o in range(4)
        ])
        for n in range(3)
    ])  # fmt: skip
    torch.testing.assert_close(layer(x), expected)
    layer(x).square().sum().backward()
    assert (layer.weight.grad[~layer.mask] == 0).all() and (layer.weight.grad[layer.mask] != 0).all()


def test_a_second_mask_brings_nothing_back():
    layer = Linear(2, 1)
    layer.add_mask(torch.tensor([[True, False]]))
    layer.add_mask(torch.tensor([[True, True]]))
    assert layer.mask.tolist() == [[True, False]]


def test_a_mask_given_is_not_shared():
    mask = torch.ones(1, 2, dtype=torch.bool)
    layer = Linear(2, 1)
    layer.add_mask(mask)
    mask[:] = False
    assert layer.mask.all()


@pytest.mark.parametrize("mask", [torch.ones(5, 4, dtype=torch.bool), torch.ones(4, 5)])
def test_a_mask_of_another_shape_or_type(mask):
    with pytest.raises(ConfigError, match="not bool"):
        Linear(5, 4).add_mask(mask)


@pytest.mark.parametrize("source", [masked(), Linear(5, 4)])
@pytest.mark.parametrize("target", [masked(1), Linear(5, 4)])
def test_a_state_says_which_weights_act(source, target):
    target = copy.deepcopy(target)
    target.load_state_dict(source.state_dict())
    assert (target.mask is None) == (source.mask is None)
    assert torch.equal(target.acting_weight, source.acting_weight)
    assert target.mask is None or target.mask is not source.mask


def test_a_masked_network_renders_as_one_with_zeros():
    field = make("original, small")
    zeroed = copy.deepcopy(field)
    for own, other in zip(field.layers().values(), zeroed.layers().values(), strict=True):
        mask = torch.rand(own.weight.shape) > 0.3
        own.add_mask(mask)
        other.weight.data *= mask
    points, views = torch.randn(6, 3).double(), F.normalize(torch.randn(2, 3).double(), dim=-1)
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            raw, features = field.density(points)
            expected, expected_features = zeroed.density(points)
            assert torch.equal(raw, expected)
            assert torch.equal(field.colour(features, views, 3), zeroed.colour(expected_features, views, 3))
