"""Nearest x2 upsampling followed by a 3^3 convolution, computed without the upsampled volume.

Eight neighbours of the upsampled volume are copies of one voxel, so each output voxel sees only 2 x 2 x 2 different
inputs: folding the 27 weights into 8 leaves 8/27 of the multiply-adds and the same result.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Rows: the four taps of a stride-2 transposed convolution; columns: the three taps of the plain kernel w.
# Output 2i reads input i-1 through w0 and input i through w1 + w2; output 2i+1 reads i through w0 + w1, i+1 through w2.
_FOLD = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])


def fold_kernel(weight: Tensor) -> Tensor:
    """Kernel of the stride-2 transposed convolution equal to nearest x2 upsampling and a 3^3 convolution.

    Args:
        weight: (out, in, 3, 3, 3) of the convolution with padding 1.

    Returns:
        (in, out, 4, 4, 4) for a transposed convolution with stride 2 and padding 1.
    """
    fold = _FOLD.to(weight)
    for _ in range(3):  # fold the third dimension and move it to the end: three turns bring the order back
        weight = weight.movedim(2, -1) @ fold.T
    return weight.transpose(0, 1)


class UpsampleConv3d(nn.Conv3d):
    """Nearest x2 upsampling and 3^3 convolution, with the parameters of that convolution.

    Example:
        >>> UpsampleConv3d(4, 2)(torch.zeros(1, 4, 8, 8, 8)).shape
        torch.Size([1, 2, 16, 16, 16])
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, D, H, W) -> (B, out, 2D, 2H, 2W)."""
        return F.conv_transpose3d(x, fold_kernel(self.weight), self.bias, stride=2, padding=1)
