"""From the files of ShapeNet to a store: say what it will take, read in several processes, leave out what is broken."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from compress3d.data.parallel import fill
from compress3d.data.shapenet import archive as archives
from compress3d.data.shapenet.layout import VOXELS, Key, category_name
from compress3d.data.shapenet.source import Item, Source, half_of, locate, read_item
from compress3d.data.shapenet.splits import records
from compress3d.data.store import LEFT_OUT, OBJECT_BYTES, ObjectRecord, Store, StoreWriter, check_disk, in_words
from compress3d.errors import DataError


def build_shapenet(
    source: str | Path,
    out: str | Path,
    split: str | Path | None = None,
    categories: list[str] | None = None,
    limit: int | None = None,
    workers: int = 2,
    report: Callable[[str], None] = lambda line: None,
) -> Store:
    """Build a store from ShapeNetRendering and ShapeNetVox32.

    A broken object is left out, never replaced by zeros: `left-out.csv` in the store names it, its broken or missing
    file and what to do. Killed at any moment, the same call goes on; on a finished store it does nothing.

    Args:
        source: folder or archive, see `source.locate`.
        out: the store's folder. A compressed archive is unpacked beside it, to a plain tar that is removed at the end.
        split: see `splits.records`; it is made among all objects of the source.
        categories, limit: only these (names or synset ids), and of each the first so many of the sorted list.
        workers: processes that decode pictures; 0 decodes in this one.
        report: called with lines for people: room and time needed, and how it ended.

    Raises DataError: the source holds nothing usable, or the disk is too small; nothing is written then.
    """
    out, found = Path(out), locate(source)
    wanted = None if categories is None else sorted({category_name(name) for name in categories})
    archive = sha256_of(source) if found.archives == [Path(source)] else None
    ids = split if split in (None, "index", "sorted") else f"list of ids, sha256 {sha256_of(split)}"
    parameters = {"archive": archive, "split": ids, "categories": wanted, "limit": limit}
    writer = StoreWriter.open(out, source="shapenet", parameters=parameters)
    try:
        if writer.finished is None:
            choose = functools.partial(_choose, found, split, wanted, limit)
            items = _list(found, out, choose, len(writer.done), report)
            _report_time([item for item in items if item.record.uid not in writer.done], workers, report)
            fill(writer, {item.record.uid: item for item in items}, _read, workers)
        store = writer.finish()
    except DataError:
        if not writer.done:  # it ended before the first object: leave nothing behind
            writer.discard()
            shutil.rmtree(_unpacked(out), ignore_errors=True)
        raise
    finally:
        writer.close()
    shutil.rmtree(_unpacked(out), ignore_errors=True)
    size = sum(path.stat().st_size for path in out.iterdir())
    report(f"{out}: {len(store):,} objects of {len(store.info['categories'])} categories, {in_words(size)}")
    if store.info["skipped"]:
        again = f"when they are mended, delete {out} and build it again"
        report(f"{len(store.info['skipped']):,} objects were left out; {out / LEFT_OUT} says which and why ({again})")
    return store


def sha256_of(path: str | Path) -> str:
    """Of a file; DataError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "name a file that exists") from None


def _unpacked(out: Path) -> Path:
    return out.with_name(out.name + ".unpacked")


def _list(found: Source, out: Path, choose: Callable, done: int, report: Callable[[str], None]) -> list[Item]:
    """The objects to build, of those that `choose()` finds in the listed part; room is checked before unpacking."""
    announced = None
    found.list_folders()
    for archive in found.archives:
        unpacked = archives.still_to_unpack(archive, _unpacked(out))
        if unpacked and half_of(archive) != VOXELS:  # voxels are small, come first, and tell how many objects there are
            announced = len(choose())
            report(_room(out, announced, done, unpacked))
        found.list_archive(archive, _unpacked(out))
    chosen = choose(complete=True)
    if not chosen:
        problem = "holds no object that takes part: no ShapeNetRendering/<synset>/<model>/rendering, or no such split"
        raise DataError(found.name, problem, "name the folder of the whole data set")
    if len(chosen) != announced:
        report(_room(out, len(chosen), done))
    return [found.item(key, record) for key, record in chosen.items()]


def _choose(
    found: Source, split: str | Path | None, categories: list[str] | None, limit: int | None, complete: bool = False
) -> dict[Key, ObjectRecord]:
    """The objects that take part, sorted; where the source is listed completely, every category must be there."""
    missing = set(categories or ()) - {category_name(folder) for folder, _ in found.keys()}
    if complete and missing:
        raise DataError(found.name, f"holds no category {sorted(missing)}", "choose among those that are there")
    chosen: dict[Key, ObjectRecord] = {}
    taken: Counter[str] = Counter()
    for key, record in records(found.keys(), set(found.objects[VOXELS]), found.tables, split).items():
        if categories is None or record.category in categories:
            taken[record.category] += 1
            if limit is None or taken[record.category] <= limit:
                chosen[key] = record
    return chosen


def _room(out: Path, count: int, done: int, unpacked: int = 0) -> str:
    """What `count` objects (0: not known yet), `done` of them there, and a plain tar take of the disk, for people."""
    free = check_disk(out, max(0, count - done), unpacked)
    parts = {
        f"{count:,} objects need {in_words(count * OBJECT_BYTES)} in {out}": count,
        f"{done:,} of them are there already": done,
        f"unpacking needs {in_words(unpacked)} in {_unpacked(out)} until the end": unpacked,
    }
    return f"{'; '.join(part for part, number in parts.items() if number)} ({in_words(free)} are free)"


def _report_time(todo: list[Item], workers: int, report: Callable[[str], None]) -> None:
    """Read and hash a few objects spread over the list, and say how long all will take at that speed."""
    reading, packing = [], []
    for item in todo[:: max(1, len(todo) // 6)][:6]:
        began = time.perf_counter()
        found = _read(item)
        if not isinstance(found, DataError):
            reading.append(time.perf_counter() - began)
            for _ in range(2):  # each row when it is written, each file at the end
                hashlib.sha256(found[1].data)
            packing.append(time.perf_counter() - began - reading[-1])
    if reading:
        read, pack = statistics.median(reading), statistics.median(packing)  # in the workers, in this process
        each = max((read + pack) / max(1, min(workers + 1, os.cpu_count() or 1)), read / max(1, workers), pack)
        seconds = each * len(todo)
        length = f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
        length = length if seconds < 5400 else f"{seconds / 3600:.1f} hours"
        speed = f"{each * 1e3:.0f} ms an object, measured on {len(reading)}"
        report(f"about {length} if nothing else is running here ({speed})")


def _read(item: Item) -> tuple[ObjectRecord, np.ndarray, np.ndarray, np.ndarray] | DataError:
    try:
        return item.record, *read_item(item)
    except DataError as error:
        return error
