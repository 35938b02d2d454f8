"""What a model hands to the training loop: the number to minimize, and its terms for the record."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Losses(NamedTuple):
    """Losses of one minibatch, scalars.

    Attributes:
        total: what the optimizer minimizes.
        compression: L_comp of Eq. 14 (mean over views), None where the model has no decoded pictures.
        reconstruction: L_3D of Eq. 15, None where the model has no voxels.
    """

    total: Tensor
    compression: Tensor | None = None
    reconstruction: Tensor | None = None

    def terms(self) -> dict[str, Tensor]:
        """Every loss that is there, by name, without its graph."""
        return {name: value.detach() for name, value in self._asdict().items() if value is not None}
