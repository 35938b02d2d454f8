"""The Snakefile asks the command line only for what it has, a cluster for what it needs; its graph holds every run."""

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


def test_slurm_is_asked_for_a_gpu_as_the_pages_say():
    """The executor reads the resource `gpu`; with `gpus` a job has none, and no error says so."""
    text = (paths.root() / "Snakefile").read_text()
    rule = text[text.index("rule run:") : text.index("rule timing:")]
    assert re.search(r"\bgpu=GPU\b", rule) and "--device {DEVICE}" in rule and not re.search(r"\bgpus\b", text)
    command = "snakemake --executor slurm --jobs 20 --config scale=paper partition=gpu gpu=1"
    for place in ("Snakefile", "README.md", "book/experiments/sweep.ipynb"):
        assert command in (paths.root() / place).read_text(), place
    asked = set(re.findall(r"([a-z]+)=", command.partition("--config")[2]))
    assert asked <= set(re.findall(r'config\.get\("([a-z0-9]+)', text))


def dry_run(folder, *arguments):
    shutil.copy(paths.root() / "Snakefile", folder)
    tool = folder / "compress3d"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m compress3d "$@"\n')
    tool.chmod(0o755)
    ran = subprocess.run(
        [SNAKEMAKE, "-n", "runs", *arguments, f"compress3d={tool}"], cwd=folder, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.skipif(SNAKEMAKE is None, reason="snakemake lives in an environment of its own; name it with $SNAKEMAKE")
@pytest.mark.parametrize("gpu", [0, 1])
def test_dry_run_plans_every_run_once(tmp_path, gpu):
    said = dry_run(tmp_path, "--cores", "4", "--config", "scale=smoke", f"gpu={gpu}")
    planned = re.search(r"^run\s+(\d+)$", said, re.MULTILINE)
    assert int(planned[1]) == len(experiments("smoke"))
    assert f"gpu={gpu}" in said and "mem_mb=2000" in said
