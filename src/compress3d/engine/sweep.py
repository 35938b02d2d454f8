"""Train and evaluate every run of a scale that has no results yet, in order of worth, as many at once as are asked for.

Each run is a process of its own, so that a run that fails or is killed leaves the others alone; all it knows lies in
its checkpoints, its weights file and its results file. A sweep that is killed goes on where it stopped.
"""

from __future__ import annotations

import ctypes
import fnmatch
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from compress3d import paths, results
from compress3d.engine import checkpoint
from compress3d.engine.evaluate import weights_path
from compress3d.engine.weights import weights_origin
from compress3d.errors import CheckpointError, ConfigError, DataError
from compress3d.runs import TABLE, Run
from compress3d.scales import scale


def state(run: Run) -> str:
    """What a run still needs: "train", "evaluate" or nothing ("done").

    It is done when its results file was made with the settings that the table of runs has now; its weights count
    when they were trained with them. A setting that came later than a file had the value that is its default now.
    """
    settings = results.rounded(run.describe())
    defaults = results.rounded(Run(run.model).describe())
    try:
        known = {**defaults, **results.load(run.id)["run"]}
    except DataError:
        known = None
    if known == settings:
        return "done"
    path = weights_path(run)
    if not path.is_file():
        return "train"
    try:  # the first seven files were shipped before weights said what they were trained with
        trained = weights_origin(path).get("run", settings)
        return "evaluate" if {**defaults, **trained} == settings else "train"
    except CheckpointError:
        return "train"


def chosen(scale_name: str, only: str = "*") -> list[Run]:
    """Runs of a scale whose id matches the shell pattern `only`, in the order of the table: the most worth first.

    Raises:
        ConfigError: no such scale, or no run matches.
    """
    scale(scale_name)
    found = [
        run for run in TABLE.values() if run.scale == scale_name and fnmatch.fnmatch(run.id, f"{scale_name}/{only}")
    ]
    if not found:
        raise ConfigError(f"pattern {only!r}", f"matches no run of scale {scale_name}", "see `compress3d runs`")
    return found


def reached(run: Run) -> int:
    """Steps that the newest checkpoint of a run holds, 0 where there is none."""
    files = checkpoint.checkpoints(paths.runs() / run.id)
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
) -> list[Outcome]:
    """Bring every chosen run to its results file.

    Args:
        scale_name: "smoke", "demo" or "paper".
        jobs: runs at once; they share the cores evenly.
        max_minutes: stop in good order after so many minutes; the same call goes on.
        only: shell pattern of run ids without their scale, such as "implicit*".
        device: "cpu" or "cuda"; a GPU where there is one.
        threads: of each run on the CPU; the cores shared evenly where None.

    Returns:
        One outcome for each run that was not done before.

    Raises:
        ConfigError: see `chosen`. DataError: a data source that needs input is not built.
    """
    from compress3d.data.build import ensure

    runs = [run for run in chosen(scale_name, only) if state(run) != "done"]
    for store in dict.fromkeys(part.store for run in runs for part in run.parts):
        ensure(store)
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    threads = threads or max(1, (os.cpu_count() or 1) // jobs)
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(lambda run: _finish(run, deadline, threads, device), runs))
    results.save_manifest()  # two runs that end together may have written it at the same time
    return outcomes


def _finish(run: Run, deadline: float | None, threads: int, device: str | None) -> Outcome:
    """Train as far as time allows, and evaluate."""
    for _ in range(2):
        todo = state(run)
        if todo == "done":
            break
        arguments = [todo, run.id]
        if todo == "train":
            minutes = None if deadline is None else (deadline - time.monotonic()) / 60
            if minutes is not None and minutes <= 0:
                return Outcome(run.id, "out of time")
            arguments += ["--threads", str(threads)]
            arguments += [] if minutes is None else ["--max-minutes", f"{minutes:.3f}"]
            arguments += [] if device is None else ["--device", device]
        print(f"{run.id}: {todo}", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "compress3d.cli", *arguments], env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=_die_with_parent,
        )  # fmt: skip
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            return Outcome(run.id, "failed", said[-1] if said else f"exit status {done.returncode}")
        if todo == "train" and state(run) == "train":
            return Outcome(run.id, "out of time", f"at step {reached(run)} of {run.steps}")
    return Outcome(run.id, "done")


def _die_with_parent() -> None:
    """A killed sweep takes its runs along (Linux): the next one would find them still writing checkpoints."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def status(runs: Iterable[Run]) -> list[dict]:
    """State, steps and cost of runs, for a table: id, state, steps reached and asked for."""
    return [
        {"id": run.id, "state": state(run), "reached": reached(run), "steps": run.steps} | _cost(run) for run in runs
    ]


def _cost(run: Run) -> dict:
    """Minutes and device of the training behind a run's results; None where there are none."""
    try:
        origin = results.load(run.id)["provenance"]
    except DataError:
        return {"minutes": None, "device": None}
    return {"minutes": origin["minutes"], "device": origin["device"]}
