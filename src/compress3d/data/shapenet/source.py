"""Finding the two halves of the data set below a folder, and the objects in them."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compress3d.data.shapenet import archive as archives
from compress3d.data.shapenet.archive import Members
from compress3d.data.shapenet.decode import REMEDY, decode_binvox, decode_metadata, decode_view
from compress3d.data.shapenet.layout import (
    CAMERA_FILE,
    FILES,
    RENDERING,
    VIEW_FILES,
    VOXEL_FILE,
    VOXELS,
    Key,
    category_name,
    folder_in,
    half_named,
)
from compress3d.data.store import ObjectRecord
from compress3d.errors import DataError


@dataclass(frozen=True, slots=True)
class Folder:
    """Files of one object that lie in a folder, which may be missing; the counterpart of `Members`."""

    label: str

    def has(self, name: str) -> bool:
        return self._path(name).is_file()

    def read(self, name: str) -> bytes:
        """The bytes of one file; FileNotFoundError where it is missing, OSError where it cannot be read."""
        return self._path(name).read_bytes()

    def _path(self, name: str) -> Path:
        """A file as the disk spells it: some tools write 00.PNG."""
        path = Path(self.label, name)
        if not path.exists():
            with contextlib.suppress(OSError):
                spelled = next((other for other in sorted(os.listdir(self.label)) if other.lower() == name), name)
                return path.with_name(spelled)
        return path


@dataclass(frozen=True)
class Item:
    """One object as found in a source: its record, and where its files of either half lie."""

    record: ObjectRecord
    rendering: Folder | Members = field(repr=False)
    voxels: Folder | Members = field(repr=False)

    def where(self, name: str) -> str:
        return f"{self._half(name).label}/{name}"

    def read(self, name: str) -> bytes:
        """The bytes of one file; DataError where it is missing or cannot be read."""
        half = self._half(name)
        try:
            return half.read(name)
        except FileNotFoundError:
            there = f" ({sum(map(half.has, VIEW_FILES))} of {len(VIEW_FILES)} views are there)"
            problem = "is missing" + there * (name in VIEW_FILES)
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        raise DataError(self.where(name), problem, REMEDY)

    def _half(self, name: str) -> Folder | Members:
        return self.voxels if name == VOXEL_FILE else self.rendering


def read_item(item: Item) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views, occupancy and cameras as `StoreWriter.add` takes them. A DataError names the missing or broken file."""
    occupancy = decode_binvox(item.read(VOXEL_FILE), item.where(VOXEL_FILE))
    if not occupancy.any():
        raise DataError(item.where(VOXEL_FILE), "has no occupied voxel", REMEDY)
    rgba = np.stack([decode_view(item.read(name), item.where(name)) for name in VIEW_FILES])
    return rgba, occupancy, decode_metadata(item.read(CAMERA_FILE), item.where(CAMERA_FILE))


@dataclass
class Source:
    """The data set as it lies on a disk; `list_folders` and `list_archive` find the objects."""

    name: Path  # as the user gave it, for messages
    folders: dict[str, Path]  # of synsets, of every half that is unpacked
    archives: list[Path]  # of the other halves, voxels first: they are small, and tell how many objects come
    objects: dict[str, dict[Key, Folder | Members]] = field(default_factory=lambda: {half: {} for half in FILES})
    tables: dict[str, str] = field(default_factory=dict)  # text of index.csv and credits.csv, where there are such

    def list_folders(self) -> None:
        """List the objects of the halves that are folders."""
        for half, top in self.folders.items():
            for synset in _folders(top):
                for model in _folders(synset):
                    key = (synset.name, model.name)
                    self.objects[half][key] = Folder(f"{top}/{folder_in(half, key)}")

    def list_archive(self, archive: Path, unpack_to: Path) -> None:
        """List the objects of an archive, unpacked in `unpack_to` where it is compressed. DataError: it is broken."""
        found, tables = archives.index(archive, archives.unpack(archive, unpack_to))
        for half, objects in found.items():
            if half not in self.folders:
                self.objects[half].update(objects)
        self.tables = tables | self.tables

    def keys(self) -> list[Key]:
        """Every object that has a file in one half at least, sorted."""
        rendered, solid = self.objects[RENDERING], self.objects[VOXELS]
        return sorted({*rendered, *(key for key, files in solid.items() if key in rendered or files.has(VOXEL_FILE))})

    def item(self, key: Key, record: ObjectRecord) -> Item:
        """An object with its files. A half that does not know it stands for files that are missing."""
        files = []
        for half in (RENDERING, VOXELS):
            top = self.folders.get(half) or f"{max(self.archives, key=lambda path: half_of(path) == half)}!{half}"
            files.append(self.objects[half].get(key) or Folder(f"{top}/{folder_in(half, key)}"))
        return Item(record, *files)


