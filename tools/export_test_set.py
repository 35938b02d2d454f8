"""Cut the small held-out test set that ships with the repository out of a store of CAD models.

The archive has the layout of ShapeNetRendering and ShapeNetVox32, so the ordinary reader opens it.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from compress3d.data.parallel import ordered_map
from compress3d.data.shapenet import CATEGORIES
from compress3d.data.store import VIEWS, ObjectRecord, Store
from compress3d.errors import DataError
from compress3d.io import atomic_path
from tools.shapenet_files import encode_binvox, format_metadata

#: A class takes part when it has so many clean, freely licensed models in distinct shape groups.
LEAST_GROUPS = 5
#: "other" is what no rule of classification caught; it is no class.
NO_CLASS = {"other"}
_FREE = ("CC0", "CC-BY")
_RESTRICTED = ("-NC", "-SA", "-ND")
_MEMBER_BYTES = 120  # what one tar header takes after gzip, measured with room to spare

LICENSES = """\
The pictures and voxels in this archive were rendered and voxelised from models by the people named in credits.csv.
They are changed: turned to one frame, scaled, rendered at 137 x 137 pixels, reduced to 32^3 voxels.

Models with the licence CC0-1.0: no rights reserved, https://creativecommons.org/publicdomain/zero/1.0/
Models with the licence CC-BY-3.0: Creative Commons Attribution 3.0 Unported, https://creativecommons.org/licenses/by/3.0/
Models with the licence CC-BY-3.0-US: Creative Commons Attribution 3.0 United States,
    https://creativecommons.org/licenses/by/3.0/us/
Models with the licence CC-BY-4.0: Creative Commons Attribution 4.0 International,
    https://creativecommons.org/licenses/by/4.0/
