"""Pictures after compression: mean absolute error (L_comp of Eq. 14) and PSNR."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

EXACT = 1e-10  # mean squared error of an exact image, which so has 100 dB


def psnr(images: Tensor | np.ndarray, decoded: Tensor | np.ndarray) -> Tensor:
    """Peak signal-to-noise ratio of each image, in dB; what is decoded is first shown in 8 bit.

    Both are (..., 3, H, W) or (..., H, W, 3): uint8, or float of about [0, 1], where `decoded` is clamped.

    Returns:
        float32 (...); 100 for an exact image.

    Example:
        >>> image = np.full((8, 8, 3), 100, np.uint8)
        >>> f"{psnr(image, image ^ 1):.2f}"  # one grey level off everywhere
        '48.13'
    """
    import torch

    tensors = (torch.as_tensor(x) for x in (images, decoded))
    original, shown = (x if x.is_floating_point() else x.float() / 255 for x in tensors)
    shown = (shown.clamp(0, 1) * 255).round() / 255
    return -10 * (original - shown).square().mean((-3, -2, -1)).clamp(min=EXACT).log10()


def image_scores(images: Tensor, decoded: Tensor) -> dict:
    """Everything a results file says about one set of decoded images.

    Args:
        images: uint8 (N, V, 3, H, W), the originals.
        decoded: float32 (N, V, T, 3, H, W) after each of T iterations, about [0, 1], not clamped.

    Returns:
        `compression_loss` (L_comp of Eq. 14: mean absolute error over all iterations), `l1` (of the last one),
        `psnr` (dB, mean over images, of the last one in 8 bit), and `image_loss`, L_comp of each object (N,).
    """
    found = []
    for x, y in zip(images, decoded, strict=True):  # one object at a time: 74 in float32 are 0.6 GB at 128 pixels
        x = x.float() / 255
        residual = (x.unsqueeze(1) - y).abs()
        found.append((residual.mean(), residual[:, -1].mean(), psnr(x, y[:, -1]).mean()))
    loss, last, decibels = ([value.item() for value in of] for of in zip(*found, strict=True))
    means = {"compression_loss": loss, "l1": last, "psnr": decibels}
    return {name: sum(of) / len(of) for name, of in means.items()} | {"image_loss": loss}
