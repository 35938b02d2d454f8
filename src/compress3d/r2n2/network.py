"""3D-R2N2 (Choy 2016): several views of an object to an occupancy grid, in its five networks.

```
views (B, V, 3, H, W) -> encoder E3D, each view -> codes (B, V, K) -> 3D LSTM or GRU (B, 128, 4, 4, 4)
    -> decoder D3D -> (B, G, G, G)
```
3D-LSTM-3 is the network of the main paper (Sec. 2.3 and Fig. 4 of Golts 2021); the others are those that Choy compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.data.loader import Batch, to_float
from compress3d.engine.step import Step
from compress3d.errors import ConfigError
from compress3d.layers.convgru3d import ConvGRU3D
from compress3d.layers.convlstm3d import ConvLSTM3D
from compress3d.layers.initialisation import init_he_normal
from compress3d.losses import LossTerms, occupancy_loss
from compress3d.r2n2.cnn import CODE_SIDE, HIDDEN_CHANNELS, LSTM_GRID, Decoder, Encoder
from compress3d.r2n2.residual import ResidualDecoder, ResidualEncoder
from compress3d.scales import Scale


@dataclass(frozen=True)
class Network:
    """What sets one of Choy's networks apart."""

    name: str  # as in the paper's table
    gru: bool  # a 3D GRU instead of the 3D LSTM
    kernel: int  # of the convolution on the hidden state; 1 gives a unit no spatial support
    residual: bool = False  # encoder and decoder with shortcuts, two convolutions a stage


NETWORKS = {
    "lstm-1": Network("3D-LSTM-1", gru=False, kernel=1),
    "gru-1": Network("3D-GRU-1", gru=True, kernel=1),
    "lstm-3": Network("3D-LSTM-3", gru=False, kernel=3),
    "gru-3": Network("3D-GRU-3", gru=True, kernel=3),
    "res-gru-3": Network("Res3D-GRU-3", gru=True, kernel=3, residual=True),
}


class VoxelNetwork(nn.Module):
    """A network from views to voxels in two steps: every view by itself, then all of them together."""

    def encode_views(self, images: Tensor) -> Tensor:
        """Every view by itself: (B, V, 3, H, W) in [0, 1] -> what the network knows of each, (B, V, ...)."""
        raise NotImplementedError

    def fuse_views(self, views: Tensor) -> Tensor:
        """What `encode_views` gives, or some views of it -> logits (B, G, G, G)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Views (B, V, 3, H, W) in [0, 1] -> logits (B, G, G, G), indexed [x, y, z]; their sigmoid is p_V of Eq. 15."""
        return self.fuse_views(self.encode_views(images))

    def loss(self, images: Tensor, occupancy: Tensor, iterations: int | None = None) -> LossTerms:
        """L_3D of views (B, V, 3, H, W) in [0, 1]; `iterations` is for models with a compression RNN."""
        l_3d = occupancy_loss(self(images), occupancy)
        return LossTerms(l_3d, {"reconstruction": l_3d})

    def training_step(self, batch: Batch, step: Step) -> LossTerms:
        """Losses of a minibatch."""
        return self.loss(to_float(batch.images), batch.occupancy)


class Reconstruction(VoxelNetwork):
    """3D-R2N2; without further arguments 3D-LSTM-3 of Table 1, the network without compression ("uncompressed").

    Args:
        scale: sizes; `paper` gives the published networks.
        network: one of `NETWORKS`.
        upsampling: "nearest", as the main paper's code, or "zeros", as the original's unpooling.
        padded: pooling with one cell of padding, as in the original: 127 (or 128) pixels end as 3 x 3 cells, not 2 x 2.
        as_pytorch_ports: stage 10 as in the public PyTorch ports, see `compress3d.r2n2.residual.LastStage`.

    Raises:
        ConfigError: there is no such network or upsampling.

    Example:
        >>> import torch
        >>> from compress3d.scales import scale
        >>> Reconstruction(scale("smoke"))(torch.zeros(2, 5, 3, 32, 32)).shape
        torch.Size([2, 16, 16, 16])
    """

    encoder: Encoder | ResidualEncoder
    decoder: Decoder | ResidualDecoder
    fc: nn.Linear | None

    def __init__(
        self,
        scale: Scale,
        network: str = "lstm-3",
        upsampling: str = "nearest",
        padded: bool = False,
        as_pytorch_ports: bool = False,
    ):
        super().__init__()
        if network not in NETWORKS:
            raise ConfigError(f"network {network!r}", "does not exist", f"choose one of {', '.join(NETWORKS)}")
        self.scale, self.network = scale, NETWORKS[network]
        K, hidden, kernel = scale.code_size, scale.channels(HIDDEN_CHANNELS), self.network.kernel
        if self.network.residual:
            self.encoder = ResidualEncoder(scale, padded)
            self.decoder = ResidualDecoder(scale, upsampling, as_pytorch_ports)
            channels = self.encoder.channels
        else:
            channels = K // CODE_SIDE**2
            self.encoder, self.decoder = Encoder(scale, channels, padded), Decoder(scale, upsampling)
        self.fc = nn.Linear(channels * self.encoder.side**2, K)
        if self.network.gru:
            self.gru = ConvGRU3D(K, hidden, LSTM_GRID, kernel)
        else:
            self.lstm = ConvLSTM3D(K, hidden, LSTM_GRID, kernel)

    @property
    def recurrent(self) -> ConvLSTM3D | ConvGRU3D:
        """The recurrence over views."""
        return self.gru if self.network.gru else self.lstm

    def encode(self, images: Tensor) -> Tensor:
        """Codes of views: (B, 3, H, W) in [0, 1] -> (B, K) floats."""
        features = self.encoder.features(images)
        if not self.network.residual:  # with shortcuts, the last nonlinearity stands before the shortcut
            features = F.leaky_relu(features)
        assert self.fc is not None
        return F.leaky_relu(self.fc(features.flatten(1)))

    def encode_views(self, images: Tensor) -> Tensor:
        """Every view by itself: (B, V, 3, H, W) in [0, 1] -> codes (B, V, K)."""
        return self.encode(images.flatten(0, 1)).unflatten(0, images.shape[:2])

    def fuse_views(self, codes: Tensor) -> Tensor:
        """Codes (B, V, K), read in turn -> logits (B, G, G, G)."""
        return self.decoder(self.recurrent(codes)[0])


def init_r2n2_he(model: Reconstruction) -> None:
    """He initialisation of encoder, decoder and fully connected layer, as far as `model` has them."""
    init_he_normal(model.encoder)
    init_decoder_he(model.decoder)
    if model.fc is not None:
        init_he_normal(model.fc)


def init_decoder_he(decoder: Any) -> None:
    """He initialisation of a decoder but for its classifier, whose small start gives probabilities near 1/2."""
    init_he_normal(decoder.stages if isinstance(decoder, ResidualDecoder) else decoder.convs)
