"""What is measured: voxels (`iou`), pictures (`image`), and how sure a difference is (`stats`). Loads no torch."""

from compress3d.metrics.image import pictures, psnr
from compress3d.metrics.iou import (
    POOL,
    THRESHOLD,
    THRESHOLDS,
    ObjectScores,
    counts,
    iou,
    negative_log_likelihood,
    object_scores,
    pooled_iou,
    ratio,
    summarise,
    summary,
)
from compress3d.metrics.stats import Difference, bins, paired_interval, ratio_interval, sign_flip

__all__ = [
    "POOL",
    "THRESHOLD",
    "THRESHOLDS",
    "Difference",
    "ObjectScores",
    "bins",
    "counts",
    "iou",
    "negative_log_likelihood",
    "object_scores",
    "paired_interval",
    "pictures",
    "pooled_iou",
    "psnr",
    "ratio",
    "ratio_interval",
    "sign_flip",
    "summarise",
    "summary",
]
