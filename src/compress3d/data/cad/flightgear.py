"""FlightGear's AI aircraft: AC3D models with liveries in folders of their own. GPL-2+."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np

from compress3d.data.cad.ac3d import read_ac3d
from compress3d.data.cad.model import Model
from compress3d.data.mesh import Mesh

NOSE = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # their nose looks along -X, ShapeNet's along -Z
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
        below = re.match(r"((?:.*?/)?AI/Aircraft/([^/]+))(?:/(.*))?$", path.parent.as_posix())
        if not below or _PARTS.search(path.name.lower()):
            continue
        home, name, folders = below.groups("")
        if not {"light", "lights"} & set(folders.lower().split("/")):
            models.append(Model(
                uid=f"FG__{name}__{path.stem}", category=_category(name), title=name, creator="FlightGear team",
                licence="GPL-2+", url="https://packages.debian.org/flightgear-data-ai", path=path, read=read_mesh,
                details={"home": Path(home)},
            ))  # fmt: skip
    return models


def read_mesh(model: Model) -> Mesh:
    """Triangles of one aircraft without effects, nose towards -Z."""
    load = functools.partial(_load_texture, model.path.parent, model.details["home"])
    return read_ac3d(model.path, load, skip=lambda name: bool(_EFFECTS.search(name))).transformed(NOSE)


def _category(name: str) -> str:
    if "ferry" in name.lower():
        return "watercraft"
    return "balloon" if name == "balloon" else "airplane"


def _load_texture(folder: Path, home: Path, name: str) -> bytes | None:
    """A texture beside the model, else the first of that name in the aircraft's livery folders."""
    path = find_picture(folder, name) or _liveries(home).get(Path(name.replace("\\", "/")).stem.lower())
    return path.read_bytes() if path else None


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
    pictures = [path for path in home.rglob("*") if path.suffix.lower() in _PICTURES and path.is_file()]
    pictures.sort(key=lambda path: (str(path.parent), path.name), reverse=True)
    return {path.stem.lower(): path for path in pictures}
