"""The place of a minibatch in a run, and the random numbers that belong to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """Step `number` (from 0) of a run with `seed`: everything random in it is a function of these two numbers.

    So a run that was stopped and resumed draws what an uninterrupted run draws.

    Example:
        >>> int(Step(3, seed=0).rng(12).integers(1, 8, endpoint=True))
        4
    """

    number: int
    seed: int

    def rng(self, stream: int) -> np.random.Generator:
        """The generator of this step for one purpose; different `stream` numbers draw independently."""
        return np.random.default_rng([self.seed, self.number, stream])
