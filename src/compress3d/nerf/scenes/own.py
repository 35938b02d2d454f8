"""A scene of our own, for everybody: a terrace with things that people modelled and gave away (CC0).

A deck chair, a barrel, a crate with a plant on it, a stool, a hen and a ball stand on planks. The models ship with the
package (`data/scenes/terrace/models.npz`, credits beside it), so the scene can be made again anywhere, of any size.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d import paths
from compress3d.data.mesh import Material, Mesh, crease_normals
from compress3d.data.render import Renderer, embree_scene
from compress3d.errors import ConfigError, DataError
from compress3d.io import write_atomically
from compress3d.nerf.cameras import look_at, on_sphere

NAME = "terrace"
MODELS, CREDITS = "models.npz", "credits.csv"
ANGLE = 0.6911112070083618  # camera_angle_x of the eight scenes of NeRF's authors
RADIUS = 4.0
ELEVATIONS = 8.0, 75.0  # degrees, of the lowest and highest camera
#: Where each model stands: x and z on the planks, turn in degrees, scale, and on top of which other.
OBJECTS: dict[str, tuple[float, float, float, float, str]] = {
    "deckChair": (-0.28, 0.10, 35, 1.00, ""),
    "barrel": (0.55, -0.48, 0, 0.72, ""),
    "crate": (0.53, 0.28, 12, 0.70, ""),
    "littlePlant": (0.53, 0.28, 0, 1.75, "crate"),
    "chicken": (-0.60, -0.62, -140, 0.90, ""),
    "basketball": (0.10, 0.70, 0, 1.15, ""),
    "stool2": (-0.02, -0.64, 20, 0.75, ""),
}
SIDE, THICK, FLOOR = 1.9, 0.07, -0.40  # metres: the planks, and the height of their upper side
_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # the renderer's y is up, in Blender's layout z
_REMEDY = "restore it from the repository (git checkout -- data)"


def make_scene(
    out: str | Path, seed: int = 0, size: int = 200, train: int = 40, test: int = 10, models: str | Path | None = None
) -> Path:
    """Make the scene, in Blender's layout, and return its folder.

    The seed draws where things stand, within a few centimetres and degrees, the planks, and the cameras. The same seed
    gives the same pictures.

    Args:
        out: a folder that is made, or in which the files are replaced.
        size: pixels a side.
        train, test: numbers of views, from the upper hemisphere, 4 units from the middle.
        models: models.npz; the one that ships with the package if None.

    Raises:
        ConfigError: a number makes no sense.
        DataError: the models are missing or broken, or embreex is not installed.
    """
    for name, value, least in (("seed", seed, 0), ("size", size, 8), ("train", train, 2), ("test", test, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 100_000:
            raise ConfigError(name, f"{value!r} makes no scene", f"give a whole number from {least} to 100000")
    out, rng = Path(out), np.random.default_rng(seed)
    mesh = terrace(rng, Path(models) if models else paths.shipped_data() / "scenes" / NAME / MODELS)
    render = Renderer(mesh, supersampling=4)
    focal = 0.5 / np.tan(ANGLE / 2)
    for part, poses in (("train", spread(rng, train)), ("test", spread(rng, test))):
        frames = []
        for number, pose in enumerate(poses):
            picture = render.view(_UP.T @ pose[:, 3], pose[:, :3].T @ _UP, focal, size)
            write_atomically(out / part / f"r_{number}.png", _png(picture))
            matrix = [*pose.round(9).tolist(), [0.0, 0.0, 0.0, 1.0]]
            frames.append({"file_path": f"./{part}/r_{number}", "transform_matrix": matrix})
        listing = json.dumps({"camera_angle_x": ANGLE, "frames": frames}, indent=1)
        write_atomically(out / f"transforms_{part}.json", listing.encode())
    return out


def spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """Cameras spread evenly over the upper hemisphere, float64 (count, 3, 4): a spiral of golden angles, jittered."""
    low, high = np.sin(np.radians(ELEVATIONS))
    height = low + (high - low) * (np.arange(count) + rng.uniform(0, 1, count)) / count
    azimuth = rng.uniform(0, 360) + 137.50776 * np.arange(count) + rng.uniform(-8, 8, count)
    places = [on_sphere(a, np.degrees(np.arcsin(h)), RADIUS) for a, h in zip(azimuth, height, strict=True)]
    return np.stack([look_at(place) for place in places])


def terrace(rng: np.random.Generator, models: str | Path) -> Mesh:
    """The mesh of the whole scene, y up, inside [-1.3, 1.3]^3. DataError: the models are missing or broken."""
    stock = read_models(models)
    placed: dict[str, Mesh] = {}
    height = {"": FLOOR}
    for name, (x, z, turn, scale, below) in OBJECTS.items():
        if below:
            x, z = placed[below].bounds[0][[0, 2]] / 2 + placed[below].bounds[1][[0, 2]] / 2
        else:
            x, z = (x, z) + rng.uniform(-0.03, 0.03, 2)
        angle = np.radians(turn + rng.uniform(-10, 10))
        cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
        mesh = stock[name].transformed(np.array([[cosine, 0, sine], [0, scale, 0], [-sine, 0, cosine]]))
        mesh.vertices = mesh.vertices + [x, height[below], z]
        placed[name], height[name] = mesh, mesh.bounds[1][1]
    things = joined(placed.values())
    return joined([things, _planks(rng, things)])


def read_models(path: str | Path) -> dict[str, Mesh]:
    """The shipped models by name, in metres, standing on y = 0. DataError: the file is missing or broken."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: _model(archive, name) for name in OBJECTS}
    except FileNotFoundError:
        raise DataError(path, "is missing", _REMEDY) from None
    except Exception as error:  # zipfile, zlib, NumPy and Pillow: BadZipFile, KeyError, ValueError, OSError ...
        raise DataError(path, f"is broken ({error!r})", _REMEDY) from None


