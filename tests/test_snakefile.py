"""The Snakefile asks the command line only for what it has, and its graph holds every run."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from compress3d import paths
from compress3d.engine.experiment import experiments

SNAKEMAKE = os.environ.get("SNAKEMAKE") or shutil.which("snakemake")


def commands(text):
    """(subcommand words, options) of every `{TOOL} ...` shell line, and of the data commands it picks from."""
    found = re.findall(r'"\{TOOL\} ([a-z]+)((?: [^"]*)?)"', text)
    found += [("data build " + name, rest) for name, rest in re.findall(r'"data build (\w+)([^"]*)"', text)]
    return [(words.split(), re.findall(r"--[a-z-]+", rest)) for words, rest in found]


def test_every_command_and_option_exists():
    asked = commands((paths.root() / "Snakefile").read_text())
    assert {words[0] for words, _ in asked} == {"sweep", "study", "data"}
    for words, options in asked:
        ran = subprocess.run(
            [sys.executable, "-m", "compress3d.cli", *words, "--help"],
            capture_output=True, text=True, env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert all(option in ran.stdout for option in options), (words, options)


def test_runs_for_a_program_name_their_stores():
    ran = subprocess.run(
        [sys.executable, "-m", "compress3d.cli", "runs", "--json", "--scale", "demo", "--only", "sequential*"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(ran.stdout)
    expected = [run.id for run in experiments("demo") if run.model.name == "sequential"]
    assert [run["id"] for run in found] == expected
    assert all(run["stores"] == ["shapes", "cad"] for run in found)


@pytest.mark.skipif(SNAKEMAKE is None, reason="snakemake lives in an environment of its own; name it with $SNAKEMAKE")
def test_dry_run_plans_every_run_once(tmp_path):
    shutil.copy(paths.root() / "Snakefile", tmp_path)
    tool = shutil.which("compress3d") or str(paths.root() / ".venv/bin/compress3d")
    ran = subprocess.run(
        [SNAKEMAKE, "-n", "runs", "--cores", "1", "--config", "scale=smoke", f"compress3d={tool}"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    planned = re.search(r"^run\s+(\d+)$", ran.stdout + ran.stderr, re.MULTILINE)
    assert int(planned[1]) == len(experiments("smoke"))
