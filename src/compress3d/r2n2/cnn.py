"""Encoder E3D and decoder D3D without shortcuts, of 3D-R2N2 (Choy 2016; Sec. 2.3 and Fig. 4 of Golts 2021).

Max pooling stands before LeakyReLU(0.01), as in both public codes; an image of 128 pixels ends as 2 x 2 cells where
poolings are not padded (the main paper's code), as 3 x 3 where they are (the original).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.layers.upsampling import UpsampleConv3d
from compress3d.scales import Scale

ENCODER_CHANNELS = (96, 128, 256, 256, 256)  # at full width; the sixth convolution makes the code
DECODER_CHANNELS = (128, 128, 64, 32)
HIDDEN_CHANNELS = 128  # N_h
LSTM_GRID = 4
CODE_SIDE = 2  # the encoder ends at 2 x 2 cells, whatever the image's size


def pooled_stages(scale: Scale) -> tuple[bool, ...]:
    """For each of six stages of an encoder, whether max pooling ends it: as many as lead to 2 x 2 cells."""
    poolings = int(math.log2(scale.image_size // CODE_SIDE))
    return tuple(n < poolings - 1 or n == 5 for n in range(6))


def feature_side(scale: Scale, padded: bool) -> int:
    """Cells a side at the end of an encoder: 2, or 3 where a pooling makes n // 2 + 1 of n (127 and 128 -> 3)."""
    return CODE_SIDE + 1 if padded else CODE_SIDE


def first_upsampling(scale: Scale) -> int:
    """Which of the decoder's first three convolutions is the first behind an upsampling; 0 for 32^3."""
    return 3 - int(math.log2(scale.grid // LSTM_GRID))


def occupancy_logits(classify: nn.Conv3d, features: Tensor) -> Tensor:
    """(B, C, G, G, G) -> logits of occupancy (B, G, G, G) behind a convolution to two scores.

    The two-way softmax depends on the difference of the scores alone, so one convolution with the difference of
    the two kernels does: half of the last layer's work.
    """
    weight, bias = classify.weight, classify.bias
    assert bias is not None
    return F.conv3d(features, weight[1:] - weight[:1], bias[1:] - bias[:1], padding=1).squeeze(1)


class Encoder(nn.Module):
    """E3D without its fully connected layer: six convolutions, each with max pooling and LeakyReLU.

    128 pixels need the paper's six poolings to reach 2 x 2. A smaller image needs fewer: the poolings before the last
    are left out, so that the first, expensive layers shrink the image as in the paper. The last convolution has C =
    `channels`; without the cell of padding of the original's poolings, K = 4C.
    """

    def __init__(self, scale: Scale, channels: int, padded: bool = False):
        super().__init__()
        widths = [3, *(scale.channels(c) for c in ENCODER_CHANNELS), channels]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 7 if n == 0 else 3, padding=3 if n == 0 else 1)
            for n, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
        )
        self.pooled = pooled_stages(scale)
        self.side = feature_side(scale, padded)
        self.padding = int(padded)

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, C, side, side), before the last nonlinearity."""
        x = x.contiguous(memory_format=torch.channels_last)
        for n, conv in enumerate(self.convs):
            x = conv(x)
            if self.pooled[n]:
                x = F.max_pool2d(x, 2, padding=self.padding)
            if n < len(self.convs) - 1:
                x = F.leaky_relu(x, inplace=True)
        return x


class Decoder(nn.Module):
    """D3D: the hidden state (B, N_h, 4, 4, 4) to two scores a voxel.

    Three x2 upsamplings, "nearest" or by "zeros", lead to 32^3; a smaller grid leaves out the first ones.
    """

    def __init__(self, scale: Scale, upsampling: str = "nearest"):
        super().__init__()
        widths = [scale.channels(c) for c in (HIDDEN_CHANNELS, *DECODER_CHANNELS)]
        first = first_upsampling(scale)
        self.convs = nn.ModuleList(
            UpsampleConv3d(a, b, mode=upsampling) if first <= n < 3 else nn.Conv3d(a, b, 3, padding=1)
            for n, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
        )
        self.classify = nn.Conv3d(widths[-1], 2, 3, padding=1)  # scores of empty and occupied

    def hidden(self, h: Tensor) -> Tensor:
        """Feature maps under the classifier, (B, 32 x width, G, G, G)."""
        h = h.contiguous(memory_format=torch.channels_last_3d)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), inplace=True)
        return h

    def forward(self, h: Tensor) -> Tensor:
        """Logits of occupancy, (B, G, G, G)."""
        return occupancy_logits(self.classify, self.hidden(h))
