"""ShapeNetRendering and ShapeNetVox32 exactly as distributed, from folders or from their archives.

    ShapeNetRendering/<synset>/<model>/rendering/{00..23}.png, rendering_metadata.txt, renderings.txt
    ShapeNetVox32/<synset>/<model>/model.binvox

Views are RGBA 137 x 137. A view's colours are kept where alpha is not zero and black elsewhere: that is what a loader
that drops the alpha channel sees. The same layout with class names instead of synsets, and with `index.csv` and
`credits.csv` beside, carries the real CAD models.
Source: Choy et al. 2016 (3D-R2N2), `cvgl.stanford.edu/data2/ShapeNetRendering.tgz` and `ShapeNetVox32.tgz`.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import gzip
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from tqdm import tqdm

from compress3d import paths
from compress3d.data.binvox import decode_binvox
from compress3d.data.parallel import ordered_map
from compress3d.data.store import SIDE, VIEWS, ObjectRecord, Store, StoreWriter
from compress3d.errors import DataError

#: The 13 synsets of 3D-R2N2's `shapenet_1000.json` and their names.
SYNSETS = {
    "02691156": "airplane",
    "02828884": "bench",
    "02933112": "cabinet",
    "02958343": "car",
    "03001627": "chair",
    "03211117": "display",
    "03636649": "lamp",
    "03691459": "loudspeaker",
    "04090263": "rifle",
    "04256520": "sofa",
    "04379243": "table",
    "04401088": "telephone",
    "04530566": "watercraft",
}
CATEGORIES = tuple(SYNSETS.values())
#: Other names in use for the same classes.
_ALIASES = {"plane": "airplane", "speaker": "loudspeaker", "vessel": "watercraft", "boat": "watercraft"}
_RENDERING, _VOXELS = "ShapeNetRendering", "ShapeNetVox32"
_TRAIN_FRACTION = 0.8
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_REMEDY = "download the data set again, or remove this object"


def category_name(folder: str) -> str:
    """The category of a folder's name: a synset id, a class name, or another name of a class."""
    return SYNSETS.get(folder, _ALIASES.get(folder, folder))


# -- reading one object ----------------------------------------------------------------------------------------------


def decode_view(data: bytes, name: str | Path) -> np.ndarray:
    """One view from the bytes of its PNG: uint8 `(137, 137, 4)`, straight alpha.

    Raises:
        DataError: the bytes are no complete PNG, or the picture is not RGBA of 137 x 137.
    """
    if not data:
        raise DataError(name, "is empty", _REMEDY)
    _check_png(data, name)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.size != (SIDE, SIDE):
                raise DataError(name, f"is {image.size[0]}x{image.size[1]} pixels, not {SIDE}x{SIDE}", _REMEDY)
            if image.mode != "RGBA":
                raise DataError(name, f"has the mode {image.mode}, not RGBA", _REMEDY)
            return np.array(image)
    except DataError:
        raise
    except Exception as error:  # Pillow: OSError, SyntaxError, ValueError, zlib.error, struct.error ...
        raise DataError(name, f"is no complete PNG picture ({error})", _REMEDY) from None


def _check_png(data: bytes, name: str | Path) -> None:
    """Walk the chunks to the end: Pillow itself passes over a missing end and over damaged pixels."""
    if not data.startswith(_PNG_SIGNATURE):
        raise DataError(name, "is no PNG picture", _REMEDY)
    at, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if at + 12 + size > len(data):
            raise DataError(name, "is no complete PNG picture (truncated)", _REMEDY)
        if zlib.crc32(data[at + 4 : at + 8 + size]) != int.from_bytes(data[at + 8 + size : at + 12 + size], "big"):
            raise DataError(name, f"is damaged (checksum of the PNG chunk {kind.decode('latin-1')})", _REMEDY)
        at += 12 + size
    if at != len(data):
        raise DataError(name, "has bytes after the end of its PNG picture", _REMEDY)