def locate(source: str | Path) -> Source:
    """Find both halves.

    `source` is the folder that holds ShapeNetRendering and ShapeNetVox32, each as a folder or as a .tgz, .tar.gz or
    .tar archive (where both are there, the folder counts); the folder above it; one of the two halves, the other beside
    it; or one archive with both. Raises DataError: there is none, a half is missing, or there are two of it.
    """
    source = Path(source)
    if not source.exists():
        raise DataError(source, "does not exist", f"name the folder that holds {RENDERING} and {VOXELS}")
    if source.is_file() and half_of(source) is None:
        return Source(source, {}, [source])
    places = {half: place for half in FILES if (place := _place_of(half, source))}
    if not places:
        raise DataError(source, f"holds no {RENDERING} and no {VOXELS}, neither as a folder nor as a .tgz",
                        f"name the folder that holds both ({RENDERING}/<synset>/<model>/rendering)")  # fmt: skip
    for missing in FILES.keys() - places.keys():
        (other,) = places.values()
        raise DataError(source, f"holds {other.name} but no {missing}",
                        f"put {missing} (a folder or {missing}.tgz) beside it")  # fmt: skip
    found = Source(
        source,
        folders={half: place for half, place in places.items() if place.is_dir()},
        archives=[places[half] for half in (VOXELS, RENDERING) if places[half].is_file()],
    )
    for name in archives.TABLES:
        for top in {place.parent for place in places.values()}:
            if (top / name).is_file():
                found.tables[name] = (top / name).read_text("utf-8")
    return found


def half_of(path: Path) -> str | None:
    """The half that a folder or an archive is named after: ShapeNetVox32.tgz holds "ShapeNetVox32"."""
    return half_named(re.sub(r"\.(tar|tgz|tar\.gz)$", "", path.name.lower()))


def _place_of(half: str, source: Path) -> Path | None:
    """The folder or archive of a half: in the source, beside it if it is a half itself, or in one folder below."""
    beside = [source.parent] if half_of(source) else []
    for level in ([source], beside, _folders(source)):
        found = [place for top in level if (place := _half_in(top, half))]
        if len(found) > 1:
            names = ", ".join(map(str, found))
            raise DataError(source, f"holds {half} more than once: {names}", "name the folder that holds the right one")
        if found:
            inner = _half_in(found[0], half)  # some tools unpack x.tgz to x/x
            return inner if inner and inner.is_dir() else found[0]
    return None


def _half_in(top: Path, half: str) -> Path | None:
    """The half as it lies in a folder: as a folder rather than as an archive, as a plain one rather than packed."""
    with contextlib.suppress(OSError):
        # Neither a file ShapeNetVox32 nor a folder ShapeNetVox32.tgz counts.
        found = [p for p in top.iterdir() if half_of(p) == half and p.is_dir() == bool(half_named(p.name))]
        return min(found, key=lambda path: (path.is_file(), path.suffix.lower() != ".tar", path.name), default=None)
    return None


def _folders(top: Path) -> list[Path]:
    """Folders in a folder, hidden ones left out, in the order of their names; none where it cannot be listed."""
    with contextlib.suppress(OSError):
        return sorted(path for path in top.iterdir() if path.is_dir() and not path.name.startswith("."))
    return []


def record_of(key: Key) -> ObjectRecord:
    """What an object's place tells about it; its split is still empty."""
    return ObjectRecord(uid="/".join(key), category=category_name(key[0]), source="shapenet", split="")
