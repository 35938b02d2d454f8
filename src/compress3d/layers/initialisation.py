"""Starting weights. PyTorch's default shrinks a signal by about 1/sqrt(3) a layer: through seven layers of encoder
and five of decoder little of an image is left at the start, and the first hundreds of steps go into undoing that."""

from __future__ import annotations

import math
from typing import Any, cast

from torch import Tensor, nn

from compress3d.layers.convlstm3d import UnitGrid
from compress3d.layers.recurrent import ConvLSTMCell
from compress3d.layers.upsampling import UpsampleConv3d

SLOPE = 0.01  # of the LeakyReLU behind the layers
HIDDEN_RMS = 0.16  # of an LSTM's first output where its gates have unit variance: about 1/2 tanh(1/2 0.63)


def init_he_normal(module: nn.Module) -> None:
    """Draw the weights of every convolution and linear layer of `module` as He 2015 does, and clear their biases.

    Normal with variance 2 / ((1 + slope^2) fan_in): the signal keeps its size through LeakyReLU layers. Behind an
    upsampling by zeros a convolution meets one value in eight, so its fan-in is an eighth. As all functions here, it
    changes the module in place and draws from torch's global generator.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            if isinstance(layer, UpsampleConv3d) and layer.mode == "zeros":
                layer.weight.data *= math.sqrt(8)
            nn.init.zeros_(cast(Tensor, layer.bias))


def init_msra_normal(module: nn.Module) -> None:
    """Draw the weights of every convolution and linear layer of `module` as the original 3D-R2N2 does; biases are 0.1.

    Normal with variance 2 / n, n the mean of fan-in and fan-out. For the matrices that feed the grid the public code
    takes n = (4 + 128) / 2, from the grid's side and its channels: a deviation of 0.17, where their real fans would
    give 0.015. A bias that stands beside another one (the LSTM's two) is 0, so that their sum is 0.1.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.Linear)):
            kernel = layer.weight[0, 0].numel()
            n = (layer.weight.shape[0] + layer.weight.shape[1]) * kernel / 2
            nn.init.normal_(layer.weight, std=math.sqrt(2 / n))
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.1)
    for recurrence in module.modules():
        if isinstance(recurrence, UnitGrid):
            n = (recurrence.grid + recurrence.hidden_channels) / 2
            nn.init.normal_(recurrence.input_map.weight, std=math.sqrt(2 / n))
            if recurrence.input_map.bias is not None:
                nn.init.zeros_(recurrence.input_map.bias)


def init_convlstm_unit_variance(module: nn.Module) -> None:
    """Draw the weights of every ConvLSTM of `module` so that its gates start with about unit variance.

    An LSTM's output is several times smaller than its input. With PyTorch's default, three in a row leave 0.001 of an
    image: the binarizer then draws bits at random, and the decoder learns to ignore them.

    ConvLSTMs must stand in an `nn.ModuleList` in the order in which they are applied: the first of a list reads a
    convolution's output, of RMS 1, each later one hidden states, of RMS 0.16, whose maps start at half that size.
    """
    for cells in module.modules():
        if not isinstance(cells, nn.ModuleList):
            continue
        for n, cell in enumerate(cell for cell in cells if isinstance(cell, ConvLSTMCell)):
            _normal(cell.W_x, 1 / (HIDDEN_RMS if n else 1))
            _normal(cell.W_h, 0.5 / HIDDEN_RMS)


def init_code_conv(encoder: Any) -> None:
    """Draw the weights of the 1 x 1 convolution that makes N_original's code so that tanh sees about unit variance.

    It stands behind an LSTM's small output: with PyTorch's default its code has an RMS of 0.09, and nine bits of ten
    are random, whatever the image. A `CompressionEncoder` without that layer stays as it is.
    """
    if encoder.code is not None:
        _normal(encoder.code, 1 / HIDDEN_RMS)


def _normal(conv: nn.Conv2d, gain: float) -> None:
    """Normal weights that turn an input of unit variance into an output of deviation `gain`."""
    nn.init.normal_(conv.weight, std=gain / math.sqrt(conv.weight[0].numel()))
