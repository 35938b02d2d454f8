"""AC3D models (.ac) and the dialect of TORCS (.acc): triangle strips, a normal at every vertex, several textures.

Format: https://www.inivis.com/ac3d/man/ac3dfileformat.html. Existing libraries need a shared Assimp, or fail on 19 of
223 of FlightGear's files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from compress3d.data.cad.model import Materials, share
from compress3d.data.mesh import Mesh
from compress3d.errors import DataError

Load = Callable[[str], bytes | None]
Skip = Callable[[str], bool]
POLYGON, STRIP = 0, 4  # kinds of surface; 1 and 2 are lines
_PLAIN = ((0.8, 0.8, 0.8), 1.0)
_NO_TEXTURE = "empty_texture_no_mapping"  # how TORCS says so
_REMEDY = "get the package again"


def read_ac3d(path: str | Path, load: Load = lambda name: None, skip: Skip = lambda name: False) -> Mesh:
    """Triangles of an AC3D file in its own frame (Y up).

    `load` gives the bytes of a texture by its name in the file, or None; `skip` says for an object's name whether to
    leave it out with all that is in it. Raises DataError: the file is missing or broken; the message gives the line.
    """
    try:
        lines = Path(path).read_bytes().decode("latin-1").split("\n")
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", _REMEDY) from None
    if not lines[0].startswith("AC3D"):
        raise DataError(path, "is no AC3D file (it does not begin with AC3D)", _REMEDY)
    reader = _Reader(lines, Materials(load), skip)
    try:
        reader.file()
    except EOFError:
        raise DataError(path, "is truncated", _REMEDY) from None
    except (ValueError, IndexError, RecursionError) as error:
        raise DataError(path, f"is broken in line {reader.at} ({error})", _REMEDY) from None
    return reader.mesh()


class _Reader:
    """Walks the lines and collects triangles; `at` is the number of the line read last."""

    def __init__(self, lines: list[str], materials: Materials, skip: Skip):
        self.lines, self.materials, self.skip, self.at = lines, materials, skip, 1
        self.definitions: list[tuple[tuple[float, float, float], float]] = []
        self.vertices, self.total = [np.zeros((0, 3))], 0
        self.faces, self.material_of_face = [np.zeros((0, 3), int)], [np.zeros(0, int)]
        self.normals, self.uv = [np.zeros((0, 3, 3))], [np.zeros((0, 3, 2))]

    def line(self) -> str:
        if self.at >= len(self.lines):
            raise EOFError
        self.at += 1
        return self.lines[self.at - 1]

    def words(self) -> list[str]:
        """Words of the next line that has any; what stands in quotes is one word."""
        while True:
            parts = self.line().split('"')
            words = [word for k, part in enumerate(parts) for word in ([part] if k % 2 else part.split())]
            if words:
                return words

    def file(self) -> None:
        while (words := self.words())[0] != "OBJECT":
            if words[0] == "MATERIAL":
                self.definitions.append(_material(words[2:]))
            elif words[0] == "MAT":  # newer files: one property a line
                block = []
                while (words := self.words())[0] != "ENDMAT":
                    block += words
                self.definitions.append(_material(block))
        self.node(np.eye(3), np.zeros(3), False)

    def node(self, rotation: np.ndarray, translation: np.ndarray, hidden: bool) -> None:
        """Take the object whose OBJECT line was read last, and all that is in it; the arguments are its parent's."""
        name, texture, surfaces = "", None, []
        given = {"texrep": np.ones(2), "texoff": np.zeros(2), "rot": np.eye(3).ravel(), "loc": np.zeros(3)}
        table = np.zeros((0, 3))
        while True:
            key, *values = self.words()
            if key == "name":
                name = " ".join(values)
            elif key == "data":
                read = -1
                while read < int(values[0]):
                    read += 1 + len(self.line())
            elif key == "texture":
                base = len(values) < 2 or values[1] == "base"  # TORCS adds tracks, skid marks and shadows
                if texture is None and base and values[0] != _NO_TEXTURE:
                    texture = values[0]
            elif key in given:
                given[key] = np.array(values[: given[key].size], float).reshape(given[key].shape)
            elif key == "numvert":
                table = self._table(int(values[0]))
            elif key == "numsurf":
                surfaces = [self._surface() for _ in range(int(values[0]))]
            elif key == "kids":
                break
        hidden = hidden or self.skip(name)
        translation = rotation @ given["loc"] + translation
        rotation = rotation @ given["rot"].reshape(3, 3).T  # the file lists columns
        if not hidden:
            self.vertices.append(table[:, :3] @ rotation.T + translation)
            normals = np.full((len(table) + 1, 3), np.nan)  # the last one of vertices that do not exist
            if table.shape[1] >= 6:
                normals[:-1] = table[:, 3:6] @ rotation.T
            for kind, number, corners in surfaces:
                chosen = corners[_triangles(kind, len(corners))]
                if len(chosen):
                    colour, alpha = self.definitions[number] if number < len(self.definitions) else _PLAIN
                    index = chosen[..., 0].astype(int)
                    index[(index < 0) | (index >= len(table))] = -1
                    self.faces.append(np.where(index < 0, -1, index + self.total))
                    self.normals.append(normals[index])
                    material = self.materials.index(colour, alpha, texture)
                    self.material_of_face.append(np.full(len(chosen), material))
                    self.uv.append(chosen[..., 1:] * given["texrep"] + given["texoff"])
            self.total += len(table)
        for _ in range(int(values[0])):
            if not self._find_object():
                break
            self.node(rotation, translation, hidden)

    def _find_object(self) -> bool:
        """Go to the next OBJECT; False at the end: 13 of FlightGear's files announce more objects than follow."""
        try:
            while self.words()[0] != "OBJECT":
                pass
        except EOFError:
            return False
        return True

    def _table(self, count: int) -> np.ndarray:
        """Rows of numbers: coordinates, then perhaps normals."""
        rows = [self.words() for _ in range(count)]
        width = min(map(len, rows), default=3)
        if width < 3:
            raise ValueError("a vertex with fewer than three coordinates")
        return np.array([row[:width] for row in rows], float).reshape(count, width)

    def _surface(self) -> tuple[int, int, np.ndarray]:
        """Kind, material, and a row (vertex, u, v) for each corner."""
        words = self.words()
        if words[0] != "SURF":
            raise ValueError(f"SURF expected, not {words[0]}")
        kind, material = int(words[1], 0) & 15, 0
        while (words := self.words())[0] != "refs":
            if words[0] == "mat":
                material = int(words[1])
        rows = [(self.words() + ["0", "0"])[:3] for _ in range(int(words[1]))]
        return kind, material, np.array(rows, float).reshape(-1, 3)

    def mesh(self) -> Mesh:
        return Mesh(
            np.concatenate(self.vertices), np.concatenate(self.faces), np.concatenate(self.normals),
            np.concatenate(self.uv), np.concatenate(self.material_of_face),
            self.materials.materials, self.materials.textures,
        )  # fmt: skip


def _material(words: list[str]) -> tuple[tuple[float, float, float], float]:
    """Colour and opacity from `rgb r g b ... trans t`."""
    colour, alpha = _PLAIN
    if "rgb" in words:
        red, green, blue = map(share, words[words.index("rgb") + 1 :][:3])
        colour = red, green, blue
    if "trans" in words:
        alpha = 1.0 - share(words[words.index("trans") + 1])
    return colour, alpha


def _triangles(kind: int, count: int) -> np.ndarray:
    """Positions (T, 3) of a surface's corners: a fan of a polygon, the turning triangles of a strip, none of a line."""
    k = np.arange(count - 2 if kind in (POLYGON, STRIP) else 0)[:, None]
    return k * [0, 1, 1] + [0, 1, 2] if kind == POLYGON else k + np.where(k % 2, [1, 0, 2], [0, 1, 2])
