"""The implicit model (Sec. 3.3, Fig. 7): the reconstruction network's own code, a few bits a view."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.joint.rates import FLOAT_BITS, implicit_channels
from compress3d.layers.binarizer import Binarizer
from compress3d.layers.convlstm3d import ConvLSTM3D
from compress3d.layers.precision import at_least_float32
from compress3d.r2n2.cnn import CODE_SIDE, HIDDEN_CHANNELS, LSTM_GRID, Decoder, Encoder
from compress3d.r2n2.network import NETWORKS, Reconstruction
from compress3d.scales import Scale


class Implicit(Reconstruction):
    """Implicit compression: the view's code is K bits, K = 24 H W / c, and L_3D is the only loss.

    ```
    view -> E3D_K -> tanh -> binarizer -> K bits (what is sent) -> 3D LSTM -> D3D
    ```
    Two readings of "the output channels of the final convolutional layer" (Sec. 3.3):

    * R1 (`fully_connected=False`): conv6 has C = K/4 channels and its 2 x 2 x C output is binarized.
    * R2 (`fully_connected=True`): a K -> K fully connected layer stands between, as in the uncompressed network.

    Where not `binary`, K 32-bit floats are sent instead (Sec. 4.3, rates 12 and 6).

    Raises:
        ConfigError: no whole number K/4 of channels gives that rate within 0.5 %.

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
        code = torch.tanh(at_least_float32(code))  # bfloat16 would round the binarizer's probabilities to 1/256
        return self.binarizer(code) if self.binary else code
