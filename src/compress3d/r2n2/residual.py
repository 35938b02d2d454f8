"""The residual encoder and decoder of Res3D-GRU-3 (Choy 2016).

Two convolutions a stage, LeakyReLU(0.01) behind each, and a shortcut around both that is added after the second
nonlinearity. The table is that of the public Theano code; the published figure shows the same stages.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.layers.upsampling import UpsampleConv3d, upsample
from compress3d.r2n2.cnn import (
    DECODER_CHANNELS,
    ENCODER_CHANNELS,
    HIDDEN_CHANNELS,
    feature_side,
    first_upsampling,
    occupancy_logits,
    pooled_stages,
)
from compress3d.scales import Scale

# Shortcut of the encoder's six stages: none, a 1 x 1 convolution, or the stage's input itself.
ENCODER_SHORTCUTS = (None, "conv", "conv", None, "conv", "identity")


class EncoderStage(nn.Module):
    """Two convolutions with LeakyReLU; `shortcut` is None, "conv" (1 x 1) or "identity"."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, shortcut: str | None):
        super().__init__()
        self.a = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
        self.b = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.c = nn.Conv2d(in_channels, out_channels, 1) if shortcut == "conv" else None
        self.identity = shortcut == "identity"

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.a(x), inplace=True)
        y = F.leaky_relu(self.b(y), inplace=True)
        if self.c is not None:
            return y + self.c(x)
        return y + x if self.identity else y


class ResidualEncoder(nn.Module):
    """Six residual stages, each with max pooling; arguments and poolings as of `compress3d.r2n2.cnn.Encoder`."""

    def __init__(self, scale: Scale, padded: bool = False):
        super().__init__()
        widths = [3, *(scale.channels(c) for c in (*ENCODER_CHANNELS, ENCODER_CHANNELS[-1]))]
        self.stages = nn.ModuleList(
            EncoderStage(widths[n], widths[n + 1], 7 if n == 0 else 3, ENCODER_SHORTCUTS[n]) for n in range(6)
        )
        self.pooled = pooled_stages(scale)
        self.side, self.channels = feature_side(scale, padded), widths[-1]
        self.padding = int(padded)

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, C, side, side)."""
        x = x.contiguous(memory_format=torch.channels_last)
        for stage, pooled in zip(self.stages, self.pooled, strict=True):
            x = stage(x)
            if pooled:
                x = F.max_pool2d(x, 2, padding=self.padding)
        return x


class DecoderStage(nn.Module):
    """Two convolutions with LeakyReLU, the first behind a x2 upsampling where `upsampling` is given.

    The shortcut carries the (upsampled) input, through a 1^3 convolution where the channels differ.
    """

    def __init__(self, in_channels: int, out_channels: int, upsampling: str | None):
        super().__init__()
        self.upsampling = upsampling
        self.a = self._conv(in_channels, out_channels, 3)
        self.b = nn.Conv3d(out_channels, out_channels, 3, padding=1)
        self.c = None if in_channels == out_channels else self._conv(in_channels, out_channels, 1)

    def _conv(self, in_channels: int, out_channels: int, kernel: int) -> nn.Conv3d:
        if self.upsampling is None:
            return nn.Conv3d(in_channels, out_channels, kernel, padding=kernel // 2)
        return UpsampleConv3d(in_channels, out_channels, kernel, self.upsampling)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.a(x), inplace=True)
        y = F.leaky_relu(self.b(y), inplace=True)
        if self.c is not None:
            return y + self.c(x)
        return y + (x if self.upsampling is None else upsample(x, self.upsampling))


class LastStage(nn.Module):
    """Stage 10: two convolutions and a third, 3^3, on the way around.

    The third one reads what the second reads (the original, chrischoy/3D-R2N2), or `as_pytorch_ports` what the second
    gives, so that nothing is passed by.
    """

    def __init__(self, in_channels: int, out_channels: int, as_pytorch_ports: bool):
        super().__init__()
        self.as_pytorch_ports = as_pytorch_ports
        self.a = nn.Conv3d(in_channels, out_channels, 3, padding=1)
        self.b = nn.Conv3d(out_channels, out_channels, 3, padding=1)
        self.c = nn.Conv3d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.leaky_relu(self.a(x), inplace=True)
        b = F.leaky_relu(self.b(a), inplace=True)
        return b + self.c(b if self.as_pytorch_ports else a)


class ResidualDecoder(nn.Module):
    """The hidden state (B, N_h, 4, 4, 4) to two scores a voxel: three residual stages with upsampling, one without."""

    def __init__(self, scale: Scale, upsampling: str = "zeros", as_pytorch_ports: bool = False):
        super().__init__()
        widths = [scale.channels(c) for c in (HIDDEN_CHANNELS, *DECODER_CHANNELS)]
        first = first_upsampling(scale)
        self.stages = nn.ModuleList(
            DecoderStage(widths[n], widths[n + 1], upsampling if n >= first else None) for n in range(3)
        )
        self.stages.append(LastStage(widths[3], widths[4], as_pytorch_ports))
        self.classify = nn.Conv3d(widths[4], 2, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Logits of occupancy, (B, G, G, G)."""
        h = h.contiguous(memory_format=torch.channels_last_3d)
        for stage in self.stages:
            h = stage(h)
        return occupancy_logits(self.classify, h)
