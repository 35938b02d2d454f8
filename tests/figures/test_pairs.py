"""Pairs, seeds and missing runs: hand-worked values."""

import pytest

from compress3d.errors import DataError
from compress3d.figures import pairs

N = 12  # objects from which on an interval decides


def result(points, objects=range(N), model="implicit"):
    return {
        "experiment": {"model": {"name": model}, "scale": "demo"},
        "test": {"objects": list(objects)},
        "points": points,
    }


def point(rate, values, accounting="bits", key="iou"):
    return {"rate": rate, "true_rate": rate, "accounting": accounting, key: values * (N // 2)}


@pytest.fixture
def found():
    return {
        "implicit": result([point(384, [0.5, 0.7]), point(48, [0.4, 0.8])]),
        "JPEG 2000": result([point(384.0, [0.4, 0.6], "payload"), point(384.0, [0, 0], "file")]),
        "uncompressed": result([point(12.0, [0.5, 0.75], "floats")]),
        "N_small": result([{"rate": 384, "accounting": "bits", "image_loss": [0.1, 0.2]}]),
    }


def test_rates_are_shared_by_label(found):
    rates = pairs.at_rates(found, everywhere=["uncompressed"])
    assert list(rates) == [48, 384]
    assert set(rates[384]) == {"implicit", "JPEG 2000", "uncompressed"}
    assert set(rates[48]) == {"implicit", "uncompressed"}
    assert rates[384]["JPEG 2000"]["accounting"] == "payload"


def test_differences_by_hand(found):
    del found["uncompressed"]
    (d,) = pairs.differences(found)  # 384:1 alone is shared: 0.1 on all objects, so no spread
    assert (d.rate, d.first, d.second) == (384, "implicit", "JPEG 2000")
    assert (d.mean, d.low, d.high) == pytest.approx((0.1, 0.1, 0.1))
    table = pairs.difference_table([d])
    assert table.rows == [["384:1", "implicit minus JPEG 2000", "+0.100", "+0.100 to +0.100", "implicit is better"]]


def test_rows_choose_objects(found):
    (d,) = [d for d in pairs.differences(found, everywhere=["uncompressed"]) if d.rate == 48]
    assert d.mean == pytest.approx(-0.025) and d.better is None  # -0.1 and +0.05 in turn
    (d,) = [d for d in pairs.differences(found, rows=range(0, N, 2), everywhere=["uncompressed"]) if d.rate == 48]
    assert d.mean == pytest.approx(-0.1) and d.better == "uncompressed"


def test_a_lower_loss_is_better():
    found = {
        "a": result([point(48, [0.1, 0.2], key="image_loss")]),
        "b": result([point(48, [0.2, 0.3], key="image_loss")]),
    }
    (d,) = pairs.differences(found, "image_loss")
    assert d.mean == pytest.approx(-0.1) and d.better == "a"


def test_differences_need_the_same_objects(found):
    with pytest.raises(DataError, match="different objects"):
        pairs.differences({**found, "direct": result([], objects=("a", "c"))})
    with pytest.raises(DataError, match="name no object"):
        pairs.differences(found, rows=[])


def test_runs_without_results_name_their_command(found):
    complete = {**found["implicit"], "provenance": {"device": "cpu", "minutes": 2.0, "versions": {"torch": "2"}}}
    complete["test"]["store"] = "cad-test"
    table = pairs.origins(["demo/small-s0", "demo/x"], {"demo/x": complete})
    assert table.rows[0][:2] == ["demo/small-s0", "not run yet: compress3d train demo/small-s0"]
    assert table.rows[1][:3] == ["demo/x", "cpu", "2"]
    assert len(pairs.origins(["demo/small-s0"], {}).rows) == 1
