"""Sweet Home 3D's furniture libraries: an .sh3f file is a zip of OBJ models with a Java .properties catalogue.

It gives every model's name, maker, true size and rotation. Models without a licence of their own have the library's.
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from compress3d.data.cad.labels import classify, read_licence
from compress3d.data.cad.model import Model
from compress3d.data.cad.obj import read_obj
from compress3d.data.mesh import Mesh
from compress3d.errors import DataError

CATALOGUE = "PluginFurnitureCatalog.properties"
FRONT = np.diag([-1.0, 1.0, -1.0])  # Sweet Home 3D looks at fronts along +Z, ShapeNet along -Z
_URL = "https://packages.debian.org/sweethome3d-furniture"
#: A comment; or key and value, which a backslash continues on the next line.
_PROPERTY = re.compile(
    r"^\s*(?:[#!].*|((?:\\.|[^\\\s:=])+)[ \t\f]*[:=]?[ \t\f]*((?:\\[\s\S]|[^\\\n])*))$", re.MULTILINE
)
_REMEDY = "install or unpack the package again"
_MAKERS = {"Scopia": "Scopia / eTeks (Emmanuel Puybaret)"}  # as the library asks to be credited


def find(folder: Path) -> list[Model]:
    """Models of all .sh3f libraries below a folder."""
    return [model for path in sorted(folder.rglob("*.sh3f")) for model in read_library(path)]


def read_library(path: str | Path) -> list[Model]:
    """The models of one library, in the catalogue's order. DataError: it is no zip archive with a catalogue."""
    path = Path(path)
    texts = {}
    for name in _open(path).namelist():
        base = posixpath.basename(name).lower()
        if name == CATALOGUE or "licen" in base or base.endswith(".html"):
            texts[name] = _member(path, name) or b""
    if CATALOGUE not in texts:
        raise DataError(path, f"holds no {CATALOGUE}", _REMEDY)
    entries: dict[int, dict[str, str]] = {}
    for key, value in parse_properties(texts[CATALOGUE].decode("latin-1")).items():
        name, mark, number = key.partition("#")
        if mark and number.isdigit():
            entries.setdefault(int(number), {})[name] = value
    house = next((texts[name].decode("utf-8", "replace") for name in texts if name.upper() == "LICENSE.TXT"), "")
    return [_model(path, entries[number], texts, house) for number in sorted(entries) if "model" in entries[number]]


def read_mesh(model: Model) -> Mesh:
    """Triangles of one model: turned as the catalogue says, scaled to its width, height and depth, front -Z."""
    entry = model.details
    where = f"{model.path}!{entry['model']}"
    mesh = read_obj(entry["model"], functools.partial(_member, model.path), where)
    if not len(mesh.faces):
        raise DataError(where, "has no faces", _REMEDY)
    if "modelRotation" in entry:
        rotation = np.array(entry["modelRotation"].split(), float)
        if rotation.shape != (9,):
            raise DataError(where, f"has a rotation of {rotation.size} numbers, not 9", _REMEDY)
        mesh = mesh.transformed(rotation.reshape(3, 3))
    target = np.array([float(entry.get(side, "nan")) for side in ("width", "height", "depth")])
    extent = np.ptp(mesh.vertices[np.unique(mesh.faces)], axis=0)
    known = np.isfinite(target) & (target > 0) & (extent > 1e-9)
    return mesh.transformed(FRONT @ np.diag(np.where(known, target / np.maximum(extent, 1e-9), 1.0)))


def parse_properties(text: str) -> dict[str, str]:
    r"""Keys and values of a Java .properties text: comments, `\` at a line's end, `\uXXXX`."""
    pairs = _PROPERTY.findall("\n".join(text.splitlines()))
    return {_unescape(key): _unescape(value) for key, value in pairs if key}


def _unescape(text: str) -> str:
    def character(match: re.Match) -> str:
        code = match[1]
        if len(code) == 5 and code[0] == "u":
            return chr(int(code[1:], 16))
        return "" if code[0] == "\n" else {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|\n\s*|.)", character, text)


def _model(path: Path, entry: dict[str, str], texts: dict[str, bytes], house: str) -> Model:
    file = entry["model"].lstrip("/")
    folder = posixpath.dirname(file) + "/"
    beside = [texts[name] for name in sorted(texts) if folder != "/" and name.startswith(folder)]
    own = " ".join(text.decode("utf-8", "replace") for text in beside)
    licence = read_licence(own) or read_licence(house) or "unknown"
    name = entry.get("id", file).split("#")[-1]
    title = entry.get("name", name)
    page = re.search(r"blendswap\.com/blends?/(?:view/)?\d+", own)
    return Model(
        uid=f"{path.stem}__{name}", category=classify(name, title, entry.get("category", "")), title=title,
        creator=_MAKERS.get(path.stem, entry.get("creator", "")), licence=licence,
        url=f"https://www.{page[0]}" if page else _URL, path=path, read=read_mesh,
        details=entry | {"model": file},
    )  # fmt: skip


@functools.lru_cache(maxsize=8)
def _open(path: Path) -> zipfile.ZipFile:
    """An archive, kept open: its table of contents takes longer to read than a model."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(path, f"is no complete furniture library ({error})", _REMEDY) from None


os.register_at_fork(after_in_child=_open.cache_clear)  # forked processes would share one position in the file


def _member(path: Path, name: str) -> bytes | None:
    """Bytes of a file in the archive, None where there is none; DataError where they are damaged."""
    try:
        return _open(path).read(name)
    except KeyError:
        return None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}!{name}", f"is damaged ({error})", _REMEDY) from None
