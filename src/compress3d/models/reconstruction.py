"""3D-LSTM-3: several views of an object to an occupancy grid (Choy 2016; Sec. 2.3 and Fig. 4 of Golts 2021).

```
views (B, V, 3, H, W) -> encoder E3D, each view -> codes (B, V, K) -> 3D LSTM (B, 128, 4, 4, 4) -> decoder D3D -> (B, G, G, G)
```
Layer sizes follow the authors' public network: max pooling before LeakyReLU(0.01), nearest upsampling, no output gate.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.models.losses import Losses
from compress3d.nn.lstm3d import ConvLSTM3D, State
from compress3d.nn.upsampling import UpsampleConv3d
from compress3d.scales import Scale

ENCODER_CHANNELS = (96, 128, 256, 256, 256)  # at full width; the sixth convolution makes the code
DECODER_CHANNELS = (128, 128, 64, 32)
HIDDEN_CHANNELS = 128  # N_h
LSTM_GRID = 4
CODE_SIDE = 2  # the encoder ends at 2 x 2 cells, whatever the picture's size


class Encoder(nn.Module):
    """E3D without its fully connected layer: six convolutions, each with max pooling and LeakyReLU.

    128 pixels need the paper's six poolings to reach 2 x 2. A smaller picture needs fewer: the poolings
    before the last are left out, so that the first, expensive layers shrink the picture as in the paper.

    Args:
        scale: picture size and width.
        channels: C, channels of the last convolution; K = 4C.
    """

    def __init__(self, scale: Scale, channels: int):
        super().__init__()
        widths = [3, *(scale.channels(c) for c in ENCODER_CHANNELS), channels]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 7 if n == 0 else 3, padding=3 if n == 0 else 1)
            for n, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
        )
        poolings = int(math.log2(scale.image_size // CODE_SIDE))
        self.pooled = tuple(n < poolings - 1 or n == 5 for n in range(6))

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, C, 2, 2), before the last nonlinearity."""
        x = x.contiguous(memory_format=torch.channels_last)
        for n, conv in enumerate(self.convs):
            x = conv(x)
            if self.pooled[n]:
                x = F.max_pool2d(x, 2)
            if n < len(self.convs) - 1:
                x = F.leaky_relu(x, inplace=True)
        return x


class Decoder(nn.Module):
    """D3D: the hidden state (B, N_h, 4, 4, 4) to two scores a voxel.

    Three x2 upsamplings lead to 32^3; a smaller grid leaves out the first ones.
    """

    def __init__(self, scale: Scale):
        super().__init__()
        widths = [scale.channels(c) for c in (HIDDEN_CHANNELS, *DECODER_CHANNELS)]
        upsamplings = int(math.log2(scale.grid // LSTM_GRID))
        first = 3 - upsamplings
        self.convs = nn.ModuleList(
            UpsampleConv3d(a, b) if first <= n < 3 else nn.Conv3d(a, b, 3, padding=1)
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
        """Log odds of occupancy, (B, G, G, G).

        The two-way softmax depends on the difference of the scores alone, so one convolution with the difference of
        the two kernels does: half of the last layer's work.
        """
        weight, bias = self.classify.weight, self.classify.bias
        odds = F.conv3d(self.hidden(h), weight[1:] - weight[:1], bias[1:] - bias[:1], padding=1)
        return odds.squeeze(1)


class Reconstruction(nn.Module):
    """3D-LSTM-3 of Table 1, the network without compression ("uncompressed").

    Args:
        scale: sizes; `paper` gives the published network.

    Example:
        >>> from compress3d.scales import scale
        >>> Reconstruction(scale("smoke"))(torch.zeros(2, 5, 3, 32, 32)).shape
        torch.Size([2, 16, 16, 16])
    """

    def __init__(self, scale: Scale):
        super().__init__()
        self.scale = scale
        K = scale.code_size
        self.encoder = Encoder(scale, channels=K // CODE_SIDE**2)
        self.fc = nn.Linear(K, K)
        self.lstm = ConvLSTM3D(K, scale.channels(HIDDEN_CHANNELS), LSTM_GRID)
        self.decoder = Decoder(scale)

    def encode(self, images: Tensor) -> Tensor:
        """Codes of views: (B, 3, H, W) in [0, 1] -> (B, K) floats."""
        return F.leaky_relu(self.fc(F.leaky_relu(self.encoder.features(images)).flatten(1)))

    def remember(self, images: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Encode V views together and read their codes in turn: (B, V, 3, H, W) -> (B, N_h, 4, 4, 4) and the state."""
        codes = self.encode(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        return self.lstm(codes, state)

    def forward(self, images: Tensor) -> Tensor:
        """Log odds of occupancy after the last view.

        Args:
            images: (B, V, 3, H, W) float in [0, 1], H = W = `scale.image_size`.

        Returns:
            (B, G, G, G), indexed [x, y, z]; `sigmoid` of it is p_V of Eq. 15.
        """
        h, _ = self.remember(images)
        return self.decoder(h)

    def losses(self, images: Tensor, occupancy: Tensor, iterations: int | None = None) -> Losses:
        """L_3D, Eq. 15, of views (B, V, 3, H, W) in [0, 1]; `iterations` is for models with a compression RNN."""
        l_3d = reconstruction_loss(self(images), occupancy)
        return Losses(l_3d, reconstruction=l_3d)

    def log_probabilities(self, images: Tensor) -> Tensor:
        """Log softmax over (empty, occupied), (B, 2, G, G, G): the layout of the authors' public network."""
        odds = self(images)
        return torch.stack([F.logsigmoid(-odds), F.logsigmoid(odds)], dim=1)


def reconstruction_loss(odds: Tensor, occupancy: Tensor) -> Tensor:
    """L_3D, Eq. 15 as a mean negative log likelihood over voxels and batch.

    The printed equation lacks the minus sign and writes a sum; the authors' code takes the mean.

    Args:
        odds: (B, G, G, G) log odds, any float dtype; computed in float32.
        occupancy: (B, G, G, G) of 0 and 1.
    """
    return F.binary_cross_entropy_with_logits(odds.float(), occupancy.float())
