"""Naive references: the networks written out as their layer tables read, for tests and for `benchmarks.run`.

One view or iteration after another, each gate a convolution of its own, volumes really upsampled, a softmax over two
channels, pixels shuffled by hand. Nothing here shares a layer with `compress3d.layers`; only the names of the
parameters match, so that weights can be copied.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NaiveLayout(NamedTuple):
    """What a network's weights do not say.

    Attributes:
        gru, residual: which of Choy's five networks.
        pooled: for each of the encoder's six stages, whether max pooling follows.
        padding: of the pooling, 0 or 1.
        upsampled: for each of the decoder's first three stages, whether x2 upsampling precedes.
        mode: of the upsampling, "nearest" or "zeros".
        as_pytorch_ports: see `compress3d.r2n2.residual.LastStage`.
    """

    gru: bool
    residual: bool
    pooled: tuple[bool, ...]
    padding: int
    upsampled: tuple[bool, ...]
    mode: str
    as_pytorch_ports: bool


def naive_layout(model: nn.Module) -> NaiveLayout:
    """The layout of a `Reconstruction`."""
    decoder = model.decoder
    firsts = [stage.a for stage in decoder.stages[:3]] if model.network.residual else list(decoder.convs[:3])
    modes = [getattr(conv, "mode", None) for conv in firsts]
    return NaiveLayout(
        model.network.gru,
        model.network.residual,
        model.encoder.pooled,
        model.encoder.padding,
        tuple(mode is not None for mode in modes),
        next((mode for mode in modes if mode), "nearest"),
        model.network.residual and decoder.stages[3].as_pytorch_ports,
    )


def log_probabilities(model: nn.Module, images: Tensor) -> Tensor:
    """Log softmax over (empty, occupied), (B, 2, G, G, G): the layout of the authors' public network."""
    logits = model(images)
    return torch.stack([F.logsigmoid(-logits), F.logsigmoid(logits)], dim=1)


def naive_reconstruction(weights: dict[str, Tensor], images: Tensor, layout: NaiveLayout) -> Tensor:
    """3D-R2N2. Log probabilities (B, 2, G, G, G) of `Reconstruction` for images (B, V, 3, H, W).

    Args:
        weights: by their public names, as `compress3d.r2n2.convert.to_pytorch` gives them.
        images: in [0, 1].
        layout: the network.
    """
    first = "t_x_s_update" if layout.gru else "t_x_s_input"
    hidden = weights[f"encoder.{first}.conv3d.weight"].shape[1]
    h = c = images.new_zeros(len(images), hidden, 4, 4, 4)
    for t in range(images.shape[1]):
        x = images[:, t]
        for n in range(6):
            x = _naive_stage(weights, x, f"encoder.conv{n + 1}", layout.residual)
            x = F.max_pool2d(x, 2, padding=layout.padding) if layout.pooled[n] else x
        code = F.leaky_relu(F.linear(x.flatten(1), weights["encoder.fc7.weight"], weights["encoder.fc7.bias"]), 0.01)
        if layout.gru:
            u = torch.sigmoid(_naive_gate(weights, "t_x_s_update", code, h))
            r = torch.sigmoid(_naive_gate(weights, "t_x_s_reset", code, h))
            h = u * h + (1 - u) * torch.tanh(_naive_gate(weights, "t_x_rs", code, r * h))
        else:
            i = torch.sigmoid(_naive_gate(weights, "t_x_s_input", code, h))
            f = torch.sigmoid(_naive_gate(weights, "t_x_s_forget", code, h))
            c = f * c + i * torch.tanh(_naive_gate(weights, "t_x_s_cell", code, h))
            h = torch.tanh(c)
    x = h
    for n in range(3):
        x = _naive_upsampling(x, layout.mode) if layout.upsampled[n] else x
        x = _naive_stage(weights, x, f"decoder.conv{n + 7}", layout.residual)
    if layout.residual:
        a = F.leaky_relu(_naive_conv(weights, x, "decoder.conv10a"), 0.01)
        b = F.leaky_relu(_naive_conv(weights, a, "decoder.conv10b"), 0.01)
        x = b + _naive_conv(weights, b if layout.as_pytorch_ports else a, "decoder.conv10c")
    else:
        x = F.leaky_relu(_naive_conv(weights, x, "decoder.conv10"), 0.01)
    return F.log_softmax(_naive_conv(weights, x, "decoder.conv11"), dim=1)


