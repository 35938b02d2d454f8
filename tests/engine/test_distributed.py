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
from compress3d.engine.distributed import Share, Workers
from compress3d.engine.train import batches, train
from compress3d.errors import ConfigError
from compress3d.layers.binarizer import binarize

MODELS = {"implicit": 384, "sequential": None, "direct": None}

DRIVER = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
import torch
from compress3d.data.store import Store
from compress3d.errors import ConfigError
from compress3d.runs import Part, Run
from compress3d.engine.train import train

torch.set_num_threads(1)
store, folder, rank = Store.open(sys.argv[1]), Path(sys.argv[2]), int(os.environ["RANK"])
parts = [(store, store.select(split="train"))]
run = Run("implicit", 384, scale="smoke", steps=6, batch_size=4, learning_rate=3e-3, warmup=2, views=(1, 3),
          precision="float32", parts=(Part("boxes"),))
said = {}
for model, rate in json.loads(sys.argv[3]).items():
    out = train(replace(run, model=model, rate=rate), folder / model, parts, device="cpu", workers=0, log_every=1)
    said[model] = {"history": out.history, "terms": out.terms, "step": out.step}
    torch.save(out.model.state_dict(), folder / f"{model}-{rank}.pt")
try:
    train(replace(run, batch_size=3), folder / "uneven", parts, device="cpu", workers=0)
except ConfigError as error:
    said["uneven"] = str(error)
(folder / f"{rank}.json").write_text(json.dumps(said))
"""


@pytest.fixture(scope="module")
def together(boxes, tmp_path_factory):
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
            script, boxes.path, folder, json.dumps(MODELS),
        ],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture
def four(run):
    return replace(run, steps=6, batch_size=4)


@pytest.mark.parametrize("model", MODELS)
def test_two_processes_equal_one(together, four, parts, tmp_path, model):
    """Every loss and weight, the binarizer drawing. Gradients are summed in another order, so their last digits differ
    (1e-7 of their size), and Adam's division by their size hands that on; a draw that differed would change a bit of a
    code, and by it losses in the third digit."""
    alone = train(replace(four, model=model, rate=MODELS[model]), tmp_path, parts, device="cpu", workers=0, log_every=1)
    said = [json.loads((together / f"{rank}.json").read_text())[model] for rank in range(2)]
    assert said[0] == said[1]  # losses are of the whole minibatch on both
    assert said[0]["step"] == alone.step == 6

    def compare(got, expected):
        assert [step for step, _ in got] == [step for step, _ in expected] == list(range(1, 7))
        assert [loss for _, loss in got] == pytest.approx([loss for _, loss in expected], abs=1e-5)

    compare(said[0]["history"], alone.history)
    assert said[0]["terms"].keys() == alone.terms.keys()
    for name, entries in alone.terms.items():
        compare(said[0]["terms"][name], entries)

    one = alone.model.state_dict()
    first, second = (torch.load(together / f"{model}-{rank}.pt") for rank in range(2))
    start = replace(four, model=model, rate=MODELS[model])
    torch.manual_seed(start.seed)
    fresh = start.build().state_dict()
    assert one.keys() == first.keys() == second.keys()
    for name, value in one.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, atol=1e-4, rtol=0, msg=name)
    assert max((one[name] - fresh[name]).abs().max() for name in one) > 1e-3  # training moved the weights


@pytest.mark.parametrize("model", MODELS)
def test_only_the_first_process_writes_and_one_process_can_go_on(together, four, parts, model):
    files = checkpoints(together / model)
    assert [int(path.name.split("-")[1]) for path in files] == [6]
    state = load_checkpoint(together / model)
    weights = torch.load(together / f"{model}-0.pt")
    assert all(torch.equal(state["model"][name], value) for name, value in weights.items())  # no "module." in the names
    resumed = train(
        replace(four, model=model, rate=MODELS[model]), together / model, parts, device="cpu", workers=0, log_every=1
    )
    assert resumed.step == 6
    assert all(torch.equal(resumed.model.state_dict()[name], value) for name, value in weights.items())


def test_uneven_minibatch_is_refused_by_both(together):
    for rank in range(2):
        said = json.loads((together / f"{rank}.json").read_text())
        assert "a minibatch of 3: cannot be shared by 2 processes" in said["uneven"]


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_shares_put_together_are_the_minibatch(four, parts, size):
    run = replace(four, batch_size=6)
    whole = batches(run, parts)
    device = torch.device("cpu")
    shares = [batches(run, parts, Workers(rank, size, device)) for rank in range(size)]
    for step in range(3):
        assert all(len(share) == len(whole) for share in shares)
        rows = [share[step] for share in shares]
        for name, value in whole[step]._asdict().items():
            assert all(len(getattr(row, name)) == 6 // size for row in rows)
            assert torch.equal(torch.cat([getattr(row, name) for row in rows]), value)


@pytest.mark.parametrize("batch_size, size", [(3, 2), (4, 3), (1, 2), (16, 5)])
def test_share_refuses_what_does_not_divide(batch_size, size):
    with pytest.raises(ConfigError, match=f"minibatch of {batch_size}.*{size} processes"):
        Share([], batch_size, Workers(0, size, torch.device("cpu")))


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("shape", [(4, 64), (8, 16, 2, 2), (4, 3, 5)])
def test_processes_together_draw_the_bits_of_one(shape, size):
    torch.manual_seed(0)
    x = torch.rand(shape) * 2 - 1
    whole = binarize(x, True, torch.Generator().manual_seed(7))
    shares = [
        binarize(rows, True, torch.Generator().manual_seed(7), share=(rank, size))
        for rank, rows in enumerate(x.chunk(size))
    ]
    assert torch.equal(torch.cat(shares), whole)
    if size > 1:  # and not the same draws on each
        zeros = torch.zeros(shape[0] // size, *shape[1:])
        draws = [binarize(zeros, True, torch.Generator().manual_seed(7), share=(rank, size)) for rank in range(size)]
        assert not torch.equal(draws[0], draws[1])
