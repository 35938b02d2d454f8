"""A reconstructed object as files: .glb, .obj, .npz, and .html: one page with everything in it, which opens offline.

The viewer of that page is the book's (figures/viewer.py and its scripts).
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from compress3d.errors import ConfigError, DataError
from compress3d.figures.display import document
from compress3d.figures.viewer import Shape, viewer
from compress3d.io import write_atomically
from compress3d.joint.style import body_colour, label
from compress3d.photos.confidence import Assessment
from compress3d.photos.meshes import glb_bytes, obj_bytes
from compress3d.photos.reconstruction import Reconstruction

SUFFIXES = (".glb", ".obj", ".npz", ".html")
_STYLE = """
:root { --doubt: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --doubt: #ff8a80; } }
body { max-width: 62rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } table { border-collapse: collapse; font-size: 0.85rem; }
td { padding: 0.3rem 0.8rem 0.3rem 0; vertical-align: top; border-top: 1px solid var(--pst-color-border); }
.doubt { color: var(--doubt); }
.viewer-views { flex: 0 0 170px; flex-flow: row wrap; align-content: start; max-height: 400px; overflow-y: auto; }
.viewer-rows { max-height: 400px; overflow-y: auto; justify-content: start; flex-wrap: nowrap; }
"""


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


def page(found: Reconstruction, assessment: Assessment, title: str) -> str:
    """HTML: the voxels to turn, the pictures the network saw, and what was done to each.

    Raises:
        ConfigError: plotly or matplotlib is not installed, or the book's scripts are not there.
    """
    name, occupied = found.run.model.name, f"{int(found.occupancy.sum()):,} voxels"
    method = f"{label(name)} {found.setting.rate:g}:1"
    decoded: dict = {} if found.received is None else {method: list(found.received)}
    note = f"{occupied}, mean voxel confidence {assessment.confidence:.2f}"
    shape = Shape(
        title, {method: found.occupancy}, [photo.image for photo in found.photos], {method: note}, decoded=decoded
    )
    try:
        shown = replace(viewer([shape], {method: body_colour(name)}), words=f"{occupied} to turn, drawn by a script.")
    except ImportError as error:
        remedy = "pip install 'compress3d[book]', or write .glb, .obj or .npz"
        raise ConfigError("an .html viewer", f"needs the package {error.name}", remedy) from None
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{len(found.photos)} photographs, sent at {found.setting.rate:g}:1, rebuilt by {found.run.id}.</p>",
        f"<p{' class=doubt' if assessment.reasons else ''}>{html.escape(assessment.sentence)}"
        f" Mean voxel confidence: {assessment.confidence:.2f}.</p>",
        shown.html(),
        "<h2>The photographs</h2>",
        "<table>",
    ]
    for photo in found.photos:
        doubts = "".join(f'<br><span class="doubt">{html.escape(warning)}</span>' for warning in photo.warnings)
        body.append(f"<tr><td>{html.escape(photo.line)}{doubts}</td></tr>")
    return document(title, "\n".join([*body, "</table>"]), _STYLE)


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
        data = page(found, assessment, path.stem).encode()
    try:
        write_atomically(path, data)
    except OSError as error:
        raise DataError(path, f"cannot be written ({error.strerror})", "name another file or folder") from None
    return path
