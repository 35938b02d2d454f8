"""Checkpoints that survive a kill at any moment.

A checkpoint is written beside its place and renamed. Its name holds its sha256: where it is damaged, the one before it,
which is kept, takes over.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from compress3d.errors import CheckpointError
from compress3d.io import digest, write_atomically

KEPT = 2  # a damaged checkpoint has one before it


def save_checkpoint(folder: Path, step: int, state: dict) -> Path:
    """Write `state` as the checkpoint of `step`; the two newest are kept."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    path = folder / f"step-{step:08d}-{digest(data)[:16]}.pt"
    write_atomically(path, data)
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoint files of a run, oldest first."""
    return sorted(folder.glob("step-*.pt"))


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the folder of a run: two processes that train the same run would overwrite each other's checkpoints.

    The lock ends with the process that holds it, however it ends; loading processes do not inherit it.

    Raises:
        CheckpointError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / "lock").acquire(timeout=0)
    except Timeout as error:
        raise CheckpointError(folder, "is being trained by another process", "wait for it, or stop it") from error
    with lock:
        yield


def load_checkpoint(folder: Path) -> dict | None:
    """The newest whole checkpoint, None where the run has saved none; a damaged one is reported and passed over.

    Raises:
        CheckpointError: there are checkpoints and none of them is whole.
    """
    files = checkpoints(folder)
    for path in reversed(files):
        data = path.read_bytes()
        if path.stem.endswith(digest(data)[:16]):
            return torch.load(io.BytesIO(data), weights_only=True)
        print(f"{path}: damaged ({len(data)} bytes, sha256 differs), taking the one before it", file=sys.stderr)
    if files:
        raise CheckpointError(folder, "every checkpoint is damaged", "remove the folder and train again")
    return None
