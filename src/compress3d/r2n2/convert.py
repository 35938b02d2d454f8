"""Weights of 3D-R2N2 in the layouts of the public code: PyTorch ports with gates apart, and the original Theano lists.

| | ours | "pytorch" (state dict of the ports) | "theano" (list of arrays of the original) |
|---|---|---|---|
| gates | rows of one matrix, of one kernel | a layer each | a layer each: Wh, Wx, b |
| grid of the hidden state | channel, depth, row, column | the same | depth, channel, row, column |
| kernels | correlated | the same | convolved: mirrored in every axis; 3D as (out, depth, in, row, column) |
| matrices | (out, in) | the same | (in, out) |

Names are those of the public GRU networks; the LSTM's gates are named by analogy. The order of the arrays is that of
every network of the original, its 3D-LSTM-1 (`mv_lstm_net.py`, in an early commit) among them. Compared with the public
code itself, run beside ours with the same weights: book/neighbours/r2n2_networks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from compress3d.errors import CheckpointError
from compress3d.r2n2.network import Reconstruction

GATE_NAMES = {"gru": ("t_x_s_update", "t_x_s_reset", "t_x_rs"), "lstm": ("t_x_s_input", "t_x_s_forget", "t_x_s_cell")}


def to_pytorch(model: Reconstruction) -> dict[str, Tensor]:
    """State dict as in the PyTorch ports: `encoder.conv1a.weight`, `encoder.t_x_s_update.conv3d.weight` ...

    A gate's bias is (1, N_h, 1, 1, 1); the LSTM of the main paper has a bias for every unit, (1, N_h, 4, 4, 4).
    """
    return {name: value.detach().clone() for name, value in by_public_name(model).items()}


def by_public_name(model: Reconstruction) -> dict[str, Tensor]:
    """As `to_pytorch`, not copied: gradients reach the parameters of `model`."""
    found: dict[str, Tensor] = {}
    for name, layer in _encoder_layers(model):
        found |= _weight_and_bias(f"encoder.{name}", layer)
    for name, (W_x, W_h, b) in _gates(model).items():
        prefix = f"encoder.{name}"
        found |= {f"{prefix}.fc_layer.weight": W_x, f"{prefix}.conv3d.weight": W_h, f"{prefix}.bias": b[None]}
    for name, layer in _decoder_layers(model):
        found |= _weight_and_bias(f"decoder.{name}", layer)
    return found


def from_pytorch(model: Reconstruction, weights: dict[str, Tensor]) -> Reconstruction:
    """Load a state dict of a PyTorch port into `model`, in place.

    The ports are `Reconstruction(scale("paper"), "gru-3" or "res-gru-3", upsampling="zeros", padded=True,
    as_pytorch_ports=True)`; their stage 10 differs from the original's (see `LastStage`). Where a port's checkpoint
    holds more than weights, such as `{"net_state": ..., "optimizer_state": ...}`, give the weights alone.

    Raises:
        CheckpointError: a weight is missing, left over, or of another shape.

    Example:
        >>> from compress3d.scales import scale
        >>> a, b = (Reconstruction(scale("smoke"), "gru-3") for _ in range(2))
        >>> x = torch.rand(1, 2, 3, 32, 32)
        >>> torch.allclose(a(x), from_pytorch(b, to_pytorch(a))(x), atol=1e-5)
        True
    """
    weights = dict(weights)

    def take(name: str) -> Tensor:
        if name not in weights:
            raise CheckpointError(name, "is missing in the weights", "export the network that you name")
        return weights.pop(name)

    for part, layers in (("encoder", _encoder_layers(model)), ("decoder", _decoder_layers(model))):
        for name, layer in layers:
            _fill(f"{part}.{name}", layer, take(f"{part}.{name}.weight"), take(f"{part}.{name}.bias"))
    gates = {
        name: tuple(take(f"encoder.{name}.{key}") for key in ("fc_layer.weight", "conv3d.weight", "bias"))
        for name in _gate_names(model)
    }
    _fill_gates(model, {name: (W_x, W_h, b.squeeze(0)) for name, (W_x, W_h, b) in gates.items()})
    if weights:
        raise CheckpointError(next(iter(weights)), "has no place in the network", "name the network it was made with")
    return model


def to_theano(model: Reconstruction) -> list[np.ndarray]:
    """float32 arrays in the order in which the original writes its `.npy` file: encoder, fc7, gates, decoder.

    A gate's bias is (N_h,), as there. The main paper's LSTM may hold another for every unit; then it is (N_h, 4, 4,
    4), which the original has no place for.
    """
    found = []
    for _, layer in _encoder_layers(model):
        found += [_to_theano(layer.weight), layer.bias]
    for W_x, W_h, b in _gates(model).values():
        shared = bool((b == b[:, :1, :1, :1]).all())
        found += [_to_theano(W_h), _by_depth(W_x).T, b[:, 0, 0, 0] if shared else b]
    for _, layer in _decoder_layers(model):
        found += [_to_theano(layer.weight), layer.bias]
    return [np.ascontiguousarray(value.detach().numpy()) for value in found]


def from_theano(model: Reconstruction, weights: list[np.ndarray]) -> Reconstruction:
    """Load the original's list of arrays into `model`, in place.

    The original is `Reconstruction(scale("paper"), "gru-3" or "res-gru-3", upsampling="zeros", padded=True)`.

    Args:
        model: the network that the arrays are of.
        weights: contents of its `.npy` file, a pickled list: `np.load(path, allow_pickle=True)`, of files that you
            trust.

    Raises:
        CheckpointError: too few or too many arrays, or one of another shape.
    """
    encoder, decoder = list(_encoder_layers(model)), list(_decoder_layers(model))
    expected = 2 * (len(encoder) + len(decoder)) + 3 * len(_gate_names(model))
    if len(weights) != expected:
        raise CheckpointError("weights", f"hold {len(weights)} arrays, not {expected}", "name the network they are of")
    arrays = iter(torch.from_numpy(np.array(value, np.float32)) for value in weights)
    for name, layer in encoder:
        _fill(name, layer, _from_theano(next(arrays)), next(arrays))
    gates = {}
    for name in _gate_names(model):
        W_h, W_x, b = next(arrays), next(arrays), next(arrays)
        gates[name] = (_by_channel(W_x.T, W_h.shape[0]), _from_theano(W_h), b if b.dim() > 1 else b.view(-1, 1, 1, 1))
    _fill_gates(model, gates)
    for name, layer in decoder:
        _fill(name, layer, _from_theano(next(arrays)), next(arrays))
    return model


# -- the layers of a network, by their public names ------------------------------------------------------------------


def _encoder_layers(model: Reconstruction) -> Iterator[tuple[str, nn.Module]]:
    if model.network.residual:
        yield from _stage_layers(model.encoder.stages, first=1)
    else:
        yield from ((f"conv{n}", conv) for n, conv in enumerate(model.encoder.convs, start=1))
    yield "fc7", model.fc


def _decoder_layers(model: Reconstruction) -> Iterator[tuple[str, nn.Module]]:
    if model.network.residual:
        yield from _stage_layers(model.decoder.stages, first=7)
    else:
        yield from ((f"conv{n}", conv) for n, conv in enumerate(model.decoder.convs, start=7))
    yield "conv11", model.decoder.classify


def _stage_layers(stages: nn.ModuleList, first: int) -> Iterator[tuple[str, nn.Module]]:
    for n, stage in enumerate(stages, start=first):
        for letter in "abc":
            if getattr(stage, letter) is not None:
                yield f"conv{n}{letter}", getattr(stage, letter)


def _gate_names(model: Reconstruction) -> tuple[str, ...]:
    return GATE_NAMES["gru" if model.network.gru else "lstm"]


def _gates(model: Reconstruction) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """W_x (N_h 4^3, K), W_h (N_h, N_h, k, k, k) and b (N_h, 1 or 4, 1 or 4, 1 or 4) of each gate."""
    recurrent, N = model.recurrent, model.recurrent.hidden_channels
    kernels, biases = [recurrent.hidden_map.weight], [recurrent.hidden_map.bias.view(-1, 1, 1, 1)]
    if model.network.gru:
        kernels.append(recurrent.candidate_map.weight)
        biases.append(recurrent.candidate_map.bias.view(-1, 1, 1, 1))
    b = torch.cat(biases)
    if recurrent.input_map.bias is not None:
        b = b + recurrent.input_map.bias.view(-1, *(recurrent.grid,) * 3)
    parts = zip(recurrent.input_map.weight.chunk(3), torch.cat(kernels).split(N), b.split(N), strict=True)
    return dict(zip(_gate_names(model), parts, strict=True))


def _fill_gates(model: Reconstruction, gates: dict[str, tuple[Tensor, Tensor, Tensor]]) -> None:
    """Write what `_gates` reads; a bias of every unit goes to the matrix's, and leaves the convolution's zero."""
    recurrent, N = model.recurrent, model.recurrent.hidden_channels
    W_x, W_h, b = (torch.cat(parts) for parts in zip(*gates.values(), strict=True))
    by_unit = recurrent.input_map.bias is not None
    if not by_unit and b[0].numel() > 1:
        raise CheckpointError(
            "bias", "stands for every unit; this network has one for each channel", "name the LSTM network"
        )
    per_channel = torch.zeros(len(b)) if by_unit else b.flatten()
    maps = [("hidden_map", slice(0, None))]
    if model.network.gru:
        maps = [("hidden_map", slice(0, 2 * N)), ("candidate_map", slice(2 * N, None))]
    _copy("fc_layer.weight", recurrent.input_map.weight, W_x)
    if by_unit:
        _copy("bias", recurrent.input_map.bias, b.expand(-1, *(recurrent.grid,) * 3).flatten())
    for name, rows in maps:
        _fill(name, getattr(recurrent, name), W_h[rows], per_channel[rows])


# -- arrays ----------------------------------------------------------------------------------------------------------


def _weight_and_bias(name: str, layer: nn.Module) -> dict[str, Tensor]:
    return {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}


def _fill(name: str, layer: nn.Module, weight: Tensor, bias: Tensor) -> None:
    _copy(f"{name}.weight", layer.weight, weight)
    _copy(f"{name}.bias", layer.bias, bias)


def _copy(name: str, target: Tensor, value: Tensor) -> None:
    if target.shape != value.shape:
        raise CheckpointError(name, f"is {tuple(value.shape)}, not {tuple(target.shape)}", "name the network it is of")
    with torch.no_grad():
        target.copy_(value)


def _to_theano(weight: Tensor) -> Tensor:
    if weight.dim() == 2:
        return weight.T
    mirrored = weight.flip(*range(2, weight.dim()))
    return mirrored.transpose(1, 2) if weight.dim() == 5 else mirrored


def _from_theano(weight: Tensor) -> Tensor:
    if weight.dim() == 2:
        return weight.T
    kernel = weight.transpose(1, 2) if weight.dim() == 5 else weight
    return kernel.flip(*range(2, kernel.dim()))


def _by_depth(W_x: Tensor, grid: int = 4) -> Tensor:
    """Rows in the order channel, depth, row, column -> depth, channel, row, column."""
    return W_x.view(-1, grid, grid * grid, W_x.shape[1]).transpose(0, 1).reshape(W_x.shape)


def _by_channel(W_x: Tensor, channels: int, grid: int = 4) -> Tensor:
    """The way back of `_by_depth`."""
    return W_x.reshape(grid, channels, grid * grid, W_x.shape[1]).transpose(0, 1).reshape(W_x.shape)
