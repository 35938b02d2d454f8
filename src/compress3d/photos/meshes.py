"""Voxels as files that other programs open: Wavefront OBJ and binary glTF 2.0, written by hand.

The object's longest side is 1 unit, its cube centred at the origin, Y up. A voxel grid's front looks to -Z (see
`data/camera.py`). OBJ keeps that, as Blender's importer expects; glTF wants fronts at +Z, so there the body is turned
by 180 degrees about Y.
"""

from __future__ import annotations

import json
import struct

import numpy as np

from compress3d.data.voxel_mesh import NORMALS, exposed_mesh
from compress3d.errors import DataError

GREY = (0.72, 0.74, 0.78)  # a light body: shading shows
_TO_GLTF = np.array([-1, 1, -1], np.float32)  # half a turn about Y

# Numbers of the glTF 2.0 specification
_FLOAT, _UNSIGNED_SHORT, _UNSIGNED_INT = 5126, 5123, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_TRIANGLES = 4
_MAGIC, _VERSION, _JSON, _BIN = 0x46546C67, 2, 0x4E4F534A, 0x004E4942


def quads(occupancy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exposed faces of a grid: vertices, each once, and four of them a face.

    Args:
        occupancy: bool (X, Y, Z).

    Returns:
        Vertices (V, 3) float32, the longest side of the grid being 1 and its middle the origin; faces (F, 4) int64,
        counter-clockwise from outside; and the direction (F,) of each, 0..5 for -x +x -y +y -z +z.

    Raises:
        DataError: the grid is empty, or not three-dimensional.

    Example:
        >>> vertices, faces, directions = quads(np.ones((1, 1, 1), bool))
        >>> len(vertices), len(faces)
        (8, 6)
    """
    corners, triangles, directions = exposed_mesh(occupancy)
    if not len(triangles):
        raise DataError("mesh", "has no face: no voxel is occupied", "lower --threshold, or give better photographs")
    sides = np.array(np.shape(occupancy), np.float32)
    vertices = (corners.astype(np.float32) - sides / 2) / sides.max()
    pairs = triangles.astype(np.int64).reshape(-1, 6)  # (a, b, c), (a, c, d) of each face
    return vertices, pairs[:, [0, 1, 2, 5]], directions[::2]


def obj_bytes(occupancy: np.ndarray, name: str = "object") -> bytes:
    """A grid as Wavefront OBJ: shared vertices, one normal a direction, quads.

    Raises:
        DataError: see `quads`.
    """
    vertices, faces, directions = quads(occupancy)
    lines = [f"# compress3d: {int(np.sum(occupancy))} voxels, Y up, front to -Z", f"o {_word(name)}"]
    lines += ["v {:.6g} {:.6g} {:.6g}".format(*vertex) for vertex in vertices.tolist()]
    lines += ["vn {:.0f} {:.0f} {:.0f}".format(*normal) for normal in NORMALS.tolist()]
    for face, normal in zip(
        (faces + 1).tolist(), (directions.astype(int) + 1).tolist(), strict=True
    ):  # OBJ counts from 1
        lines.append("f " + " ".join(f"{corner}//{normal}" for corner in face))
    return ("\n".join(lines) + "\n").encode()


def glb_bytes(occupancy: np.ndarray, name: str = "object", extras: dict | None = None) -> bytes:
    """A grid as binary glTF 2.0: one mesh with flat normals (so four vertices a face) and a plain material.

    Args:
        occupancy: bool (X, Y, Z).
        name: of the node.
        extras: JSON values kept in the file's `asset.extras`: how it came to be.

    Raises:
        DataError: see `quads`.
    """
    vertices, faces, directions = quads(occupancy)
    positions = np.ascontiguousarray((vertices * _TO_GLTF)[faces.ravel()], "<f4")
    normals = np.ascontiguousarray(np.repeat((NORMALS * _TO_GLTF + 0.0)[directions], 4, axis=0), "<f4")  # no -0.0
    narrow = len(positions) < 65536  # 65535 itself would restart a primitive, so it must not be an index
    corners = 4 * np.arange(len(faces))[:, None] + np.array([0, 1, 2, 0, 2, 3])
    indices = np.ascontiguousarray(corners.ravel(), "<u2" if narrow else "<u4")
    parts = [positions.tobytes(), normals.tobytes(), indices.tobytes()]
    offsets = np.cumsum([0, *(len(part) for part in parts)]).tolist()
    body = {
        "asset": {"version": "2.0", "generator": "compress3d", **({"extras": extras} if extras else {})},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": name}],
        "meshes": [
            {
                "name": name,
                "primitives": [
                    {"attributes": {"POSITION": 0, "NORMAL": 1}, "indices": 2, "material": 0, "mode": _TRIANGLES}
                ],
            }
        ],
        "materials": [
            {
                "name": "voxels",
                "pbrMetallicRoughness": {
                    "baseColorFactor": [*GREY, 1.0],
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.9,
                },
            }
        ],
        "buffers": [{"byteLength": offsets[-1]}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": offsets[n], "byteLength": len(parts[n]), "target": target}
            for n, target in enumerate((_ARRAY_BUFFER, _ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER))
        ],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": _FLOAT,
                "count": len(positions),
                "type": "VEC3",
                "min": positions.min(0).tolist(),
                "max": positions.max(0).tolist(),
            },
            {"bufferView": 1, "componentType": _FLOAT, "count": len(normals), "type": "VEC3"},
            {
                "bufferView": 2,
                "componentType": _UNSIGNED_SHORT if narrow else _UNSIGNED_INT,
                "count": len(indices),
                "type": "SCALAR",
            },
        ],
    }
    text = json.dumps(body, separators=(",", ":")).encode()
    chunks = _chunk(_JSON, text, b" ") + _chunk(_BIN, b"".join(parts), b"\0")
    return struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks)) + chunks


def _chunk(kind: int, data: bytes, padding: bytes) -> bytes:
    """Length, kind and data of a GLB chunk, filled to a multiple of four bytes."""
    data += padding * (-len(data) % 4)
    return struct.pack("<II", len(data), kind) + data


def _word(name: str) -> str:
    """A name without white space, as OBJ wants it."""
    return "_".join(name.split()) or "object"
