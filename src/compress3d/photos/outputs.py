"""A reconstructed object as files: .glb, .obj, .npz and an .html viewer."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from compress3d.errors import ConfigError, DataError
from compress3d.io import write_atomically
from compress3d.photos.confidence import Assessment
from compress3d.photos.meshes import glb_bytes, obj_bytes
from compress3d.photos.reconstruction import Reconstruction

SUFFIXES = (".glb", ".obj", ".npz", ".html")


def check_names(paths: Iterable[str | Path]) -> list[Path]:
    """The paths, if `write` can serve them; asked before the work.

    Raises:
        ConfigError: another suffix than the four, or a folder.
    """
    found = [Path(path) for path in paths]
    for path in found:
        if path.suffix.lower() not in SUFFIXES:
            remedy = f"end its name in one of {', '.join(SUFFIXES)}"
            raise ConfigError(path, "is of no kind that can be written", remedy)
        if path.is_dir():
            raise ConfigError(path, "is a folder", "name a file in it")
    return found


def npz_bytes(found: Reconstruction, assessment: Assessment) -> bytes:
    """Arrays for numpy.

    `probability` float16 (G, G, G), `occupancy` bool (G, G, G), `pictures` uint8 (V, S, S, 3) as the network saw them,
    and `threshold`, `run`, `rate`, `photos`, `confidence`, `trusted`.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, probability=found.probability.astype(np.float16), occupancy=found.occupancy,
        pictures=np.stack([photo.image for photo in found.photos]), photos=[str(photo.path) for photo in found.photos],
        threshold=found.threshold, run=found.run.id, rate=found.setting.rate, confidence=assessment.confidence,
        trusted=not assessment.reasons,
    )  # fmt: skip
    return buffer.getvalue()


def origin(found: Reconstruction, assessment: Assessment) -> dict:
    """How the object came to be, as JSON values: kept inside .glb files."""
    return {
        "run": found.run.id, "rate": found.setting.rate, "threshold": found.threshold,
        "photos": [photo.path.name for photo in found.photos],
        "meanVoxelConfidence": round(assessment.confidence, 4), "verdict": assessment.sentence,
    }  # fmt: skip


def write(path: str | Path, found: Reconstruction, assessment: Assessment) -> Path:
    """Write one file, beside its place and renamed; its suffix says what kind.

    Raises:
        ConfigError: see `check_names`; or an .html viewer without the packages that draw it.
        DataError: no voxel is occupied, or the file cannot be written.
    """
    (path,) = check_names([path])
    if not found.occupancy.any():
        highest = f"the highest probability is {found.probability.max():.2f}"
        remedy = f"lower --threshold ({highest}), or take better photographs"
        raise DataError(path, f"would be empty: no voxel is above {found.threshold:g}", remedy)
    kind = path.suffix.lower()
    if kind == ".glb":
        data = glb_bytes(found.occupancy, path.stem, origin(found, assessment))
    elif kind == ".obj":
        data = obj_bytes(found.occupancy, path.stem)
    elif kind == ".npz":
        data = npz_bytes(found, assessment)
    else:
        from compress3d.photos.viewer_page import page  # draws: needs the book's packages

        data = page(found, assessment, path.stem).encode()
    try:
        write_atomically(path, data)
    except OSError as error:
        raise DataError(path, f"cannot be written ({error.strerror})", "name another file or folder") from None
    return path