The creators endorse neither this project nor its use. Whoever passes the archive
on keeps credits.csv with it.
"""


def is_free(record: ObjectRecord) -> bool:
    """True where the licence lets anyone pass the pictures on with no more than a credit (CC0, CC-BY)."""
    return record.licence.startswith(_FREE) and not any(word in record.licence for word in _RESTRICTED)


def choose(store: Store) -> list[int]:
    """Rows that may ship, in the order in which they are taken while there is room.

    Clean test models under a free licence, of classes with enough of them: first two of each class, so that none is
    crowded out, then the rest of ShapeNet's 13 classes, which the paper is about, then the rest. Classes take turns,
    and within a class the order is that of a hash of the uid.
    """
    groups: dict[str, set[str]] = {}
    by_class: dict[str, list[int]] = {}
    for row, record in enumerate(store.objects):
        if record.flags or not is_free(record) or record.category in NO_CLASS:
            continue
        groups.setdefault(record.category, set()).add(record.group)
        if record.split == "test":
            by_class.setdefault(record.category, []).append(row)
    queues = [
        sorted(rows, key=lambda row: hashlib.sha256(store.objects[row].uid.encode()).digest())
        for category, rows in sorted(by_class.items())
        if len(groups[category]) >= LEAST_GROUPS
    ]
    ranked = []
    for queue in queues:
        for turn, row in enumerate(queue):
            category = store.objects[row].category
            first, paper = turn < 2, category in CATEGORIES
            ranked.append((0 if first else 1 if paper else 2, turn, category, row))
    return [row for *_, row in sorted(ranked)]


def export_test_set(store: Store, out: str | Path, max_bytes: int = 7_950_000, workers: int = 2) -> list[ObjectRecord]:
    """Write the archive: ShapeNetRendering, ShapeNetVox32, index.csv, credits.csv, LICENSES.

    Args:
        store: a store of CAD models with splits, groups, flags and licences.
        out: the archive, a .tgz (plain tar headers take 18 of 125 kB an object); the same store gives the same bytes.
        max_bytes: objects are taken in the order of `choose` as long as the archive stays below.
        workers: processes that compress pictures.

    Returns:
        the records that were taken.

    Raises:
        DataError: the store has no object that may ship.
    """
    rows = choose(store)
    taken: list[tuple[ObjectRecord, dict[str, bytes]]] = []
    size = 24 * 1024  # tables, licences and the archive's end
    packed = ordered_map(_pack, ((store, row) for row in rows), workers)
    for row, files in tqdm(zip(rows, packed, strict=True), total=len(rows), disable=None, unit="object", desc="export"):
        more = sum(_MEMBER_BYTES + len(zlib.compress(data)) for data in files.values())
        if size + more > max_bytes:
            continue  # a smaller object may still fit
        size += more
        taken.append((store.objects[row], files))
    if not taken:
        raise DataError(store.path, "holds no clean test model under CC0 or CC-BY", "build the store of CAD models")
    taken.sort(key=lambda pair: (pair[0].category, pair[0].uid))
    records = [record for record, _ in taken]
    members = {"LICENSES": LICENSES.encode(), "credits.csv": _credits(records), "index.csv": _index(records)}
    for _, files in taken:
        members.update(files)
    _write_tar(Path(out), members)
    return records


def encode_png(rgba: np.ndarray) -> bytes:
    """A PNG as small as zlib makes it: uint8 `(H, W, 4)`, lossless.

    Tries each of PNG's five row filters over the whole picture, the usual row-wise choice by smallest sum, and two zlib
    strategies.
    """
    height, width, channels = rgba.shape
    if channels != 4 or rgba.dtype != np.uint8:
        raise ValueError(f"an uint8 picture with 4 channels is needed, not {rgba.dtype} {rgba.shape}")
    filtered = _filtered_rows(rgba)
    cost = np.abs(filtered.view(np.int8).astype(np.int16)).sum(axis=2)
    choices = [np.full(height, kind) for kind in range(5)] + [cost.argmin(axis=0)]
    best = None
    for kinds in choices:
        lines = np.empty((height, 1 + width * 4), np.uint8)
        lines[:, 0] = kinds
        lines[:, 1:] = filtered[kinds, np.arange(height)]
        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED):
            packer = zlib.compressobj(9, zlib.DEFLATED, 15, 9, strategy)
            data = packer.compress(lines.tobytes()) + packer.flush()
            if best is None or len(data) < len(best):
                best = data
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", best) + _chunk(b"IEND", b"")


def _filtered_rows(rgba: np.ndarray) -> np.ndarray:
    """All five PNG filters of all rows: uint8 `(5, H, 4 W)` (None, Sub, Up, Average, Paeth)."""
    here = rgba.astype(np.int16)
    left, up, corner = np.zeros_like(here), np.zeros_like(here), np.zeros_like(here)
    left[:, 1:], up[1:], corner[1:, 1:] = here[:, :-1], here[:-1], here[:-1, :-1]
    guess = left + up - corner
    to_left, to_up, to_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    paeth = np.where((to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner))
    kinds = [here, here - left, here - up, here - (left + up) // 2, here - paeth]
    return np.stack([(kind & 255).astype(np.uint8).reshape(len(rgba), -1) for kind in kinds])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _pack(job: tuple[Store, int]) -> dict[str, bytes]:
    """The archive's members of one object."""
    store, row = job
    record = store.objects[row]
    place = f"{record.category}/{_folder(record)}"
    rgba = np.concatenate([store.rgb[row], store.alpha[row][..., None]], axis=-1)
    files = {f"ShapeNetRendering/{place}/rendering/{view:02d}.png": encode_png(rgba[view]) for view in range(VIEWS)}
    files[f"ShapeNetRendering/{place}/rendering/rendering_metadata.txt"] = format_metadata(store.cameras[row]).encode()
    names = "".join(f"{view:02d}.png\n" for view in range(VIEWS))
    files[f"ShapeNetRendering/{place}/rendering/renderings.txt"] = names.encode()
    files[f"ShapeNetVox32/{place}/model.binvox"] = encode_binvox(store.occupancy(row))
    return files


def _folder(record: ObjectRecord) -> str:
    """The model's folder: its uid without what separates folders."""
    return record.uid.replace("/", "_")


def _index(records: list[ObjectRecord]) -> bytes:
    rows = [[r.category, _folder(r), r.uid, r.flags, r.licence, r.group, r.split] for r in records]
    return _csv([["class", "model", "uid", "flags", "licence", "group", "split"], *rows])


def _credits(records: list[ObjectRecord]) -> bytes:
    rows = [[r.uid, r.category, r.title, r.creator, r.licence, r.url] for r in records]
    return _csv([["uid", "class", "title", "creator", "licence", "url"], *rows])


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


def _write_tar(path: Path, members: dict[str, bytes]) -> None:
    """A tar whose bytes depend on the members alone: no times, owners or folders."""
    with (
        atomic_path(path) as beside,
        open(beside, "wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
