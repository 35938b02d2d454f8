"""What the sequential and the direct model share: a compression RNN on every view, and one loss for both tasks."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from compress3d.errors import ConfigError
from compress3d.joint.compression import Coded, CompressionRNN, TrainedOnIterations
from compress3d.losses import VIEW_WEIGHTS, LossTerms, compression_loss, joint_loss, occupancy_loss
from compress3d.scales import Scale


class Unified(TrainedOnIterations):
    """A compression RNN whose codes or images are read by a network that makes voxels.

    All arguments are those of `CompressionRNN` but `view_weight`, see `compress3d.losses.joint_loss`.

    Raises:
        ConfigError: there is no such architecture or view weight.
    """

    def __init__(self, scale: Scale, architecture: str = "small", *, view_weight: str = "sum", **options: Any):
        super().__init__()
        if view_weight not in VIEW_WEIGHTS:
            raise ConfigError(f"view weight {view_weight!r}", "does not exist", "choose 'sum' or 'mean'")
        self.scale, self.view_weight = scale, view_weight
        self.compression = CompressionRNN(scale, architecture, **options)
        self.training_iterations = self.compression.training_iterations

    def compress(self, images: Tensor, iterations: int) -> Coded:
        """All views (B, V, 3, H, W) at once, each coded by itself: codes and decoded images of B V views."""
        return self.compression(images.flatten(0, 1), iterations)

    def recover(self, coded: Coded, views: int) -> Tensor:
        """Logits (B, G, G, G) from the coded views."""
        raise NotImplementedError

    def loss(self, images: Tensor, occupancy: Tensor, iterations: int) -> LossTerms:
        """L_comp of every view and L_3D after the last one, in one graph, for one backward pass."""
        views = images.shape[1]
        coded = self.compress(images, iterations)
        l_comp = compression_loss(images.flatten(0, 1), coded.decoded)
        l_3d = occupancy_loss(self.recover(coded, views), occupancy)
        total = joint_loss(l_comp, l_3d, views, self.view_weight)
        return LossTerms(total, {"compression": l_comp, "reconstruction": l_3d})
