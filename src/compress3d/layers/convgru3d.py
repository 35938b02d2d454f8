"""The 3D convolutional GRU of 3D-R2N2 (Choy 2016): a 4 x 4 x 4 grid of units with one state, h.

```
u = sigma(W_u x + U_u * h + b_u)            update gate: how much of h stays
r = sigma(W_r x + U_r * h + b_r)            reset gate
h <- u h + (1 - u) tanh(W_n x + U_n * (r h) + b_n)
```
Each unit has its own matrices W for the view's code; * convolves the grid.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from compress3d.layers.convlstm3d import UnitGrid


class ConvGRU3D(UnitGrid):
    """Gates in the order update, reset, candidate. Arguments as of `ConvLSTM3D`; `kernel` is 1 in 3D-GRU-1.

    Example:
        >>> h, state = ConvGRU3D(code_size=16, hidden_channels=8)(torch.zeros(2, 5, 16))
        >>> h.shape
        torch.Size([2, 8, 4, 4, 4])
    """

    def __init__(self, code_size: int, hidden_channels: int, grid: int = 4, kernel: int = 3):
        super().__init__(code_size, hidden_channels, grid, bias=False)
        self.hidden_map = nn.Conv3d(hidden_channels, 2 * hidden_channels, kernel, padding=kernel // 2)
        self.candidate_map = nn.Conv3d(hidden_channels, hidden_channels, kernel, padding=kernel // 2)

    def step(self, inputs: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        N, biases = self.hidden_channels, (self.hidden_map.bias, self.candidate_map.bias)
        gates, candidate = inputs[:, : 2 * N], inputs[:, 2 * N :]
        if h is None:  # h_0 = 0: only the biases of the hidden maps are left
            b_u, b_n = (cast(Tensor, bias)[:N].view(-1, 1, 1, 1) for bias in biases)
            u = torch.sigmoid(gates[:, :N] + b_u)
            h = (1 - u) * torch.tanh(candidate + b_n)
        else:
            u, r = torch.sigmoid(gates + self.hidden_map(h)).chunk(2, dim=1)
            h = u * h + (1 - u) * torch.tanh(candidate + self.candidate_map(r * h))
        return h, h
