"""AC3D models (.ac) and the dialect of TORCS (.acc): triangle strips, a normal at every vertex, several textures.

Format: https://www.inivis.com/ac3d/man/ac3dfileformat.html. Existing libraries need a shared Assimp, or fail on 19 of
223 of FlightGear's files; this reader takes all of them with NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compress3d.data.cad.materials import Materials
from compress3d.data.mesh import Mesh
from compress3d.errors import DataError

POLYGON, STRIP = 0, 4  # kinds of surface; 1 and 2 are lines
_NO_TEXTURE = "empty_texture_no_mapping"  # how TORCS says so
_REMEDY = "get the package again"


@dataclass
class Surface:
    """One polygon, strip or line: `corners` are (vertex, u, v)."""

    kind: int
    material: int
    corners: list[tuple[int, float, float]]


@dataclass
class Node:
    """One OBJECT of the tree. `rotation` and `translation` place it in its parent."""

    name: str = ""
    texture: str | None = None
    repeat: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))
    vertices: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    normals: np.ndarray | None = None
    surfaces: list[Surface] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)


def read_ac3d(
    path: str | Path,
    load: Callable[[str], bytes | None] = lambda name: None,
    skip: Callable[[str], bool] = lambda name: False,
) -> Mesh:
    """Triangles of an AC3D file in its own frame (Y up).

    Args:
        path: .ac or .acc file.
        load: bytes of a texture by the name that the file gives; None where there is none.
        skip: says for an object's name whether to leave it out with all that is in it.

    Raises:
        DataError: the file is missing or broken; the message gives the line.
    """
    try:
        lines = Path(path).read_bytes().decode("latin-1").split("\n")
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", _REMEDY) from None
    if not lines[0].startswith("AC3D"):
        raise DataError(path, "is no AC3D file (it does not begin with AC3D)", _REMEDY)
    reader = _Reader(lines)
    try:
        definitions, root = reader.file()
    except EOFError:
        raise DataError(path, "is truncated", _REMEDY) from None
    except (ValueError, IndexError, RecursionError) as error:
        raise DataError(path, f"is broken in line {reader.at} ({error})", _REMEDY) from None
    return _flatten(definitions, root, Materials(load), skip)


class _Reader:
    """Walks the lines; `at` is the number of the line read last."""

    def __init__(self, lines: list[str]):
        self.lines, self.at = lines, 1

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

    def file(self) -> tuple[list, Node]:
        materials = []
        while True:
            words = self.words()
            if words[0] == "MATERIAL":
                materials.append(_material(words[2:]))
            elif words[0] == "MAT":  # newer files: one property a line
                block = []
                while (words := self.words())[0] != "ENDMAT":
                    block += words
                materials.append(_material(block))
            elif words[0] == "OBJECT":
                return materials, self.node()

    def node(self) -> Node:
        """The object whose OBJECT line was read last."""
        node = Node()
        while True:
            key, *values = self.words()
            if key == "name":
                node.name = " ".join(values)
            elif key == "data":
                self._skip_text(int(values[0]))
            elif key == "texture":
                base = len(values) < 2 or values[1] == "base"  # TORCS adds tracks, skid marks and shadows
                if node.texture is None and base and values[0] != _NO_TEXTURE:
                    node.texture = values[0]
            elif key == "texrep":
                node.repeat = float(values[0]), float(values[1])
            elif key == "texoff":
                node.offset = float(values[0]), float(values[1])
            elif key == "rot":
                node.rotation = np.array(values[:9], float).reshape(3, 3).T  # the file lists columns
            elif key == "loc":
                node.translation = np.array(values[:3], float).reshape(3)
            elif key == "numvert":
                self._vertices(node, int(values[0]))
            elif key == "numsurf":
                node.surfaces = [self._surface() for _ in range(int(values[0]))]
            elif key == "kids":
                for _ in range(int(values[0])):
                    if not self._find_object():
                        break
                    node.children.append(self.node())
                return node

    def _find_object(self) -> bool:
        """Go to the next OBJECT; False at the end: 13 of FlightGear's files announce more objects than follow."""
        try:
            while self.words()[0] != "OBJECT":
                pass
        except EOFError:
            return False
        return True

    def _skip_text(self, length: int) -> None:
        read = len(self.line())
        while read < length:
            read += 1 + len(self.line())

    def _vertices(self, node: Node, count: int) -> None:
        rows = [self.words() for _ in range(count)]
        width = min(map(len, rows), default=3)
        if width < 3:
            raise ValueError("a vertex with fewer than three coordinates")
        table = np.array([row[:width] for row in rows], float).reshape(count, width)
        node.vertices = table[:, :3]
        if width >= 6:
            node.normals = table[:, 3:6]

    def _surface(self) -> Surface:
        words = self.words()
        if words[0] != "SURF":
            raise ValueError(f"SURF expected, not {words[0]}")
        kind, material = int(words[1], 0) & 15, 0
        while True:
            key, *values = self.words()
            if key == "mat":
                material = int(values[0])
            elif key == "refs":
                rows = [self.words() for _ in range(int(values[0]))]
                corners = [(int(row[0]), *(float(word) for word in (row[1:3] + ["0", "0"])[:2])) for row in rows]
                return Surface(kind, material, corners)


