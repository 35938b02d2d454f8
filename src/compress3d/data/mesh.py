"""One triangle mesh for procedural and human-made objects: what a renderer and a voxelizer need, and no more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from compress3d.errors import DataError


@dataclass(frozen=True)
class Material:
    """Colour (red, green, blue in [0, 1]), opacity in [0, 1], and the index of a texture or -1."""

    colour: tuple[float, float, float]
    alpha: float = 1.0
    texture: int = -1


@dataclass
class Mesh:
    """Triangles with a normal and a texture coordinate at every corner.

    As a file gives them, normals have any length, and are NaN where it has none.
    """

    vertices: np.ndarray  # float (N, 3), Y up, front -Z
    faces: np.ndarray  # int (F, 3)
    normals: np.ndarray  # float (F, 3, 3), one a corner, of unit length
    uv: np.ndarray  # float (F, 3, 2), one a corner; v points up
    material_of_face: np.ndarray  # int (F,)
    materials: list[Material]
    textures: list[np.ndarray] = field(default_factory=list)  # uint8 (H, W, 3 or 4)

    @property
    def triangles(self) -> np.ndarray:
        """Corners, float32 (F, 3, 3)."""
        return np.ascontiguousarray(self.vertices[self.faces].astype(np.float32))

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest corner of the bounding box, (3,) each."""
        return self.vertices.min(0), self.vertices.max(0)

    def transformed(self, matrix: np.ndarray) -> Mesh:
        """Every vertex `v` replaced by `matrix @ v`; normals follow with the inverse transpose."""
        return replace(self, vertices=self.vertices @ matrix.T, normals=self.normals @ np.linalg.inv(matrix))

    def cleaned(self, name: str | Path) -> Mesh:
        """What files get wrong put right, as ShapeNetCore is: bounding box centred and of diagonal 1, unit normals.

        Triangles without area and vertices that no triangle uses are left out; normals that miss are made. DataError:
        `name` has less than four triangles with an area, or a face with a vertex that does not exist.
        """
        if len(self.faces) and not (0 <= self.faces.min() and self.faces.max() < len(self.vertices)):
            raise DataError(name, "has a face with a vertex that does not exist", "get the package again")
        corners = self.vertices[self.faces]
        area = np.linalg.norm(cross_product(corners), axis=1)
        good = np.isfinite(corners).all((1, 2)) & (area > 0)
        if good.sum() < 4:  # a tetrahedron
            problem = f"has {good.sum()} triangles with an area, fewer than 4"
            raise DataError(name, problem, "leave this model out, or get the package again")
        used, faces = np.unique(self.faces[good], return_inverse=True)
        faces = faces.reshape(-1, 3)
        vertices = self.vertices[used]
        normals = crease_normals(vertices, faces)
        given = self.normals[good]
        length = np.linalg.norm(given, axis=2, keepdims=True)
        usable = (np.isfinite(given).all(2, keepdims=True) & (length > 1e-12)).all((1, 2))
        normals[usable] = given[usable] / length[usable]
        low, high = vertices.min(0), vertices.max(0)
        vertices = ((vertices - (low + high) / 2) / np.linalg.norm(high - low)).astype(np.float32)
        return Mesh(
            vertices, faces, normals.astype(np.float32), self.uv[good].astype(np.float32),
            self.material_of_face[good], self.materials, self.textures,
        )  # fmt: skip


def cross_product(corners: np.ndarray) -> np.ndarray:
    """Normals (F, 3) of triangles (F, 3, 3), as long as twice their areas."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def crease_normals(vertices: np.ndarray, faces: np.ndarray, angle: float = 40.0) -> np.ndarray:
    """Normals, float64 (F, 3, 3), smooth across edges flatter than `angle` degrees and sharp across the others.

    Area-weighted means, over the faces around a corner, of those within the angle. Vertices at one place (to 1e-5 of
    the extent) count as one, so that a mesh cut along texture seams stays smooth.
    """
    cross = cross_product(vertices[faces])
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


def triangulate_fan(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of convex polygons whose corners lie one after another, `counts` (P,) of them; below 3 gives none.

    Corner numbers of the triangles (T, 3), and the polygon of each (T,).
    """
    counts = np.asarray(counts, np.int64)
    triangles = np.maximum(counts - 2, 0)
    polygon = np.repeat(np.arange(len(counts)), triangles)
    first = np.repeat(np.cumsum(counts) - counts, triangles)
    step = np.arange(len(polygon)) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    return np.stack([first, first + step + 1, first + step + 2], axis=1), polygon
