"""Procedural objects without a download, one by one (`make`) and as a store (`build_shapes`).

Object `index` of a category is a function of (category, index, seed) alone, so a store does not depend on the number of
processes, and a larger one begins with the objects of a smaller one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from compress3d.data.camera import sample_cameras
from compress3d.data.mesh import Mesh, crease_normals, cross_product
from compress3d.data.parallel import fill
from compress3d.data.render import Renderer
from compress3d.data.shapes.appearance import appearance
from compress3d.data.shapes.devices import display, loudspeaker, rifle, telephone
from compress3d.data.shapes.furniture import bench, cabinet, chair, lamp, sofa, table
from compress3d.data.shapes.vehicles import airplane, car, watercraft
from compress3d.data.solids import Solid, bounds
from compress3d.data.store import GRID, ObjectRecord, Store, StoreWriter
from compress3d.data.voxelize import bounding_cube, surface_voxels
from compress3d.errors import ConfigError

_FAMILIES = airplane, bench, cabinet, car, chair, display, lamp, loudspeaker, rifle, sofa, table, telephone, watercraft
FAMILIES = {family.__name__: family for family in _FAMILIES}
CATEGORIES = tuple(FAMILIES)
SUPERSAMPLING = 2  # rays a pixel and axis: 0.21 s an object instead of 0.49 s with 3, hardly rougher at 64 pixels
_SAMPLES = 2  # analytic samples a voxel and axis
_UV_REPEATS = 3  # of a texture along the longest side


@dataclass
class ProceduralObject:
    """One procedural object: its solids, the normalised mesh that shows them (centred, diagonal 1), and its corners."""

    parts: list[Solid]
    mesh: Mesh
    low: np.ndarray
    high: np.ndarray

    def occupancy(self, grid: int = GRID) -> np.ndarray:
        """bool (grid, grid, grid), indexed [x, y, z]: any of 2^3 samples inside a solid, or touched by a surface."""
        origin, side = bounding_cube(self.low, self.high)
        fine = grid * _SAMPLES
        centres = (np.arange(fine) + 0.5) / fine * side
        inside = np.zeros((fine,) * 3, bool)
        for part in self.parts:
            low, high = bounds(part)
            first = np.clip(np.floor((low - origin) / side * fine - 0.5).astype(int), 0, fine)
            last = np.clip(np.ceil((high - origin) / side * fine + 0.5).astype(int), 0, fine)
            box = tuple(map(slice, first, last))
            axes = [origin[k] + centres[box[k]] for k in range(3)]
            inside[box] |= part.contains(np.stack(np.meshgrid(*axes, indexing="ij"), -1))
        solid = inside.reshape(grid, _SAMPLES, grid, _SAMPLES, grid, _SAMPLES).any((1, 3, 5))
        return solid | surface_voxels(self.mesh, grid)  # samples alone would lose poles thinner than half a voxel


def make(category: str, index: int, seed: int = 0) -> ProceduralObject:
    """Object `index` of a category.

    Raises ConfigError: there is no such category.

    Example:
        >>> make("chair", 3).occupancy().shape
        (32, 32, 32)
    """
    _check(category)
    rng = np.random.default_rng([CATEGORIES.index(category), index, *([seed] if seed else [])])
    parts = list(FAMILIES[category](rng))
    rng.random(3)  # once a scale jitter; kept, because later draws depend on it
    materials, textures = appearance(rng, category)
    meshes = [part.mesh() for part in parts]
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    points = np.concatenate([vertices for vertices, _ in meshes])
    triangles = np.concatenate([faces + start for (_, faces), start in zip(meshes, starts, strict=False)])
    normals = [crease_normals(*mesh, part.crease_angle) for mesh, part in zip(meshes, parts, strict=True)]
    low, high = points.min(0), points.max(0)
    mesh = Mesh(
        vertices=((points - (low + high) / 2) * (1 / np.linalg.norm(high - low))).astype(np.float32),
        faces=triangles,
        normals=np.concatenate(normals).astype(np.float32),
        uv=_box_mapping(points[triangles], (high - low).max()).astype(np.float32),
        material_of_face=np.repeat([part.material for part in parts], [len(faces) for _, faces in meshes]),
        materials=materials,
        textures=textures,
    )
    return ProceduralObject(parts, mesh, low, high)


def _check(*categories: str) -> None:
    for category in set(categories) - FAMILIES.keys():
        raise ConfigError(f"category {category!r}", "does not exist", f"choose from {', '.join(CATEGORIES)}")


def _box_mapping(corners: np.ndarray, extent: float) -> np.ndarray:
    """Texture coordinates (F, 3, 2) along the two axes that each face is most parallel to."""
    axes = np.array([[2, 1], [0, 2], [0, 1]])[np.abs(cross_product(corners)).argmax(1)]
    return np.take_along_axis(corners, axes[:, None, :].repeat(3, 1), 2) / extent * _UV_REPEATS


def _build_one(item: tuple[str, int], seed: int) -> tuple[ObjectRecord, np.ndarray, np.ndarray, np.ndarray]:
    """Record, views uint8 (24, 137, 137, 4), occupancy and camera rows float32 (24, 5) of one object."""
    category, index = item
    shape = make(category, index, seed)
    number = index * len(CATEGORIES) + CATEGORIES.index(category)  # its own, whichever categories are built
    cameras = sample_cameras(np.random.default_rng([7, number, *([seed] if seed else [])]))
    renderer = Renderer(shape.mesh, SUPERSAMPLING)
    views = np.stack([renderer(camera) for camera in cameras])
    record = ObjectRecord(f"{category}-{index:05d}", category, "shapes", licence="CC0-1.0", creator="compress3d")
    # Ten decimals, as a metadata file keeps them: a store from such files is the same to the bit.
    return record, views, shape.occupancy(), np.round(cameras, 10).astype(np.float32)


def build_shapes(
    out: str | Path, count: int = 3250, seed: int = 0, categories: list[str] | None = None, workers: int = 2
) -> Store:
    """A store in the folder `out` of `count` procedural training objects, the categories (None: all 13) in turn.

    Raises ConfigError: a category does not exist. DataError: the disk is too small, or `out` holds another build.
    """
    chosen = tuple(categories or CATEGORIES)
    _check(*chosen)
    parameters = {"count": count, "seed": seed, **({} if chosen == CATEGORIES else {"categories": list(chosen)})}
    writer = StoreWriter.open(out, source="shapes", parameters=parameters, capacity=count)
    places = [(chosen[number % len(chosen)], number // len(chosen)) for number in range(count)]
    items = {f"{category}-{index:05d}": (category, index) for category, index in places}
    return fill(writer, items, partial(_build_one, seed=seed), workers)
