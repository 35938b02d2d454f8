"""From unpacked packages to a store: views and voxels of every model, each at its published place in the split.

Where a package brings models that the published split does not know, a pass over all voxels comes first: who is a near
duplicate of whom.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from compress3d.data.cad import flightgear, sweethome, torcs
from compress3d.data.cad.groups import SAME_SHAPE, Place, assign, published_split
from compress3d.data.cad.model import Model
from compress3d.data.camera import VIEWS, sample_cameras
from compress3d.data.parallel import ordered_map
from compress3d.data.render import SUPERSAMPLING, Renderer
from compress3d.data.store import GRID, ObjectRecord, Store, StoreWriter
from compress3d.data.voxelize import space_carve
from compress3d.errors import DataError

#: Models with one of these flags stay in the store, but nothing is trained or tested on them.
FLAT = 0.012  # thinnest side of the box, in units of its diagonal: parking marks, banknotes
FEW_VOXELS = 60
TINY = 0.01  # mean alpha of all pixels: nothing but wires
TRANSPARENT = 0.75  # mean alpha of the pixels that are touched: mostly glass

_PACKAGES = "sweethome3d-furniture, flightgear-data-ai or torcs-data"


def build_cad(sources: Iterable[str | Path], out: str | Path, workers: int = 2, limit: int | None = None) -> Store:
    """Build the store of human-made models, or go on with an interrupted build.

    Args:
        sources: folders with the files of the packages `sweethome3d-furniture`, `flightgear-data-ai`, `torcs-data`:
            /usr/share where they are installed, or wherever `dpkg -x` put them. What is there is found by its content.
        out: the store's folder.
        workers: processes; 980 models take about 5 minutes with two. 0 works in this one.
        limit: take only so many models, spread over all that there are; all where None.

    Returns:
        the store: views, voxels, and for every model category, title, creator, licence, link, flags, shape group and
        split. Models that cannot be read are left out and listed in `store.info["skipped"]`. Views depend on the uid
        alone; the rows stand in the order of the uids.

    Raises:
        DataError: a source does not exist, or no source holds a model.

    Example:
        >>> build_cad(["/usr/share"], "_cache/cad")                  # doctest: +SKIP
    """
    models = find_models(sources)
    if limit is not None and limit < len(models):
        models = [models[k * len(models) // limit] for k in range(limit)]
    listed = hashlib.sha256("\n".join(f"{model.uid} {model.licence}" for model in models).encode()).hexdigest()
    parameters = {
        "models": len(models), "listing": listed, "grid": GRID, "views": VIEWS, "supersampling": SUPERSAMPLING,
        "same_shape": SAME_SHAPE,
    }  # fmt: skip
    writer = StoreWriter.open(out, source="cad", parameters=parameters, capacity=len(models))
    try:
        if all(model.uid in writer.done for model in models):
            return writer.finish()
        places = dict(published_split())
        if any(model.uid not in places for model in models):
            shapes, broken = _all_voxels(models, Path(out), listed, workers)
            for uid, reason in broken.items():
                writer.skip(uid, reason)
            places |= assign({model.uid: model.category for model in models if model.uid in shapes}, shapes, places)
        waiting = [model for model in models if model.uid not in writer.done]
        made = ordered_map(_object, waiting, workers)
        bar = tqdm(zip(waiting, made, strict=True), total=len(waiting), disable=None, unit="model", desc="views")
        for model, (arrays, flags, problem) in bar:
            if problem:
                writer.skip(model.uid, problem)
            else:
                writer.add(_record(model, places[model.uid], flags), *arrays)
        store = writer.finish()
    finally:
        writer.close()
    _journal(Path(out)).unlink(missing_ok=True)
    return store


def find_models(sources: Iterable[str | Path]) -> list[Model]:
    """All models below the folders, sorted by uid, each once.

    Raises:
        DataError: a folder does not exist, a library is broken, or there is no model at all.
    """
    found: dict[str, Model] = {}
    sources = [Path(source) for source in sources]
    for source in sources:
        if not source.is_dir():
            raise DataError(source, "is no folder", f"unpack {_PACKAGES} there (dpkg -x <package>.deb <folder>)")
        for package in (sweethome, flightgear, torcs):
            for model in package.find(source):
                found.setdefault(model.uid, model)
    if not found:
        where = ", ".join(map(str, sources)) or "sources"
        raise DataError(where, "holds no .sh3f library, no AI/Aircraft and no cars", f"unpack {_PACKAGES} there")
    return [found[uid] for uid in sorted(found)]


def cameras_of(uid: str) -> np.ndarray:
    """The 24 cameras of a model, float64 (24, 5): a function of its uid alone."""
    return sample_cameras(np.random.default_rng(zlib.crc32(uid.encode())), VIEWS)


def flags_of(model_extent: np.ndarray, alpha: np.ndarray, voxels: int) -> list[str]:
    """Reasons not to train on a model.

    Args:
        model_extent: sides of its box (3,), diagonal 1.
        alpha: uint8 (V, H, W) of its views.
        voxels: how many are occupied.
    """
    touched = alpha[alpha > 8]
    flags = []
    if model_extent.min() < FLAT:
        flags.append("flat")
    if voxels < FEW_VOXELS:
        flags.append("few_voxels")
    if alpha.mean() / 255 < TINY:
        flags.append("tiny_in_image")
    if not touched.size or touched.mean() / 255 < TRANSPARENT:
        flags.append("transparent")
    return flags


def _record(model: Model, place: Place, flags: list[str]) -> ObjectRecord:
    """A model's line in the store; the flags of the published split hold where it knows the model."""
    published = model.uid in published_split()
    return ObjectRecord(
        uid=model.uid, category=model.category, source="cad", split=place.split, group=place.group, title=model.title,
        creator=model.creator, licence=model.licence, url=model.url,
        flags=place.flags if published else "|".join(sorted(flags)),
    )  # fmt: skip


