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
from typing import Any, NamedTuple

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
    for part in ("encoder", "decoder"):
        for name, layer in _layers(model, part):
            found |= {f"{part}.{name}.weight": layer.weight, f"{part}.{name}.bias": layer.bias}
        for gate in _gates(model) if part == "encoder" else ():
            values = (gate.W_x, gate.W_h, gate.b[None])
            found |= {f"{gate.name}.{key}": value for key, value in zip(GATE_KEYS, values, strict=True)}
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

    for part in ("encoder", "decoder"):
        for name, layer in _layers(model, part):
            _fill(layer, f"{part}.{name}", take(f"{part}.{name}.weight"), take(f"{part}.{name}.bias"))
    for gate in _gates(model):
        W_x, W_h, b = (take(f"{gate.name}.{key}") for key in GATE_KEYS)
        gate.fill(W_x, W_h, b.squeeze(0))
    if weights:
        raise CheckpointError(next(iter(weights)), "has no place in the network", "name the network it was made with")
    return model


def to_theano(model: Reconstruction) -> list[np.ndarray]:
    """float32 arrays in the order in which the original writes its `.npy` file: encoder, fc7, gates, decoder.

    A gate's bias is (N_h,), as there. The main paper's LSTM may hold another for every unit; then it is (N_h, 4, 4,
    4), which the original has no place for.
    """
    found = []
    for part in ("encoder", "decoder"):
        for _, layer in _layers(model, part):
            found += [_to_theano(layer.weight), layer.bias]
        for gate in _gates(model) if part == "encoder" else ():
            shared = bool((gate.b == gate.b[:, :1, :1, :1]).all())
            W_x = _swapped(gate.W_x, len(gate.bias)).T
            found += [_to_theano(gate.W_h), W_x, gate.b[:, 0, 0, 0] if shared else gate.b]
    return [np.ascontiguousarray(value.detach().numpy()) for value in found]


def from_theano(model: Reconstruction, weights: list[np.ndarray]) -> Reconstruction:
    """Load the original's list of arrays into `model`, in place.

    The original is `Reconstruction(scale("paper"), "gru-3" or "res-gru-3", upsampling="zeros", padded=True)`, and
    `weights` what its `.npy` file holds, a pickled list: `np.load(path, allow_pickle=True)`, of files that you trust.

    Raises:
        CheckpointError: too few or too many arrays, or one of another shape.
    """
    expected = len(by_public_name(model))
    if len(weights) != expected:
        raise CheckpointError("weights", f"hold {len(weights)} arrays, not {expected}", "name the network they are of")
    arrays = iter([torch.from_numpy(np.array(value, np.float32)) for value in weights])
    for part in ("encoder", "decoder"):
        for name, layer in _layers(model, part):
            _fill(layer, name, _from_theano(next(arrays)), next(arrays))
        for gate in _gates(model) if part == "encoder" else ():
            W_h, W_x, b = next(arrays), next(arrays), next(arrays)
            gate.fill(_swapped(W_x.T, GRID), _from_theano(W_h), b if b.dim() > 1 else b.view(-1, 1, 1, 1))
    return model


# -- the layers of a network, by their public names ------------------------------------------------------------------

GRID = 4  # units a side
GATE_KEYS = ("fc_layer.weight", "conv3d.weight", "bias")


class Gate(NamedTuple):
    """One gate of the recurrence under its public name: rows of this package's matrices, which share their memory."""

    name: str
    W_x: Tensor  # (N_h 4^3, K)
    W_h: Tensor  # (N_h, N_h, k, k, k)
    bias: Tensor  # (N_h,)
    by_unit: Tensor | None  # the LSTM's second bias, (N_h, 4, 4, 4)

    @property
    def b(self) -> Tensor:
        """(N_h, 1, 1, 1), or (N_h, 4, 4, 4) where every unit has its own."""
        b = self.bias.view(-1, 1, 1, 1)
        return b if self.by_unit is None else b + self.by_unit

    def fill(self, W_x: Tensor, W_h: Tensor, b: Tensor) -> None:
        """Overwrite it; a bias of every unit goes to the matrix's, and leaves the convolution's zero."""
        _copy(f"{self.name}.fc_layer.weight", self.W_x, W_x)
        _copy(f"{self.name}.conv3d.weight", self.W_h, W_h)
        if self.by_unit is not None:
            _copy(f"{self.name}.bias", self.by_unit, b.expand_as(self.by_unit))
            b = torch.zeros_like(self.bias)
        elif b[0].numel() > 1:
            problem = "stands for every unit; this network has one for each channel"
            raise CheckpointError("bias", problem, "name the LSTM network")
        _copy(f"{self.name}.bias", self.bias, b.flatten())


def _gates(model: Reconstruction) -> list[Gate]:
    recurrent: Any = model.recurrent
    gru, N = model.network.gru, recurrent.hidden_channels
    maps = [recurrent.hidden_map, recurrent.candidate_map] if gru else [recurrent.hidden_map]
    names = [f"encoder.{name}" for name in GATE_NAMES["gru" if gru else "lstm"]]
    kernels, biases = ([part for of in maps for part in getattr(of, key).split(N)] for key in ("weight", "bias"))
    bias = recurrent.input_map.bias
    by_unit = [None] * 3 if bias is None else bias.view(3, N, GRID, GRID, GRID)
    return list(map(Gate, names, recurrent.input_map.weight.chunk(3), kernels, biases, by_unit))


def _layers(model: Any, part: str) -> Iterator[tuple[str, Any]]:
    """Layers of "encoder" or "decoder" under their names there."""
    of, first = getattr(model, part), 1 if part == "encoder" else 7
    for n, stage in enumerate(of.stages if model.network.residual else of.convs, start=first):
        if isinstance(stage, (nn.Conv2d, nn.Conv3d)):
            yield f"conv{n}", stage
        else:
            yield from ((f"conv{n}{a}", layer) for a in "abc" if (layer := getattr(stage, a)) is not None)
    yield ("fc7", model.fc) if part == "encoder" else ("conv11", of.classify)


# -- arrays ----------------------------------------------------------------------------------------------------------


def _fill(layer: Any, name: str, weight: Tensor, bias: Tensor) -> None:
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


def _swapped(W_x: Tensor, first: int) -> Tensor:
    """Rows in the order channel, depth, row, column -> depth, channel, row, column; or back, where `first` is depth."""
    return W_x.reshape(first, -1, GRID * GRID, W_x.shape[1]).transpose(0, 1).reshape(W_x.shape)
