"""The sequential model (Sec. 3.1, Fig. 5): compress, decode, reconstruct, trained as one network."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from compress3d.joint.compression import Coded
from compress3d.joint.unified import Unified
from compress3d.r2n2.network import Reconstruction
from compress3d.scales import Scale


class Sequential(Unified):
    """Reconstruction from decoded images (Sec. 3.1, Fig. 5): compression RNN, then all of 3D-LSTM-3.

    ```
    view -> compression RNN, N iterations -> N m bits (what is sent) -> decoded view x^_N -> E3D -> 3D LSTM -> D3D
    ```
    The decoded view is clamped to [0, 1] in evaluation only: in training a clamp would kill gradients.

    Example:
        >>> import torch
        >>> from compress3d.scales import scale
        >>> Sequential(scale("smoke"))(torch.zeros(2, 5, 3, 32, 32), iterations=1).shape   # 384:1
        torch.Size([2, 16, 16, 16])
    """

    def __init__(self, scale: Scale, architecture: str = "small", **options: Any):
        super().__init__(scale, architecture, **options)
        self.reconstruction = Reconstruction(scale)

    def recover(self, coded: Coded, views: int) -> Tensor:
        """Logits (B, G, G, G) from the last decoded image of each view."""
        images = coded.decoded[:, -1]
        images = images if self.training else images.clamp(0, 1)
        return self.reconstruction(images.unflatten(0, (-1, views)))

    def forward(self, images: Tensor, iterations: int) -> Tensor:
        """Logits (B, G, G, G) of views (B, V, 3, H, W) in [0, 1], sent with N iterations each."""
        return self.recover(self.compress(images, iterations), images.shape[1])
