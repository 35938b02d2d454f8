"""Intersection over union (Eq. 17) and the averages in which the field reports it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

THRESHOLD = 0.4  # tau of the paper
THRESHOLDS = (0.2, 0.3, 0.4, 0.5)
POOL = 6  # the authors' code pooled voxels over a minibatch of six objects until May 2020


def counts(probability: np.ndarray, occupancy: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Voxels in the intersection and in the union, for each object.

    Args:
        probability: (N, G, G, G) in [0, 1].
        occupancy: (N, G, G, G) boolean ground truth.
        threshold: tau; a voxel counts as occupied above it.

    Returns:
        Two int64 arrays (N,).
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
    if not n:
        return float("nan")
    return float(ratio(intersection[:n].reshape(-1, pool).sum(1), union[:n].reshape(-1, pool).sum(1)).mean())


def negative_log_likelihood(probability: np.ndarray, occupancy: np.ndarray) -> np.ndarray:
    """L_3D of each object: Eq. 15 as a mean over its voxels, (N,)."""
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return -np.where(occupancy.astype(bool), np.log(p), np.log1p(-p)).mean((1, 2, 3))


class ObjectScores(NamedTuple):
    """What `summarise` needs of each of N reconstructed objects, so that no grid has to be kept.

    Attributes:
        intersection, union: voxels at the paper's threshold, (N,).
        thresholds: IoU at each of `THRESHOLDS`, (N, T).
        loss: L_3D of Eq. 15, (N,).
    """

    intersection: np.ndarray
    union: np.ndarray
    thresholds: np.ndarray
    loss: np.ndarray


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

    Args:
        probability: (N, G, G, G) float in [0, 1].
        occupancy: (N, G, G, G) boolean.
        categories: name of each object's category.

    Returns:
        `miou` (per-object mean at 0.4, the headline), `miou_std`, `miou_category` (mean of category means),
        `miou_pooled6`, `thresholds`, `loss`, and `iou`, the list behind `miou`.
    """
    return summarise(object_scores(probability, occupancy), categories)


def bins(iou: np.ndarray, count: int = 7) -> list[np.ndarray]:
    """Rows of the objects in each of `count` bins of equal width over [0, 1] (Sec. 4.2).

    The paper's seven bins have deviations of about 0.04 each, which is that of even values in a bin a seventh wide:
    (1/7) / sqrt(12) = 0.041.

    Args:
        iou: (N,) in [0, 1], of the uncompressed network in the paper.
        count: number of bins. Each holds its lower edge; the last one also holds 1.

    Returns:
        One int64 array for each bin, from the lowest IoU to the highest; empty where no object falls.

    Example:
        >>> bins([0.1, 0.9, 0.3, 1.0], count=2)
        [array([0, 2]), array([1, 3])]
    """
    values = np.asarray(iou)
    inner = np.arange(1, count) / count
    of = np.digitize(values, inner)  # 0 below the first inner edge, count - 1 from the last one on
    return [np.flatnonzero(of == n) for n in range(count)]


def pictures(images: torch.Tensor, decoded: torch.Tensor) -> dict:
    """Everything a results file says about one set of decoded pictures.

    Args:
        images: uint8 (N, V, 3, H, W), the originals.
        decoded: float32 (N, V, T, 3, H, W) after each of T iterations, about [0, 1], not clamped.

    Returns:
        `compression_loss` (L_comp of Eq. 14: mean absolute error over all iterations), `l1` (of the last one),
        `psnr` (dB, mean over pictures, of the last one in 8 bit), and `picture_loss`, L_comp of each object (N,).
    """
    error, psnr, last = [], [], []
    for x, y in zip(
        images, decoded, strict=True
    ):  # one object at a time: all of them in float32 are 0.6 GB at 128 pixels
        x = x.to(torch.float32) / 255
        residual = (x.unsqueeze(1) - y).abs()
        error.append(residual.mean().item())
        last.append(residual[:, -1].mean().item())
        shown = (y[:, -1].clamp(0, 1) * 255).round() / 255
        mse = (x - shown).square().mean((1, 2, 3)).clamp(min=1e-10)  # an exact picture has 100 dB
        psnr.append((-10 * mse.log10()).mean().item())
    return {
        "compression_loss": float(np.mean(error)),
        "l1": float(np.mean(last)),
        "psnr": float(np.mean(psnr)),
        "picture_loss": error,
    }


def paired_interval(
    first: np.ndarray, second: np.ndarray, draws: int = 10_000, level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of `first - second` over the same objects, and its percentile bootstrap interval.

    Objects differ far more from each other than models do (the deviation is about 0.2), so only differences on the same
    objects say anything.

    Args:
        first, second: (N,) IoU of two models on the same objects.
        draws: resamplings of the objects.
        level: coverage of the interval.
        seed: of the resampling.

    Returns:
        mean, lower and upper end.

    Example:
        >>> paired_interval(np.array([0.5, 0.7]), np.array([0.4, 0.6]))  # the same difference twice: no spread
        (0.1, 0.1, 0.1)
    """
    difference = np.asarray(first) - np.asarray(second)
    rows = np.random.default_rng(seed).integers(0, len(difference), (draws, len(difference)))
    means = difference[rows].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return tuple(round(float(value), 12) for value in (difference.mean(), low, high))
