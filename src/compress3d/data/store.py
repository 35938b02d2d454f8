"""One memory-mapped store for every source: views, alpha, voxels and cameras of many objects, checked by SHA-256.

A store is a folder:

    store.json      format, source, build parameters, counts, objects left out and why, checksums
    left-out.csv    the same objects for people: object, file, what is wrong, what to do; only where there are such
    objects.jsonl   one ObjectRecord a line, and the SHA-256 of the object's own bytes, in row order
    rgb.npy         uint8 (N, 24, 137, 137, 3), zero where alpha is zero
    alpha.npy       uint8 (N, 24, 137, 137)
    voxels.npy      uint8 (N, 4096), np.packbits of the occupancy [x, y, z] in C order
    cameras.npy     float32 (N, 24, 5): azimuth and elevation in degrees, in-plane rotation, distance ratio, fov

Raw arrays and not PNG: a worker reads 22,000 views a second from them, 1,800 through PIL. The price is room, 1.806 MB
an object whatever it shows: 6 GB for 3,250 objects, 79 GB for the 43,783 of ShapeNet.
"""

from __future__ import annotations

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
_ROWS = {
    "rgb": ((VIEWS, SIDE, SIDE, 3), np.dtype(np.uint8)),
    "alpha": ((VIEWS, SIDE, SIDE), np.dtype(np.uint8)),
    "voxels": ((GRID**3 // 8,), np.dtype(np.uint8)),
    "cameras": ((VIEWS, 5), np.dtype("<f4")),
}
_ROW_BYTES = {name: int(np.prod(shape)) * dtype.itemsize for name, (shape, dtype) in _ROWS.items()}
OBJECT_BYTES = sum(_ROW_BYTES.values())
_HEADER_BYTES = 128  # numpy pads its headers so that the number of rows can grow in place
_CHECKED_ON_RESUME = 16  # rows whose bytes are hashed again: enough to see a power cut, cheap for 43,784 objects
#: Name of the list of objects that are not in the store, inside its folder.
LEFT_OUT = "left-out.csv"
_REMEDY = "delete this folder and build the store again (compress3d data build)"


@dataclass(frozen=True)
class ObjectRecord:
    """What is known of one object beside its pixels.

    `split` is "train", "val" or "test"; `group` joins near-duplicate shapes, never on both sides of a split;
    `flags` names reasons not to train on it (flat, see-through, ...) and is empty for a clean object.
    """

    uid: str
    category: str
    source: str
    split: str = "train"
    group: str = ""
    title: str = ""
    creator: str = ""
    licence: str = ""
    url: str = ""
    flags: str = ""


class Store:
    """A finished store, read-only. Picklable: a DataLoader worker maps the same files again.

    Attributes:
        path, name: the folder and its last part.
        rgb, alpha, voxels, cameras: memory maps, shapes as in the module's docstring.
        objects: list of ObjectRecord, one per row.
        sha256: of the whole data set; it does not depend on the order in which the objects were built.
        info: store.json as a dict.

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

        Raises:
            DataError: there is no finished store, or a file of it is missing, truncated or of another shape.
        """
        path = Path(path)
        if not (path / "store.json").is_file():
            raise DataError(path, "holds no finished store (no store.json)", "build it first: compress3d data build")
        try:
            info = json.loads((path / "store.json").read_text("utf-8"))
            count, _, _ = info["objects"], info["sha256"], info["files"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(path / "store.json", f"cannot be understood ({error!r})", _REMEDY) from None
        if info.get("format") != FORMAT:
            raise DataError(path, f"has store format {info.get('format')}, this version reads {FORMAT}", _REMEDY)
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
        """The row of an object.

        Raises:
            DataError: the store holds no such object.
        """
        try:
            return self._rows[uid]
        except KeyError:
            raise DataError(self.path, f"holds no object {uid!r}", "name one of `store.objects`") from None

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {record.uid: row for row, record in enumerate(self.objects)}

    def occupancy(self, index: int) -> np.ndarray:
        """Occupancy of one object: bool `(32, 32, 32)`, indexed `[x, y, z]`."""
        return np.unpackbits(self.voxels[index]).view(bool).reshape(GRID, GRID, GRID)

    def select(
        self, split: str | None = None, categories: Iterable[str] | None = None, clean: bool = False
    ) -> np.ndarray:
        """Rows of the wanted objects as int64, in the order of their uids (so it does not depend on the build order).

        Args:
            split: "train", "val" or "test"; None takes all.
            categories: names; None takes all.
            clean: leave out flagged objects.
        """
        wanted = None if categories is None else set(categories)
        rows = [
            row
            for row, record in enumerate(self.objects)
            if (split is None or record.split == split)
            and (wanted is None or record.category in wanted)
            and not (clean and record.flags)
        ]
        return np.array(sorted(rows, key=lambda row: self.objects[row].uid), np.int64)

    def verify(self) -> None:
        """Read every byte and compare with the checksums of store.json.

        Raises:
            DataError: names the first file whose contents changed.
        """
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

    Attributes:
        path, work: the folder that `finish` makes, and the one it is made from.
        done: uids that stand in the store or are left out for good.
        skipped: why objects are left out, by uid.
        finished: the store, if the same build is complete already; nothing can be added then.

    Example:
        >>> import tempfile
        >>> views, solid = np.zeros((24, 137, 137, 4), np.uint8), np.ones((32, 32, 32), bool)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = StoreWriter.open(f"{folder}/out", source="example", capacity=1)
        ...     writer.add(ObjectRecord("a", "chair", "example"), views, solid, np.zeros((24, 5)))
        ...     writer.finish().row("a")
        0
    """

    def __init__(self, path: Path, source: str, parameters: dict):
        self.path, self.work = path, path.with_name(path.name + ".partial")
        self.source, self.parameters = source, parameters
        self.done: set[str] = set()
        self.skipped: dict[str, str] = {}
        self.finished: Store | None = None
        self._left_out: list[list[str]] = []
        self._objects: list[tuple[ObjectRecord, str]] = []
        self._files: dict[str, io.FileIO] = {}
        self._journal: io.FileIO | None = None
        self._lock = FileLock(self.work / "lock", timeout=0, thread_local=False)

    @classmethod
    def open(cls, path: str | Path, source: str, parameters: dict | None = None, capacity: int = 0) -> StoreWriter:
        """Begin a store, or go on with one that was interrupted.

        Args:
            path: the folder that `finish` will make.
            source: "shapes", "cad", "shapenet", ...
            parameters: everything that decides the contents (JSON values); going on with others is refused.
            capacity: about how many objects will come; the free space on the disk is checked for them first.

        Raises:
            DataError: the disk is too small, another build is at work there, or the folder holds another build.
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
        """Append one object.

        Args:
            record: its uid must be new.
            rgba: uint8 `(24, 137, 137, 4)`, straight (not premultiplied) alpha.
            occupancy: bool `(32, 32, 32)`, indexed `[x, y, z]`.
            cameras: float `(24, 5)`.

        Raises:
            DataError: an array has another shape or type, no voxel is occupied, or a camera is not finite. Nothing is
                written then; pass the reason to `skip`.
        """
        if record.uid in self.done:
            raise DataError(record.uid, "stands in the store already", "give every object its own uid")
        if self.finished:
            raise DataError(self.path, "is finished; nothing can be added", "build into another folder")
        row = pack_object(record.uid, rgba, occupancy, cameras)  # before anything is written
        digest = hashlib.sha256()
        for name, array in row.items():
            data = memoryview(array).cast("B")
            digest.update(data)
            _write_all(self._files[name], data)
        entry = {**dataclasses.asdict(record), "sha256": digest.hexdigest()}
        self._append(entry)
        self._objects.append((record, digest.hexdigest()))
        self.done.add(record.uid)

    def skip(self, uid: str, reason: str | DataError) -> None:
        """Leave an object out, for good, and say why; `finish` lists it in store.json and left-out.csv."""
        if uid in self.done or self.finished:
            return
        entry = {"skip": uid, "reason": str(reason)}
        if isinstance(reason, DataError):
            entry |= {"file": reason.where, "problem": reason.problem, "remedy": reason.remedy}
        self._append(entry)
        self._leave_out(entry)

    def finish(self) -> Store:
        """Close the files, write the checksums, and give the store its final name."""
        if self.finished:
            return self.finished
        if not self._objects:
            raise DataError(self.path, "no object could be built", "look at the reasons listed in " + str(self.work))
        for name, file in self._files.items():
            file.seek(0)
            _write_all(file, _npy_header(name, len(self._objects)))
            os.fsync(file.fileno())
            file.close()
        lines = [json.dumps({**dataclasses.asdict(record), "sha256": digest}) for record, digest in self._objects]
        (self.work / "objects.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        info = {
            "format": FORMAT,
            "source": self.source,
            "parameters": self.parameters,
            "objects": len(self._objects),
            "categories": dict(sorted(Counter(record.category for record, _ in self._objects).items())),
            "splits": dict(sorted(Counter(record.split for record, _ in self._objects).items())),
            "skipped": dict(sorted(self.skipped.items())),
            "sha256": _dataset_sha256(self._objects),
            "files": _files_sha256(self.work, [*(f"{n}.npy" for n in _ROWS), "objects.jsonl"]),
        }
        if self._left_out:
            rows = [["object", "file", "problem", "what to do"], *sorted(self._left_out)]
            with open(self.work / LEFT_OUT, "w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
        (self.work / "store.json").write_text(json.dumps(info, indent=1) + "\n", "utf-8")
        self._journal.close()
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
        for file in [*self._files.values(), *([self._journal] if self._journal else [])]:
            file.close()
        self._lock.release()

    def discard(self) -> None:
        """Give an unfinished build up, and remove what it has written."""
        self.close()
        if not self.finished:
            shutil.rmtree(self.work, ignore_errors=True)

    def _adopt_finished(self) -> None:
        """The store is there already: the same build needs no work, another one must not be overwritten."""
        store = Store.open(self.path)
        theirs = store.info["source"], store.info["parameters"]
        if theirs != (self.source, self.parameters):
            problem = f"holds another build ({' '.join(map(str, theirs))})"
            raise DataError(self.path, problem, "choose another folder, or delete this one")
        self.finished = store
        self.skipped = dict(store.info["skipped"])
        self.done = {record.uid for record in store.objects} | set(self.skipped)

    def _leave_out(self, entry: dict[str, str]) -> None:
        uid, reason = entry["skip"], entry["reason"]
        self.done.add(uid)
        self.skipped[uid] = reason
        self._left_out.append([uid, entry.get("file", ""), entry.get("problem", reason), entry.get("remedy", "")])

    def _check_build(self) -> None:
        """An interrupted build goes on only with the same source and parameters."""
        note, mine = self.work / "build.json", {"format": FORMAT, "source": self.source, "parameters": self.parameters}
        if note.exists():
            try:
                theirs = json.loads(note.read_text("utf-8"))
            except ValueError:
                theirs = None
            if theirs != mine:
                self.close()
                raise DataError(self.work, f"is the rest of another build ({theirs})", "delete this folder")
            return
        write_atomically(note, json.dumps(mine).encode())

    def _resume(self) -> None:
        """Read the journal, cut everything after the last complete row, and open the files for appending."""
        journal = self.work / "journal.jsonl"
        entries, length = _read_journal(journal)
        rows = [entry for entry in entries if "skip" not in entry]
        keep = self._good_rows(rows)
        if keep < len(rows):  # after a power cut: forget the rows that did not reach the disk, and all after them
            bad = rows[keep]["uid"]
            entries = entries[: next(i for i, entry in enumerate(entries) if entry.get("uid") == bad)]
            text = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
            write_atomically(journal, text)
            length = len(text)
        self._journal = open(journal, "ab", buffering=0)
        self._journal.truncate(length)
        for entry in entries:
            if "skip" in entry:
                self._leave_out(entry)
            else:
                record, digest = _record(entry)
                self._objects.append((record, digest))
                self.done.add(record.uid)
        for name in _ROWS:
            path = self.work / f"{name}.npy"
            file = open(path, "r+b" if path.exists() else "x+b", buffering=0)
            file.truncate(_HEADER_BYTES + len(self._objects) * _ROW_BYTES[name])
            file.seek(0, os.SEEK_END)
            self._files[name] = file

    def _good_rows(self, rows: list[dict]) -> int:
        """How many rows of the journal stand complete in the files; the last few are hashed."""
        keep = len(rows)
        for name in _ROWS:
            path = self.work / f"{name}.npy"
            size = path.stat().st_size if path.exists() else 0
            keep = min(keep, max(0, size - _HEADER_BYTES) // _ROW_BYTES[name])
        for row in range(max(0, keep - _CHECKED_ON_RESUME), keep):
            if self._row_sha256(row) != rows[row]["sha256"]:
                return row
        return keep

    def _row_sha256(self, row: int) -> str:
        digest = hashlib.sha256()
        for name, size in _ROW_BYTES.items():
            with open(self.work / f"{name}.npy", "rb") as file:
                file.seek(_HEADER_BYTES + row * size)
                digest.update(file.read(size))
        return digest.hexdigest()

    def _append(self, entry: dict) -> None:
        _write_all(self._journal, (json.dumps(entry) + "\n").encode())


def pack_object(uid: str, rgba: np.ndarray, occupancy: np.ndarray, cameras: np.ndarray) -> dict[str, np.ndarray]:
    """One row of a store from one object; arguments and errors as in `StoreWriter.add`."""
    remedy = "render and voxelise this object again"
    rgba, occupancy, cameras = np.asarray(rgba), np.asarray(occupancy), np.asarray(cameras, np.float64)
    if rgba.shape != (VIEWS, SIDE, SIDE, 4) or rgba.dtype != np.uint8:
        raise DataError(uid, f"views are {rgba.dtype} {rgba.shape}, not uint8 (24, 137, 137, 4)", remedy)
    if occupancy.shape != (GRID, GRID, GRID):
        raise DataError(uid, f"occupancy is {occupancy.shape}, not (32, 32, 32)", remedy)
    if cameras.shape != (VIEWS, 5) or not np.isfinite(cameras).all():
        raise DataError(uid, "cameras are not 24 x 5 finite numbers", remedy)
    occupancy = occupancy.astype(bool)
    if not occupancy.any():
        raise DataError(uid, "has no occupied voxel", remedy)
    alpha, rgb = np.ascontiguousarray(rgba[..., 3]), np.empty((VIEWS, SIDE, SIDE, 3), np.uint8)
    seen = (alpha != 0).view(np.uint8)
    for channel in range(3):  # 0.8 ms an object; assigning zeros through a mask took 11, more than reading the files
        np.multiply(rgba[..., channel], seen, out=rgb[..., channel])
    voxels = np.packbits(occupancy)
    return {"rgb": rgb, "alpha": alpha, "voxels": voxels, "cameras": np.ascontiguousarray(cameras, "<f4")}


def check_disk(path: Path, count: int, extra: int = 0) -> int:
    """Free bytes on the disk that holds `path`.

    Raises:
        DataError: `count` more objects (1.8 MB each) and `extra` bytes do not fit there.
    """
    folder = next(parent for parent in [path, *path.absolute().parents] if parent.is_dir())
    free, need = shutil.disk_usage(folder).free, int(count * OBJECT_BYTES * 1.01) + extra
    if need > free:
        unpacked = f" and {in_words(extra)} to unpack an archive" if extra else ""
        raise DataError(
            path,
            f"needs {in_words(need - extra)} for {count:,} objects{unpacked}; {in_words(free)} are free",
            "free some space, choose another disk (--out), or build a part (--category, --limit)",
        )
    return free


def in_words(size: int) -> str:
    """Bytes for people: "79.1 GB", "108 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _npy_header(name: str, count: int) -> bytes:
    shape, dtype = _ROWS[name]
    buffer = io.BytesIO()
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(buffer, fields)
    assert buffer.tell() == _HEADER_BYTES
    return buffer.getvalue()


def _write_all(file: io.FileIO, data) -> None:
    view = memoryview(data)
    try:
        while view.nbytes:
            view = view[file.write(view) :]
    except OSError as error:
        remedy = "free some space, and run the same command again: it goes on where it stopped"
        raise DataError(file.name, f"cannot be written ({error.strerror})", remedy) from None


def _record(entry: dict) -> tuple[ObjectRecord, str]:
    fields = {key: value for key, value in entry.items() if key != "sha256"}
    return ObjectRecord(**fields), entry["sha256"]


def _read_objects(path: Path) -> list[tuple[ObjectRecord, str]]:
    try:
        return [_record(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(path, f"cannot be understood ({error!r})", _REMEDY) from None


def _read_journal(path: Path) -> tuple[list[dict], int]:
    """Complete entries, and how many bytes they take (a killed writer may leave half a line)."""
    entries, length = [], 0
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        try:
            if not line.endswith(b"\n"):
                break
            entries.append(json.loads(line))
        except ValueError:
            break
        length += len(line)
    return entries, length


def _files_sha256(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files, by name; with a bar where it takes longer than two seconds (79 GB take minutes)."""
    paths, found, block = [folder / name for name in names], {}, memoryview(bytearray(1 << 20))
    try:
        size = sum(path.stat().st_size for path in paths)
        with tqdm(total=size, unit="B", unit_scale=True, desc="checksums", disable=None, delay=2, leave=False) as bar:
            for path in paths:
                digest = hashlib.sha256()
                with open(path, "rb", buffering=0) as file:
                    while count := file.readinto(block):
                        digest.update(block[:count])
                        bar.update(count)
                found[path.name] = digest.hexdigest()
    except OSError as error:
        raise DataError(error.filename or folder, f"cannot be read ({error.strerror})", _REMEDY) from None
    return found


def _dataset_sha256(objects: Iterable[tuple[ObjectRecord, str]]) -> str:
    """Hash over the objects sorted by uid: what they are and what they look like, not where they stand."""
    digest = hashlib.sha256(f"compress3d store {FORMAT}\n".encode())
    for record, content in sorted(objects, key=lambda pair: pair[0].uid):
        line = json.dumps(dataclasses.astuple(record)) + content
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
