"""Voxels as files that other programs open: Wavefront OBJ, and binary glTF 2.0 written by trimesh.

The object's longest side is 1 unit, its cube centred at the origin, Y up. A voxel grid's front looks to -Z (see
`data/camera.py`). OBJ keeps that, as Blender's importer expects; glTF wants fronts at +Z, so there the body is turned
by 180 degrees about Y. OBJ is written here: trimesh's writer cannot keep faces of four corners.
"""

from __future__ import annotations

import numpy as np

from compress3d.data.voxel_mesh import NORMALS, exposed_mesh
from compress3d.errors import DataError

GREY = (0.72, 0.74, 0.78, 1.0)  # a light body: shading shows
_TO_GLTF = np.array([-1, 1, -1], np.float32)  # half a turn about Y
_TARGETS = (34963, 34962, 34962)  # glTF's ELEMENT_ARRAY_BUFFER for the indices, ARRAY_BUFFER; trimesh names none


def quads(occupancy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exposed faces of a grid: vertices, each once, and four of them a face.

    Args:
        occupancy: bool (X, Y, Z).

    Returns:
        Vertices (V, 3) float32, the longest side of the grid being 1 and its middle the origin; faces (F, 4) int64,
        counter-clockwise from outside; and the direction (F,) of each, 0..5 for -x +x -y +y -z +z.

    Raises:
        DataError: the grid is empty, or not three-dimensional.
    """
    corners, triangles, directions = exposed_mesh(occupancy)
    if not len(triangles):
        raise DataError("mesh", "has no face: no voxel is occupied", "lower --threshold, or give better photographs")
    sides = np.array(np.shape(occupancy), np.float32)
    vertices = (corners.astype(np.float32) - sides / 2) / sides.max()
    pairs = triangles.astype(np.int64).reshape(-1, 6)  # (a, b, c), (a, c, d) of each face
    return vertices, pairs[:, [0, 1, 2, 5]], directions[::2].astype(int)


def obj_bytes(occupancy: np.ndarray, name: str = "object") -> bytes:
    """A grid as Wavefront OBJ: shared vertices, one normal a direction, quads; errors as in `quads`."""
    vertices, faces, directions = quads(occupancy)
    word = "_".join(name.split()) or "object"
    lines = [f"# compress3d: {int(np.sum(occupancy))} voxels, Y up, front to -Z", f"o {word}"]
    lines += ["v {:.6g} {:.6g} {:.6g}".format(*vertex) for vertex in vertices.tolist()]
    lines += ["vn {:.0f} {:.0f} {:.0f}".format(*normal) for normal in NORMALS.tolist()]
    for face, normal in zip((faces + 1).tolist(), (directions + 1).tolist(), strict=True):  # OBJ counts from 1
        lines.append("f " + " ".join(f"{corner}//{normal}" for corner in face))
    return ("\n".join(lines) + "\n").encode()


def glb_bytes(occupancy: np.ndarray, name: str = "object", extras: dict | None = None) -> bytes:
    """A grid as binary glTF 2.0: one mesh with flat normals (so four vertices a face) and a plain material.

    `name` is that of the node; `extras`, JSON values, are kept in the file's `asset.extras`. Errors as in `quads`.
    """
    import trimesh  # takes a second, and only this needs it
    from trimesh.visual.material import PBRMaterial

    vertices, faces, directions = quads(occupancy)
    grey = PBRMaterial("voxels", baseColorFactor=GREY, metallicFactor=0.0, roughnessFactor=0.9)
    mesh = trimesh.Trimesh(
        (vertices * _TO_GLTF)[faces.ravel()],
        4 * np.arange(len(faces)).repeat(2)[:, None] + np.tile([[0, 1, 2], [0, 2, 3]], (len(faces), 1)),
        vertex_normals=np.repeat(NORMALS[directions] * _TO_GLTF + 0.0, 4, axis=0),  # + 0: no -0.0
        visual=trimesh.visual.TextureVisuals(material=grey),
        process=False,  # it would merge the vertices, and the normals with them
    )

    def finish(tree: dict) -> None:
        tree["asset"] = {"version": "2.0", "generator": "compress3d"} | ({"extras": extras} if extras else {})
        tree["nodes"][0]["name"] = tree["meshes"][0]["name"] = name  # trimesh keeps some names, as "world", for itself
        for view, target in zip(tree["bufferViews"], _TARGETS, strict=True):
            view["target"] = target

    data = mesh.export(file_type="glb", include_normals=True, tree_postprocessor=finish)
    assert isinstance(data, bytes)
    return data
