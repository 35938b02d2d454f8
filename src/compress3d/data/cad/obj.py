"""Wavefront OBJ with its MTL materials, as far as Sweet Home 3D's libraries use it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

import numpy as np

from compress3d.data.cad.model import Materials, share
from compress3d.data.mesh import Mesh, triangulate_fan
from compress3d.errors import DataError

PLAIN = (0.4, 0.4, 0.4)  # colour where a material is named but defined nowhere (trimesh takes the same grey)
_REMEDY = "get the package again"
_OPTION = re.compile(r"-\w+(\s+(-?[\d.]+(e-?\d+)?|on|off)\b)*\s+")  # as in `map_Kd -s 1 1 1 wood.jpg`


def read_obj(name: str, load: Callable[[str], bytes | None], where: str) -> Mesh:
    """Triangles of an OBJ file; polygons are cut into fans, lines and points are left out.

    `load` gives the bytes of a file by name (materials and textures stand beside the OBJ file), or None; `where` is the
    file in messages. Raises DataError: the file is missing, or is no OBJ file; the message gives the line.
    """
    data = load(name)
    if data is None:
        raise DataError(where, "is missing", _REMEDY)
    folder = posixpath.dirname(name)

    def load_beside(other: str) -> bytes | None:
        return load(posixpath.normpath(posixpath.join(folder, other.replace("\\", "/"))))

    materials, current = Materials(load_beside), -1
    definitions: dict[str, tuple[tuple[float, float, float], float, str | None]] = {}
    points: dict[bytes, list[bytes]] = {b"v": [], b"vt": [], b"vn": []}
    corners, counts, material_of_polygon = [], [], []
    for number, line in enumerate(data.splitlines(), 1):
        key, _, rest = line.strip().partition(b" ")
        if key in points:
            points[key].append(rest)
        elif key == b"f":
            words, totals = rest.split(), [len(rows) for rows in points.values()]
            try:
                corners += [_corner(word, totals) for word in words]
            except ValueError as error:
                raise DataError(where, f"has a broken face in line {number} ({error})", _REMEDY) from None
            if current < 0:
                current = materials.index(PLAIN)
            counts.append(len(words))
            material_of_polygon.append(current)
        elif key == b"usemtl":
            current = materials.index(*definitions.get(_text(rest), (PLAIN,)))
        elif key == b"mtllib":
            definitions.update(read_mtl(load_beside(_text(rest)) or b""))
    vertices = _numbers(points[b"v"], 3, where)
    texture = np.concatenate([_numbers(points[b"vt"], 2, where), [[0.0, 0.0]]])  # the last one stands for "none"
    normals = np.concatenate([_numbers(points[b"vn"], 3, where), [[np.nan] * 3]])
    corner = np.array(corners, np.int64).reshape(-1, 3)
    for column, table in ((1, texture), (2, normals)):
        corner[(corner[:, column] < 0) | (corner[:, column] >= len(table)), column] = -1
    triangles, polygon = triangulate_fan(np.array(counts, np.int64))
    chosen = corner[triangles]
    return Mesh(
        vertices, chosen[..., 0], normals[chosen[..., 2]], texture[chosen[..., 1]],
        np.array(material_of_polygon, np.int64)[polygon], materials.materials, materials.textures,
    )  # fmt: skip


def read_mtl(data: bytes) -> dict[str, tuple[tuple[float, float, float], float, str | None]]:
    """Materials by name: colour, opacity, name of the texture or None. Lines that make no sense are passed over."""
    found: dict[str, tuple[tuple[float, float, float], float, str | None]] = {}
    name = ""
    for line in data.splitlines():
        key, _, rest = _text(line).partition(" ")
        colour, alpha, texture = found.get(name, (PLAIN, 1.0, None))
        try:
            if key == "newmtl":
                name, colour, alpha, texture = rest.strip(), PLAIN, 1.0, None
            elif key == "Kd":
                red, green, blue = map(share, rest.split()[:3])
                colour = red, green, blue
            elif key == "d":
                alpha = share(rest.split()[-1])
            elif key == "map_Kd":
                texture = _OPTION.sub("", rest.strip())
        except (ValueError, IndexError):
            continue
        if name:
            found[name] = (colour, alpha, texture)
    return found


def _corner(word: bytes, totals: list[int]) -> list[int]:
    """Zero-based indices of vertex, texture coordinate and normal; -1 where the corner has none."""
    indices = []
    for part, total in zip((word.split(b"/") + [b"", b""])[:3], totals, strict=True):
        index = int(part or 0)
        indices.append(index - 1 if index >= 0 else total + index)
    if not 0 <= indices[0] < totals[0]:
        raise ValueError(f"vertex {word.decode('latin-1')} of {totals[0]}")
    return indices


def _numbers(lines: list[bytes], columns: int, where: str) -> np.ndarray:
    """The first columns of text lines, float64 (len(lines), columns)."""
    if not lines:
        return np.zeros((0, columns))
    try:
        return np.loadtxt(lines, usecols=range(columns), ndmin=2, comments=None, encoding="latin-1")
    except (ValueError, IndexError) as error:
        raise DataError(where, f"holds something that is no number ({error})", _REMEDY) from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()
