"""Resuming, determinism, damaged checkpoints, and losses that are not finite."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from compress3d.engine.checkpoint import checkpoints
from compress3d.engine.distributed import ProcessGroup
from compress3d.engine.experiment import OptimConfig
from compress3d.engine.sources import batches
from compress3d.engine.train import Trainer, train
from compress3d.errors import CheckpointError, ConfigError, TrainingError
from compress3d.joint.experiments import ImplicitConfig
from compress3d.r2n2.experiments import R2N2Config


def weights(trained):
    return {name: value.clone() for name, value in trained.model.state_dict().items()}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def uninterrupted(run, sources, tmp_path):
    return train(run, tmp_path / "uninterrupted", sources, num_workers=0, log_every=2)


def stop_after(run, sources, folder, step):
    """Train to `step` and stop as a kill would leave it: with the checkpoint of an earlier step."""
    trainer = Trainer(run, folder, ProcessGroup.init("cpu"))
    trainer.start()
    data = batches(run, sources)
    while trainer.step < step:
        batch = data[trainer.step]
        trainer.record(trainer.advance(batch), 2)
        if trainer.step == step - 1:
            trainer.save()


def test_same_seed_same_weights_other_seed_other_weights(run, sources, uninterrupted, tmp_path):
    again = train(run, tmp_path / "again", sources, num_workers=1, log_every=2)  # a loading process changes nothing
    assert_equal(weights(uninterrupted), weights(again))
    other = train(replace(run, seed=1), tmp_path / "other", sources, num_workers=0)
    assert not torch.equal(other.model.lstm.input_map.weight, again.model.lstm.input_map.weight)


@pytest.mark.parametrize("stops", [(2,), (3, 6), (2, 3, 4, 5)])
@pytest.mark.parametrize("model", [ImplicitConfig(384), R2N2Config()], ids=lambda model: model.name)
def test_resumed_run_equals_an_uninterrupted_one(run, sources, tmp_path, stops, model):
    run = replace(run, model=model)
    whole = train(run, tmp_path / "whole", sources, num_workers=0, log_every=2)
    for stop in stops:
        stop_after(run, sources, tmp_path / "stopped", stop)
    resumed = train(run, tmp_path / "stopped", sources, num_workers=0, log_every=2)
    assert_equal(weights(whole), weights(resumed))
    assert resumed.history == whole.history
    assert resumed.step == run.optim.steps


KILLED = """
import sys, dataclasses
import torch
import compress3d.engine.train as t
from compress3d.data.store import Store
from compress3d.engine.experiment import DataSource, OptimConfig, ViewData
from compress3d.joint.experiments import ImplicitConfig, experiment
torch.set_num_threads(1)
t.CHECKPOINT_SECONDS = 0  # a checkpoint after every step: the kill may hit the writing itself
store = Store.open(sys.argv[1])
run = experiment(ImplicitConfig(384), "smoke", data=ViewData("smoke", (DataSource("boxes"),), views=(1, 3)),
                 optim=OptimConfig(steps=60, batch_size=3, learning_rate=3e-3, warmup=2, precision="float32"))