def _material(words: list[str]) -> tuple[tuple[float, ...], float]:
    """Colour and opacity from `rgb r g b ... trans t`."""
    colour, alpha = (0.8, 0.8, 0.8), 1.0
    if "rgb" in words:
        colour = tuple(min(max(float(word), 0.0), 1.0) for word in words[words.index("rgb") + 1 :][:3])
    if "trans" in words:
        alpha = 1.0 - min(max(float(words[words.index("trans") + 1]), 0.0), 1.0)
    if len(colour) != 3:
        raise ValueError("a colour with fewer than three parts")
    return colour, alpha


def _triangles(surface: Surface) -> list[tuple[int, int, int]]:
    """Positions in `surface.corners`: a fan of a polygon, the turning triangles of a strip, none of a line."""
    count = len(surface.corners)
    if surface.kind == POLYGON:
        return [(0, k, k + 1) for k in range(1, count - 1)]
    if surface.kind == STRIP:
        return [(k, k + 1, k + 2) if k % 2 == 0 else (k + 1, k, k + 2) for k in range(count - 2)]
    return []


def _flatten(definitions: list, root: Node, materials: Materials, skip: Callable[[str], bool]) -> Mesh:
    """All objects in one frame."""
    vertices, faces, uv, normals, material_of_face = [np.zeros((0, 3))], [], [], [], []
    total = 0

    def visit(node: Node, rotation: np.ndarray, translation: np.ndarray) -> None:
        nonlocal total
        if skip(node.name):
            return
        translation = rotation @ node.translation + translation
        rotation = rotation @ node.rotation
        vertices.append(node.vertices @ rotation.T + translation)
        turned = np.full((len(node.vertices), 3), np.nan) if node.normals is None else node.normals @ rotation.T
        for surface in node.surfaces:
            triangles = _triangles(surface)
            if not triangles:
                continue
            known = surface.material < len(definitions)
            colour, alpha = definitions[surface.material] if known else ((0.8, 0.8, 0.8), 1.0)
            material = materials.index(colour, alpha, node.texture)
            for triangle in triangles:
                corners = [surface.corners[k] for k in triangle]
                indices = [corner[0] for corner in corners]
                faces.append([total + index if 0 <= index < len(node.vertices) else -1 for index in indices])
                uv.append([[c[1 + k] * node.repeat[k] + node.offset[k] for k in (0, 1)] for c in corners])
                normals.append([turned[index] if 0 <= index < len(turned) else (np.nan,) * 3 for index in indices])
                material_of_face.append(material)
        total += len(node.vertices)
        for child in node.children:
            visit(child, rotation, translation)

    visit(root, np.eye(3), np.zeros(3))
    return Mesh(
        np.concatenate(vertices), np.array(faces, np.int64).reshape(-1, 3),
        np.array(normals, float).reshape(-1, 3, 3), np.array(uv, float).reshape(-1, 3, 2),
        np.array(material_of_face, np.int64), materials.materials, materials.textures,
    )  # fmt: skip
