"""The command line: what it lists, and that people get messages and not tracebacks."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from compress3d.cli import app
from compress3d.engine.experiment import experiments


def run(*arguments, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-c", "from compress3d.cli import main; main()", *arguments],
        capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip


def test_runs_lists_the_whole_table():
    output = CliRunner().invoke(app, ["runs"]).output
    assert [line.split()[0] for line in output.splitlines()] == [experiment.id for experiment in experiments()]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "demo/implicit-r385-s0"], "does not exist"),
        (["train", "demo/uncompressed-s0"], "holds no finished store"),
        (["evaluate", "paper/uncompressed-s0"], "train the run first"),
        (["data", "verify", "nothing"], "holds no finished store"),
        (["data", "build", "shapenet", "--source", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_errors_name_the_cure_without_a_traceback(tmp_path, arguments, message):
    done = run(*arguments, COMPRESS3D_CACHE=str(tmp_path), COMPRESS3D_RUNS=str(tmp_path))
    assert done.returncode == 1
    assert message in done.stderr and "What to do:" in done.stderr
    assert "Traceback" not in done.stderr
