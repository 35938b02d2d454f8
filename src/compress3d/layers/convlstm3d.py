"""The 3D convolutional LSTM: a 4 x 4 x 4 grid of units (Choy 2016; Sec. 2.3, Fig. 4).

Each unit has its own matrix for the view's code; the hidden state is convolved in three dimensions. There is no
output gate: h = tanh(c), as in the authors' code and in Choy's slides.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compress3d.layers.recurrent import State, unroll


class UnitGrid(nn.Module):
    """Recurrence over the views of an object in a grid of units with three gates each.

    Args:
        code_size: K, length of a view's code.
        hidden_channels: N_h, 128 in the paper.
        grid: units a side, 4 in the paper.
        bias: whether the map of the codes has one.
    """

    def __init__(self, code_size: int, hidden_channels: int, grid: int, bias: bool):
        super().__init__()
        self.hidden_channels, self.grid = hidden_channels, grid
        self.input_map = nn.Linear(code_size, 3 * hidden_channels * grid**3, bias=bias)

    def forward(self, codes: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Codes (B, V, K) of V views, read in turn -> h after the last one, (B, N_h, 4, 4, 4), and the state.

        `state` is what earlier views have left; zeros where None.
        """
        cells = (*codes.shape[:2], 3 * self.hidden_channels, self.grid, self.grid, self.grid)
        inputs = map_inputs(self.input_map, codes).view(cells)  # W x (+ b) of all views and gates in one product
        outputs, state = unroll(self.step, inputs, state)
        return outputs[-1], state

    def step(self, inputs: Tensor, state: Any) -> tuple[Any, Tensor]:
        """Read one view's mapped code, (B, 3 N_h, 4, 4, 4)."""
        raise NotImplementedError


class ConvLSTM3D(UnitGrid):
    """Gates in the order input, forget, candidate; the state is (h, c). Arguments as of `UnitGrid`.

    `kernel` is that of the convolution on the hidden state, 3 in 3D-LSTM-3.

    Example:
        >>> h, state = ConvLSTM3D(code_size=16, hidden_channels=8)(torch.zeros(2, 5, 16))
        >>> h.shape
        torch.Size([2, 8, 4, 4, 4])
    """

    def __init__(self, code_size: int, hidden_channels: int, grid: int = 4, kernel: int = 3):
        super().__init__(code_size, hidden_channels, grid, bias=True)
        self.hidden_map = nn.Conv3d(hidden_channels, 3 * hidden_channels, kernel, padding=kernel // 2)

    def step(self, inputs: Tensor, state: State | None) -> tuple[State, Tensor]:
        assert self.hidden_map.bias is not None
        if state is None:  # h_0 = 0: only the bias of the hidden map is left, and f * c_0 = 0
            gates = inputs + self.hidden_map.bias.view(1, -1, 1, 1, 1)
        else:
            gates = inputs + self.hidden_map(state[0])
        i, f, g = gates.chunk(3, dim=1)
        i = torch.sigmoid(i)  # Eq. 4
        g = torch.tanh(g)  # Eq. 6
        c = i * g
        if state is not None:
            f = torch.sigmoid(f)  # Eq. 3
            c = f * state[1] + c  # Eq. 7
        h = torch.tanh(c)  # Eq. 8 without its output gate
        return (h, c), h


def map_inputs(linear: nn.Linear, codes: Tensor) -> Tensor:
    """W x (+ b) for codes (B, V, K); on a CPU in float32 whatever autocast says.

    The product of 10 codes with 25 million weights is bound by reading the weights: casting them to bfloat16 and
    their gradient back took 30 % of a training step.
    """
    if codes.device.type != "cpu":
        return linear(codes)
    with torch.autocast("cpu", enabled=False):
        return linear(codes.to(linear.weight.dtype))
