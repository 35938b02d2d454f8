"""One memory-mapped store for every source: views, alpha, voxels and cameras of many objects, checked by SHA-256.

A store is a folder:

    store.json      format, source, build parameters, counts, objects left out and why, checksums
    left-out.csv    the same objects for people: object, file, what is wrong, what to do; only where there are such
    objects.jsonl   one ObjectRecord a line, and the SHA-256 of the object's own bytes, in row order
    rgb.npy         uint8 (N, 24, 137, 137, 3), zero where alpha is zero
    alpha.npy       uint8 (N, 24, 137, 137)
    voxels.npy      uint8 (N, 4096), np.packbits of the occupancy [x, y, z] in C order
    cameras.npy     float32 (N, 24, 5): azimuth and elevation in degrees, in-plane rotation, distance ratio, fov

Raw arrays: a worker reads 22,000 views a second, and 1,800 from PNG. The price is room, 1.806 MB an object.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from compress3d.errors import DataError
from compress3d.io import write_atomically

FORMAT = 1
VIEWS = 24
SIDE = 137
GRID = 32
_ROWS: dict[str, tuple[tuple[int, ...], np.dtype]] = {
    "rgb": ((VIEWS, SIDE, SIDE, 3), np.dtype(np.uint8)),
    "alpha": ((VIEWS, SIDE, SIDE), np.dtype(np.uint8)),
    "voxels": ((GRID**3 // 8,), np.dtype(np.uint8)),
    "cameras": ((VIEWS, 5), np.dtype("<f4")),
}
_ROW_BYTES = {name: int(np.prod(shape)) * dtype.itemsize for name, (shape, dtype) in _ROWS.items()}
OBJECT_BYTES = sum(_ROW_BYTES.values())
_HEADER_BYTES = 128  # numpy pads its headers so that the number of rows can grow in place
_CHECKED_ON_RESUME = 16  # rows whose bytes are hashed again: enough to see a power cut, cheap for 43,784 objects
LEFT_OUT = "left-out.csv"  # in the store's folder, the objects that are not in it
_REMEDY = "delete this folder and build the store again (compress3d data build)"


@dataclass(frozen=True)
class ObjectRecord:
    """What is known of one object beside its pixels."""

    uid: str
    category: str
    source: str
    split: str = "train"  # or "val" or "test"
    group: str = ""  # joins near-duplicate shapes, never on both sides of a split
    title: str = ""
    creator: str = ""
    licence: str = ""
    url: str = ""
    flags: str = ""  # reasons not to train on it (flat, see-through, ...), none for a clean object


class Store:
    """A finished store, read-only. Picklable: a DataLoader worker maps the same files again.

    `path` and `name` are the folder and its last part; `rgb`, `alpha`, `voxels`, `cameras` memory maps, as above;
    `objects` an ObjectRecord per row; `info` is store.json; `sha256` that of the whole data set, in whatever order.

    Example:
        >>> from compress3d.data.testset import open_test_set
        >>> store = open_test_set()
        >>> store.occupancy(store.select(split="test", categories=["chair"])[0]).shape
        (32, 32, 32)
    """

    def __init__(self, path: Path, info: dict, objects: list[ObjectRecord]):
        self.path, self.name, self.info, self.objects = path, path.name, info, objects
        self.sha256: str = info["sha256"]
        self.rgb, self.alpha, self.voxels, self.cameras = (self._map(name) for name in _ROWS)

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open a finished store; sizes and shapes are checked, contents are not (see `verify`).

        Raises DataError: there is no finished store, or a file of it is missing, truncated or of another shape.
        """
        path = Path(path)
        try:
            info = json.loads((path / "store.json").read_text("utf-8"))
            form, count, _, _ = info["format"], info["objects"], info["sha256"], info["files"]
        except FileNotFoundError:
            problem = "holds no finished store (no store.json)"
            raise DataError(path, problem, "build it first: compress3d data build") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(path / "store.json", f"cannot be understood ({error!r})", _REMEDY) from None
        if form != FORMAT:
            raise DataError(path, f"has store format {form}, this version reads {FORMAT}", _REMEDY)
        objects = [record for record, _ in _read_objects(path / "objects.jsonl")]
        if len(objects) != count:
            raise DataError(path / "objects.jsonl", f"lists {len(objects)} of {count} objects", _REMEDY)
        return cls(path, info, objects)

    def __len__(self) -> int:
        return len(self.objects)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {len(self)} objects, sha256 {self.sha256[:12]})"

    def __reduce__(self):
        return Store.open, (self.path,)

    def row(self, uid: str) -> int:
        """The row of an object. Raises DataError where the store has none of that uid."""
        if uid not in self._rows:
            raise DataError(self.path, f"holds no object {uid!r}", "name one of `store.objects`")
        return self._rows[uid]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {record.uid: row for row, record in enumerate(self.objects)}

    def occupancy(self, index: int) -> np.ndarray:
        """Occupancy of one object: bool `(32, 32, 32)`, indexed `[x, y, z]`."""
        return np.unpackbits(self.voxels[index]).view(bool).reshape(GRID, GRID, GRID)

    def select(
        self, split: str | None = None, categories: Iterable[str] | None = None, clean: bool = False
    ) -> np.ndarray:
        """Rows (int64), in the order of uids, of a split and categories (None: all); `clean`: none with flags."""
        wanted = None if categories is None else set(categories)
        found = sorted(
            (record.uid, row)
            for row, record in enumerate(self.objects)
            if split in (None, record.split)
            and (wanted is None or record.category in wanted)
            and not (clean and record.flags)
        )
        return np.array([row for _, row in found], np.int64)

    def verify(self) -> None:
        """Read every byte, compare with the checksums of store.json; a DataError names the first file that differs."""
        found = _files_sha256(self.path, self.info["files"])
        for name, expected in self.info["files"].items():
            if found[name] != expected:
                raise DataError(self.path / name, "its contents are not those that were built (checksum)", _REMEDY)
        if _dataset_sha256(_read_objects(self.path / "objects.jsonl")) != self.sha256:
            raise DataError(self.path / "store.json", "the data set's checksum does not fit its objects", _REMEDY)

    def _map(self, name: str) -> np.ndarray:
        path, (shape, dtype) = self.path / f"{name}.npy", _ROWS[name]
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(path, f"cannot be mapped ({error})", _REMEDY) from None
        wanted = (len(self.objects), *shape)
        if array.shape != wanted or array.dtype != dtype:
            raise DataError(path, f"is {array.dtype} {array.shape} where {dtype} {wanted} belongs", _REMEDY)
        if path.stat().st_size != _HEADER_BYTES + array.nbytes:
            raise DataError(path, "has bytes after its last object", _REMEDY)
        # A plain ndarray over the same pages: np.memmap's own __getitem__ costs several microseconds a view.
        return array.view(np.ndarray)


