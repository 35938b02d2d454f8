"""Two processes train one run as one process does: shares of minibatches, losses, weights, binarizer draws."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.distributed

from compress3d.engine.checkpoint import checkpoints, load_checkpoint
from compress3d.engine.distributed import ProcessGroup, ShardedBatches
from compress3d.engine.sources import batches
from compress3d.engine.train import train
from compress3d.errors import ConfigError
from compress3d.joint.experiments import DirectConfig, ImplicitConfig, SequentialConfig
from compress3d.layers.binarizer import binarize

MODELS = {"implicit": ImplicitConfig(384), "sequential": SequentialConfig(), "direct": DirectConfig()}

DRIVER = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
import torch
from compress3d.data.store import Store
from compress3d.errors import ConfigError
from compress3d.engine.experiment import DataSource, OptimConfig, ViewData
from compress3d.joint.experiments import DirectConfig, ImplicitConfig, SequentialConfig, experiment
from compress3d.engine.train import train

torch.set_num_threads(1)
store, folder, rank = Store.open(sys.argv[1]), Path(sys.argv[2]), int(os.environ["RANK"])
sources = [(store, store.select(split="train"))]
run = experiment(ImplicitConfig(384), "smoke", data=ViewData("smoke", (DataSource("boxes"),), views=(1, 3)),
                 optim=OptimConfig(steps=6, batch_size=4, learning_rate=3e-3, warmup=2, precision="float32"))
models = {"implicit": ImplicitConfig(384), "sequential": SequentialConfig(), "direct": DirectConfig()}
said = {}
for name, model in models.items():
    out = train(replace(run, model=model), folder / name, sources, device="cpu", num_workers=0, log_every=1)
    said[name] = {"history": out.history, "terms": out.terms, "step": out.step}
    torch.save(out.model.state_dict(), folder / f"{name}-{rank}.pt")
try:
    train(run.variant("", batch_size=3), folder / "uneven", sources, device="cpu", num_workers=0)
except ConfigError as error:
    said["uneven"] = str(error)
(folder / f"{rank}.json").write_text(json.dumps(said))
"""


@pytest.fixture(scope="module")
def two_processes(boxes, tmp_path_factory):
    """What two gloo processes on the CPU end with."""
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("this torch was built without gloo, the link between processes on a CPU")
    folder = tmp_path_factory.mktemp("distributed")
    script = folder / "driver.py"
    script.write_text(DRIVER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port),
            script, boxes.path, folder,
        ],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture
def four(run):
    return run.variant("", steps=6, batch_size=4)


@pytest.mark.parametrize("model", MODELS)
def test_two_processes_equal_one(two_processes, four, sources, tmp_path, model):
    """Every loss and weight, the binarizer drawing.

    The first losses come of equal weights, and only sums run in another order: float32 keeps 1e-5 of them, while a
    draw that differed would change the third digit. Then Adam divides by the size of gradients: a weight whose
    gradient is a rounding moves by a full step either way, so what follows agrees on the whole and not weight by
    weight. Rows that were lost, or gradients that were not averaged, turn all weights another way.
    """
    experiment = replace(four, model=MODELS[model])
    alone = train(experiment, tmp_path, sources, device="cpu", num_workers=0, log_every=1)
    told = [json.loads((two_processes / f"{rank}.json").read_text())[model] for rank in range(2)]
    assert told[0] == told[1]  # losses are of the whole minibatch on both
    assert told[0]["step"] == alone.step == 6

    assert told[0]["terms"].keys() == alone.terms.keys()
    pairs = [
        (told[0]["history"], alone.history),
        *((told[0]["terms"][name], alone.terms[name]) for name in alone.terms),
    ]
    for got, expected in pairs:
        assert [step for step, _ in got] == [step for step, _ in expected] == list(range(1, 7))
        assert got[0][1] == pytest.approx(expected[0][1], abs=1e-5)
        assert [loss for _, loss in got] == pytest.approx([loss for _, loss in expected], rel=3e-3)

    one = alone.model.state_dict()
    first, second = (torch.load(two_processes / f"{model}-{rank}.pt") for rank in range(2))
    torch.manual_seed(experiment.seed)
    fresh = experiment.build().state_dict()
    assert one.keys() == first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in one)
    moved = sum((one[name] - fresh[name]).abs().sum() for name in one)
    apart = sum((one[name] - first[name]).abs().sum() for name in one)
    assert moved > 0 and apart < 0.02 * moved, apart / moved


@pytest.mark.parametrize("model", MODELS)
def test_only_the_first_process_writes_and_one_process_can_go_on(two_processes, four, sources, model):
    files = checkpoints(two_processes / model)
    assert [int(path.name.split("-")[1]) for path in files] == [6]
    state = load_checkpoint(two_processes / model)
    weights = torch.load(two_processes / f"{model}-0.pt")
    assert all(torch.equal(state["model"][name], value) for name, value in weights.items())  # no "module." in the names
    resumed = train(
        replace(four, model=MODELS[model]), two_processes / model, sources, device="cpu", num_workers=0, log_every=1
    )
    assert resumed.step == 6
    assert all(torch.equal(resumed.model.state_dict()[name], value) for name, value in weights.items())


def test_uneven_minibatch_is_refused_by_both(two_processes):
    for rank in range(2):
        said = json.loads((two_processes / f"{rank}.json").read_text())
        assert "a minibatch of 3: cannot be shared by 2 processes" in said["uneven"]


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_shards_put_together_are_the_minibatch(four, sources, size):
    run = four.variant("", batch_size=6)
    whole = batches(run, sources)
    device = torch.device("cpu")
    shares = [batches(run, sources, ProcessGroup(rank, size, device)) for rank in range(size)]
    for step in range(3):
        assert all(len(share) == len(whole) for share in shares)
        rows = [share[step] for share in shares]
        for name, value in whole[step]._asdict().items():
            assert all(len(getattr(row, name)) == 6 // size for row in rows)
            assert torch.equal(torch.cat([getattr(row, name) for row in rows]), value)


@pytest.mark.parametrize("batch_size, size", [(3, 2), (4, 3), (1, 2), (16, 5)])
def test_share_refuses_what_does_not_divide(batch_size, size):
    with pytest.raises(ConfigError, match=f"minibatch of {batch_size}.*{size} processes"):
        ShardedBatches([], batch_size, ProcessGroup(0, size, torch.device("cpu")))


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("shape", [(4, 64), (8, 16, 2, 2), (4, 3, 5)])
def test_processes_together_draw_the_bits_of_one(shape, size):
    torch.manual_seed(0)
    x = torch.rand(shape) * 2 - 1
    whole = binarize(x, True, torch.Generator().manual_seed(7))
    shards = [
        binarize(rows, True, torch.Generator().manual_seed(7), shard=(rank, size))
        for rank, rows in enumerate(x.chunk(size))
    ]
    assert torch.equal(torch.cat(shards), whole)
    if size > 1:  # and not the same draws on each
        zeros = torch.zeros(shape[0] // size, *shape[1:])
        draws = [binarize(zeros, True, torch.Generator().manual_seed(7), shard=(rank, size)) for rank in range(size)]
        assert not torch.equal(draws[0], draws[1])
