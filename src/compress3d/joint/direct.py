"""The direct model (Sec. 3.2, Fig. 6): voxels from the codes of a compression RNN."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from compress3d.errors import ConfigError
from compress3d.joint.compression import Coded
from compress3d.joint.unified import Unified
from compress3d.layers.convlstm3d import ConvLSTM3D
from compress3d.r2n2.cnn import HIDDEN_CHANNELS, LSTM_GRID, Decoder
from compress3d.scales import Scale


class Direct(Unified):
    """Reconstruction from the codes themselves (Sec. 3.2, Fig. 6): no decoded image, no E3D on the way.

    ```
    view -> compression RNN, N iterations -> N codes of m bits (what is sent) -> 3D LSTM -> D3D
                                                  '-> decoded image, for L_comp and for people
    ```
    How N codes reach the 3D LSTM is left open by the paper:

    * D1 (`concatenated=False`): each code is one input, K = m; V N steps, a view's codes in turn.
    * D2 (`concatenated=True`): a view's codes side by side, zeros for those not sent, K = N_max m; V steps.

    N_max is `max_iterations`; other arguments as of `Unified`.

    Raises:
        ConfigError: as `Unified`; `read_codes` where there are more codes than D2 has room for.

    Example:
        >>> import torch
        >>> from compress3d.scales import scale
        >>> Direct(scale("smoke"))(torch.zeros(2, 5, 3, 32, 32), iterations=1).shape   # 384:1
        torch.Size([2, 16, 16, 16])
    """

    def __init__(self, scale: Scale, *, concatenated: bool = False, max_iterations: int = 8, **options: Any):
        super().__init__(scale, **options)
        self.max_iterations = max_iterations if concatenated else None
        code_size = self.compression.code_size * (max_iterations if concatenated else 1)
        self.lstm = ConvLSTM3D(code_size, scale.channels(HIDDEN_CHANNELS), LSTM_GRID)
        self.decoder = Decoder(scale)

    def read_codes(self, codes: Tensor, views: int) -> Tensor:
        """Logits (B, G, G, G) of codes (B V, N, M, H/16, W/16): all that a receiver needs."""
        codes = codes.flatten(2)  # (B V, N, m)
        if self.max_iterations is None:
            steps = codes.unflatten(0, (-1, views)).flatten(1, 2)  # (B, V N, m), view by view
        else:
            missing = self.max_iterations - codes.shape[1]
            if missing < 0:
                problem = f"are more than N_max = {self.max_iterations}"
                raise ConfigError(f"{codes.shape[1]} iterations", problem, "send fewer")
            codes = F.pad(codes, (0, 0, 0, missing))
            steps = codes.flatten(1).unflatten(0, (-1, views))  # (B, V, N_max m)
        h, _ = self.lstm(steps)
        return self.decoder(h)

    def recover(self, coded: Coded, views: int) -> Tensor:
        """Logits (B, G, G, G) from all codes of each view."""
        return self.read_codes(coded.codes, views)

    def forward(self, images: Tensor, iterations: int) -> Tensor:
        """Logits (B, G, G, G) of views (B, V, 3, H, W) in [0, 1], sent with N iterations each."""
        return self.read_codes(self.compression.encode(images.flatten(0, 1), iterations), images.shape[1])
