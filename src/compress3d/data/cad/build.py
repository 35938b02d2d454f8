"""From unpacked packages to a store: views and voxels of every model, each at its published place in the split.

Where packages bring models that the published split does not know, a pass over all voxels finds near duplicates first.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from compress3d.data.cad import simulators, sweethome
from compress3d.data.cad.groups import SAME_SHAPE, Place, assign, published_split
from compress3d.data.cad.model import Model
from compress3d.data.camera import VIEWS, sample_cameras
from compress3d.data.parallel import fill, ordered_map
from compress3d.data.render import SUPERSAMPLING, Renderer
from compress3d.data.store import GRID, ObjectRecord, Store, StoreWriter
from compress3d.data.voxelize import space_carve
from compress3d.errors import DataError

FEW_VOXELS = 60
_PACKAGES = "sweethome3d-furniture, flightgear-data-ai or torcs-data"


def build_cad(sources: Iterable[str | Path], out: str | Path, workers: int = 2) -> Store:
    """Build the store `out` of human-made models, or go on with an interrupted build.

    `sources` are folders with files of the packages: /usr/share where they are installed, or wherever `dpkg -x` put
    them. 980 models take about 5 minutes with two `workers`. Models that cannot be read are left out and listed in
    `store.info["skipped"]`. Views depend on the uid alone; the rows stand in the order of the uids.

    Raises DataError: a source does not exist, or no source holds a model.
    """
    models = find_models(sources)
    listed = hashlib.sha256("\n".join(f"{model.uid} {model.licence}" for model in models).encode()).hexdigest()
    parameters = {"models": len(models), "listing": listed, "grid": GRID, "views": VIEWS}
    parameters |= {"supersampling": SUPERSAMPLING, "same_shape": SAME_SHAPE}
    writer = StoreWriter.open(out, source="cad", parameters=parameters, capacity=len(models))
    try:
        if all(model.uid in writer.done for model in models):
            return writer.finish()
        places = dict(published_split())
        if any(model.uid not in places for model in models):
            shapes = {}
            found = tqdm(ordered_map(_voxels, models, workers), total=len(models), disable=None, unit="model")
            for model, packed in zip(models, found, strict=True):
                if isinstance(packed, DataError):
                    writer.skip(model.uid, packed)
                else:
                    shapes[model.uid] = np.unpackbits(packed).astype(bool).reshape(GRID, GRID, GRID)
            places |= assign({model.uid: model.category for model in models if model.uid in shapes}, shapes, places)
        known = {model.uid: (model, places[model.uid]) for model in models if model.uid in places}
        return fill(writer, known, _object, workers)
    finally:
        writer.close()


def find_models(sources: Iterable[str | Path]) -> list[Model]:
    """All models below the folders, sorted by uid, each once.

    Raises DataError: a folder does not exist, a library is broken, or there is no model at all.
    """
    found: dict[str, Model] = {}
    folders = [Path(source) for source in sources]
    for source in folders:
        if not source.is_dir():
            raise DataError(source, "is no folder", f"unpack {_PACKAGES} there (dpkg -x <package>.deb <folder>)")
        for find in (sweethome.find, simulators.find_aircraft, simulators.find_cars):
            for model in find(source):
                found.setdefault(model.uid, model)
    if not found:
        where = ", ".join(map(str, folders)) or "sources"
        raise DataError(where, "holds no .sh3f library, no AI/Aircraft and no cars", f"unpack {_PACKAGES} there")
    return [found[uid] for uid in sorted(found)]


def cameras_of(uid: str) -> np.ndarray:
    """The 24 cameras of a model, float64 (24, 5): a function of its uid alone."""
    return sample_cameras(np.random.default_rng(zlib.crc32(uid.encode())), VIEWS)


def flags_of(model_extent: np.ndarray, alpha: np.ndarray, voxels: int) -> list[str]:
    """Reasons not to train or test on a model: its box's sides (3,), of diagonal 1, its views' alpha, its voxels."""
    seen = alpha[alpha > 8]
    reasons = {
        "flat": model_extent.min() < 0.012,  # parking marks, banknotes
        "few_voxels": voxels < FEW_VOXELS,
        "tiny_in_image": alpha.mean() / 255 < 0.01,  # nothing but wires
        "transparent": not seen.size or seen.mean() / 255 < 0.75,  # mostly glass
    }
    return [name for name, holds in reasons.items() if holds]


def _object(item: tuple[Model, Place]) -> tuple[ObjectRecord, np.ndarray, np.ndarray, np.ndarray] | DataError:
    """Record, views, occupancy and cameras of one model, or why there is nothing. Published flags win over new ones."""
    model, place = item
    try:
        mesh, cameras = model.mesh(), cameras_of(model.uid)
        render = Renderer(mesh)
        rgba = np.stack([render(camera) for camera in cameras])
        occupancy = space_carve(mesh, scene=render.scene)
    except DataError as error:
        return error
    if not occupancy.any():
        return DataError(model.path, f"model {model.uid} occupies no voxel", "leave it out")
    flags = "|".join(sorted(flags_of(np.ptp(mesh.vertices, axis=0), rgba[..., 3], int(occupancy.sum()))))
    record = ObjectRecord(
        uid=model.uid, category=model.category, source="cad", split=place.split, group=place.group, title=model.title,
        creator=model.creator, licence=model.licence, url=model.url,
        flags=place.flags if model.uid in published_split() else flags,
    )  # fmt: skip
    return record, rgba, occupancy, cameras


def _voxels(model: Model) -> np.ndarray | DataError:
    """Packed occupancy of one model."""
    try:
        return np.packbits(space_carve(model.mesh()))
    except DataError as error:
        return error