def decode_metadata(data: bytes, name: str | Path) -> np.ndarray:
    """Cameras from the bytes of `rendering_metadata.txt`: float32 `(24, 5)`.

    Columns: azimuth and elevation in degrees, in-plane rotation, distance ratio, field of view. The camera stands at
    ratio * 1.75 from the origin. The field of view, 25 in every file, was never applied by the renderer.

    Raises:
        DataError: not 24 lines of 5 finite numbers.
    """
    try:
        lines = [line.split() for line in data.decode("ascii").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise DataError(name, "is no text file", _REMEDY) from None
    if len(lines) != VIEWS:
        raise DataError(name, f"describes {len(lines)} of {VIEWS} views", _REMEDY)
    for number, words in enumerate(lines, 1):
        if len(words) != 5:
            raise DataError(name, f"has {len(words)} columns in line {number}, not 5", _REMEDY)
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 becomes inf, and is refused below
            cameras = np.array(lines, np.float64).astype(np.float32)
    except ValueError:
        raise DataError(name, "holds something that is no number", _REMEDY) from None
    if not np.isfinite(cameras).all():
        raise DataError(name, "holds a number that is not finite", _REMEDY)
    return cameras


def format_metadata(cameras: np.ndarray) -> str:
    """The text of `rendering_metadata.txt` for cameras `(24, 5)`; the inverse of `decode_metadata`."""
    return "".join(" ".join(np.format_float_positional(v, trim="-") for v in row) + "\n" for row in np.float32(cameras))


@dataclass(frozen=True)
class Item:
    """One object as found in a source: its record and where its files lie.

    `rendering` and `voxels` are folders. In an archive they are names for messages, and `files` gives for every file
    name the plain tar, the offset and the size: 43,784 objects with 26 files each must fit into memory.
    """

    record: ObjectRecord
    rendering: str
    voxels: str
    files: dict[str, tuple[str, int, int]] | None = field(default=None, repr=False)

    def where(self, name: str) -> str:
        return f"{self.voxels if name == 'model.binvox' else self.rendering}/{name}"

    def read(self, name: str) -> bytes:
        """The bytes of one file; DataError where it is missing or cannot be read."""
        try:
            if self.files is None:
                return Path(self.where(name)).read_bytes()
            if name not in self.files:
                raise FileNotFoundError
            path, offset, size = self.files[name]
            with open(path, "rb") as file:
                file.seek(offset)
                return file.read(size)
        except FileNotFoundError:
            raise DataError(self.where(name), "is missing", _REMEDY) from None
        except OSError as error:
            raise DataError(self.where(name), f"cannot be read ({error.strerror})", _REMEDY) from None


def read_item(item: Item) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views uint8 `(24, 137, 137, 4)`, occupancy bool `(32, 32, 32)` and cameras float32 `(24, 5)` of one object.

    Raises:
        DataError: a file is missing or broken; the message names it.
    """
    cameras, voxels, views = "rendering_metadata.txt", "model.binvox", [f"{view:02d}.png" for view in range(VIEWS)]
    occupancy = decode_binvox(item.read(voxels), item.where(voxels))
    if not occupancy.any():
        raise DataError(item.where(voxels), "has no occupied voxel", _REMEDY)
    rgba = np.stack([decode_view(item.read(name), item.where(name)) for name in views])
    return rgba, occupancy, decode_metadata(item.read(cameras), item.where(cameras))


# -- finding the objects ---------------------------------------------------------------------------------------------


def find_items(source: str | Path, unpack_to: str | Path | None = None) -> tuple[list[Item], dict[str, str]]:
    """All objects of a source, sorted by category folder and model name, and its text tables.

    Args:
        source: a folder that holds ShapeNetRendering and ShapeNetVox32 (as folders or as .tar/.tgz archives), or one
            .tar/.tgz archive with both.
        unpack_to: where a compressed archive is unpacked to a plain tar once; beside the archive where None.

    Returns:
        items with `record.split` still empty, and {"index.csv": text, "credits.csv": text} as far as present.

    Raises:
        DataError: nothing usable is there, or an archive is broken.
    """
    source = Path(source)
    found: dict[tuple[str, str], Item] = {}  # (folder, model) -> item
    tables: dict[str, str] = {}
    if source.is_file():
        _scan_archives([source], unpack_to, found, tables)
    elif source.is_dir():
        archives = [
            path
            for kind in (_RENDERING, _VOXELS)
            for path in [source / (kind + ending) for ending in (".tar", ".tgz", ".tar.gz")]
            if path.is_file() and not (source / kind).is_dir()
        ]
        if archives:
            if (source / _RENDERING).is_dir() or (source / _VOXELS).is_dir():
                raise DataError(source, "holds one part as a folder, the other as an archive", "unpack both or neither")
            _scan_archives(archives, unpack_to, found, tables)
        else:
            _scan_folders(source, found)
        for name in ("index.csv", "credits.csv"):
            if (source / name).is_file():
                tables[name] = (source / name).read_text("utf-8")
    else:
        raise DataError(source, "does not exist", "name the folder that holds ShapeNetRendering and ShapeNetVox32")
    if not found:
        problem = f"holds no {_RENDERING}/<synset>/<model>/rendering"
        raise DataError(source, problem, f"unpack {_RENDERING} and {_VOXELS} there")
    return [found[key] for key in sorted(found)], tables


def _item(folder: str, model: str, rendering: str, voxels: str, files: dict | None) -> Item:
    record = ObjectRecord(f"{folder}/{model}", category_name(folder), "shapenet", split="")
    return Item(record, f"{rendering}/{folder}/{model}/rendering", f"{voxels}/{folder}/{model}", files)


def _scan_folders(source: Path, found: dict[tuple[str, str], Item]) -> None:
    top = source / _RENDERING
    for folder in [path for path in top.iterdir() if path.is_dir()] if top.is_dir() else []:
        for model in os.scandir(folder):
            if model.is_dir():
                key = (folder.name, model.name)
                found[key] = _item(*key, rendering=str(top), voxels=str(source / _VOXELS), files=None)


def _scan_archives(
    archives: list[Path], unpack_to: str | Path | None, found: dict[tuple[str, str], Item], tables: dict[str, str]
) -> None:
    files: dict[tuple[str, str], dict] = {}
    named = {_RENDERING: "", _VOXELS: ""}  # for messages: archive!top folder
    rendered = set()
    for archive in archives:
        plain = _plain_tar(archive, unpack_to)
        try:
            with tarfile.open(plain, "r:") as tar:
                for member in tar:
                    tar.members = []  # a million members of the real archive would fill the memory
                    parts = PurePosixPath(member.name).parts
                    if not member.isfile():
                        continue
                    if parts[-1] in ("index.csv", "credits.csv"):
                        tables[parts[-1]] = tar.extractfile(member).read().decode("utf-8")
                    kind = next((name for name in named if name in parts[:-3]), None)
                    if kind is None:
                        continue
                    named[kind] = f"{archive}!{kind}"
                    key = parts[parts.index(kind) + 1 :][:2]
                    if kind == _RENDERING:
                        rendered.add(key)
                    entry = (str(plain), member.offset_data, member.size)
                    files.setdefault(key, {})[sys.intern(parts[-1])] = entry
        except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
            raise DataError(archive, f"is no complete archive ({error})", "download it again") from None
    for key in rendered:
        found[key] = _item(
            *key, rendering=named[_RENDERING], voxels=named[_VOXELS] or str(archives[-1]), files=files[key]
        )


def _plain_tar(archive: Path, unpack_to: str | Path | None) -> Path:
    """The archive itself, or, for a compressed one, a plain tar made once: only that can be read in any order."""
    with open(archive, "rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return archive
    folder = Path(unpack_to) if unpack_to else archive.parent
    plain = folder / (archive.name + ".plain.tar")
    if plain.exists():
        return plain
    folder.mkdir(parents=True, exist_ok=True)
    need, free = archive.stat().st_size * 1.3, shutil.disk_usage(folder).free
    if need > free:
        raise DataError(folder, f"about {need / 1e9:.1f} GB are needed to unpack {archive}", "free some space")
    beside = plain.with_name(plain.name + ".partial")
    try:
        with gzip.open(archive, "rb") as packed, open(beside, "wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(archive, f"is no complete archive ({error})", "download it again") from None
    os.replace(beside, plain)
    return plain


# -- splits ----------------------------------------------------------------------------------------------------------


def sorted_split(models: list[str]) -> dict[str, str]:
    """The first published split: of one category's sorted model names the first 80 % train, the rest test.

    The cut is `models[:int(0.8 * n)]`, as in 3D-R2N2's `shapenet_1000.json`; "test" serves validation and test there.
    """
    ordered = sorted(models)
    cut = int(_TRAIN_FRACTION * len(ordered))
    return {model: "train" if rank < cut else "test" for rank, model in enumerate(ordered)}


def read_split_file(path: str | Path) -> dict[tuple[str, str], str]:
    """The second published split, a list of ids: {(synset, model): "train" | "val" | "test"}.

    Two forms are read: JSON as of Pix2Vox, a list of {"taxonomy_id", "train": [...], "val": [...], "test": [...]}, and
    CSV as of ShapeNet's `all.csv`, with the columns synsetId, modelId, split.

    Raises:
        DataError: the file is missing, or is neither.
    """
    path = Path(path)
    remedy = "give Pix2Vox's ShapeNet.json or ShapeNet's all.csv (synsetId, modelId, split)"
    try:
        text = path.read_text("utf-8")
        if text.lstrip().startswith("["):
            found = {
                (entry["taxonomy_id"], model): split
                for entry in json.loads(text)
                for split in ("train", "val", "test")
                for model in entry.get(split, [])
            }
        else:
            found = {(row["synsetId"], row["modelId"]): row["split"] for row in csv.DictReader(io.StringIO(text))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(path, f"is no list of ids ({error!r})", remedy) from None
    wrong = sorted({split for split in found.values() if split not in ("train", "val", "test")}, key=str)
    if not found or wrong:
        raise DataError(path, f"names the splits {wrong}" if wrong else "names no model", remedy)
    return found


def _with_records(items: list[Item], tables: dict[str, str], split: str | Path | None) -> list[Item]:
    """Fill in split, group, credits: from the tables where there are some, from the named split otherwise."""
    rows = {(row["class"], row["model"]): row for row in csv.DictReader(io.StringIO(tables.get("index.csv", "")))}
    credits = {row["uid"]: row for row in csv.DictReader(io.StringIO(tables.get("credits.csv", "")))}
    if split is None:
        split = "index" if rows else "sorted"
    listed = read_split_file(split) if split not in ("index", "sorted") else None
    models: dict[str, list[str]] = {}
    for item in items:
        folder, model = item.record.uid.split("/", 1)
        models.setdefault(folder, []).append(model)
    ranked = {folder: sorted_split(names) for folder, names in models.items()}
    result = []
    for item in items:
        folder, model = item.record.uid.split("/", 1)
        row = rows.get((folder, model), {})
        credit = credits.get(row.get("uid"), {})
        if listed is not None:
            part = listed.get((folder, model), "")
        else:
            part = row.get("split", "") if split == "index" else ranked[folder][model]
        record = ObjectRecord(
            uid=row.get("uid") or item.record.uid,
            category=item.record.category,
            source="cad" if row else "shapenet",
            split=part,
            group=row.get("group") or row.get("uid") or item.record.uid,
            title=credit.get("title", ""),
            creator=credit.get("creator", ""),
            licence=credit.get("licence") or row.get("licence", ""),
            url=credit.get("url", ""),
            flags=row.get("flags", ""),
        )
        result.append(dataclasses.replace(item, record=record))
    return result


# -- building --------------------------------------------------------------------------------------------------------


def build_shapenet(
    source: str | Path,
    out: str | Path,
    split: str | Path | None = None,
    categories: list[str] | None = None,
    limit: int | None = None,
    workers: int = 2,
) -> Store:
    """Build a store from ShapeNetRendering and ShapeNetVox32.

    A broken object is reported and left out, never replaced by zeros. Killed at any moment, the same call goes on.

    Args:
        source: folder or archive, see `find_items`.
        out: the store's folder.
        split: "sorted" (80/20 of the sorted names per category), a path (list of ids; models that it does not name are
            left out), "index" (the source's index.csv). None: "index" where there is an index.csv, else "sorted".
        categories: only these (names or synset ids).
        limit: at most so many objects of each category, the first of the sorted list. Splits are made before.
        workers: processes that decode pictures; 0 decodes in this one.

    Raises:
        DataError: the source holds nothing usable, or the disk is too small.
    """
    out = Path(out)
    items, tables = find_items(source, unpack_to=out.with_name(out.name + ".unpacked"))
    items = _with_records(items, tables, split)
    if categories is not None:
        wanted = {category_name(name) for name in categories}
        missing = wanted - {item.record.category for item in items}
        if missing:
            raise DataError(source, f"holds no category {sorted(missing)}", "choose among those that are there")
        items = [item for item in items if item.record.category in wanted]
    items = [item for item in items if item.record.split]
    if limit is not None:
        seen: dict[str, int] = {}
        kept = []
        for item in items:
            seen[item.record.category] = seen.get(item.record.category, 0) + 1
            if seen[item.record.category] <= limit:
                kept.append(item)
        items = kept
    parameters = {
        "archive": _sha256(source) if Path(source).is_file() else None,
        "split": split if split in (None, "index", "sorted") else f"list of ids, sha256 {_sha256(split)}",
        "categories": sorted({item.record.category for item in items}),
        "limit": limit,
    }
    name = "cad" if any(item.record.source == "cad" for item in items) else "shapenet"
    writer = StoreWriter.open(out, source=name, parameters=parameters, capacity=len(items))
    todo = [item for item in items if item.record.uid not in writer.done]
    try:
        with tqdm(total=len(items), initial=len(items) - len(todo), disable=None, unit="object", desc=out.name) as bar:
            for item, result in zip(todo, ordered_map(_attempt, todo, workers), strict=True):
                if isinstance(result, DataError):
                    bar.write(f"left out: {result}", file=sys.stderr)
                    writer.skip(item.record.uid, str(result))
                else:
                    writer.add(item.record, *result)
                bar.update()
        store = writer.finish()
    finally:
        writer.close()
    shutil.rmtree(out.with_name(out.name + ".unpacked"), ignore_errors=True)
    return store


def open_test_set() -> Store:
    """The held-out real CAD models that ship with the repository, as a store; built in the cache on first use.

    Two processes may do it at once: each builds beside, and the first to finish gives it the name.

    Raises:
        DataError: the shipped archive is missing or broken.
    """
    archive, out = paths.shipped_data() / "cad-test.tgz", paths.cache() / "cad-test"
    if not archive.is_file():
        raise DataError(archive, "is missing", "restore it from the repository (git checkout -- data)")
    shipped = _sha256(archive)
    if _holds(out, shipped):
        return Store.open(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="cad-test.") as beside:
        build_shapenet(archive, Path(beside) / "new", workers=0)
        for _ in range(10):
            try:
                os.rename(Path(beside) / "new", out)
                break
            except OSError:  # a folder is there: another process was faster, or the archive is newer than the folder
                if _holds(out, shipped):
                    break
                with contextlib.suppress(OSError):
                    os.rename(out, Path(beside) / f"old{time.monotonic_ns()}")
    return Store.open(out)


def _holds(out: Path, archive_sha256: str) -> bool:
    """Whether `out` is a sound store built from that archive."""
    try:
        return Store.open(out).info["parameters"].get("archive") == archive_sha256
    except DataError:
        return False


def _sha256(path: str | Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "name a file that exists") from None


def _attempt(item: Item):
    """The arrays of an object, or the DataError that says why there are none (errors cross processes as values)."""
    try:
        return read_item(item)
    except DataError as error:
        return error
