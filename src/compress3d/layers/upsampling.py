"""x2 upsampling followed by a convolution, computed without the upsampled volume.

* "nearest" (the main paper's code): eight neighbours of the upsampled volume are copies of one voxel, so each output
  voxel sees only 2 x 2 x 2 different inputs: folding the 27 weights into 8 leaves 8/27 of the multiply-adds.
* "zeros" (the original 3D-R2N2, which calls it unpooling): a voxel stands at even indices, zeros elsewhere; seven of
  eight products are with a zero, which leaves 1/8.

Both are transposed convolutions of stride 2, with the same result as the two steps one after the other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.errors import ConfigError

UPSAMPLINGS = ("nearest", "zeros")

# Rows: the four taps of a stride-2 transposed convolution; columns: the three taps of the convolution's kernel w.
# Output 2i reads input i-1 through w0 and input i through w1 + w2; output 2i+1 reads i through w0 + w1, i+1 through w2.
_FOLD = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])


def fold_kernel(weight: Tensor) -> Tensor:
    """Kernel of the transposed convolution (stride 2, padding 1) equal to nearest x2 upsampling and a 3^3 convolution.

    (out, in, 3, 3, 3) of the convolution with padding 1 -> (in, out, 4, 4, 4).
    """
    fold = _FOLD.to(weight)
    for _ in range(3):  # fold the third dimension and move it to the end: three turns bring the order back
        weight = weight.movedim(2, -1) @ fold.T
    return weight.transpose(0, 1)


def upsample(x: Tensor, mode: str) -> Tensor:
    """The upsampled volume itself: (B, C, D, H, W) -> (B, C, 2D, 2H, 2W), for shortcuts that carry it."""
    if mode == "nearest":
        return F.interpolate(x, scale_factor=2, mode="nearest")
    y = x.new_zeros(*x.shape[:2], *(2 * side for side in x.shape[2:]))
    y[:, :, ::2, ::2, ::2] = x
    return y


class UpsampleConv3d(nn.Conv3d):
    """x2 upsampling, "nearest" or by "zeros", and a convolution of kernel 3, or 1 for shortcuts, with its parameters.

    Example:
        >>> UpsampleConv3d(4, 2)(torch.zeros(1, 4, 8, 8, 8)).shape
        torch.Size([1, 2, 16, 16, 16])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, mode: str = "nearest"):
        if mode not in UPSAMPLINGS:
            raise ConfigError(f"upsampling {mode!r}", "does not exist", "choose 'nearest' or 'zeros'")
        super().__init__(in_channels, out_channels, kernel_size=kernel, padding=kernel // 2)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, D, H, W) -> (B, out, 2D, 2H, 2W)."""
        if self.mode == "zeros":
            kernel, padding = self.weight.flip(2, 3, 4).transpose(0, 1), self.kernel_size[0] // 2
            return F.conv_transpose3d(x, kernel, self.bias, stride=2, padding=padding, output_padding=1)
        if self.kernel_size == (1, 1, 1):  # a copy of each result: an eighth of the work
            return upsample(super().forward(x), self.mode)
        return F.conv_transpose3d(x, fold_kernel(self.weight), self.bias, stride=2, padding=1)
