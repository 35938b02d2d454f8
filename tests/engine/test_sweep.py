"""Sweeps: what a run still needs, kills at any moment, runs that fail, no process left behind.

The sweep here is that of the real smoke scale: its store, its 150 steps, the shipped test set.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch import nn
from typer.testing import CliRunner

from compress3d import paths, results
from compress3d.cli import app
from compress3d.data.build import smoke_store
from compress3d.engine.checkpoint import checkpoints, run_lock
from compress3d.engine.experiment import experiments, get_experiment, on_data
from compress3d.engine.sweep import reached, state, sweep
from compress3d.engine.weights import save_weights, weights_path
from compress3d.errors import CheckpointError, ConfigError, DataError

SMALL, DIRECT = "smoke/small-s0", "smoke/direct-s0"
SHIPPED = paths.root() / "data"


def home(folder: Path, cache: Path) -> dict[str, str]:
    """Environment of a repository of its own, with the data that ships."""
    (folder / "root").mkdir(parents=True)
    (folder / "root" / "data").symlink_to(SHIPPED)
    return {
        "COMPRESS3D_ROOT": str(folder / "root"),
        "COMPRESS3D_RUNS": str(folder / "runs"),
        "COMPRESS3D_CACHE": str(cache),
        "COMPRESS3D_CHECKPOINT_SECONDS": "0.1",
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPRESS3D_CACHE", str(folder))
        smoke_store()
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch, cache):
    """This process in an empty repository."""
    for name, value in home(tmp_path, cache).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def start(environment, only):
    """A sweep as people start it, in this test's process group; two jobs, so that each run has half of the cores."""
    return subprocess.Popen(
        [sys.executable, "-m", "compress3d.cli", "sweep", "--scale", "smoke", "--only", only, "--jobs", "2"],
        env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def descendants(pid):
    """Processes that `pid` started, and those that they started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # it has ended
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def alive(pid):
    """Whether a process still runs; one that nobody has buried yet (Z) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


LONG = 1200  # seconds; ends what will never come: beside 8 busy processes a sweep of two runs takes 300


def until(condition, process=None):
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def without_times(value):
    """`value` without every entry named minutes or evaluation_minutes: what repeated runs have in common."""
    if isinstance(value, dict):
        return {key: without_times(v) for key, v in value.items() if not key.endswith("minutes")}
    return [without_times(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def uninterrupted(cache, tmp_path_factory):
    """A sweep over two runs of which the first cannot go on: its only checkpoint is damaged."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    environment = home(folder, cache)
    damaged = folder / "runs" / DIRECT / "step-00000010-0123456789abcdef.pt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no checkpoint")
    process = start(environment, "[ds][im]*")  # direct and small
    said, errors = process.communicate(timeout=LONG)
    return folder, process.returncode, said, errors


def test_failing_run_is_reported_and_the_others_go_on(uninterrupted):
    folder, status, said, errors = uninterrupted
    assert status == 1, errors
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert lines[DIRECT].split()[1] == "failed" and "every checkpoint is damaged" in lines[DIRECT]
    assert "What to do: remove the folder" in lines[DIRECT]
    assert lines[SMALL].split()[1] == "done"
    assert said.splitlines()[-1] == "1 of 2 runs finished"
    made = [path.relative_to(folder / "root") for path in (folder / "root").rglob("*") if path.is_file()]
    made = {str(path) for path in made if path.parts[0] != "data"}
    assert made == {
        f"results/{SMALL}.json",
        f"weights/{SMALL}.safetensors",
    }  # both ignored by git: its tree stays clean


def test_sweep_killed_twice_ends_with_the_same_results_and_leaves_no_process(
    uninterrupted, cache, tmp_path, monkeypatch
):
    environment = home(tmp_path, cache)
    folder = tmp_path / "runs" / SMALL
    shipped = tmp_path / "root" / "weights" / f"{SMALL}.safetensors"

    def step():
        files = checkpoints(folder) if folder.is_dir() else []
        return int(files[-1].name.split("-")[1]) if files else 0

    kills = []
    for moment in (lambda: step() >= 20, shipped.is_file):  # in the midst of training, and of evaluation
        process = start(environment, "small*")
        until(moment, process)
        family = descendants(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills.append((step(), len(family)))
        # Loading processes look every five seconds whether the process that they load for is still there.
        until(lambda family=family: not any(map(alive, family)))
    assert 20 <= kills[0][0] < 150 == kills[1][0], kills
    assert kills[0][1] >= 2 and kills[1][1] >= 1, kills  # a run and its loading process were there to be left behind
    results_file = tmp_path / "root" / "results" / f"{SMALL}.json"
    assert not results_file.is_file()

    process = start(environment, "small*")
    said, errors = process.communicate(timeout=LONG)
    assert process.returncode == 0, errors
    assert said.splitlines()[-1] == "1 of 1 runs finished"
    assert f"{SMALL}: evaluate" in errors and f"{SMALL}: train" not in errors
    whole = uninterrupted[0] / "root" / "results" / f"{SMALL}.json"
    once, twice = (json.loads(path.read_text()) for path in (whole, results_file))
    assert without_times(once) == without_times(twice)
    assert [point["setting"]["iterations"] for point in once["points"]] == [1, 2, 3, 4, 6, 8]
    assert len(once["test"]["objects"]) == len(once["points"][0]["metrics"]["image_loss"]) > 50

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert state(get_experiment(SMALL)) == "done" and sweep("smoke", only="small*") == []  # nothing is left to do


def save_results(run):
    results.save(run.id, {"experiment": run.describe(), "points": [], "provenance": {"minutes": 2.5, "device": "cpu"}})


@pytest.mark.parametrize("run_id", ["smoke/small-s0", "smoke/implicit-r384-s0", "demo/direct-r6-1200-s0"])
def test_state_goes_from_train_to_evaluate_to_done(here, run_id):
    run = get_experiment(run_id)
    assert state(run) == "train"
    settings = results.rounded(run.describe())
    for said, expected in (
        ({"experiment": settings}, "evaluate"),
        ({"experiment": {**settings, "seed": 7}}, "train"),
        ({}, "evaluate"),
    ):
        save_weights(nn.Linear(2, 2), weights_path(run), said)
        assert state(run) == expected
    save_results(run)
    assert state(run) == "done"
    results.path_of(run_id).write_text("{")  # damaged
    assert state(run) == "evaluate"
    weights_path(run).write_bytes(b"")  # damaged as well
    assert state(run) == "train"


def test_every_run_of_the_table_is_done_by_results_with_its_settings(here, monkeypatch):
    monkeypatch.setattr(results, "save_manifest", lambda: None)  # of 100 files, 100 times
    for run in experiments():
        save_results(run)
        assert state(run) == "done", run.id


def leaves(described, path=()):
    """Every setting of a description, as the way to it."""
    for name, value in described.items():
        yield from leaves(value, (*path, name)) if isinstance(value, dict) else [(*path, name)]


@pytest.mark.parametrize("way", leaves(get_experiment(SMALL).describe()), ids=".".join)
def test_results_and_weights_of_other_settings_do_not_count(here, way):
    run = get_experiment(SMALL)
    changed = json.loads(json.dumps(results.rounded(run.describe())))
    part = changed
    for name in way[:-1]:
        part = part[name]
    part[way[-1]] = ["another"]
    results.save(run.id, {"experiment": changed, "points": [], "provenance": {"minutes": 2.5, "device": "cpu"}})
    assert state(run) == "train"
    save_weights(nn.Linear(2, 2), weights_path(run), {"experiment": changed})
    assert state(run) == "train"


def test_dry_run_says_what_every_run_needs(here):
    (here / "runs" / SMALL).mkdir(parents=True)
    (here / "runs" / SMALL / "step-00000042-0123456789abcdef.pt").write_bytes(b"")
    save_weights(nn.Linear(2, 2), weights_path(get_experiment(DIRECT)), {})
    save_results(get_experiment("smoke/implicit-r384-s0"))
    said = CliRunner().invoke(app, ["sweep", "--scale", "smoke", "--dry-run"])
    assert said.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in said.output.splitlines()}
    assert list(rows) == [run.id for run in experiments() if run.scale == "smoke"]
    assert rows[SMALL] == "train step 42 of 150".split()
    assert rows[DIRECT] == "evaluate step 0 of 150".split()
    assert rows["smoke/implicit-r384-s0"] == "done step 0 of 150 2.5 min on cpu".split()
    assert rows["smoke/uncompressed-s0"] == "train step 0 of 150".split()
    assert reached(get_experiment(SMALL)) == 42
    assert not (here / "runs" / DIRECT).exists()  # nothing was started


def test_no_time_left_starts_nothing(here):
    outcomes = sweep("smoke", max_minutes=0, only="[ds][im]*")
    assert [(run.run_id, run.ended) for run in outcomes] == [(DIRECT, "out of time"), (SMALL, "out of time")]
    assert not (here / "runs").exists()


@pytest.mark.parametrize("scale_name, only", [("smoke", "nothing*"), ("demo", "smoke*"), ("huge", "*")])
def test_unknown_scale_and_pattern_without_runs_are_refused(scale_name, only):
    with pytest.raises(ConfigError, match="huge" if scale_name == "huge" else "matches no experiment"):
        experiments(scale_name, only)


@pytest.mark.parametrize("only", ["*", "implicit*", "*-s0", "small-s0"])
@pytest.mark.parametrize("scale_name", ["smoke", "demo", "paper"])
def test_chosen_runs_keep_the_order_of_worth(scale_name, only):
    everything = [run.id for run in experiments()]
    found = [run.id for run in experiments(scale_name, only)]
    assert found == [name for name in everything if name in found] and len(set(found)) == len(found)
    if only == "*":
        assert found == [name for name in everything if name.startswith(f"{scale_name}/")]
    assert all(name.startswith(f"{scale_name}/{only.rstrip('*')}") or only.startswith("*") for name in found)


@pytest.mark.parametrize("data", ["shapenet", "shapenet-ids"])
def test_missing_store_ends_a_sweep_with_the_command_that_builds_it(here, data):
    with pytest.raises(DataError, match=f"{data}: holds no.*data build shapenet --split .* --source FOLDER"):
        sweep("smoke", only="small*", data=data)
    assert not (here / "runs").exists()
    assert state(on_data(get_experiment(SMALL), data)) == "train"


def test_folder_is_held_until_its_process_ends_however_it_ends(tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, time; from pathlib import Path; from compress3d.engine.checkpoint import run_lock\n"
            "with run_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)",
            tmp_path / "run",
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(CheckpointError, match="another process"), run_lock(tmp_path / "run"):
        raise AssertionError("two processes hold the folder")
    with run_lock(tmp_path / "other"):  # the folders of other runs are free
        pass
    holder.kill()
    holder.wait()
    with run_lock(tmp_path / "run"):
        pass
    with run_lock(tmp_path / "run"):  # and it was given back
        pass


def test_flat_records_of_older_weights_count_while_their_settings_are_todays(here):
    """The shipped weights were written before experiments were nested, the first seven of them without a record."""
    run = get_experiment("demo/direct-r6-1200-s0")
    old = {"id": run.id, "model": "direct", "rate": 6, "steps": 1200, "batch_size": 16, "binary": False, "seed": 0}
    for record, expected in ((old, "evaluate"), ({**old, "steps": 600}, "train"), ({**old, "binary": True}, "train")):
        save_weights(nn.Linear(2, 2), weights_path(run), {"run": record})
        assert state(run) == expected


@pytest.mark.parametrize("run", [run for run in experiments("demo") if weights_path(run).is_file()], ids=lambda r: r.id)
def test_shipped_weights_and_results_belong_to_todays_experiments(run, monkeypatch):
    assert state(run) == "done"
    monkeypatch.setattr(results, "load", lambda *_: {"experiment": None})
    assert state(run) == "evaluate"
