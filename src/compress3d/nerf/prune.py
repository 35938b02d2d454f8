"""Which weights of a network go: the smallest by one threshold over all layers (Isik 2021, Sec. 4.1), or others.

Weights are taken out by masks (see `compress3d.nerf.mlp.Linear`), so that they stay out in whatever follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch

import torch
from torch import Tensor, nn

from compress3d.errors import ConfigError
from compress3d.nerf.mlp import MLP, Linear

SCORES = ("magnitude", "lamp", "gradient")
SCOPES = ("global", "network", "layer")


def prune(
    model: nn.Module,
    ratio: float,
    score: str = "magnitude",
    scope: str = "global",
    spare: Sequence[str] = (),
    biases: bool = False,
) -> dict[str, tuple[int, int]]:
    """Take out the share `ratio` of a model's weights, those with the smallest scores; see also `survivors`.

    Weights that are out already count, and go first: pruning to 50 % and then to 70 % leaves 30 %.

    Args:
        model: with layers `Linear`, in one or several networks.
        ratio: in [0, 1]; of the weights that are not spared, rounded to a whole number of them.
        score: "magnitude"; "lamp", the square over the sum of the squares in the layer that are not smaller (Lee et
            al. 2021); "gradient", squared weight times squared gradient, which lies in `.grad`.
        scope: one threshold for all networks together ("global"), one for each `MLP` ("network") or "layer".
        spare: shell patterns of names of layers that stay whole, such as "*density_head".
        biases: prune biases, too, as weights of their layer.

    Returns:
        Name of each layer -> weights left, weights in all; of spared layers, too.

    Raises:
        ConfigError: an argument makes no sense, or gradients are missing.

    Example:
        >>> layer = Linear(4, 1)
        >>> layer.weight.data = torch.tensor([[0.5, -0.1, 0.2, -3.0]])
        >>> prune(nn.Sequential(layer), 0.5), layer.acting_weight.tolist()
        ({'0': (2, 4)}, [[0.5, -0.0, 0.0, -3.0]])
    """
    if not 0 <= ratio <= 1:
        raise ConfigError(f"ratio {ratio:g}", "is no share", "give one from 0 to 1")
    for value, known, what in ((score, SCORES, "score"), (scope, SCOPES, "scope")):
        if value not in known:
            raise ConfigError(f"{what} {value!r}", "does not exist", f"choose one of {', '.join(known)}")
    layers = named_layers(model)
    chosen = {name: layer for name, layer in layers.items() if not any(fnmatch(name, of) for of in spare)}
    for group in _groups(model, chosen, scope):
        _prune_together([layers[name] for name in group], ratio, score, biases)
    return survivors(model)


def named_layers(model: nn.Module) -> dict[str, Linear]:
    """Every layer that can be pruned, by its name.

    Raises:
        ConfigError: the model has none.
    """
    found = {name: layer for name, layer in model.named_modules() if isinstance(layer, Linear)}
    if not found:
        raise ConfigError(type(model).__name__, "has no weights to prune", "take a network, not a voxel field")
    return found


def survivors(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Name of each layer -> weights that act, weights in all."""
    return {
        name: (layer.weight.numel() if layer.mask is None else int(layer.mask.sum()), layer.weight.numel())
        for name, layer in named_layers(model).items()
    }


def iterative_ratios(final: float, rounds: int) -> list[float]:
    """Ratios of `rounds` prunings, each of the same share of what the one before left, that end at `final`.

    Example:
        >>> [round(ratio, 3) for ratio in iterative_ratios(0.9, 2)]
        [0.684, 0.9]
    """
    if rounds < 1 or not 0 <= final < 1:
        raise ConfigError(f"{rounds} rounds to {final:g}", "make no schedule", "give 1 or more, to a ratio below 1")
    return [1 - (1 - final) ** (number / rounds) for number in range(1, rounds + 1)]


def _groups(model: nn.Module, names: Iterable[str], scope: str) -> list[list[str]]:
    """Names of layers that share a threshold."""
    networks = [name for name, part in model.named_modules() if isinstance(part, MLP)]
    found: dict[str, list[str]] = {}
    for name in names:
        network = next((of for of in networks if name.startswith(f"{of}.") or not of), "")
        found.setdefault({"global": "", "network": network, "layer": name}[scope], []).append(name)
    return list(found.values())


@torch.no_grad()
def _prune_together(layers: list[Linear], ratio: float, score: str, biases: bool) -> None:
    """Take out the smallest `ratio` of the values of some layers; of equal scores the earlier go first."""
    scores = [part for layer in layers for part in _scores(layer, score, biases)]
    flat = torch.cat([part.flatten() for part in scores])
    keep = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
    keep[flat.argsort(stable=True)[: round(ratio * len(flat))]] = False
    masks = iter(keep.split([part.numel() for part in scores]))
    for layer in layers:
        layer.add_mask(next(masks).view_as(layer.weight))
        if biases:
            layer.add_bias_mask(next(masks))


def _scores(layer: Linear, score: str, biases: bool) -> list[Tensor]:
    """Scores of the weights, and of the biases if asked; -1 where a mask took them out."""
    values = [(layer.weight, layer.mask)] + ([(layer.bias, layer.bias_mask)] if biases else [])
    found = []
    for value, mask in values:
        if score == "gradient":
            if value.grad is None:
                raise ConfigError("score 'gradient'", "has no gradients", "go backward through a loss first")
            found.append(value.square() * value.grad.square())
        else:
            found.append(value.abs() if mask is None else value.abs() * mask)
    if score == "lamp":
        sizes = [part.numel() for part in found]
        parts = lamp(torch.cat([part.flatten() for part in found])).split(sizes)
        found = [part.view_as(value) for part, (value, _) in zip(parts, values, strict=True)]
    return [
        part if mask is None else part.masked_fill(~mask, -1.0) for part, (_, mask) in zip(found, values, strict=True)
    ]


def lamp(magnitudes: Tensor) -> Tensor:
    """Squares (N,) over the sum of all squares that are not smaller; equal ones in order of their place.

    Example:
        >>> lamp(torch.tensor([1.0, 2.0, 2.0])).tolist()[2]  # the largest has 1
        1.0
    """
    squares, order = magnitudes.double().square().sort(stable=True)
    rest = squares.flip(0).cumsum(0).flip(0)
    scores = torch.empty_like(squares)
    scores[order] = squares / rest.clamp(min=torch.finfo(torch.float64).tiny)
    return scores
