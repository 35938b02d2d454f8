"""The benchmark measures what it says: the calls take turns, and a slower call has the larger figure."""

import time

import pytest

from benchmarks.run import alternate, bench_reconstruction


def test_calls_take_turns_and_medians_are_in_milliseconds():
    order = []

    def call(name, seconds):
        def run():
            order.append(name)
            time.sleep(seconds)

        return run

    times = alternate({"short": call("short", 0.001), "long": call("long", 0.02)}, repeats=3)
    assert order == ["short", "long"] * 4
    assert 20 <= times["long"] < 200
    assert times["short"] < times["long"]


def test_reconstruction_figures_are_ratios_of_the_same_run():
    found = bench_reconstruction("smoke", batch=1, views=2, repeats=1)
    times = found["milliseconds"]
    assert found["speedup"]["step bfloat16"] == pytest.approx(times["step plain"] / times["step bfloat16"])
    assert found["speedup"]["forward float32"] == pytest.approx(times["forward plain"] / times["forward float32"])
    assert set(found["speedup"]) == {f"{a} {b}" for a in ("step", "forward") for b in ("float32", "bfloat16")}
