"""One triangle mesh for procedural and human-made objects: what a renderer and a voxelizer need, and no more."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Material:
    """Colour (red, green, blue in [0, 1]), opacity in [0, 1], and the index of a texture or -1."""

    colour: tuple[float, float, float]
    alpha: float = 1.0
    texture: int = -1


@dataclass
class Mesh:
    """Triangles with a normal and a texture coordinate at every corner.

    Attributes:
        vertices: float (N, 3), Y up, front -Z.
        faces: int (F, 3).
        normals: float (F, 3, 3), unit length, one a corner.
        uv: float (F, 3, 2), one a corner; v points up.
        material_of_face: int (F,).
        materials: the materials that it indexes.
        textures: uint8 (H, W, 3 or 4) pictures.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    material_of_face: np.ndarray
    materials: list[Material]
    textures: list[np.ndarray] = field(default_factory=list)

    @property
    def triangles(self) -> np.ndarray:
        """Corners, float32 (F, 3, 3)."""
        return np.ascontiguousarray(self.vertices[self.faces].astype(np.float32))

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest corner of the bounding box, (3,) each."""
        return self.vertices.min(0), self.vertices.max(0)

    def normalized(self) -> Mesh:
        """The mesh with its bounding box centred and of diagonal 1, as ShapeNetCore is."""
        low, high = self.bounds
        vertices = (self.vertices - (low + high) / 2) / np.linalg.norm(high - low)
        return Mesh(
            vertices.astype(np.float32), self.faces, self.normals, self.uv, self.material_of_face, self.materials,
            self.textures,
        )  # fmt: skip


def crease_normals(vertices: np.ndarray, faces: np.ndarray, angle: float = 40.0) -> np.ndarray:
    """Normals that are smooth across edges flatter than `angle` degrees and sharp across the others.

    Vertices at one place (to 1e-5 of the extent) count as one, so that a mesh cut along texture seams stays smooth.

    Returns:
        float64 (F, 3, 3): area-weighted mean, over the faces around a corner, of those within the angle.
    """
    cross = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    unit = cross / np.maximum(np.linalg.norm(cross, axis=1), 1e-20)[:, None]
    extent = np.ptp(vertices, axis=0).max() or 1.0
    _, place = np.unique(np.round(vertices / extent * 1e5).astype(np.int64), axis=0, return_inverse=True)
    corner_place = place.reshape(-1)[faces].ravel()
    order = np.argsort(corner_place, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(corner_place[order]) > 0])
    valence = np.diff(np.r_[starts, len(order)])
    smooth = np.empty((3 * len(faces), 3))
    limit = np.cos(np.radians(angle))
    for k in np.unique(valence):  # all places with k corners at once
        chunk = max(1, 2_000_000 // (k * k))
        places = starts[valence == k]
        for first in range(0, len(places), chunk):
            corners = order[places[first : first + chunk, None] + np.arange(k)]
            around = corners // 3
            near = np.einsum("gik,gjk->gij", unit[around], unit[around]) > limit
            smooth[corners.ravel()] = np.einsum("gij,gjk->gik", near.astype(float), cross[around]).reshape(-1, 3)
    length = np.linalg.norm(smooth, axis=1, keepdims=True)
    smooth = np.where(length > 1e-20, smooth / np.maximum(length, 1e-20), np.repeat(unit, 3, axis=0))
    return smooth.reshape(-1, 3, 3)
