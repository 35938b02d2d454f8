"""Train and evaluate every run of a scale that has no results yet, in order of worth, as many at once as are asked for.

Each run is a process of its own, so that a run that fails or is killed leaves the others alone; all it knows lies in
its checkpoints, its weights file and its results file. A sweep that is killed goes on where it stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from compress3d import paths, results
from compress3d.engine import checkpoint
from compress3d.engine.experiment import Experiment, experiments
from compress3d.engine.sources import prepare_stores
from compress3d.engine.weights import weights_origin, weights_path
from compress3d.errors import CheckpointError
from compress3d.process import die_with_parent


def state(experiment: Experiment) -> str:
    """What an experiment still needs: "train", "evaluate" or nothing ("done").

    It is done when its results file was made with the settings that it has now; its weights count when they were
    trained with them.
    """
    settings = results.rounded(experiment.describe())
    found = results.find(experiment.id)
    if found is not None and found["experiment"] == settings:
        return "done"
    path = weights_path(experiment)
    try:
        return "evaluate" if path.is_file() and _trained_with(weights_origin(path), settings) else "train"
    except CheckpointError:
        return "train"


def _trained_with(origin: dict, settings: dict) -> bool:
    """Whether weights of that origin were trained with `settings`."""
    if "experiment" in origin:
        return origin["experiment"] == settings
    # Weights from before experiments were nested have one flat record, the first seven of them none.
    record = origin.get("run", {})
    leaves = {**settings["model"], **settings["data"], **settings["optim"], "seed": settings["seed"]}
    return all(record.get(name, value) == value for name, value in leaves.items() if name != "name")


def reached(experiment: Experiment) -> int:
    """Steps that the newest checkpoint holds, 0 where there is none."""
    files = checkpoint.checkpoints(paths.runs() / experiment.id)
    return int(files[-1].name.split("-")[1]) if files else 0


@dataclass(frozen=True)
class Outcome:
    """How a run of a sweep ended: "done", "out of time" or "failed" with the last line it said."""

    run_id: str
    ended: str
    message: str = ""


def sweep(
    scale_name: str,
    jobs: int = 1,
    max_minutes: float | None = None,
    only: str = "*",
    device: str | None = None,
    threads: int | None = None,
    data: str = "",
) -> list[Outcome]:
    """Bring every chosen experiment to its results file; one outcome for each that was not done before.

    Args:
        scale_name, only, data: which experiments, see `experiments`.
        jobs: runs at once.
        max_minutes: stop in good order after so many minutes; the same call goes on.
        device: "cpu" or "cuda"; a GPU where there is one.
        threads: of each run on the CPU; the cores shared evenly where None.

    Raises:
        ConfigError: see `experiments`. DataError: a data source that needs input is not built.
    """
    missing = [experiment for experiment in experiments(scale_name, only, data) if state(experiment) != "done"]
    prepare_stores(missing)
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    threads = threads or max(1, (os.cpu_count() or 1) // jobs)
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(lambda experiment: _finish(experiment, deadline, threads, device), missing))
    results.save_manifest()  # two runs that end together may have written it at the same time
    return outcomes


def _finish(experiment: Experiment, deadline: float | None, threads: int, device: str | None) -> Outcome:
    """Train as far as time allows, and evaluate."""
    for _ in range(2):
        todo = state(experiment)
        if todo == "done":
            break
        arguments = [todo, experiment.id, "--threads", str(threads)]
        arguments += [] if device is None else ["--device", device]
        if todo == "train" and deadline is not None:
            minutes = (deadline - time.monotonic()) / 60
            if minutes <= 0:
                return Outcome(experiment.id, "out of time")
            arguments += ["--max-minutes", f"{minutes:.3f}"]
        print(f"{experiment.id}: {todo}", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "compress3d.cli", *arguments], env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=die_with_parent,
        )  # fmt: skip
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            return Outcome(experiment.id, "failed", lines[-1] if lines else f"exit status {done.returncode}")
        if todo == "train" and state(experiment) == "train":
            return Outcome(experiment.id, "out of time", f"at step {reached(experiment)} of {experiment.optim.steps}")
    return Outcome(experiment.id, "done")


def status(found: Iterable[Experiment]) -> list[dict]:
    """State, steps and cost of experiments, for a table.

    Rows of id, state, steps reached and asked for, and of the training behind results minutes and device, None where
    there are none.
    """
    rows = []
    for experiment in found:
        origin = (results.find(experiment.id) or {}).get("provenance", {"minutes": None, "device": None})
        rows.append({
            "id": experiment.id, "state": state(experiment), "reached": reached(experiment),
            "steps": experiment.optim.steps, "minutes": origin["minutes"], "device": origin["device"],
        })  # fmt: skip
    return rows