out = t.train(run, t.Path(sys.argv[2]), [(store, store.select(split="train"))], num_workers=0)
torch.save(out.model.state_dict(), sys.argv[3])
"""


def test_killed_with_sigkill_ends_with_the_same_weights(boxes, tmp_path):
    def start(folder):
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, boxes.path, tmp_path / folder, tmp_path / f"{folder}.pt"]
        )

    assert start("whole").wait() == 0
    killed = 0
    for _ in range(20):
        process = start("killed")
        first = {p.name for p in checkpoints(tmp_path / "killed")}
        while process.poll() is None:
            if killed < 2 and {p.name for p in checkpoints(tmp_path / "killed")} - first:
                process.kill()  # SIGKILL, right after or while a checkpoint is written
                process.wait()
                killed += 1
                break
            time.sleep(0.01)
        if process.returncode == 0:
            break
    assert killed == 2
    assert_equal(torch.load(tmp_path / "whole.pt"), torch.load(tmp_path / "killed.pt"))


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped byte"])
def test_damaged_checkpoint_is_noticed_and_the_one_before_it_used(
    run, sources, uninterrupted, tmp_path, capsys, damage
):
    folder = tmp_path / "damaged"
    stop_after(run, sources, folder, 3)
    stop_after(run, sources, folder, 6)
    older, newer = checkpoints(folder)
    data = newer.read_bytes()
    middle = len(data) // 2
    newer.write_bytes(
        {
            "truncated": data[:middle],
            "empty": b"",
            "flipped byte": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        }[damage]
    )
    resumed = train(run, folder, sources, num_workers=0, log_every=2)
    assert newer.name in capsys.readouterr().err
    assert_equal(weights(uninterrupted), weights(resumed))
    for path in checkpoints(folder):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="every checkpoint is damaged"):
        train(run, folder, sources, num_workers=0)


def test_checkpoint_of_other_settings_is_refused(run, sources, tmp_path):
    stop_after(run, sources, tmp_path, 3)
    with pytest.raises(CheckpointError, match="other settings"):
        train(run.variant("", learning_rate=1e-4), tmp_path, sources, num_workers=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(run, sources, tmp_path, bad):
    stop_after(run, sources, tmp_path, 3)
    before = [p.name for p in checkpoints(tmp_path)]
    trainer = Trainer(run, tmp_path, ProcessGroup.init("cpu"))
    trainer.start()
    with torch.no_grad():
        trainer.model.decoder.classify.bias.fill_(bad)
    batch = batches(run, sources)[trainer.step]
    with pytest.raises(TrainingError, match="step 2"):
        trainer.advance(batch)
    assert [p.name for p in checkpoints(tmp_path)] == before


def test_time_box_stops_in_good_order(run, sources, uninterrupted, tmp_path):
    first = train(run, tmp_path / "boxed", sources, num_workers=0, max_minutes=1e-9, log_every=2)
    assert first.step == 1
    for _ in range(run.optim.steps):
        last = train(run, tmp_path / "boxed", sources, num_workers=0, max_minutes=1e-9, log_every=2)
    assert last.step == run.optim.steps
    assert_equal(weights(uninterrupted), weights(last))
    with pytest.raises(ConfigError, match="leaves no time"):
        train(run, tmp_path / "none", sources, num_workers=0, max_minutes=0)


def test_loss_falls(run, sources, tmp_path):
    trained = train(run.variant("", steps=60), tmp_path, sources, num_workers=0, log_every=10)
    losses = [value for _, value in trained.history]
    assert losses[-1] < 0.75 * losses[0]


def test_schedule_by_hand():
    assert [OptimConfig(steps=10).factor(s, warmup=2) for s in (0, 1, 2)] == [0.5, 1.0, 1.0]
    assert OptimConfig(steps=10).factor(6, warmup=2) == pytest.approx(0.5)  # half of the cosine
    assert OptimConfig(steps=10).factor(10, warmup=2) == pytest.approx(0.0)


def test_learning_rate_by_steps():
    assert [OptimConfig(steps=60, milestones=(20, 40)).factor(s, 1) for s in (0, 19, 20, 39, 40, 59)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_l2_pulls_on_weights_and_not_on_biases(run, tmp_path):
    """The gradient that Adam sees is that of the loss plus weight_decay times the weight: its groups say so."""
    trainer = Trainer(run.variant("", weight_decay=0.5), tmp_path, ProcessGroup.init("cpu"))
    decays = {id(p): g["weight_decay"] for g in trainer.optimizers[""].param_groups for p in g["params"]}
    named = dict(trainer.model.named_parameters())
    assert decays.keys() == {id(p) for p in named.values()}
    assert {name for name, p in named.items() if decays[id(p)] == 0.5} == {n for n in named if n.endswith("weight")}
