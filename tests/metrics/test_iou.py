"""Eq. 17 by hand, its averages, and properties over random grids."""

import numpy as np
import pytest

from compress3d import metrics


def grids(shape, seed):
    rng = np.random.default_rng(seed)
    return rng.random(shape), rng.random(shape) > 0.7


@pytest.mark.parametrize("size", [2, 5, 16])
@pytest.mark.parametrize("threshold", [0.2, 0.4, 0.9])
def test_iou_equals_counting_voxel_by_voxel(size, threshold):
    p, truth = grids((3, size, size, size), size)
    expected = []
    for n in range(3):
        predicted = {at for at in np.ndindex(size, size, size) if p[n][at] > threshold}
        real = {at for at in np.ndindex(size, size, size) if truth[n][at]}
        expected.append(len(predicted & real) / len(predicted | real))
    np.testing.assert_allclose(metrics.iou(p, truth, threshold), expected)


def test_the_threshold_itself_does_not_count_as_occupied():
    p = np.full((1, 2, 2, 2), 0.4)
    assert metrics.iou(p, np.ones((1, 2, 2, 2), bool))[0] == 0


@pytest.mark.parametrize("size", [2, 8])
def test_perfect_empty_and_disjoint(size):
    truth = np.zeros((1, size, size, size), bool)
    assert metrics.iou(np.zeros(truth.shape), truth)[0] == 1  # nothing there, nothing claimed
    truth[0, 0] = True
    assert metrics.iou(truth.astype(float), truth)[0] == 1
    assert metrics.iou(1 - truth.astype(float), truth)[0] == 0


def test_pooling_by_hand():
    intersection, union = np.array([1, 0, 3, 9]), np.array([2, 10, 4, 9])
    # (1 + 0) / (2 + 10) and (3 + 9) / (4 + 9); a fifth object would be left out
    assert metrics.pooled_iou(intersection, union, pool=2) == pytest.approx((1 / 12 + 12 / 13) / 2)
    assert metrics.pooled_iou(np.append(intersection, 5), np.append(union, 5), pool=2) == pytest.approx(
        (1 / 12 + 12 / 13) / 2
    )


def test_summary_averages_by_hand():
    truth = np.zeros((3, 2, 2, 2), bool)
    truth[:, 0] = True  # four voxels each
    p = np.zeros(truth.shape)
    p[0, 0], p[1, 0, 0], p[2, 1] = 1, 1, 1  # all, half, none
    s = metrics.summary(p, truth, ["a", "a", "b"])
    assert s["iou"] == [1, 0.5, 0]
    assert s["miou"] == pytest.approx(0.5)
    assert s["miou_category"] == pytest.approx((0.75 + 0) / 2)
    assert s["by_category"] == {"a": 0.75, "b": 0.0}
    assert s["miou_std"] == pytest.approx(np.std([1, 0.5, 0]))


def test_negative_log_likelihood_by_hand():
    truth = np.array([[[[True, False]]]])
    got = metrics.negative_log_likelihood(np.array([[[[0.8, 0.1]]]]), truth)
    assert got[0] == pytest.approx(-(np.log(0.8) + np.log(0.9)) / 2)
