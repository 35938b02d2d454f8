"""The folded transposed convolution against upsampling and convolving for real, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from compress3d.layers.upsampling import UpsampleConv3d, fold_kernel

ROUNDING = dict(atol=1e-12, rtol=1e-12)  # float64, sums of at most 8 x 27 products, or of 512 voxels


@pytest.mark.parametrize("in_channels, out_channels", [(1, 1), (3, 2), (8, 5)])
@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 4, 4), (2, 3, 5)])
def test_equals_upsampling_then_convolving(in_channels, out_channels, shape):
    torch.manual_seed(1)
    layer = UpsampleConv3d(in_channels, out_channels).double()
    x = torch.randn(2, in_channels, *shape, dtype=torch.float64, requires_grad=True)
    expected = F.conv3d(F.interpolate(x, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, **ROUNDING)
    probe = torch.randn_like(expected)
    arguments = (x, layer.weight, layer.bias)
    for got, wanted in zip(
        torch.autograd.grad((layer(x) * probe).sum(), arguments),
        torch.autograd.grad((expected * probe).sum(), arguments),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, **ROUNDING)


def test_fold_by_hand_in_one_corner():
    weight = torch.zeros(1, 1, 3, 3, 3)
    weight[0, 0, 0, 1, 2] = 7.0  # tap (0, 1, 2): one step back, in place, one step ahead
    folded = fold_kernel(weight)[0, 0]
    # w0 goes to rows 2 and 3, w1 to rows 1 and 2, w2 to rows 0 and 1
    expected = torch.zeros(4, 4, 4)
    expected[2:4, 1:3, 0:2] = 7.0
    torch.testing.assert_close(folded, expected)
