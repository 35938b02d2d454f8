"""Solid voxels of any mesh, watertight or not, made as the published ones of ShapeNet were (binvox -dc -aw).

Rays from the six faces of the grid's cube carve away the empty space before the first surface; voxels that hold a first
hit stay, so thin parts do too.
"""

from __future__ import annotations

import numpy as np

from compress3d.data.mesh import Mesh, cross_product
from compress3d.data.render import embree_scene
from compress3d.data.store import GRID

RAYS = 4  # rays a voxel column and axis: 128^2 from each side
DENSITY = 6  # points of a surface along a voxel's edge


def bounding_cube(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float]:
    """Origin (3,) and side of the cube around a bounding box: centred, its longest side fills the cube."""
    side = float((high - low).max())
    return (low + high) / 2 - side / 2, side


def space_carve(mesh: Mesh, grid: int = GRID, scene=None) -> np.ndarray:
    """Occupancy of a mesh: bool (grid, grid, grid), indexed [x, y, z].

    A voxel is occupied where any of its 4^3 parts is. `scene` is the mesh's Embree scene, where a `Renderer` has one.
    """
    fine = grid * RAYS
    origin, side = bounding_cube(*(corner.astype(float) for corner in mesh.bounds))
    scene = embree_scene(mesh.triangles) if scene is None else scene
    centres = (np.arange(fine) + 0.5) / fine
    a, b = (g.ravel() for g in np.meshgrid(centres, centres, indexing="ij"))
    empty = np.zeros((fine,) * 3, bool)
    surface = np.zeros((fine,) * 3, bool)
    for axis in range(3):
        first, second = (other for other in range(3) if other != axis)
        for downward in (False, True):
            origins = np.empty((fine * fine, 3))
            origins[:, first], origins[:, second] = a, b
            origins[:, axis] = 1.5 if downward else -0.5
            directions = np.zeros((fine * fine, 3), np.float32)
            directions[:, axis] = -1 if downward else 1
            hit = scene.run((origins * side + origin).astype(np.float32), directions, output=True)
            struck = hit["primID"] >= 0
            depth = np.where(struck, hit["tfar"] / side - 0.5, np.inf).reshape(fine, fine)  # from the cube's face
            reach = 1 - centres if downward else centres
            empty |= np.moveaxis(reach < depth[..., None], 2, axis)
            i, j = np.nonzero(depth < 1.01)
            place = 1 - depth[i, j] if downward else depth[i, j]
            index = np.insert(np.stack([i, j]), axis, np.clip(np.floor(place * fine).astype(int), 0, fine - 1), axis=0)
            surface[tuple(index)] = True
    solid = ~empty | surface
    return np.asarray(solid.reshape(grid, RAYS, grid, RAYS, grid, RAYS).any((1, 3, 5)))


def surface_voxels(mesh: Mesh, grid: int = GRID) -> np.ndarray:
    """Voxels that a mesh's surface passes through, found by points spread evenly over it and by its corners."""
    origin, side = bounding_cube(*(corner.astype(float) for corner in mesh.bounds))
    corners = mesh.vertices[mesh.faces].astype(float)
    area = np.linalg.norm(cross_product(corners), axis=1) / 2
    edge = side / grid
    counts = np.maximum(1, np.ceil(area / (edge * edge) * DENSITY * DENSITY / 2)).astype(int)
    face = np.repeat(np.arange(len(corners)), counts)
    u, v = np.random.default_rng(0).random((2, counts.sum()))
    beyond = u + v > 1
    u[beyond], v[beyond] = 1 - u[beyond], 1 - v[beyond]
    first, second, third = corners[face].swapaxes(0, 1)
    points = first + u[:, None] * (second - first) + v[:, None] * (third - first)
    points = np.concatenate([points, corners.reshape(-1, 3)])
    index = np.clip(np.floor((points - origin) / edge).astype(int), 0, grid - 1)
    found = np.zeros((grid,) * 3, bool)
    found[tuple(index.T)] = True
    return found
