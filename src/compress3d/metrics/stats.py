"""How sure a difference between two models is: intervals and tests on the same objects, and the paper's bins.

Objects differ far more from each other than models do (the deviation of IoU is about 0.2), so only differences on the
same objects say anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

DRAWS = 10_000  # resamplings of the objects, or draws of signs
LEVEL = 0.95
FEW = 12  # below so many objects a bootstrap's interval is too short, and the sign-flip test decides
EXACT_SIGNS = 16  # objects up to which all 2^n signs are tried


def bins(iou: ArrayLike, count: int = 7) -> list[np.ndarray]:
    """Rows of the objects in each of `count` bins of equal width over [0, 1] (Sec. 4.2).

    Each holds its lower edge; the last one also holds 1. Lowest first; empty where no object falls.

    Example:
        >>> bins([0.1, 0.9, 0.3, 1.0], count=2)
        [array([0, 2]), array([1, 3])]
    """
    values = np.asarray(iou)
    inner = np.arange(1, count) / count
    of = np.digitize(values, inner)  # 0 below the first inner edge, count - 1 from the last one on
    return [np.flatnonzero(of == n) for n in range(count)]


@lru_cache(maxsize=4)
def _resampled(count: int) -> np.ndarray:
    """Rows of `DRAWS` bootstrap samples of the objects, (DRAWS, count)."""
    return np.random.default_rng(0).integers(0, count, (DRAWS, count))


def _with_interval(value: float, resampled: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return round(float(value), 12), round(float(low), 12), round(float(high), 12)


def paired_interval(first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    """Mean of `first - second`, (N,) each, over the same objects, and both ends of its percentile bootstrap interval.

    Example:
        >>> paired_interval([0.5, 0.7], [0.4, 0.6])  # the same difference twice: no spread
        (0.1, 0.1, 0.1)
    """
    difference = np.asarray(first) - np.asarray(second)
    return _with_interval(difference.mean(), difference[_resampled(len(difference))].mean(1))


def ratio_interval(first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    """Mean of `first` over mean of `second`, and both ends of its paired bootstrap interval, as `paired_interval`.

    Where a model was trained several times, hand in the mean over its trainings, not the best of them.

    Example:
        >>> ratio_interval([0.3, 0.6], [0.4, 0.8])  # three quarters on each object
        (0.75, 0.75, 0.75)
    """
    a, b = np.asarray(first), np.asarray(second)
    rows = _resampled(len(a))
    return _with_interval(a.mean() / b.mean(), a[rows].mean(1) / b[rows].mean(1))


def sign_flip(difference: ArrayLike) -> float:
    """Two-sided p-value of a mean difference: how often random signs give a mean as far from 0.

    If two models are equally good, an object's difference is as likely as its negative. All 2^N signs are tried up to
    16 objects, `DRAWS` random ones beyond. N objects cannot give less than 2 / 2^N: 0.06 with five, 0.03 with six.

    Example:
        >>> sign_flip([0.1, 0.2, 0.3])  # of 8 signs, +++ and --- are as far from 0
        0.25
    """
    values = np.asarray(difference, float)
    if len(values) <= EXACT_SIGNS:
        signs = 1 - 2 * (np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1)
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (DRAWS, len(values)))
        signs[0] = 1  # the observed signs are one of the possible draws, so p is never 0
    reached = np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-9)
    return float(reached.mean())


@dataclass(frozen=True)
class Difference:
    """First minus second model on the same objects, with its 95 % interval, and what it shows.

    Attributes:
        mean, low, high: over the objects, and ends of the paired bootstrap interval.
        p: of the sign-flip test; None from 12 objects up, where the interval decides.
        first, second, rate: labels of the models, and nominal compression rate, where there is one.
        lower_is_better: the values are losses.
    """

    mean: float
    low: float
    high: float
    p: float | None = None
    first: str = "first"
    second: str = "second"
    rate: float | None = None
    lower_is_better: bool = False

    @classmethod
    def of(cls, a: ArrayLike, b: ArrayLike, /, **labels) -> Difference:
        """`a` minus `b`, lists over the same objects; `labels` are the other attributes.

        Example:
            >>> str(Difference.of([0.5, 0.7], [0.4, 0.6]))
            '+0.100 (+0.100 to +0.100)'
        """
        mean, low, high = paired_interval(a, b)
        p = sign_flip(np.asarray(a) - np.asarray(b)) if np.size(a) < FEW else None
        return cls(mean, low, high, p, **labels)

    @property
    def sign(self) -> int:
        """1 if the mean is surely above 0, -1 if surely below, 0 if neither is shown."""
        significant = not self.low <= 0 <= self.high if self.p is None else self.p < 1 - LEVEL
        return int(np.sign(self.mean)) if significant else 0

    @property
    def better(self) -> str | None:
        """Label of the better model; None where no difference is shown."""
        return {0: None, 1: self.first, -1: self.second}[-self.sign if self.lower_is_better else self.sign]

    @property
    def verdict(self) -> str:
        """ "<label> is better" or "no difference shown"."""
        return f"{self.better} is better" if self.better else "no difference shown"

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"
