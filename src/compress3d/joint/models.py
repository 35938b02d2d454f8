"""The paper's joint models of compression and reconstruction: sequential, direct, implicit (Sec. 3, Fig. 5-7)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.errors import ConfigError
from compress3d.joint.compression import Coded, CompressionRNN, compression_loss
from compress3d.joint.rates import FLOAT_BITS, implicit_channels
from compress3d.layers.binarizer import Binarizer
from compress3d.layers.convlstm3d import ConvLSTM3D
from compress3d.losses import Losses
from compress3d.r2n2.cnn import CODE_SIDE, HIDDEN_CHANNELS, LSTM_GRID, Decoder, Encoder
from compress3d.r2n2.network import NETWORKS, Reconstruction, reconstruction_loss
from compress3d.scales import Scale

VIEW_WEIGHTS = ("sum", "mean")


class _Unified(nn.Module):
    """What sequential and direct share: a compression RNN on every view, and the loss of Eq. 16."""

    def __init__(self, scale: Scale, architecture: str, additive: bool, binary: bool, view_weight: str):
        super().__init__()
        if view_weight not in VIEW_WEIGHTS:
            raise ConfigError(f"view weight {view_weight!r}", "does not exist", "choose 'sum' or 'mean'")
        self.scale, self.view_weight = scale, view_weight
        self.compression = CompressionRNN(scale, architecture, additive, binary)

    def compress(self, images: Tensor, iterations: int) -> Coded:
        """All views (B, V, 3, H, W) at once, each coded by itself: codes and pictures of B V views."""
        return self.compression(images.flatten(0, 1), iterations)

    def recover(self, coded: Coded, views: int) -> Tensor:
        """Logits (B, G, G, G) from the coded views."""
        raise NotImplementedError

    def losses(self, images: Tensor, occupancy: Tensor, iterations: int) -> Losses:
        """Eq. 16: L_comp of every view and L_3D after the last one, in one graph, for one backward pass.

        Args:
            images: (B, V, 3, H, W) in [0, 1].
            occupancy: (B, G, G, G) of 0 and 1.
            iterations: N of this minibatch.
        """
        views = images.shape[1]
        coded = self.compress(images, iterations)
        l_comp = compression_loss(images.flatten(0, 1), coded.decoded)
        l_3d = reconstruction_loss(self.recover(coded, views), occupancy)
        weight = views if self.view_weight == "sum" else 1  # l_comp is a mean over views; Eq. 16 adds them up
        return Losses(weight * l_comp + l_3d, compression=l_comp, reconstruction=l_3d)


class Sequential(_Unified):
    """Reconstruction from decoded pictures (Sec. 3.1, Fig. 5): compression RNN, then all of 3D-LSTM-3.

    ```
    view -> compression RNN, N iterations -> N m bits (what is sent) -> decoded view x^_N -> E3D -> 3D LSTM -> D3D
    ```
    The decoded view is clamped to [0, 1] in evaluation only: in training a clamp would kill gradients.

    Args:
        scale: sizes.
        architecture: of the compression RNN.
        additive: gamma of Eq. 10.
        binary: False sends floats (Sec. 4.3).
        view_weight: "sum" adds L_comp of the views up, as Eq. 16 reads; "mean" averages.

    Example:
        >>> from compress3d.scales import scale
        >>> Sequential(scale("smoke"))(torch.zeros(2, 5, 3, 32, 32), iterations=1).shape   # 384:1
        torch.Size([2, 16, 16, 16])
    """

    def __init__(
        self,
        scale: Scale,
        architecture: str = "small",
        additive: bool = True,
        binary: bool = True,
        view_weight: str = "sum",
    ):
        super().__init__(scale, architecture, additive, binary, view_weight)
        self.reconstruction = Reconstruction(scale)

    def recover(self, coded: Coded, views: int) -> Tensor:
        picture = coded.decoded[:, -1]
        picture = picture if self.training else picture.clamp(0, 1)
        return self.reconstruction(picture.unflatten(0, (-1, views)))

    def forward(self, images: Tensor, iterations: int) -> Tensor:
        """Logits (B, G, G, G) of views (B, V, 3, H, W) in [0, 1], sent with N iterations each."""
        return self.recover(self.compress(images, iterations), images.shape[1])


class Direct(_Unified):
    """Reconstruction from the codes themselves (Sec. 3.2, Fig. 6): no decoded picture, no E3D on the way.

    ```
    view -> compression RNN, N iterations -> N codes of m bits (what is sent) -> 3D LSTM -> D3D
                                                  '-> decoded view, for L_comp and for people
    ```
    How N codes reach the 3D LSTM is left open by the paper:

    * D1 (`concatenated=False`): each code is one input, K = m; V N steps, a view's codes in turn.
    * D2 (`concatenated=True`): a view's codes side by side, zeros for those not sent, K = N_max m; V steps.

    Args:
        scale: sizes.
        architecture, additive, binary, view_weight: as in `Sequential`.
        concatenated: reading D2 instead of D1.
        most: N_max of D2.

    Example:
        >>> from compress3d.scales import scale
        >>> Direct(scale("smoke"))(torch.zeros(2, 5, 3, 32, 32), iterations=1).shape   # 384:1
        torch.Size([2, 16, 16, 16])
    """

    def __init__(
        self,
        scale: Scale,
        architecture: str = "small",
        additive: bool = True,
        binary: bool = True,
        view_weight: str = "sum",
        concatenated: bool = False,
        most: int = 8,
    ):
        super().__init__(scale, architecture, additive, binary, view_weight)
        self.most = most if concatenated else None
        code_size = self.compression.code_size * (most if concatenated else 1)
        self.lstm = ConvLSTM3D(code_size, scale.channels(HIDDEN_CHANNELS), LSTM_GRID)
        self.decoder = Decoder(scale)

    def read_codes(self, codes: Tensor, views: int) -> Tensor:
        """Logits (B, G, G, G) of codes (B V, N, M, H/16, W/16): all that a receiver needs."""
        codes = codes.flatten(2)  # (B V, N, m)
        if self.most is None:
            steps = codes.unflatten(0, (-1, views)).flatten(1, 2)  # (B, V N, m), view by view
        else:
            if codes.shape[1] > self.most:
                raise ConfigError(f"{codes.shape[1]} iterations", f"are more than N_max = {self.most}", "send fewer")
            codes = F.pad(codes, (0, 0, 0, self.most - codes.shape[1]))
            steps = codes.flatten(1).unflatten(0, (-1, views))  # (B, V, N_max m)
        h, _ = self.lstm(steps)
        return self.decoder(h)

    def recover(self, coded: Coded, views: int) -> Tensor:
        return self.read_codes(coded.codes, views)

    def forward(self, images: Tensor, iterations: int) -> Tensor:
        """Logits (B, G, G, G) of views (B, V, 3, H, W) in [0, 1], sent with N iterations each."""
        return self.read_codes(self.compression.encode(images.flatten(0, 1), iterations), images.shape[1])


class Implicit(Reconstruction):
    """Implicit compression: the view's code is K bits, K = 24 H W / c, and L_3D is the only loss.

    ```
    view -> E3D_K -> tanh -> binarizer -> K bits (what is sent) -> 3D LSTM -> D3D
    ```
    Two readings of "the output channels of the final convolutional layer" (Sec. 3.3):

    * R1 (`fully_connected=False`): conv6 has C = K/4 channels and its 2 x 2 x C output is binarized.
    * R2 (`fully_connected=True`): a K -> K fully connected layer stands between, as in the uncompressed network.

    Args:
        scale: sizes.
        rate: compression rate c, one of those for which K/4 is a whole number (within 0.5 %).
        fully_connected: reading R2 instead of R1.
        binary: False sends K 32-bit floats instead (Sec. 4.3, rates 12 and 6).

    Raises:
        ConfigError: no whole number of channels gives that rate.

    Example:
        >>> from compress3d.scales import scale
        >>> model = Implicit(scale("paper"), rate=384)
        >>> model.code_size
        1024
    """

    def __init__(self, scale: Scale, rate: float, fully_connected: bool = False, binary: bool = True):
        nn.Module.__init__(self)
        self.scale, self.rate, self.binary, self.network = scale, rate, binary, NETWORKS["lstm-3"]
        channels = implicit_channels(scale.image_size, rate, 1 if binary else FLOAT_BITS)
        self.code_size = channels * CODE_SIDE**2
        self.encoder = Encoder(scale, channels)
        self.fc = nn.Linear(self.code_size, self.code_size) if fully_connected else None
        self.binarizer = Binarizer()
        self.lstm = ConvLSTM3D(self.code_size, scale.channels(HIDDEN_CHANNELS), LSTM_GRID)
        self.decoder = Decoder(scale)

    def encode(self, images: Tensor) -> Tensor:
        """Codes of views: (B, 3, H, W) in [0, 1] -> (B, K) of -1 and +1 (of floats in [-1, 1] where not `binary`)."""
        code = self.encoder.features(images).flatten(1)
        if self.fc is not None:
            code = self.fc(F.leaky_relu(code))
        code = torch.tanh(code.float())  # bfloat16 would round the probabilities of Eq. 13 to 1/256
        return self.binarizer(code) if self.binary else code
