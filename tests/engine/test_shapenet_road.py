"""From six objects in ShapeNet's layout to a results file, by commands alone."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.fake_shapenet import FakeShapeNet
from compress3d.data.shapenet.layout import SYNSETS

RUN = "smoke/implicit-r384@shapenet-s0"


class SixObjects(FakeShapeNet):
    """Three chairs and three tables."""

    def __init__(self):
        super().__init__(6)

    def key(self, number):
        return [synset for synset, name in SYNSETS.items() if name in ("chair", "table")][number % 2], super().key(
            number
        )[1]


@pytest.fixture
def command(tmp_path):
    """Runs `compress3d` in an empty repository, and returns what it prints."""
    root = tmp_path / "root"
    root.mkdir()
    environment = {
        **os.environ,
        "COMPRESS3D_ROOT": str(root),
        "COMPRESS3D_CACHE": str(tmp_path / "cache"),
        "COMPRESS3D_RUNS": str(tmp_path / "runs"),
        "OMP_NUM_THREADS": "1",
    }

    def run(*arguments, status=0):
        done = subprocess.run(
            [sys.executable, "-m", "compress3d.cli", *arguments], env=environment, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    return run


def test_store_train_evaluate(command, tmp_path):
    missing = command("train", RUN, status=1)  # nothing is built yet: the exact command is told
    assert "compress3d data build shapenet --split sorted --source FOLDER" in missing and "Traceback" not in missing
    source = tmp_path / "as distributed"
    SixObjects().write_archives(source)
    command("data", "build", "shapenet", "--split", "sorted", "--source", str(source), "--workers", "0")
    command("train", RUN, "--device", "cpu", "--max-minutes", "0.02")  # a few steps, and then the rest
    assert "going on from step" in command("train", RUN, "--device", "cpu", "--threads", "1")
    printed = command("evaluate", RUN, "--device", "cpu")
    path = tmp_path / "root" / "results" / f"{RUN}.json"
    assert str(path) in printed and f"{RUN}   384.0:1 bits" in printed
    found = json.loads(path.read_text())
    assert found["experiment"]["id"] == RUN and found["experiment"]["data"]["name"] == "shapenet"
    assert found["test"]["store"] == "shapenet" and len(found["test"]["objects"]) == 2
    training = found["provenance"]["training"]
    assert training["objects"] == 4 and training["data"] == {"shapenet": found["test"]["sha256"]}
    assert training["steps"] == found["experiment"]["optim"]["steps"] == 150
    assert len(found["points"][0]["metrics"]["iou"]) == 2
    again = command("evaluate", RUN, "--device", "cpu")
    assert "has these numbers already" in again
    assert command("sweep", "--scale", "smoke", "--data", "shapenet", "--only", "implicit*").endswith(
        "0 of 0 runs finished\n"
    )
