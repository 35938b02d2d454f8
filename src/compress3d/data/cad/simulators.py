"""Models of two simulators, in AC3D: FlightGear's AI aircraft, with liveries in folders of their own, and TORCS' cars.

A car's wheels are numbers in its XML file, drawn here as cylinders.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np

from compress3d.data.cad.ac3d import read_ac3d
from compress3d.data.cad.labels import copyright_holders, read_licence
from compress3d.data.cad.model import Model
from compress3d.data.mesh import Material, Mesh
from compress3d.data.solids import tube
from compress3d.errors import DataError

NOSE = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # their nose looks along -X, ShapeNet's along -Z
FRONT = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # their front is at +X, ShapeNet's at -Z
TYRE, RIM = Material((0.06, 0.06, 0.06)), Material((0.6, 0.6, 0.62))
SPOKES = 28  # corners of a wheel's rim
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


def find_aircraft(folder: Path) -> list[Model]:
    """Aircraft below a folder that holds AI/Aircraft."""
    models = []
    for path in sorted(folder.rglob("*.ac")):
        below = re.match(r"((?:.*?/)?AI/Aircraft/([^/]+))(?:/(.*))?$", path.parent.as_posix())
        if not below or _PARTS.search(path.name.lower()):
            continue
        home, name, folders = below.groups("")
        kind = "watercraft" if "ferry" in name.lower() else "balloon" if name == "balloon" else "airplane"
        if not {"light", "lights"} & set(folders.lower().split("/")):
            models.append(Model(
                uid=f"FG__{name}__{path.stem}", category=kind, title=name, creator="FlightGear team",
                licence="GPL-2+", url="https://packages.debian.org/flightgear-data-ai", path=path, read=read_aircraft,
                details={"home": Path(home)},
            ))  # fmt: skip
    return models


def read_aircraft(model: Model) -> Mesh:
    """Triangles of one aircraft without effects, nose towards -Z."""

    def load(name: str) -> bytes | None:
        livery = Path(name.replace("\\", "/")).stem.lower()
        return _bytes(_picture(model.path.parent, name) or _liveries(model.details["home"]).get(livery))

    return read_ac3d(model.path, load, skip=lambda name: bool(_EFFECTS.search(name))).transformed(NOSE)


@functools.lru_cache(maxsize=4)
def _liveries(home: Path) -> dict[str, Path]:
    """Pictures below an aircraft's folder by lower-case stem; the first folder in order wins."""
    pictures = [path for path in home.rglob("*") if path.suffix.lower() in _PICTURES and path.is_file()]
    pictures.sort(key=lambda path: (str(path.parent), path.name), reverse=True)
    return {path.stem.lower(): path for path in pictures}


def _picture(folder: Path, name: str) -> Path | None:
    """A picture by the name in a model file: with its folders or without, with any ending that pictures have."""
    name = name.replace("\\", "/").lstrip("/")
    for candidate in (folder / name, folder / Path(name).name):
        for path in (candidate, *(candidate.with_suffix(ending) for ending in _PICTURES)):
            if path.is_file():
                return path
    return None


def _bytes(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None


def find_cars(folder: Path) -> list[Model]:
    """Cars below a folder that holds cars/<name>/<name>.acc; coarser versions (-lod) are left out."""
    paths = (path for path in sorted(folder.rglob("*.acc")) if path.parent.parent.name == "cars")
    return [_car(path) for path in paths if path.stem == path.parent.name]


def _car(path: Path) -> Model:
    readme = path.parent / "readme.txt"
    text = readme.read_text("latin-1") if readme.is_file() else ""
    licence = read_licence(text) or "GPL-2+"  # the package's licence where a car has no other
    return Model(
        uid=f"TORCS__{path.stem}", category="car", title=path.stem, creator=copyright_holders(text) or "TORCS team",
        licence=licence, url="https://packages.debian.org/torcs-data", path=path, read=read_car,
    )  # fmt: skip


def read_car(model: Model) -> Mesh:
    """Triangles of one car with its four wheels, front towards -Z."""
    folder = model.path.parent
    shared = folder.parent.parent / "data" / "textures"
    body = read_ac3d(
        model.path,
        lambda name: _bytes(_picture(folder, name) or _picture(shared, name)),
        skip=lambda name: "shadow" in name.lower(),
    )
    description = folder / f"{folder.name}.xml"
    try:
        text = description.read_text("latin-1")
    except OSError as error:
        raise DataError(description, f"cannot be read ({error.strerror})", "unpack torcs-data again") from None
    return add_wheels(body, text).transformed(FRONT)


def add_wheels(body: Mesh, description: str) -> Mesh:
    """A car's body (front +X, Y up, metres) with four wheels: tyre and rim, two cylinders each.

    The car's XML has sections "Front Axle" (xpos), "Front Right Wheel" (ypos, tire width in mm, rim diameter in inches,
    tire height-width ratio) and so on; values that are missing are those of a usual car.
    """
    vertices, faces, materials = [body.vertices], [body.faces], [body.material_of_face]
    total, first = len(body.vertices), len(body.materials)
    for axle, usual in (("Front", 1.3), ("Rear", -1.3)):
        along = _number(_section(description, f"{axle} Axle"), "xpos", usual)
        for side in ("Right", "Left"):
            wheel = _section(description, f"{axle} {side} Wheel")
            width = _number(wheel, "tire width", 250) / 1000
            rim = _number(wheel, "rim diameter", 17) * 0.0254 / 2
            radius = rim + width * _number(wheel, "tire height-width ratio", 0.45)
            hub = np.array([along, radius - 0.09, _number(wheel, "ypos", 0.8)])  # sunk below the body's zero
            for kind, (size, thickness) in enumerate([(radius, width), (rim, 1.04 * width)]):
                vertices.append(_cylinder(size, thickness) + hub)
                faces.append(tube(SPOKES) + total)
                materials.append(np.full(4 * SPOKES, first + kind))
                total += 2 * SPOKES + 2
    added = 32 * SPOKES
    return Mesh(
        np.concatenate(vertices), np.concatenate(faces),
        np.concatenate([body.normals, np.full((added, 3, 3), np.nan)]),
        np.concatenate([body.uv, np.zeros((added, 3, 2))]),
        np.concatenate(materials), [*body.materials, TYRE, RIM], body.textures,
    )  # fmt: skip


def _cylinder(radius: float, width: float) -> np.ndarray:
    """Points (2 n + 2, 3) of a closed cylinder around Z, as `tube` joins them."""
    turn = np.arange(SPOKES) * 2 * np.pi / SPOKES
    circle = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.zeros(SPOKES)], 1)
    ends = np.array([[0, 0, -width / 2], [0, 0, width / 2]])
    return np.concatenate([circle + ends[0], circle + ends[1], ends])


def _section(text: str, name: str) -> str:
    found = re.search(rf'<section name="{re.escape(name)}">(.*?)</section>', text, re.DOTALL)
    return found[1] if found else ""


def _number(text: str, name: str, usual: float) -> float:
    found = re.search(rf'name="{re.escape(name)}"[^>]*val="(-?[\d.]+)"', text)
    return float(found[1]) if found else usual
