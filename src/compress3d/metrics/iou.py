"""Intersection over union (Eq. 17) and the averages in which the field reports it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

THRESHOLD = 0.4  # tau of the paper
THRESHOLDS = (0.2, 0.3, 0.4, 0.5)
POOL = 6  # the authors' code pooled voxels over a minibatch of six objects until May 2020


def counts(probability: np.ndarray, occupancy: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Voxels in the intersection and in the union, int64 (N,) each, of probabilities above `threshold` and the truth.

    Probability (N, G, G, G) is in [0, 1], occupancy (N, G, G, G) boolean, as everywhere here.
    """
    predicted = probability > threshold  # 1(p > tau)
    truth = occupancy.astype(bool)
    axes = (1, 2, 3)
    return (predicted & truth).sum(axes), (predicted | truth).sum(axes)  # Eq. 17: numerator, denominator


def ratio(intersection: np.ndarray, union: np.ndarray) -> np.ndarray:
    """Intersection over union; two empty grids agree completely and give 1."""
    return np.where(union > 0, intersection / np.maximum(union, 1), 1.0)


def iou(probability: np.ndarray, occupancy: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """IoU of each object, Eq. 17, (N,) in [0, 1].

    Example:
        >>> p, truth = np.zeros((1, 2, 2, 2)), np.zeros((1, 2, 2, 2), bool)
        >>> p[0, 0, 0], truth[0, :, 0, 0] = 0.9, True
        >>> iou(p, truth)  # one voxel in common, three in the union
        array([0.33333333])
    """
    return ratio(*counts(probability, occupancy, threshold))


def pooled_iou(intersection: np.ndarray, union: np.ndarray, pool: int = POOL) -> float:
    """Mean IoU over minibatches whose voxels are pooled before dividing; an incomplete last minibatch is left out."""
    n = len(union) // pool * pool
    pooled = (of[:n].reshape(-1, pool).sum(1) for of in (intersection, union))
    return float(ratio(*pooled).mean()) if n else float("nan")


def negative_log_likelihood(probability: np.ndarray, occupancy: np.ndarray) -> np.ndarray:
    """L_3D of each object: Eq. 15 as a mean over its voxels, (N,)."""
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return -np.where(occupancy.astype(bool), np.log(p), np.log1p(-p)).mean((1, 2, 3))


class ObjectScores(NamedTuple):
    """What `summarise` needs of each of N reconstructed objects, so that no grid has to be kept."""

    intersection: np.ndarray  # voxels at the paper's threshold, (N,)
    union: np.ndarray
    thresholds: np.ndarray  # IoU at each of `THRESHOLDS`, (N, T)
    loss: np.ndarray  # L_3D as of `negative_log_likelihood`, (N,)


def object_scores(probability: np.ndarray, occupancy: np.ndarray) -> ObjectScores:
    """Scores of each object, (N, G, G, G) float in [0, 1] against (N, G, G, G) boolean."""
    intersection, union = counts(probability, occupancy, THRESHOLD)
    at = np.stack([iou(probability, occupancy, threshold) for threshold in THRESHOLDS], axis=1)
    return ObjectScores(intersection, union, at, negative_log_likelihood(probability, occupancy))


def summarise(scores: ObjectScores, categories: list[str]) -> dict:
    """Averages over objects, as `summary` gives them."""
    values = ratio(scores.intersection, scores.union)
    names = np.array(categories)
    by_category = {name: float(values[names == name].mean()) for name in sorted(set(categories))}
    return {
        "miou": float(values.mean()),
        "miou_std": float(values.std()),
        "miou_category": float(np.mean(list(by_category.values()))),
        "miou_pooled6": pooled_iou(scores.intersection, scores.union),
        "thresholds": {
            str(t): float(np.ascontiguousarray(scores.thresholds[:, n]).mean()) for n, t in enumerate(THRESHOLDS)
        },
        "by_category": by_category,
        "loss": float(scores.loss.mean()),
        "iou": [float(v) for v in values],
    }


def summary(probability: np.ndarray, occupancy: np.ndarray, categories: list[str]) -> dict:
    """Everything a results file says about one set of reconstructions.

    Returns:
        `miou` (per-object mean at 0.4, the headline), `miou_std`, `miou_category` (mean of category means),
        `miou_pooled6`, `thresholds`, `loss`, and `iou`, the list behind `miou`.
    """
    return summarise(object_scores(probability, occupancy), categories)
