"""Measure the ShapeNet build at size: time, memory and room of a build of thousands of made-up objects.

    python -m benchmarks.shapenet_build --work FOLDER [--objects 5000] [--save]

Writes two archives of the same layout below FOLDER, builds a store from them with the command that a user gives, and
watches the memory of all its processes; then builds it again, kills that build at 40 % and goes on, and compares the
checksums. 5,000 objects need 11 GB below FOLDER, which are removed at the end. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.fake_shapenet import FakeShapeNet
from compress3d import results
from compress3d.data.store import OBJECT_BYTES, Store, check_disk

#: Command line of a build from `in` to `out`, in the working folder.
BUILD = ("data", "build", "shapenet", "--source", "in", "--workers", "2", "--out")
_KILLED_AT = 0.4
_COMPARED = 50  # objects whose arrays are held against those that the files were made of
_MB = 1e6


@dataclass(frozen=True)
class Snapshot:
    """The state of a build at one moment: seconds since it began, objects written, bytes in memory of all processes."""

    seconds: float
    objects: int
    rss: int


@dataclass(frozen=True)
class BuildLog:
    """How a build went: exit status (negative: killed), wall and processor seconds of all processes, snapshots."""

    status: int
    seconds: float
    cpu_seconds: float
    snapshots: list[Snapshot]

    def peak(self, first: float, last: float, count: int) -> int:
        """Most bytes in memory while the objects from `first` to `last` (fractions of `count`) were written."""
        inside = [s.rss for s in self.snapshots if first * count < s.objects <= last * count]
        return max(inside, default=0)


def watch(out: str, work: Path, kill_at: int | None = None, every: float = 0.2) -> BuildLog:
    """Run a build in `work` and take a snapshot of it now and then.

    Args:
        out: the store's folder, relative to `work`.
        work: holds the source in `in`.
        kill_at: SIGKILL the build once so many objects are written.
        every: seconds between snapshots.
    """
    command = [sys.executable, "-m", "compress3d.cli", *BUILD, f"./{out}"]
    began, snapshots = time.monotonic(), []
    journal = work / f"{out}.partial" / "journal.jsonl"
    with open(work / f"{out}.log", "ab") as log:
        process = subprocess.Popen(command, cwd=work, stdout=log, stderr=log)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                break
            objects = journal.read_bytes().count(b"\n") if journal.exists() else -1
            snapshots.append(Snapshot(time.monotonic() - began, objects, tree_rss(process.pid)))
            if kill_at is not None and objects >= kill_at:
                os.kill(process.pid, signal.SIGKILL)
                kill_at = None
            time.sleep(every)
    return BuildLog(process.returncode, time.monotonic() - began, usage.ru_utime + usage.ru_stime, snapshots)


def tree_rss(pid: int) -> int:
    """Bytes in memory of a process and all below it; pages that they share count for each."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")).split()
    except OSError:  # it has just ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(tree_rss(int(child)) for child in children)


def measure_build(count: int, work: Path) -> dict:
    """The measurements, as JSON values; see the module."""
    fake = FakeShapeNet(count)
    check_disk(work, count, extra=int(0.6 * count * 1e6))
    work.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    try:
        fake.write_archives(work / "in")
        archives = sum(path.stat().st_size for path in (work / "in").iterdir())
        whole = watch("store", work)
        store = Store.open(work / "store")
        first, room = store.info, sum(path.stat().st_size for path in (work / "store").iterdir())
        equal = _equal_objects(store, fake)
        shutil.rmtree(work / "store")
        killed = watch("store", work, kill_at=int(_KILLED_AT * count))
        resumed = watch("store", work)
        second = Store.open(work / "store").info
    finally:
        for name in ("in", "store", "store.partial", "store.unpacked"):
            shutil.rmtree(work / name, ignore_errors=True)
    stages = {"10 %": (0, 0.1), "50 %": (0.1, 0.5), "100 %": (0.5, 1)}
    return {
        "objects": len(store),
        "left_out": len(first["skipped"]),
        "seconds": whole.seconds,
        "seconds_to_first_object": next(s.seconds for s in whole.snapshots if s.objects > 0),
        "seconds_per_object": whole.seconds / count,
        "cpu_seconds_per_object": whole.cpu_seconds / count,
        "peak_rss_mb": {"before the first": max(s.rss for s in whole.snapshots if s.objects <= 0) / _MB}
        | {name: whole.peak(*span, count) / _MB for name, span in stages.items()},
        "archive_bytes": archives,
        "store_bytes": room,
        "store_bytes_per_object": room / len(store),
        "objects_compared_with_their_source": equal,
        "killed": {
            "status": killed.status,
            "objects_written": killed.snapshots[-1].objects,
            "resumed_seconds": resumed.seconds,
            "same_sha256": first["sha256"] == second["sha256"],
            "same_files": first["files"] == second["files"],
        },
        "cores": os.cpu_count(),
        "load_before": load,
        "full_set": {"objects": 43_783, "gb": 43_783 * OBJECT_BYTES / 1e9},
    }


def _equal_objects(store: Store, fake: FakeShapeNet) -> int:
    """How many of a sample of objects equal what their files were made of, to the bit."""
    rows = {record.uid: row for row, record in enumerate(store.objects)}
    equal = 0
    for number in range(0, fake.count, max(1, fake.count // _COMPARED)):
        row, views = rows["/".join(fake.key(number))], fake.views(number)
        equal += (
            np.array_equal(store.rgb[row], views[..., :3])
            and np.array_equal(store.alpha[row], views[..., 3])
            and np.array_equal(store.occupancy(row), fake.occupancy(number))
            and np.array_equal(store.cameras[row], fake.cameras(number))
        )
    return equal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder on a disk with room")
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--save", action="store_true", help="also write results/data/shapenet-scale.json")
    arguments = parser.parse_args()
    began = time.monotonic()
    found = measure_build(arguments.objects, arguments.work.resolve())
    print(json.dumps(found, indent=1))
    if arguments.save:
        command = f"python -m benchmarks.shapenet_build --work FOLDER --objects {arguments.objects} --save"
        provenance = {"commands": [command], "device": "cpu", "versions": results.versions()}
        minutes = (time.monotonic() - began) / 60
        results.save("data/shapenet-scale", {**found, "provenance": {**provenance, "minutes": minutes}})


if __name__ == "__main__":
    main()
