"""The networks written out as plainly as their layer tables read: the yardstick of tests and of `compress3d bench`.

One view or iteration after another, each gate a convolution of its own, volumes really upsampled, a softmax over two
channels, pixels shuffled by hand. Nothing here shares a layer with `compress3d.nn`; only the names of the parameters
match, so that weights can be copied.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def plain_reconstruction(
    state: dict[str, Tensor], images: Tensor, pooled: tuple[bool, ...], upsampled: tuple[bool, ...]
) -> Tensor:
    """3D-LSTM-3. Log probabilities (B, 2, G, G, G) of `Reconstruction` for images (B, V, 3, H, W), from its state dict.

    Args:
        state: parameters by name, as `Reconstruction.state_dict()` gives them.
        pooled: for each of the six convolutions of the encoder, whether max pooling follows.
        upsampled: for each of the first four convolutions of the decoder, whether nearest x2 upsampling precedes.
    """
    hidden = state["lstm.hidden_map.weight"].shape[1]
    h = c = images.new_zeros(len(images), hidden, 4, 4, 4)
    for t in range(images.shape[1]):
        x = images[:, t]
        for n in range(6):
            x = F.conv2d(
                x, state[f"encoder.convs.{n}.weight"], state[f"encoder.convs.{n}.bias"], padding=(3 if n == 0 else 1)
            )
            x = F.leaky_relu(F.max_pool2d(x, 2) if pooled[n] else x, 0.01)
        x = F.leaky_relu(F.linear(x.flatten(1), state["fc.weight"], state["fc.bias"]), 0.01)
        gates = []
        for k in range(3):
            rows = slice(k * hidden, (k + 1) * hidden)
            cells = slice(k * hidden * 64, (k + 1) * hidden * 64)
            z = F.linear(x, state["lstm.input_map.weight"][cells], state["lstm.input_map.bias"][cells])
            z = z.view(-1, hidden, 4, 4, 4)
            z = z + F.conv3d(h, state["lstm.hidden_map.weight"][rows], state["lstm.hidden_map.bias"][rows], padding=1)
            gates.append(z)
        c = torch.sigmoid(gates[1]) * c + torch.sigmoid(gates[0]) * torch.tanh(gates[2])
        h = torch.tanh(c)
    x = h
    for n in range(4):
        if upsampled[n]:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.leaky_relu(
            F.conv3d(x, state[f"decoder.convs.{n}.weight"], state[f"decoder.convs.{n}.bias"], padding=1), 0.01
        )
    x = F.conv3d(x, state["decoder.classify.weight"], state["decoder.classify.bias"], padding=1)
    return F.log_softmax(x, dim=1)


def plain_compression(
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
        Codes (B, N, M, H/16, W/16) of -1 and +1, and decoded pictures (B, N, 3, H, W), not clamped.
    """
    B, _, H, W = images.shape
    picture = images - 0.5
    residual, decoded = picture, torch.zeros_like(picture)
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

    codes, pictures = [], []
    for _ in range(iterations):
        x = F.conv2d(residual, state["encoder.entry.weight"], stride=2, padding=1)
        for n in range(3):
            encoder[n] = _plain_lstm(state, f"encoder.rnns.{n}", x, *encoder[n], stride=2)
            x = encoder[n][0]
        if architecture == "original":
            x = torch.tanh(F.conv2d(x, state["encoder.code.weight"]))
        code = torch.ones_like(x)
        code[x < 0] = -1
        code = code + (x - x.detach())  # adds zero, and hands the gradient through
        x = F.conv2d(code, state["decoder.entry.weight"])
        x = _plain_shuffle(x) if shuffles_first else x
        for n in range(layers):
            decoder[n] = _plain_lstm(state, f"decoder.rnns.{n}", x, *decoder[n], stride=1)
            x = _plain_shuffle(decoder[n][0])
        x = F.conv2d(x, state["decoder.exit.weight"])
        x = _plain_shuffle(x) if shuffles_last else x
        decoded = torch.tanh(x) / 2 + (decoded if additive else 0)
        residual = picture - decoded
        codes.append(code)
        pictures.append(decoded + 0.5)
    return torch.stack(codes, 1), torch.stack(pictures, 1)


def _plain_lstm(
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


def _plain_shuffle(x: Tensor) -> Tensor:
    """Depth-to-space by 2: channel 4 c + 2 a + b of a pixel becomes channel c at row a, column b of 2 x 2 pixels."""
    B, C, H, W = x.shape
    return x.view(B, C // 4, 2, 2, H, W).permute(0, 1, 4, 2, 5, 3).reshape(B, C // 4, 2 * H, 2 * W)
