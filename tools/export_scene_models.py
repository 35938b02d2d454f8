"""The few CC0 models of the package's own scene, out of Sweet Home 3D's furniture library, in one small file.

Debian's package sweethome3d-furniture holds the library:

    python -m tools.export_scene_models /usr/share/sweethome3d/furniture/BlendSwap-CC-0.sh3f data/scenes/terrace
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.data.cad.model import Model
from compress3d.data.cad.sweethome import read_library
from compress3d.io import write_atomically
from compress3d.nerf.scenes.own import CREDITS, MODELS, OBJECTS

TEXTURE_SIDE, TEXTURE_COLOURS = 160, 96  # an object covers about 60 of a picture's 200 pixels


def export(library: str | Path, folder: str | Path) -> None:
    """Write models.npz and credits.csv, the same bytes each time."""
    found = {model.uid.split("__")[1]: model for model in read_library(library)}
    arrays: dict[str, np.ndarray] = {}
    rows = []
    for name in OBJECTS:
        model = found[name]
        assert model.licence == "CC0-1.0", f"{name} is {model.licence}"
        arrays |= {f"{name}/{key}": value for key, value in _arrays(model).items()}
        rows.append([name, model.title, model.creator, model.licence, model.url])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(Path(folder) / MODELS, buffer.getvalue())
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["model", "title", "creator", "licence", "url"], *rows])
    write_atomically(Path(folder) / CREDITS, text.getvalue().encode())


def _arrays(model: Model) -> dict[str, np.ndarray]:
    """Geometry in metres, standing on y = 0, and materials of a model; textures as PNG files of few colours."""
    mesh = model.mesh()
    vertices = mesh.vertices * (float(model.details["height"]) / 100 / np.ptp(mesh.vertices[:, 1]))
    vertices[:, 1] -= vertices[:, 1].min()
    textures = [np.frombuffer(_png(texture), np.uint8) for texture in mesh.textures]
    return {
        "vertices": vertices.astype(np.float32),
        "faces": mesh.faces.astype(np.uint16),
        "uv": mesh.uv.astype(np.float32).round(4),
        "material_of_face": mesh.material_of_face.astype(np.uint8),
        "colours": np.array([m.colour for m in mesh.materials], np.float32),
        "alphas": np.array([m.alpha for m in mesh.materials], np.float32),
        "texture_of_material": np.array([m.texture for m in mesh.materials], np.int8),
    } | {f"texture{number}": texture for number, texture in enumerate(textures)}


def _png(texture: np.ndarray) -> bytes:
    image = Image.fromarray(texture[..., :3])
    scale = min(1.0, TEXTURE_SIDE / max(image.size))
    image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.quantize(TEXTURE_COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    export(*sys.argv[1:])
