"""One model: as a package lists it, before its geometry is read; and the materials that its file names."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.data.mesh import Material, Mesh
from compress3d.errors import DataError

LARGEST_TEXTURE = 1024  # pixels a side; a view has 137


@dataclass(frozen=True)
class Model:
    """Who made it, under which licence, and how to read it."""

    uid: str  # unique over all packages: library or package, two underscores, the name there
    category: str  # ShapeNet's word for the class, a further class, or "other"
    title: str
    creator: str
    licence: str
    url: str
    path: Path  # the file that holds it
    read: Callable[[Model], Mesh]  # its triangles, Y up and front -Z; a module's function: it is pickled
    details: dict = field(default_factory=dict, hash=False)  # what `read` needs beside the path

    def mesh(self) -> Mesh:
        """The model centred, of diagonal 1, Y up, front -Z. DataError: the file is missing or broken."""
        try:
            return self.read(self).cleaned(self.path)
        except (OSError, ValueError, IndexError, KeyError, ArithmeticError) as error:
            problem = f"model {self.uid} cannot be read ({error!r})"
            raise DataError(self.path, problem, "get the package again") from None


class Materials:
    """The materials and textures of one model, each once; `load` gives a texture's bytes by its name, or None."""

    def __init__(self, load: Callable[[str], bytes | None]):
        self.textures: list[np.ndarray] = []
        self._load = load
        self._textures = {"": -1}
        self._materials: dict[Material, int] = {}

    @property
    def materials(self) -> list[Material]:
        return list(self._materials)

    def index(self, colour: tuple[float, float, float], alpha: float = 1.0, texture: str | None = None) -> int:
        """Index of a material in `materials`; its texture is read on first use."""
        name = texture or ""
        if name not in self._textures:
            picture = decode_texture(self._load(name) or b"")
            self._textures[name] = -1 if picture is None else len(self.textures)
            self.textures += [] if picture is None else [picture]
        return self._materials.setdefault(Material(colour, alpha, self._textures[name]), len(self._materials))


def decode_texture(data: bytes) -> np.ndarray | None:
    """A texture uint8 (H, W, 3 or 4) from the bytes of an image (PNG, JPEG, SGI), at most 1024 pixels a side.

    An image that cannot be read gives None: the material then shows its plain colour, as modellers' tools do.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            palette = image.mode in ("P", "LA", "PA") or "transparency" in image.info
            texture = image.convert("RGBA" if palette or image.mode == "RGBA" else "RGB")
    except Exception:  # Pillow: OSError, SyntaxError, ValueError, struct.error, DecompressionBombError ...
        return None
    if max(texture.size) > LARGEST_TEXTURE:
        scale = LARGEST_TEXTURE / max(texture.size)
        texture = texture.resize([max(1, int(side * scale)) for side in texture.size], Image.Resampling.BILINEAR)
    return np.asarray(texture)


def share(word: str) -> float:
    """A number of a material file, held in [0, 1]."""
    return min(max(float(word), 0.0), 1.0)
