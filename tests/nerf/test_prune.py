"""Pruning against sorting in NumPy, hand-worked scores, and what must stay as it is."""

import numpy as np
import pytest
import torch
from torch import nn

from compress3d.errors import ConfigError
from compress3d.nerf.mlp import MLP, Linear
from compress3d.nerf.prune import iterative_ratios, lamp, named_layers, prune, survivors
from compress3d.nerf.rendering import CoarseFine


def networks(seed=0):
    torch.manual_seed(seed)
    return CoarseFine(MLP(3, 8, skip=None), MLP(2, 12, skip=None), near=2.0, far=6.0, white=True)


def acting(model):
    return {name: layer.acting_weight.detach().numpy() for name, layer in named_layers(model).items()}


def survive(groups, ratio):
    """Masks by a plain sort over the weights of each group of layers."""
    masks = {}
    for group in groups:
        flat = np.concatenate([np.abs(weight).ravel() for weight in group.values()])
        order = sorted(range(len(flat)), key=lambda place: (flat[place], place))
        keep = np.ones(len(flat), bool)
        keep[order[: round(ratio * len(flat))]] = False
        for name, weight in group.items():
            masks[name], keep = keep[: weight.size].reshape(weight.shape), keep[weight.size :]
    return masks


@pytest.mark.parametrize("ratio", [0, 0.01, 0.3, 0.5, 0.77, 0.98, 1])
@pytest.mark.parametrize("scope", ["global", "network", "layer"])
def test_the_smallest_weights_go(scope, ratio):
    model = networks()
    before = acting(model)
    by = {"global": lambda name: "", "network": lambda name: name.split(".")[0], "layer": lambda name: name}[scope]
    groups = [{n: w for n, w in before.items() if by(n) == key} for key in dict.fromkeys(map(by, before))]
    expected = survive(groups, ratio)
    kept = prune(model, ratio, scope=scope)
    for name, weight in acting(model).items():
        np.testing.assert_array_equal(weight, before[name] * expected[name], err_msg=name)
        assert kept[name] == (expected[name].sum(), weight.size)
    total = sum(weight.size for weight in before.values())
    assert sum(alive for alive, _ in kept.values()) == pytest.approx((1 - ratio) * total, abs=len(groups))


def test_equal_weights_go_in_order_of_their_place():
    layer = Linear(4, 1)
    layer.weight.data.fill_(0.5)
    prune(nn.Sequential(layer), 0.5)
    assert layer.mask.tolist() == [[False, False, True, True]]


def test_spared_layers_stay_whole_and_the_others_give_the_share():
    model = networks()
    kept = prune(model, 0.5, spare=("*density_head", "*colour_head"))
    heads = [name for name in kept if name.endswith("_head")]
    assert len(heads) == 4 and all(kept[name][0] == kept[name][1] for name in heads)
    others = [kept[name] for name in kept if name not in heads]
    assert sum(alive for alive, _ in others) == sum(total for _, total in others) - round(
        sum(total for _, total in others) * 0.5
    )


def test_lamp_by_hand():
    # Squares 1, 4, 9, 16: each over the sum of itself and the larger ones.
    scores = lamp(torch.tensor([3.0, 1.0, 4.0, 2.0]))
    assert scores.tolist() == pytest.approx([9 / 25, 1 / 30, 1.0, 4 / 29])


def test_lamp_never_takes_the_last_weight_of_a_layer_before_others():
    model = networks()
    for layer in named_layers(model).values():
        if layer.out_features == 1:
            layer.weight.data *= 1e-4
    prune(model, 0.95, score="lamp")
    assert all(alive >= 1 for alive, _ in survivors(model).values())
    other = networks()
    for layer in named_layers(other).values():
        if layer.out_features == 1:
            layer.weight.data *= 1e-4
    prune(other, 0.95)
    assert survivors(other)["coarse.density_head"][0] == 0


def test_gradient_score_is_squared_weight_times_squared_gradient():
    layer = Linear(4, 1)
    layer.weight.data = torch.tensor([[1.0, -2.0, 3.0, 4.0]])
    layer.weight.grad = torch.tensor([[3.0, 2.0, -0.1, 1.0]])  # scores 9, 16, 0.09, 16
    prune(nn.Sequential(layer), 0.5, score="gradient")
    assert layer.mask.tolist() == [[False, True, False, True]]
    layer.weight.grad = None
    with pytest.raises(ConfigError, match="gradients"):
        prune(nn.Sequential(layer), 0.5, score="gradient")


@pytest.mark.parametrize("score", ["magnitude", "lamp"])
def test_masks_of_growing_ratios_are_nested_and_count_what_is_out_already(score):
    model, masks = networks(), []
    for ratio in (0.3, 0.5, 0.9):
        kept = prune(model, ratio, score=score)
        total = sum(total for _, total in kept.values())
        assert sum(alive for alive, _ in kept.values()) == total - round(ratio * total)
        masks.append({name: layer.mask.clone() for name, layer in named_layers(model).items()})
    for looser, tighter in zip(masks, masks[1:], strict=False):
        assert all((looser[name] | ~tighter[name]).all() for name in looser)


@pytest.mark.parametrize("biases", [False, True])
def test_biases_are_kept_unless_asked(biases):
    model = networks()
    prune(model, 0.9, biases=biases)
    gone = sum(int((layer.acting_bias == 0).sum()) for layer in named_layers(model).values())
    assert (gone > 20) if biases else gone == 0


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.1)])
def test_masks_stay_in_training(optimizer):
    model = networks()
    prune(model, 0.7, biases=True)
    out = {name: ~layer.mask for name, layer in named_layers(model).items()}
    steps = optimizer(model.parameters())
    points, views = torch.rand(64, 3), nn.functional.normalize(torch.rand(64, 3), dim=-1)
    before = model.fine.feature.acting_weight.detach().clone()
    for _ in range(50):
        raw, features = model.fine.density(points)
        (raw.square().mean() + (model.fine.colour(features, views, 1) - 0.2).square().mean()).backward()
        steps.step()
        steps.zero_grad()
    for name, layer in named_layers(model).items():
        assert (layer.acting_weight[out[name]] == 0).all(), name
    assert not torch.equal(before, model.fine.feature.acting_weight)


@pytest.mark.parametrize("kept", [False, True])
def test_masks_travel_with_the_state(kept):
    model, other = networks(), networks(1)
    prune(model, 0.6, biases=kept)
    other.load_state_dict(model.state_dict())
    for (name, one), two in zip(acting(model).items(), acting(other).values(), strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)
    assert survivors(model) == survivors(other)


def test_iterative_ratios_take_the_same_share_of_what_is_left():
    left = 1 - np.array([0, *iterative_ratios(0.98, 5)])
    np.testing.assert_allclose(left[1:] / left[:-1], 0.02 ** (1 / 5), rtol=1e-12)
    assert iterative_ratios(0.98, 5)[-1] == pytest.approx(0.98)


@pytest.mark.parametrize(
    "wrong", [{"ratio": -0.1}, {"ratio": 1.1}, {"ratio": float("nan")}, {"score": "size"}, {"scope": "row"}]
)
def test_arguments_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        prune(networks(), **{"ratio": 0.5} | wrong)


def test_a_model_without_layers_is_refused():
    with pytest.raises(ConfigError, match="no weights"):
        prune(nn.Linear(2, 2), 0.5)
