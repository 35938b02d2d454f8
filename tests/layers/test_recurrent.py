"""Recurrent cells against torch.nn.LSTM and NumPy, in float64: what is left is rounding, far below `ROUNDING`."""

import numpy as np
import pytest
import torch

from compress3d.layers.convgru3d import ConvGRU3D
from compress3d.layers.convlstm3d import ConvLSTM3D
from compress3d.layers.recurrent import ConvLSTMCell, LSTMCell, RNNCell, unroll

torch.manual_seed(0)
ROUNDING = dict(atol=1e-12, rtol=0)  # values of about 1, sums of at most 100 products: 1e-16 sqrt(100) a step


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("batch, inputs, hidden, steps", [(1, 1, 1, 1), (3, 5, 4, 7), (2, 8, 16, 3)])
def test_lstm_cell_equals_torch_lstm(batch, inputs, hidden, steps):
    cell = LSTMCell(inputs, hidden).double()
    torch_lstm = torch.nn.LSTM(inputs, hidden, batch_first=True).double()
    with torch.no_grad():  # torch orders i, f, g, o and keeps two biases
        torch_lstm.weight_ih_l0.copy_(cell.W_x.weight)
        torch_lstm.weight_hh_l0.copy_(cell.W_h.weight)
        torch_lstm.bias_ih_l0.copy_(cell.W_x.bias)
        torch_lstm.bias_hh_l0.zero_()
    x = random(batch, steps, inputs)
    expected, (h_last, c_last) = torch_lstm(x)
    outputs, (h, c) = unroll(cell, x)
    torch.testing.assert_close(torch.stack(outputs, 1), expected, **ROUNDING)
    torch.testing.assert_close(torch.stack([h, c]), torch.stack([h_last[0], c_last[0]]), **ROUNDING)


def test_unroll_goes_on_from_a_state_and_gives_the_outputs_in_order():
    """Eq. 1 with a cell that can be followed by hand: the state counts, the output is the input times the count."""
    outputs, state = unroll(lambda x, n: ((n or 0) + 1, x * ((n or 0) + 1)), torch.ones(2, 3), None)
    assert state == 3 and [y.tolist() for y in outputs] == [[1, 1], [2, 2], [3, 3]]
    assert unroll(lambda x, n: (n + 1, x), torch.ones(2, 4), 10)[1] == 14


@pytest.mark.parametrize("batch, inputs, hidden, outputs", [(1, 2, 3, 1), (4, 3, 5, 2)])
def test_rnn_cell_equals_numpy(batch, inputs, hidden, outputs):
    cell = RNNCell(inputs, hidden, outputs).double()
    W_x, W_h, W_y = (getattr(cell, n).weight.detach().numpy() for n in ("W_x", "W_h", "W_y"))
    x = random(3, batch, inputs)
    h, expected = None, np.zeros((batch, hidden))
    for t in range(3):
        h, y = cell(x[t], h)
        expected = np.tanh(expected @ W_h.T + x[t].numpy() @ W_x.T)
        np.testing.assert_allclose(h.detach(), expected, **ROUNDING)
        np.testing.assert_allclose(y.detach(), expected @ W_y.T, **ROUNDING)


def numpy_conv(x, weight, stride, padding):
    """Correlation of x (B, C, *space) with weight (O, C, *kernel), any number of dimensions, by explicit loops."""
    dims = weight.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0)] + [(padding, padding)] * dims)
    kernel = weight.shape[2:]
    out = [(n - k) // stride + 1 for n, k in zip(x.shape[2:], kernel, strict=False)]
    result = np.zeros((x.shape[0], weight.shape[0], *out))
    for at in np.ndindex(*out):
        window = x[
            (slice(None), slice(None), *(slice(stride * a, stride * a + k) for a, k in zip(at, kernel, strict=False)))
        ]
        result[(slice(None), slice(None), *at)] = np.tensordot(window, weight, axes=(range(1, dims + 2),) * 2)
    return result


@pytest.mark.parametrize("kernel, hidden_kernel, stride, bias", [(3, 1, 2, False), (3, 3, 1, True), (1, 1, 1, False)])
def test_conv_lstm_cell_equals_numpy(kernel, hidden_kernel, stride, bias):
    cell = ConvLSTMCell(2, 3, kernel, hidden_kernel, stride, bias).double()
    W_x, W_h = cell.W_x.weight.detach().numpy(), cell.W_h.weight.detach().numpy()
    b = cell.W_x.bias.detach().numpy().reshape(1, -1, 1, 1) if bias else 0
    xs = random(3, 2, 2, 6, 6)
    state, h, c = None, np.zeros((2, 3, 6 // stride, 6 // stride)), 0
    for x in xs:
        state, y = cell(x, state)
        z = numpy_conv(x.numpy(), W_x, stride, kernel // 2) + numpy_conv(h, W_h, 1, hidden_kernel // 2) + b
        i, f, g, o = np.split(z, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(state[0].detach(), h, **ROUNDING)
        np.testing.assert_allclose(state[1].detach(), c, **ROUNDING)
        assert y is state[0]


@pytest.mark.parametrize("code_size, hidden, grid, kernel, views", [(4, 2, 4, 3, 3), (3, 2, 2, 1, 2), (5, 1, 3, 3, 1)])
def test_lstm3d_equals_numpy(code_size, hidden, grid, kernel, views):
    lstm = ConvLSTM3D(code_size, hidden, grid, kernel).double()
    A, a = lstm.input_map.weight.detach().numpy(), lstm.input_map.bias.detach().numpy()
    W, b = lstm.hidden_map.weight.detach().numpy(), lstm.hidden_map.bias.detach().numpy()
    codes = random(2, views, code_size)
    got, state = lstm(codes)
    h = c = np.zeros((2, hidden, grid, grid, grid))
    for t in range(views):
        z = (codes[:, t].numpy() @ A.T + a).reshape(2, 3 * hidden, grid, grid, grid)
        z = z + numpy_conv(h, W, 1, kernel // 2) + b.reshape(1, -1, 1, 1, 1)
        i, f, g = np.split(z, 3, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = np.tanh(c)
    np.testing.assert_allclose(got.detach(), h, **ROUNDING)
    np.testing.assert_allclose(state[1].detach(), c, **ROUNDING)


@pytest.mark.parametrize("layer", [ConvLSTM3D, ConvGRU3D])
def test_recurrence_over_views_can_pause(layer):
    layer = layer(6, 3).double()
    codes = random(2, 5, 6)
    whole, _ = layer(codes)
    _, state = layer(codes[:, :2])
    resumed, _ = layer(codes[:, 2:], state)
    torch.testing.assert_close(resumed, whole, **ROUNDING)
