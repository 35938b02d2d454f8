"""What is measured: voxels (`iou`), images (`image`), and how sure a difference is (`stats`). Loads no torch."""

from compress3d.metrics.image import image_scores as image_scores
from compress3d.metrics.image import psnr as psnr
from compress3d.metrics.iou import THRESHOLD as THRESHOLD
from compress3d.metrics.iou import ObjectScores as ObjectScores
from compress3d.metrics.iou import iou as iou
from compress3d.metrics.iou import negative_log_likelihood as negative_log_likelihood
from compress3d.metrics.iou import object_scores as object_scores
from compress3d.metrics.iou import pooled_iou as pooled_iou
from compress3d.metrics.iou import ratio as ratio
from compress3d.metrics.iou import summarise as summarise
from compress3d.metrics.iou import summary as summary
from compress3d.metrics.stats import Difference as Difference
from compress3d.metrics.stats import bins as bins
from compress3d.metrics.stats import paired_interval as paired_interval
from compress3d.metrics.stats import ratio_interval as ratio_interval
from compress3d.metrics.stats import sign_flip as sign_flip
