"""FlightGear's AI aircraft: AC3D models with liveries in folders of their own. GPL-2+."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np

from compress3d.data.cad.ac3d import read_ac3d
from compress3d.data.cad.model import Model
from compress3d.data.mesh import Mesh

PACKAGE = "flightgear-data-ai"
NOSE = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # their nose looks along -X, ShapeNet's along -Z
_URL = "https://packages.debian.org/flightgear-data-ai"
_PICTURES = (".png", ".rgb", ".jpg")
#: Files beside an aircraft that are no aircraft: lights, stores, banners, parts of the space shuttle.
_PARTS = re.compile(
    r"light|flare|flash|exhaust|droptank|refueling|probe|banner|tank\.ac|wheels\.ac|toggle|omspods|ssme|cone"
)
#: Objects that stand for an effect: propeller discs, light cones, flames, contrails, helper objects.
_EFFECTS = re.compile(
    r"disc|disk|prop.*(fast|blur|spin)|blur|strobe|beacon|flash|lightcone|light-cone|glow|halo|shadow|cone$|trail|"
    r"exhaust.?flame|afterburn|flame|wake|hotspot|helper|null|condensation|contrail|vapou?r|spray|rope|smoke",
    re.IGNORECASE,
)


def find(folder: Path) -> list[Model]:
    """Aircraft below a folder that holds AI/Aircraft."""
    models = []
    for path in sorted(folder.rglob("*.ac")):
        parts = path.parts
        top = next((k + 2 for k in range(len(parts) - 2) if parts[k : k + 2] == ("AI", "Aircraft")), None)
        if top is None or top >= len(parts) - 1:
            continue
        inside = [part.lower() for part in parts[top:-1]]
        if _PARTS.search(path.name.lower()) or any(part in ("light", "lights") for part in inside[1:]):
            continue
        home = Path(*parts[: top + 1])
        models.append(Model(
            uid=f"FG__{home.name}__{path.stem}", category=_category(home.name), title=home.name,
            creator="FlightGear team", licence="GPL-2+", url=_URL, package=PACKAGE, path=path, read=read_mesh,
            details={"home": home},
        ))  # fmt: skip
    return models


def read_mesh(model: Model) -> Mesh:
    """Triangles of one aircraft without effects, nose towards -Z.

    Raises:
        DataError: the file is broken.
    """
    load = functools.partial(_load_texture, model.path.parent, model.details["home"])
    return read_ac3d(model.path, load, skip=lambda name: bool(_EFFECTS.search(name))).transformed(NOSE)


def _category(name: str) -> str:
    if "ferry" in name.lower():
        return "watercraft"
    return "balloon" if name == "balloon" else "airplane"


def _load_texture(folder: Path, home: Path, name: str) -> bytes | None:
    """A texture beside the model, else the first of that name in the aircraft's livery folders."""
    beside = find_picture(folder, name)
    if beside is None:
        beside = _liveries(home).get(Path(name.replace("\\", "/")).stem.lower())
    return None if beside is None else beside.read_bytes()


def find_picture(folder: Path, name: str) -> Path | None:
    """A picture by the name in a model file: with its folders or without, with any ending that pictures have."""
    name = name.replace("\\", "/").lstrip("/")
    for candidate in (folder / name, folder / Path(name).name):
        for path in (candidate, *(candidate.with_suffix(ending) for ending in _PICTURES)):
            if path.is_file():
                return path
    return None


@functools.lru_cache(maxsize=4)
def _liveries(home: Path) -> dict[str, Path]:
    """Pictures below an aircraft's folder by lower-case stem; the first folder in order wins."""
    found: dict[str, Path] = {}
    pictures = [path for path in home.rglob("*") if path.suffix.lower() in _PICTURES and path.is_file()]
    for path in sorted(pictures, key=lambda path: (str(path.parent), path.name)):
        found.setdefault(path.stem.lower(), path)
    return found
