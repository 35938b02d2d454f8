"""Materials and textures of a model file."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from compress3d.data.mesh import Material

LARGEST_TEXTURE = 1024  # pixels a side; a view has 137


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
        size = tuple(max(1, int(side * scale)) for side in texture.size)
        texture = texture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(texture)


class Materials:
    """Collects the materials and textures of one model; each pair of definition and picture once.

    Args:
        load: the bytes of a texture by its name, None where there is no such file.
    """

    def __init__(self, load: Callable[[str], bytes | None]):
        self.textures: list[np.ndarray] = []
        self._load = load
        self._textures: dict[str, int] = {}
        self._materials: dict[Material, int] = {}

    @property
    def materials(self) -> list[Material]:
        return list(self._materials)

    def index(self, colour: tuple[float, ...], alpha: float = 1.0, texture: str | None = None) -> int:
        """Index of a material in `materials`; its texture is read on first use."""
        material = Material(tuple(float(c) for c in colour[:3]), float(alpha), self._texture(texture))
        return self._materials.setdefault(material, len(self._materials))

    def _texture(self, name: str | None) -> int:
        if name and name not in self._textures:
            data = self._load(name)
            texture = decode_texture(data) if data else None
            self._textures[name] = -1 if texture is None else len(self.textures)
            self.textures += [] if texture is None else [texture]
        return self._textures[name] if name else -1
