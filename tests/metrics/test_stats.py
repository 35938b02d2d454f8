"""Intervals, the sign-flip test and what a difference shows: plain references, hand-worked values, coverage."""

from itertools import product

import numpy as np
import pytest

from compress3d import metrics
from compress3d.metrics import Difference


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


@pytest.mark.parametrize("n", [30, 200])
def test_ratio_interval_is_that_of_the_delta_method(n):
    rng = np.random.default_rng(n)
    second = rng.uniform(0.3, 0.9, n)
    first = 0.9 * second + rng.normal(0, 0.05, n)
    value, low, high = metrics.ratio_interval(first, second)
    assert value == pytest.approx(first.mean() / second.mean())
    error = (first - value * second).std() / np.sqrt(n) / second.mean()
    assert (low, high) == pytest.approx((value - 1.96 * error, value + 1.96 * error), abs=0.2 * error)


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_sign_flip_equals_writing_all_signs_down(n):
    values = np.random.default_rng(n).normal(0.3, 1, n)
    means = [abs(np.mean(values * signs)) for signs in product((1, -1), repeat=n)]
    expected = np.mean([m >= abs(values.mean()) - 1e-12 for m in means])
    assert metrics.sign_flip(values) == expected


def test_sampled_signs_come_near_to_all_of_them():
    values = np.random.default_rng(0).normal(0.4, 1, 17)
    signs = 1 - 2 * (np.arange(2**17)[:, None] >> np.arange(17) & 1)
    exact = np.mean(np.abs(signs @ values) >= abs(values.sum()))
    assert metrics.sign_flip(values) == pytest.approx(exact, abs=4 * np.sqrt(exact / metrics.stats.DRAWS))
    assert metrics.sign_flip(np.ones(100)) > 0


@pytest.mark.parametrize("n", [6, 9])
def test_few_equal_models_are_rarely_told_apart(n):
    """With a bootstrap over six objects, 14 % of equal models are told apart; the level is 5 %."""
    rng = np.random.default_rng(n)
    shown = [Difference.of(rng.normal(size=n), np.zeros(n)).sign != 0 for _ in range(400)]
    assert np.mean(shown) < 0.08


def test_few_objects_are_judged_by_signs_and_many_by_the_interval():
    rises = np.linspace(0.1, 0.2, 20)
    for n, p, sign in ((5, 2 / 32, 0), (6, 2 / 64, 1), (11, 2 / 2**11, 1), (12, None, 1)):
        d = Difference.of(rises[:n], np.zeros(n))
        assert (d.p, d.sign) == (p, sign) and d.low > 0


@pytest.mark.parametrize("lower", [False, True])
def test_the_better_one_by_hand(lower):
    labels = {"first": "a", "second": "b", "lower_is_better": lower}
    above, below, none = (Difference(m, m - 0.02, m + 0.02, **labels) for m in (0.03, -0.03, 0.01))
    assert (above.better, below.better, none.better) == (("b", "a", None) if lower else ("a", "b", None))
    assert above.verdict == f"{above.better} is better" and none.verdict == "no difference shown"
    assert str(none) == "+0.010 (-0.010 to +0.030)"


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