class StoreWriter:
    """Builds a store object by object; killed at any moment, the same call goes on where it stopped.

    All work happens in `<path>.partial`; `finish` renames it. A row's bytes are handed to the system before its line in
    the journal is, so a line always stands for a complete row.

    `path` is the folder that `finish` makes of `work`; `done` are the uids that stand in the store or are left out for
    good; `finished` is the store, if the same build is complete already: nothing can be added then.
    """

    def __init__(self, path: Path, source: str, parameters: dict):
        self.path, self.work = path, path.with_name(path.name + ".partial")
        self.done: set[str] = set()
        self.finished: Store | None = None
        self._build = {"format": FORMAT, "source": source, "parameters": parameters}
        self._objects: list[tuple[ObjectRecord, str]] = []
        self._skipped: dict[str, dict[str, str]] = {}
        self._files: dict[str, io.FileIO] = {}  # the arrays, and the journal
        self._lock = FileLock(self.work / "lock", timeout=0, thread_local=False)

    @classmethod
    def open(cls, path: str | Path, source: str, parameters: dict | None = None, capacity: int = 0) -> StoreWriter:
        """Begin a store, or go on with one that was interrupted.

        `source` and `parameters` (JSON values) are everything that decides the contents. Raises DataError: the disk is
        too small for `capacity` objects, another build is at work there, or the folder holds another build.
        """
        path = Path(path)
        writer = cls(path, source, json.loads(json.dumps(parameters or {}, sort_keys=True)))
        if path.exists():
            writer._adopt_finished()
            return writer
        writer.work.mkdir(parents=True, exist_ok=True)
        try:
            writer._lock.acquire()
        except Timeout:
            raise DataError(writer.work, "another process is building here", "wait for it, or stop it") from None
        writer._check_build()
        writer._resume()
        check_disk(path, max(0, capacity - len(writer._objects)))
        return writer

    def add(self, record: ObjectRecord, rgba: np.ndarray, occupancy: np.ndarray, cameras: np.ndarray) -> None:
        """Append one object: uint8 `(24, 137, 137, 4)` with straight alpha, bool `(32, 32, 32)`, float `(24, 5)`.

        Raises DataError where an array has another shape or type, no voxel is occupied, or a camera is not finite.
        Nothing is written then; pass the reason to `skip`.
        """
        if record.uid in self.done:
            raise DataError(record.uid, "stands in the store already", "give every object its own uid")
        if self.finished:
            raise DataError(self.path, "is finished; nothing can be added", "build into another folder")
        digest = hashlib.sha256()
        for name, array in _pack(record.uid, rgba, occupancy, cameras).items():
            digest.update(array.data)
            _write_all(self._files[name], array.data.cast("B"))
        self._enter({**dataclasses.asdict(record), "sha256": digest.hexdigest()})

    def skip(self, uid: str, reason: str | DataError) -> None:
        """Leave an object out, for good, and say why; `finish` lists it in store.json and left-out.csv."""
        if uid in self.done or self.finished:
            return
        entry = {"skip": uid, "reason": str(reason)}
        if isinstance(reason, DataError):
            entry |= {"file": reason.where, "problem": reason.problem, "remedy": reason.remedy}
        self._enter(entry)

    def finish(self) -> Store:
        """Close the files, write the checksums, and give the store its final name."""
        if self.finished:
            return self.finished
        if not self._objects:
            raise DataError(self.path, "no object could be built", "look at the reasons listed in " + str(self.work))
        for name, (shape, dtype) in _ROWS.items():
            file = self._files[name]
            fields = {"descr": dtype.str, "fortran_order": False, "shape": (len(self._objects), *shape)}
            file.seek(0)
            np.lib.format.write_array_header_1_0(file, fields)
            assert file.tell() == _HEADER_BYTES
            os.fsync(file.fileno())
        lines = [json.dumps({**dataclasses.asdict(record), "sha256": digest}) for record, digest in self._objects]
        (self.work / "objects.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        records = [record for record, _ in self._objects]
        info = self._build | {
            "objects": len(records),
            "categories": dict(sorted(Counter(record.category for record in records).items())),
            "splits": dict(sorted(Counter(record.split for record in records).items())),
            "skipped": {uid: entry["reason"] for uid, entry in sorted(self._skipped.items())},
            "sha256": _dataset_sha256(self._objects),
            "files": _files_sha256(self.work, [*(f"{n}.npy" for n in _ROWS), "objects.jsonl"]),
        }
        if self._skipped:
            rows = [[uid, why["file"], why["problem"], why["remedy"]] for uid, why in sorted(self._skipped.items())]
            with open(self.work / LEFT_OUT, "w", encoding="utf-8", newline="") as table:
                csv.writer(table, lineterminator="\n").writerows([["object", "file", "problem", "what to do"], *rows])
        (self.work / "store.json").write_text(json.dumps(info, indent=1) + "\n", "utf-8")
        for file in self._files.values():
            file.close()
        for leftover in ("journal.jsonl", "build.json", "lock"):
            (self.work / leftover).unlink(missing_ok=True)
        try:
            os.rename(self.work, self.path)
        except OSError as error:
            raise DataError(self.path, f"cannot be given its name ({error.strerror})", "remove what is there") from None
        finally:
            self._lock.release()
        self.finished = Store.open(self.path)
        return self.finished

    def close(self) -> None:
        """Stop without finishing; a later `open` goes on from here."""
        for file in self._files.values():
            file.close()
        self._lock.release()

    def discard(self) -> None:
        """Give an unfinished build up, and remove what it has written."""
        self.close()
        if not self.finished:
            shutil.rmtree(self.work, ignore_errors=True)

    def _adopt_finished(self) -> None:
        """The store is there already: the same build needs no work, another one must not be overwritten."""
        self.finished = Store.open(self.path)
        info = self.finished.info
        if any(info[key] != value for key, value in self._build.items()):
            problem = f"holds another build ({info['source']} {info['parameters']})"
            raise DataError(self.path, problem, "choose another folder, or delete this one")
        self.done = {record.uid for record in self.finished.objects} | set(info["skipped"])

    def _check_build(self) -> None:
        """An interrupted build goes on only with the same source and parameters."""
        note, mine = self.work / "build.json", json.dumps(self._build)
        if not note.exists():
            write_atomically(note, mine.encode())
        if note.read_bytes() != mine.encode():
            self.close()
            raise DataError(self.work, "is the rest of another build", "delete this folder")

    def _resume(self) -> None:
        """Go on behind the last row and line that reached the disk: a kill or a power cut may have lost some."""
        journal = self.work / "journal.jsonl"
        for name in _ROWS:
            path = self.work / f"{name}.npy"
            self._files[name] = open(path, "r+b" if path.exists() else "x+b", buffering=0)
        entries = _read_journal(journal)
        rows = [entry for entry in entries if "skip" not in entry]
        keep = self._good_rows(rows)
        if keep < len(rows):  # forget the first bad row and all that came after it
            entries = entries[: entries.index(rows[keep])]
        write_atomically(journal, "".join(json.dumps(entry) + "\n" for entry in entries).encode())
        self._files["journal"] = open(journal, "ab", buffering=0)
        for name, size in _ROW_BYTES.items():
            self._files[name].truncate(_HEADER_BYTES + keep * size)
            self._files[name].seek(0, os.SEEK_END)
        for entry in entries:
            self._note(entry)

    def _good_rows(self, rows: list[dict]) -> int:
        """How many rows of the journal stand complete in the files; the last few are hashed."""
        sizes = {name: self._files[name].seek(0, os.SEEK_END) - _HEADER_BYTES for name in _ROWS}
        keep = min(len(rows), *(max(0, size) // _ROW_BYTES[name] for name, size in sizes.items()))
        for row in range(max(0, keep - _CHECKED_ON_RESUME), keep):
            digest = hashlib.sha256()
            for name, size in _ROW_BYTES.items():
                self._files[name].seek(_HEADER_BYTES + row * size)
                digest.update(self._files[name].read(size))
            if digest.hexdigest() != rows[row]["sha256"]:
                return row
        return keep

    def _enter(self, entry: dict[str, str]) -> None:
        """Note an object that was written or left out, in the journal too."""
        _write_all(self._files["journal"], memoryview((json.dumps(entry) + "\n").encode()))
        self._note(entry)

    def _note(self, entry: dict[str, str]) -> None:
        if "skip" in entry:
            self._skipped[entry["skip"]] = {"file": "", "problem": entry["reason"], "remedy": ""} | entry
            self.done.add(entry["skip"])
        else:
            self._objects.append(_record(entry))
            self.done.add(entry["uid"])


def _pack(uid: str, rgba: np.ndarray, occupancy: np.ndarray, cameras: np.ndarray) -> dict[str, np.ndarray]:
    """One row of a store; arguments and errors as in `StoreWriter.add`."""
    remedy = "render and voxelise this object again"
    rgba, occupancy, cameras = np.asarray(rgba), np.asarray(occupancy), np.asarray(cameras, np.float64)
    if rgba.shape != (VIEWS, SIDE, SIDE, 4) or rgba.dtype != np.uint8:
        raise DataError(uid, f"views are {rgba.dtype} {rgba.shape}, not uint8 (24, 137, 137, 4)", remedy)
    if occupancy.shape != (GRID, GRID, GRID):
        raise DataError(uid, f"occupancy is {occupancy.shape}, not (32, 32, 32)", remedy)
    if cameras.shape != (VIEWS, 5) or not np.isfinite(cameras).all():
        raise DataError(uid, "cameras are not 24 x 5 finite numbers", remedy)
    if not occupancy.any():
        raise DataError(uid, "has no occupied voxel", remedy)
    alpha, rgb = np.ascontiguousarray(rgba[..., 3]), np.empty((VIEWS, SIDE, SIDE, 3), np.uint8)
    seen = (alpha != 0).view(np.uint8)
    for channel in range(3):  # 0.8 ms an object; assigning zeros through a mask took 11, more than reading the files
        np.multiply(rgba[..., channel], seen, out=rgb[..., channel])
    voxels = np.packbits(occupancy.astype(bool))
    return {"rgb": rgb, "alpha": alpha, "voxels": voxels, "cameras": np.ascontiguousarray(cameras, "<f4")}


def check_disk(path: Path, count: int, extra: int = 0) -> int:
    """Free bytes on the disk that holds `path`; DataError where `count` objects and `extra` bytes do not fit there."""
    folder = next(parent for parent in [path, *path.absolute().parents] if parent.is_dir())
    free, need = shutil.disk_usage(folder).free, int(count * OBJECT_BYTES * 1.01) + extra
    if need > free:
        unpacked = f" and {in_words(extra)} to unpack an archive" if extra else ""
        problem = f"needs {in_words(need - extra)} for {count:,} objects{unpacked}; {in_words(free)} are free"
        raise DataError(path, problem, "free some space, choose another disk (--out), or build a part (--limit)")
    return free


def in_words(size: int) -> str:
    """Bytes for people: "79.1 GB", "108 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _write_all(file: io.FileIO, data: memoryview) -> None:
    try:
        while data.nbytes:
            data = data[file.write(data) :]
    except OSError as error:
        remedy = "free some space, and run the same command again: it goes on where it stopped"
        raise DataError(str(file.name), f"cannot be written ({error.strerror})", remedy) from None


def _record(entry: dict) -> tuple[ObjectRecord, str]:
    fields = {key: value for key, value in entry.items() if key != "sha256"}
    return ObjectRecord(**fields), entry["sha256"]


def _read_objects(path: Path) -> list[tuple[ObjectRecord, str]]:
    try:
        return [_record(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(path, f"cannot be understood ({error!r})", _REMEDY) from None


def _read_journal(path: Path) -> list[dict]:
    """The entries before the first broken line (a killed writer may leave half a line)."""
    entries: list[dict] = []
    with contextlib.suppress(ValueError, FileNotFoundError):
        entries.extend(map(json.loads, path.read_bytes().splitlines()))
    return entries


def _files_sha256(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files, by name; with a bar where it takes longer than two seconds (79 GB take minutes)."""
    found = {}
    try:
        for name in names:
            digest, size = hashlib.sha256(), (folder / name).stat().st_size
            with open(folder / name, "rb") as file, bytes_bar(size, f"checksum {name}") as bar:
                while block := file.read(1 << 20):
                    digest.update(block)
                    bar.update(len(block))
                found[name] = digest.hexdigest()
    except OSError as error:
        raise DataError(error.filename or folder, f"cannot be read ({error.strerror})", _REMEDY) from None
    return found


def bytes_bar(total: int, what: str) -> tqdm:
    """A progress bar over bytes that shows itself after two seconds."""
    return tqdm(total=total, unit="B", unit_scale=True, desc=what, disable=None, delay=2, leave=False)


def _dataset_sha256(objects: Iterable[tuple[ObjectRecord, str]]) -> str:
    """Hash over the objects sorted by uid: what they are and what they look like, not where they stand."""
    digest = hashlib.sha256(f"compress3d store {FORMAT}\n".encode())
    for record, content in sorted(objects, key=lambda pair: pair[0].uid):
        line = json.dumps(dataclasses.astuple(record)) + content
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
