"""Triangles as a model file gives them, and the way from there to a clean `Mesh`.

Every reader (AC3D, Wavefront OBJ) fills a `Soup`; what files get wrong is put right here once: triangles without area,
vertices that no triangle uses, missing normals.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.data.mesh import Material, Mesh, crease_normals
from compress3d.errors import DataError

LARGEST_TEXTURE = 1024  # pixels a side; a view has 137
FEWEST_TRIANGLES = 4  # a tetrahedron


@dataclass
class Soup:
    """Triangles of one model, not yet cleaned.

    Attributes:
        vertices: float64 (N, 3).
        faces: int64 (F, 3).
        uv: float64 (F, 3, 2), zero where the file has none.
        normals: float64 (F, 3, 3), NaN where the file has none.
        material_of_face: int64 (F,).
        materials: colours, opacities, indices into `textures`.
        textures: uint8 (H, W, 3 or 4).
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    normals: np.ndarray
    material_of_face: np.ndarray
    materials: list[Material]
    textures: list[np.ndarray] = field(default_factory=list)

    def transformed(self, matrix: np.ndarray) -> Soup:
        """The soup with every vertex `v` replaced by `matrix @ v`; normals follow with the inverse transpose."""
        normals = self.normals @ np.linalg.inv(matrix)
        return Soup(
            self.vertices @ matrix.T, self.faces, self.uv, normals, self.material_of_face, self.materials, self.textures
        )  # fmt: skip

    def to_mesh(self, name: str | Path) -> Mesh:
        """A mesh centred at its bounding box, of diagonal 1, with unit normals at every corner.

        Args:
            name: for messages.

        Raises:
            DataError: fewer than four triangles have an area, or a face names a vertex that does not exist.
        """
        if len(self.faces) and not (0 <= self.faces.min() and self.faces.max() < len(self.vertices)):
            raise DataError(name, "has a face with a vertex that does not exist", "get the package again")
        corners = self.vertices[self.faces]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        good = np.isfinite(corners).all((1, 2)) & (area > 0)
        if good.sum() < FEWEST_TRIANGLES:
            problem = f"has {good.sum()} triangles with an area, fewer than {FEWEST_TRIANGLES}"
            raise DataError(name, problem, "leave this model out, or get the package again")
        used, faces = np.unique(self.faces[good], return_inverse=True)
        faces = faces.reshape(-1, 3)
        vertices = self.vertices[used]
        normals = crease_normals(vertices, faces)
        given = self.normals[good]
        length = np.linalg.norm(given, axis=2, keepdims=True)
        usable = (np.isfinite(given).all(2, keepdims=True) & (length > 1e-12)).all((1, 2))
        normals[usable] = given[usable] / length[usable]
        mesh = Mesh(
            vertices, faces, normals.astype(np.float32), self.uv[good].astype(np.float32),
            self.material_of_face[good], self.materials, self.textures,
        )  # fmt: skip
        return mesh.normalized()


def decode_texture(data: bytes) -> np.ndarray | None:
    """A texture uint8 (H, W, 3 or 4) from the bytes of a picture (PNG, JPEG, SGI), at most 1024 pixels a side.

    A picture that cannot be read gives None: the material then shows its plain colour, as modellers' tools do.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            palette = image.mode in ("P", "LA", "PA") or "transparency" in image.info
            picture = image.convert("RGBA" if palette or image.mode == "RGBA" else "RGB")
    except Exception:  # Pillow: OSError, SyntaxError, ValueError, struct.error, DecompressionBombError ...
        return None
    if max(picture.size) > LARGEST_TEXTURE:
        scale = LARGEST_TEXTURE / max(picture.size)
        size = tuple(max(1, int(side * scale)) for side in picture.size)
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(picture)


class Materials:
    """Collects the materials and textures of one model; each pair of definition and picture once.

    Args:
        load: the bytes of a texture by its name, None where there is no such file.
    """

    def __init__(self, load: Callable[[str], bytes | None]):
        self.materials: list[Material] = []
        self.textures: list[np.ndarray] = []
        self._load = load
        self._texture_index: dict[str, int] = {}
        self._material_index: dict[Material, int] = {}

    def index(self, colour: tuple[float, ...], alpha: float = 1.0, texture: str | None = None) -> int:
        """Index of a material in `materials`; its texture is read on first use."""
        material = Material(tuple(float(c) for c in colour[:3]), float(alpha), self._texture(texture))
        if material not in self._material_index:
            self._material_index[material] = len(self.materials)
            self.materials.append(material)
        return self._material_index[material]

    def _texture(self, name: str | None) -> int:
        if not name:
            return -1
        if name not in self._texture_index:
            data = self._load(name)
            picture = decode_texture(data) if data else None
            if picture is not None:
                self.textures.append(picture)
            self._texture_index[name] = -1 if picture is None else len(self.textures) - 1
        return self._texture_index[name]


def fan(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of convex polygons whose corners lie one after another.

    Args:
        counts: corners of each polygon, int (P,); polygons of fewer than three give none.

    Returns:
        corner numbers of the triangles (T, 3), and the polygon of each triangle (T,).

    Example:
        >>> fan(np.array([3, 4]))[0].tolist()
        [[0, 1, 2], [3, 4, 5], [3, 5, 6]]
    """
    counts = np.asarray(counts, np.int64)
    triangles = np.maximum(counts - 2, 0)
    polygon = np.repeat(np.arange(len(counts)), triangles)
    first = np.repeat(np.cumsum(counts) - counts, triangles)
    step = np.arange(len(polygon)) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    return np.stack([first, first + step + 1, first + step + 2], axis=1), polygon
