"""Sparse products: the same numbers as dense ones. Nothing is timed here."""

import numpy as np
import pytest
import torch
from scipy import sparse as scipy_sparse

from compress3d.errors import ConfigError
from compress3d.nerf.mlp import Linear
from compress3d.nerf.prune import prune
from compress3d.nerf.sparse import RATIOS, Speed, products, sparse_speed


@pytest.mark.parametrize("ratio", [0, 0.5, 0.9, 1])
@pytest.mark.parametrize("shape", [(5, 7), (64, 64), (1, 128)])
def test_both_products_are_the_layer(shape, ratio):
    torch.manual_seed(0)
    layer = Linear(shape[1], shape[0])
    prune(layer, ratio)
    x = torch.rand(shape[1], 33)
    weight = layer.acting_weight.detach()
    expected = scipy_sparse.csr_array(weight.numpy().astype(np.float64)) @ x.numpy().astype(np.float64)
    for product in products(weight):
        np.testing.assert_allclose(product(x), expected, atol=shape[1] * 1e-6)


def test_a_row_for_each_width_and_ratio():
    rows = sparse_speed(widths=(8, 16), points=4, repeats=2)
    assert [(row.width, row.ratio) for row in rows] == [(width, ratio) for width in (8, 16) for ratio in RATIOS]
    assert all(row.dense_ms > 0 and row.sparse_ms > 0 for row in rows)


def test_the_factor_is_above_one_where_sparse_is_faster():
    assert Speed(128, 0.9, dense_ms=3.0, sparse_ms=1.5).factor == 2


@pytest.mark.parametrize("wrong", [{"ratios": (1.5,)}, {"widths": (0,)}, {"points": 0}, {"repeats": 0}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigError):
        sparse_speed(**{"ratios": (0.5,), "widths": (8,), "points": 4, "repeats": 1} | wrong)
