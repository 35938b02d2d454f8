"""3D-LSTM-3 written out as plainly as the layer table reads: the yardstick of tests and of `compress3d bench`.

One view after another, each gate a convolution of its own, volumes really upsampled, a softmax over two channels.
It shares no layer with `compress3d.nn`; only the names of its parameters match, so that weights can be copied.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def plain_reconstruction(
    state: dict[str, Tensor], images: Tensor, pooled: tuple[bool, ...], upsampled: tuple[bool, ...]
):
    """Log probabilities (B, 2, G, G, G) of `Reconstruction` for images (B, V, 3, H, W), from its state dict.

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