def _object(model: Model) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray] | None, list[str], str]:
    """Views, occupancy and cameras of one model, and its flags; or nothing, and what is wrong. Runs in a worker."""
    try:
        mesh = model.mesh()
        cameras = cameras_of(model.uid)
        render = Renderer(mesh)
        rgba = np.stack([render(camera) for camera in cameras])
        occupancy = space_carve(mesh, scene=render.scene)
        flags = flags_of(np.ptp(mesh.vertices, axis=0), rgba[..., 3], int(occupancy.sum()))
        return (rgba, occupancy, cameras), flags, "" if occupancy.any() else "no voxel is occupied"
    except DataError as error:
        return None, [], str(error)


def _voxels(model: Model) -> tuple[bytes, str]:
    """Packed occupancy of one model; or nothing, and what is wrong. Runs in a worker."""
    try:
        solid = space_carve(model.mesh())
        return (np.packbits(solid).tobytes(), "") if solid.any() else (b"", "no voxel is occupied")
    except DataError as error:
        return b"", str(error)


def _journal(out: Path) -> Path:
    """Voxels of the first pass, one model a line, so that an interrupted build need not carve again."""
    return out.with_name(out.name + ".partial.voxels")


def _all_voxels(
    models: list[Model], out: Path, listing: str, workers: int
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Occupancy by uid, and the reason for every model that has none."""
    path = _journal(out)
    known: dict[str, tuple[bytes, str]] = {}
    try:
        first, *lines = path.read_text("utf-8").split("\n")
        if first == listing:
            for line in lines[:-1]:  # what follows the last end of line was cut off by a kill
                entry = json.loads(line)
                known[entry["uid"]] = base64.b64decode(entry["voxels"]), entry["problem"]
    except (OSError, ValueError, KeyError):
        known = {}
    head = [listing] + [_line(uid, *result) for uid, result in known.items()]
    with open(path, "w", encoding="utf-8") as journal:
        journal.write("\n".join(head) + "\n")
        waiting = [model for model in models if model.uid not in known]
        found = ordered_map(_voxels, waiting, workers)
        bar = tqdm(zip(waiting, found, strict=True), total=len(waiting), disable=None, unit="model", desc="voxels")
        for model, result in bar:
            known[model.uid] = result
            journal.write(_line(model.uid, *result) + "\n")
            journal.flush()
    shapes = {
        uid: np.unpackbits(np.frombuffer(data, np.uint8)).astype(bool).reshape(GRID, GRID, GRID)
        for uid, (data, problem) in known.items()
        if not problem
    }
    return shapes, {uid: problem for uid, (_, problem) in known.items() if problem}


def _line(uid: str, data: bytes, problem: str) -> str:
    return json.dumps({"uid": uid, "voxels": base64.b64encode(data).decode("ascii"), "problem": problem})
