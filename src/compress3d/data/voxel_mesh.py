"""The surface of a voxel grid: faces between an occupied and an empty voxel, and one triangle mesh of them.

Object frame: Y up, front towards -Z, right-handed; a grid is indexed [x, y, z].
"""

from __future__ import annotations

import numpy as np

from compress3d.errors import DataError

# Outward direction of each kind of face, and its corners counter-clockwise as seen from outside.
FACES = (
    ((-1, 0, 0), ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0))),
    ((1, 0, 0), ((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1))),
    ((0, -1, 0), ((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1))),
    ((0, 1, 0), ((0, 1, 0), (0, 1, 1), (1, 1, 1), (1, 1, 0))),
    ((0, 0, -1), ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0))),
    ((0, 0, 1), ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))),
)
NORMALS = np.array([direction for direction, _ in FACES])


def exposed_faces(occupancy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces between an occupied and an empty voxel of one grid (X, Y, Z); DataError where it is none.

    Returns:
        Voxel index (F, 3) int64 behind each face, its corners (F, 4, 3) int64 in voxel units, and its
        direction (F,) int8: 0..5 for -x +x -y +y -z +z.
    """
    grid = np.asarray(occupancy).astype(bool)
    if grid.ndim != 3:
        raise DataError("occupancy", f"has shape {grid.shape}", "give one grid (X, Y, Z), such as probability[0] > 0.4")
    padded = np.pad(grid, 1)
    voxels, corners, directions = [], [], []
    for number, (step, quad) in enumerate(FACES):
        window = tuple(slice(1 + d, 1 + d + n) for d, n in zip(step, grid.shape, strict=True))
        at = np.argwhere(grid & ~padded[window])
        voxels.append(at)
        corners.append(at[:, None] + np.array(quad))
        directions.append(np.full(len(at), number, np.int8))
    return np.concatenate(voxels), np.concatenate(corners), np.concatenate(directions)


def exposed_mesh(occupancy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Welded triangle mesh of the exposed faces of a grid: two triangles a face, every corner stored once.

    Returns:
        Vertices (V, 3) in voxel units, uint8 for grids below 256 a side (else uint16); triangles (T, 3), uint16 where
        they fit (else int32: plotly ships them), counter-clockwise from outside; direction (T,) uint8 of each triangle.

    Example:
        >>> vertices, triangles, directions = exposed_mesh(np.ones((1, 1, 1), bool))
        >>> len(vertices), len(triangles)
        (8, 12)
    """
    _, corners, directions = exposed_faces(occupancy)
    sides = np.array(np.shape(occupancy)) + 1
    flat = np.ravel_multi_index(corners.reshape(-1, 3).T, sides)
    used, index = np.unique(flat, return_inverse=True)
    vertices = np.stack(np.unravel_index(used, sides), axis=1)
    quads = index.reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    small = np.uint8 if max(sides) <= 256 else np.uint16
    index_type = np.uint16 if len(vertices) < 65536 else np.int32
    return vertices.astype(small), triangles.astype(index_type), np.repeat(directions, 2).astype(np.uint8)
