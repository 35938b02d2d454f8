"""Eq. 17 by hand, its averages, and properties over random grids."""

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize("n", [40, 400])
def test_paired_interval_is_that_of_a_normal_mean(n):
    rng = np.random.default_rng(n)
    second = rng.random(n)
    first = second + rng.normal(0.03, 0.1, n)
    mean, low, high = metrics.paired_interval(first, second)
    error = (first - second).std() / np.sqrt(n)
    assert mean == pytest.approx((first - second).mean())
    assert low == pytest.approx(mean - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.15 * error)


def test_paired_interval_sees_through_differences_between_objects():
    objects = np.linspace(0, 1, 50)
    mean, low, high = metrics.paired_interval(objects + 0.01, objects)
    assert (mean, low, high) == pytest.approx((0.01, 0.01, 0.01))


def test_pictures_by_hand():
    """One object, one view, one pixel; what is shown of 0.6 - 0.2 / 255 is 153 / 255 = 0.6, of 1.4 it is 1."""
    images = torch.tensor([51, 102, 255], dtype=torch.uint8).view(1, 1, 3, 1, 1)  # 0.2, 0.4 and 1
    decoded = torch.tensor([[0.3, 0.4, 0.0], [0.2, 0.6 - 0.2 / 255, 1.4]]).view(1, 1, 2, 3, 1, 1)
    found = metrics.pictures(images, decoded)
    first, last = (0.1 + 0 + 1) / 3, (0 + 0.2 - 0.2 / 255 + 0.4) / 3
    assert found["compression_loss"] == pytest.approx((first + last) / 2, rel=1e-5)
    assert found["picture_loss"] == pytest.approx([(first + last) / 2], rel=1e-5)
    assert found["l1"] == pytest.approx(last, rel=1e-5)
    assert found["psnr"] == pytest.approx(-10 * np.log10(0.2**2 / 3), rel=1e-5)


@pytest.mark.parametrize("N, V, T, side", [(1, 1, 1, 2), (2, 3, 1, 4), (3, 2, 4, 5)])
def test_pictures_equals_a_loop_over_pictures(N, V, T, side):
    rng = np.random.default_rng(N)
    images = rng.integers(0, 256, (N, V, 3, side, side), dtype=np.uint8)
    decoded = images[:, :, None] / 255 + rng.normal(0, 0.2, (N, V, T, 3, side, side))
    found = metrics.pictures(torch.from_numpy(images), torch.from_numpy(decoded).float())
    loss, psnr, last = np.zeros(N), [], []
    for n, v in np.ndindex(N, V):
        x, y = images[n, v] / 255, decoded[n, v]
        loss[n] += sum(np.abs(x - y[t]).mean() for t in range(T)) / T / V
        last.append(np.abs(x - y[-1]).mean())
        mse = np.square(images[n, v] - np.clip(y[-1] * 255, 0, 255).round()).mean()
        psnr.append(10 * np.log10(255**2 / mse))
    np.testing.assert_allclose(found["picture_loss"], loss, rtol=1e-5)
    assert found["compression_loss"] == pytest.approx(loss.mean(), rel=1e-5)
    assert found["l1"] == pytest.approx(np.mean(last), rel=1e-5)
    assert found["psnr"] == pytest.approx(np.mean(psnr), rel=1e-4)


def test_exact_pictures_have_100_db():
    images = torch.arange(48, dtype=torch.uint8).view(1, 1, 3, 4, 4)
    found = metrics.pictures(images, (images / 255).unsqueeze(2))
    assert (found["compression_loss"], found["l1"]) == (0, 0)
    assert found["psnr"] == pytest.approx(100)


def test_bins_by_hand():
    """Sevenths: 1/7 = 0.1429 opens the second bin, 0.4285 lies just below 3/7, and 1 belongs to the last."""
    found = metrics.bins([0.0, 1 / 7, 0.14, 0.4285, 0.4286, 1.0, 0.86])
    assert [list(rows) for rows in found] == [[0, 2], [1], [3], [4], [], [], [5, 6]]


@pytest.mark.parametrize("count", [1, 2, 7, 10])
def test_bins_part_the_objects(count):
    iou = np.random.default_rng(count).random(500)
    found = metrics.bins(iou, count)
    assert len(found) == count
    assert sorted(np.concatenate(found)) == list(range(500))
    for n, rows in enumerate(found):
        assert ((iou[rows] >= n / count) & (iou[rows] < (n + 1) / count)).all()


def test_seven_even_bins_have_the_papers_deviation():
    iou = (np.arange(70_000) + 0.5) / 70_000
    assert [round(iou[rows].std(), 3) for rows in metrics.bins(iou)] == [0.041] * 7