def _model(archive, name: str) -> Mesh:
    def array(key: str) -> np.ndarray:
        return archive[f"{name}/{key}"]

    vertices, faces = array("vertices").astype(np.float64), array("faces").astype(np.int64)
    textures: list[np.ndarray] = []
    while f"{name}/texture{len(textures)}" in archive:
        with Image.open(io.BytesIO(array(f"texture{len(textures)}").tobytes())) as image:
            textures.append(np.asarray(image.convert("RGB")))
    looks = zip(array("colours").tolist(), array("alphas").tolist(), array("texture_of_material").tolist(), strict=True)
    materials = [Material((red, green, blue), alpha, texture) for (red, green, blue), alpha, texture in looks]
    normals = crease_normals(vertices, faces)
    return Mesh(vertices, faces, normals, array("uv"), array("material_of_face").astype(int), materials, textures)


def joined(meshes) -> Mesh:
    """Several meshes as one."""
    parts: dict[str, list[np.ndarray]] = {key: [] for key in ("vertices", "faces", "normals", "uv", "owner")}
    materials: list[Material] = []
    textures: list[np.ndarray] = []
    vertices = 0
    for mesh in meshes:
        lengths = np.linalg.norm(mesh.normals, axis=2, keepdims=True)  # turned and scaled normals
        rows = (mesh.vertices, mesh.faces + vertices, mesh.normals / lengths, mesh.uv, mesh.material_of_face)
        for key, values in zip(parts, (*rows[:4], rows[4] + len(materials)), strict=True):
            parts[key].append(values)
        for m in mesh.materials:
            materials.append(Material(m.colour, m.alpha, m.texture + len(textures) if m.texture >= 0 else -1))
        textures += mesh.textures
        vertices += len(mesh.vertices)
    arrays = [np.concatenate(parts[key]) for key in parts]
    return Mesh(arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], materials, textures)


# -- planks ----------------------------------------------------------------------------------------------------------


def _planks(rng: np.random.Generator, things: Mesh) -> Mesh:
    """A slab of wooden planks; where things stand on it or near it less light falls, painted into its texture."""
    half, top, bottom = SIDE / 2, FLOOR, FLOOR - THICK
    corners = np.array([[x, y, z] for y in (top, bottom) for x, z in ((-1, 1), (1, 1), (1, -1), (-1, -1))], float)
    corners[:, [0, 2]] *= half
    quads = [[0, 1, 2, 3], [7, 6, 5, 4], [4, 5, 1, 0], [5, 6, 2, 1], [6, 7, 3, 2], [7, 4, 0, 3]]
    faces = np.array([[q[i] for i in three] for q in quads for three in ((0, 1, 2), (0, 2, 3))])
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 0], [1, 1], [0, 1]], float).reshape(2, 3, 2)
    texture = _wood(rng, 384) * _light(things, 128).repeat(3, 0).repeat(3, 1)[..., None]
    materials = [Material((1.0, 1.0, 1.0), 1.0, 0), Material((0.62, 0.48, 0.33))]
    owner = np.repeat([0, 1, 1, 1, 1, 1], 2)
    normals = crease_normals(corners, faces)
    return Mesh(corners, faces, normals, np.tile(uv, (6, 1, 1)), owner, materials, [texture.round().astype(np.uint8)])


def _wood(rng: np.random.Generator, side: int, count: int = 9) -> np.ndarray:
    """Planks with grain, each of its own shade, dark gaps between, float (side, side, 3) up to 255."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    plank = (x * count).astype(int)
    across = x * count - plank
    shade, phase, rings = rng.uniform(0.78, 1.08, count), rng.uniform(0, 6, count), rng.uniform(1.5, 4, count)
    bend = 0.25 * np.sin(2 * np.pi * y + phase[plank])
    grain = 0.93 + 0.07 * np.sin(2 * np.pi * rings[plank] * (across + bend) + phase[plank])
    gap = np.where(np.minimum(across, 1 - across) < 0.04, 0.45, 1.0)
    colour = np.array([0.86, 0.72, 0.53])
    return np.clip(colour * (shade[plank] * grain * gap)[..., None], 0, 1) * 255


def _light(things: Mesh, side: int, rays: int = 96) -> np.ndarray:
    """Share of the sky that each point of the planks sees past the things on it, float (side, side), row 0 at -z."""
    scene = embree_scene(things.triangles)
    at = ((np.arange(side) + 0.5) / side - 0.5) * SIDE
    x, z = np.meshgrid(at, at)
    origins = np.stack([x, np.full_like(x, FLOOR + 1e-3), z], -1).reshape(-1, 3).astype(np.float32)
    sky = np.zeros(len(origins))
    for direction in _hemisphere(rays):
        directions = np.broadcast_to(direction.astype(np.float32), origins.shape)
        hit = scene.run(origins, np.ascontiguousarray(directions), output=True)
        sky += (hit["primID"] < 0) | (hit["tfar"] > 0.8)
    return (0.35 + 0.65 * sky / rays).reshape(side, side)


def _hemisphere(count: int) -> Iterator[np.ndarray]:
    """Directions upwards, spread so that each brings as much light to a matt floor."""
    for k in range(count):
        height = np.sqrt(1 - (k + 0.5) / count)
        angle, flat = 2.399963 * k, np.sqrt((k + 0.5) / count)
        yield np.array([flat * np.cos(angle), height, flat * np.sin(angle)])


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
