"""What a radiance field is: density and colour of points. Every renderer, trainer and packer knows fields by this."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Field(Protocol):
    """A radiance field, an `nn.Module`."""

    def density(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Raw density (P,), before `activate`, and features (P, C) for `colour`, of points (P, 3)."""
        ...

    def activate(self, raw: Tensor) -> Tensor:
        """Density sigma >= 0 per unit of length of raw density."""
        ...

    def colour(self, features: Tensor, views: Tensor, ray: Tensor | int) -> Tensor:
        """RGB (P, 3) in [0, 1].

        Args:
            features: (P, C), from `density`.
            views: (R, 3), unit viewing directions of rays.
            ray: (P,) int64, the ray of each point; or S, where every ray has S points in order (P = R S).
        """
        ...
