"""The benchmark times what it says, each row against its own reference, and leaves out what the machine has not."""

import json

import pytest
import torch

from benchmarks import run
from benchmarks.jpeg2000 import bench_jpeg2000
from benchmarks.loader import bench_loader
from benchmarks.nerf import bench_nerf
from compress3d.errors import CodecError
from compress3d.joint import timing


@pytest.fixture
def clock(monkeypatch):
    """A clock that the timed calls set forward: `clock.tick(seconds)`."""

    class Clock:
        now = 0.0

        def tick(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_calls_take_turns_and_medians_are_in_milliseconds(clock):
    order, spent = [], iter([9, 9, 0.001, 0.02, 0.002, 0.5, 0.003, 0.03])  # the first round warms up

    def call(name):
        order.append(name)
        clock.tick(next(spent))

    times = timing.alternate({name: lambda name=name: call(name) for name in ("short", "long")}, repeats=3)
    assert order == ["short", "long"] * 4
    assert times == pytest.approx({"short": 2, "long": 30})


def test_each_row_is_held_against_the_reference_that_does_the_same(clock):
    references = {"step": lambda: clock.tick(8), "forward": lambda: clock.tick(3)}
    ours = {("step", "float32"): lambda: clock.tick(4), ("forward", "float32"): lambda: clock.tick(1)}
    ours[("forward", "bfloat16")] = lambda: clock.tick(0.5)
    rows = run.compare("net", references, ours, repeats=1)
    assert [row.name for row in rows] == ["net, step, float32", "net, forward, float32", "net, forward, bfloat16"]
    assert [row.ratio for row in rows] == pytest.approx([2, 3, 6])


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_is_timed_only_where_it_is_native(native, monkeypatch):
    monkeypatch.setattr(run, "native_bfloat16", lambda device: native)
    assert run.precisions() == ([torch.float32, torch.bfloat16] if native else [torch.float32])
    # the calls that would be timed; bfloat16 itself would take minutes where it is emulated
    monkeypatch.setattr(run, "compare", lambda label, references, ours, repeats: (list(references), list(ours)))
    for part in (run.bench_reconstruction, run.bench_compression):
        references, ours = part("smoke")
        assert {how for _, how in ours} == ({"float32", "bfloat16"} if native else {"float32"})
        assert {what for what, _ in ours} == set(references)


def test_networks_against_their_references(monkeypatch):
    monkeypatch.setattr(run, "native_bfloat16", lambda device: False)
    rows = run.bench_reconstruction("smoke", batch=1, views=2, repeats=1) + run.bench_compression("smoke", repeats=1)
    assert [row.name for row in rows] == [
        "3D-LSTM-3, smoke, training step, float32",
        "3D-LSTM-3, smoke, forward, float32",
        "N_original, smoke, forward, float32",
        "N_original, smoke, forward and backward, float32",
    ]
    assert all(row.reference_ms > 0 and row.ours_ms > 0 for row in rows)


def test_loader_and_jpeg2000(store):
    assert all(value > 0 for value in bench_loader(store, seconds=0.1))
    rows = bench_jpeg2000(sizes=(32,), pictures=2)
    assert len(rows) == 5 and all(reference > 0 and ours > 0 for _, reference, ours in rows)


def test_nerf_in_both_ways():
    rows = bench_nerf(rays=3, repeats=1, sizes=((2, 8),))
    assert [name for name, _, _ in rows] == ["NeRF 2 x 8, rendering", "NeRF 2 x 8, training step"]
    assert all(reference > 0 and ours > 0 for _, reference, ours in rows)


def test_what_the_machine_has_not_is_named_and_the_table_printed(monkeypatch, tmp_path, capsys):
    def missing(quick):
        raise CodecError("OpenJPEG", "is not found", "install it")

    monkeypatch.setattr(run, "native_bfloat16", lambda device: False)
    monkeypatch.setattr(run, "bench_reconstruction", lambda *_, **__: [run.Row("network", 30.0, 10.0)])
    monkeypatch.setattr(run, "bench_compression", lambda *_, **__: [run.Row("a longer name", 5.0, 10.0)])
    monkeypatch.setattr(run, "loader_rows", lambda quick: [])
    monkeypatch.setattr(run, "jpeg2000_rows", missing)
    monkeypatch.setattr(run, "nerf_rows", lambda quick: [])
    run.bench(quick=True, out=tmp_path / "bench.json")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["reference", "ms", "ours", "ms", "ratio"]
    assert lines[1].split() == ["network", "30.00", "10.00", "3.00"] and len(set(map(len, lines[:4]))) == 1
    assert lines[3].split() == ["a", "longer", "name", "5.00", "10.00", "0.50"]
    assert lines[4].startswith("skipped: bfloat16:") and lines[5].startswith("skipped: JPEG 2000: OpenJPEG: is not")
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["rows"][2] == {"name": "a longer name", "reference_ms": 5.0, "ours_ms": 10.0, "ratio": 0.5}
    assert set(found["skipped"]) == {"bfloat16", "JPEG 2000"}