def _naive_conv(weights: dict[str, Tensor], x: Tensor, name: str) -> Tensor:
    kernel = weights[f"{name}.weight"]
    apply = F.conv2d if kernel.dim() == 4 else F.conv3d
    return apply(x, kernel, weights[f"{name}.bias"], padding=kernel.shape[-1] // 2)


def _naive_stage(weights: dict[str, Tensor], x: Tensor, name: str, residual: bool) -> Tensor:
    """A convolution, or two with a shortcut: 1 x 1 where there is a third, the input in stages 6, 7 and 8."""
    if not residual:
        return F.leaky_relu(_naive_conv(weights, x, name), 0.01)
    y = F.leaky_relu(_naive_conv(weights, x, f"{name}a"), 0.01)
    y = F.leaky_relu(_naive_conv(weights, y, f"{name}b"), 0.01)
    if f"{name}c.weight" in weights:
        return y + _naive_conv(weights, x, f"{name}c")
    return y + x if name.endswith(("conv6", "conv7", "conv8")) else y


def _naive_gate(weights: dict[str, Tensor], name: str, code: Tensor, h: Tensor) -> Tensor:
    kernel = weights[f"encoder.{name}.conv3d.weight"]
    z = F.conv3d(h, kernel, padding=kernel.shape[-1] // 2) + weights[f"encoder.{name}.bias"]
    return z + F.linear(code, weights[f"encoder.{name}.fc_layer.weight"]).view_as(h)


def _naive_upsampling(x: Tensor, mode: str) -> Tensor:
    """Every voxel to 2 x 2 x 2, in all eight places or ("zeros") in the first one."""
    y = x.new_zeros(*x.shape[:2], *(2 * side for side in x.shape[2:]))
    for corner in itertools.product((0, 1), repeat=3):
        if mode == "nearest" or corner == (0, 0, 0):
            y[:, :, corner[0] :: 2, corner[1] :: 2, corner[2] :: 2] = x
    return y


def naive_compression(
    state: dict[str, Tensor], images: Tensor, iterations: int, architecture: str, additive: bool = True
) -> tuple[Tensor, Tensor]:
    """N iterations of `CompressionRNN` with the deterministic binarizer, from its state dict.

    Args:
        state: parameters by name, as `CompressionRNN.state_dict()` gives them.
        images: (B, 3, H, W) in [0, 1].
        iterations: N.
        architecture: "original", "small", "small-a2" or "small-b".
        additive: gamma of Eq. 10 is 1, else 0.

    Returns:
        Codes (B, N, M, H/16, W/16) of -1 and +1, and decoded images (B, N, 3, H, W), not clamped.
    """
    B, _, H, W = images.shape
    x0 = images - 0.5
    residual, decoded = x0, torch.zeros_like(x0)
    layers = 4 if architecture == "original" else 3
    shuffles_first = architecture in ("small", "small-a2")
    shuffles_last = architecture == "small-b"

    # h and c of every LSTM before the first iteration: zeros of its own size
    encoder, decoder = [], []
    for n in range(3):
        hidden, side = state[f"encoder.rnns.{n}.W_h.weight"].shape[1], 4 << n
        encoder.append((images.new_zeros(B, hidden, H // side, W // side),) * 2)
    for n in range(layers):
        hidden, side = state[f"decoder.rnns.{n}.W_h.weight"].shape[1], (8 if shuffles_first else 16) >> n
        decoder.append((images.new_zeros(B, hidden, H // side, W // side),) * 2)

    codes, outputs = [], []
    for _ in range(iterations):
        x = F.conv2d(residual, state["encoder.entry.weight"], stride=2, padding=1)
        for n in range(3):
            encoder[n] = _naive_lstm(state, f"encoder.rnns.{n}", x, *encoder[n], stride=2)
            x = encoder[n][0]
        if architecture == "original":
            x = torch.tanh(F.conv2d(x, state["encoder.code.weight"]))
        code = torch.ones_like(x)
        code[x < 0] = -1
        code = code + (x - x.detach())  # adds zero, and hands the gradient through
        x = F.conv2d(code, state["decoder.entry.weight"])
        x = _naive_shuffle(x) if shuffles_first else x
        for n in range(layers):
            decoder[n] = _naive_lstm(state, f"decoder.rnns.{n}", x, *decoder[n], stride=1)
            x = _naive_shuffle(decoder[n][0])
        x = F.conv2d(x, state["decoder.exit.weight"])
        x = _naive_shuffle(x) if shuffles_last else x
        decoded = torch.tanh(x) / 2 + (decoded if additive else 0)
        residual = x0 - decoded
        codes.append(code)
        outputs.append(decoded + 0.5)
    return torch.stack(codes, 1), torch.stack(outputs, 1)


def _naive_lstm(
    state: dict[str, Tensor], name: str, x: Tensor, h: Tensor, c: Tensor, stride: int
) -> tuple[Tensor, Tensor]:
    """One step of a convolutional LSTM, Eq. 3-8 with convolutions: a pair of them for each of i, f, g and o."""
    hidden, kernel = h.shape[1], state[f"{name}.W_h.weight"].shape[2]
    gates = []
    for k in range(4):
        rows = slice(k * hidden, (k + 1) * hidden)
        z = F.conv2d(x, state[f"{name}.W_x.weight"][rows], stride=stride, padding=1)
        gates.append(z + F.conv2d(h, state[f"{name}.W_h.weight"][rows], padding=kernel // 2))
    i, f, g, o = gates
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _naive_shuffle(x: Tensor) -> Tensor:
    """Depth-to-space by 2: channel 4 c + 2 a + b of a pixel becomes channel c at row a, column b of 2 x 2 pixels."""
    B, C, H, W = x.shape
    return x.view(B, C // 4, 2, 2, H, W).permute(0, 1, 4, 2, 5, 3).reshape(B, C // 4, 2 * H, 2 * W)
