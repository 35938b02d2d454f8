"""Files of voxels, read back by parsers of their own: geometry by the divergence theorem, glTF by its specification."""

import base64
import io
import json
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from compress3d.engine.experiment import get_experiment
from compress3d.errors import ConfigError, DataError
from compress3d.photos import Photo
from compress3d.photos.confidence import Assessment
from compress3d.photos.meshes import glb_bytes, obj_bytes, quads
from compress3d.photos.outputs import SUFFIXES, check_names, write
from compress3d.photos.reconstruction import Reconstruction
from tests.run_lengths import from_run_lengths

ASSESSMENT = Assessment(0.71, 0.6, ())


def random_grid(shape, density, seed=0):
    return np.random.default_rng(seed).random(shape) < density


GRIDS = [
    np.ones((1, 1, 1), bool),
    random_grid((4, 4, 4), 0.3),
    random_grid((2, 3, 5), 0.6, seed=1),
    random_grid((8, 8, 8), 0.9, seed=2),
]


# --- an independent reader of GLB, after the specification of glTF 2.0 ------------------------------------------------

TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def read_glb(data):
    magic, version, length = struct.unpack_from("<4sII", data)
    assert magic == b"glTF" and version == 2 and length == len(data)
    chunks, at = [], 12
    while at < len(data):
        size, kind = struct.unpack_from("<I4s", data, at)
        assert size % 4 == 0 and at % 4 == 0
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + size
    assert at == len(data) and [kind for kind, _ in chunks] == [b"JSON", b"BIN\0"]
    text, binary = chunks[0][1], chunks[1][1]
    assert text.decode("ascii").rstrip(" ").endswith("}")  # padded with spaces
    return json.loads(text), binary


def accessor(gltf, binary, number):
    about = gltf["accessors"][number]
    view = gltf["bufferViews"][about["bufferView"]]
    kind, width = np.dtype(TYPES[about["componentType"]]), WIDTHS[about["type"]]
    start = view.get("byteOffset", 0) + about.get("byteOffset", 0)
    assert start % kind.itemsize == 0, "accessors are aligned to their components"
    size = kind.itemsize * width * about["count"]
    assert about.get("byteOffset", 0) + size <= view["byteLength"]
    assert view.get("byteOffset", 0) + view["byteLength"] <= gltf["buffers"][0]["byteLength"] <= len(binary)
    values = np.frombuffer(binary, kind, width * about["count"], start).reshape(about["count"], width)
    if "min" in about:
        assert (values.min(0) == about["min"]).all() and (values.max(0) == about["max"]).all()
    return values


def glb_triangles(data):
    """Positions and normals of corners, each (T, 3, 3)."""
    gltf, binary = read_glb(data)
    assert gltf["asset"]["version"] == "2.0"
    node = gltf["nodes"][gltf["scenes"][gltf["scene"]]["nodes"][0]]
    (primitive,) = gltf["meshes"][node["mesh"]]["primitives"]
    assert primitive["mode"] == 4 and primitive["material"] < len(gltf["materials"])
    views = gltf["bufferViews"]
    for name, target in (("POSITION", 34962), ("NORMAL", 34962)):
        assert views[gltf["accessors"][primitive["attributes"][name]]["bufferView"]]["target"] == target
    assert views[gltf["accessors"][primitive["indices"]]["bufferView"]]["target"] == 34963
    assert {"min", "max"} <= set(
        gltf["accessors"][primitive["attributes"]["POSITION"]]
    )  # required by the specification
    positions = accessor(gltf, binary, primitive["attributes"]["POSITION"])
    normals = accessor(gltf, binary, primitive["attributes"]["NORMAL"])
    indices = accessor(gltf, binary, primitive["indices"]).ravel()
    assert len(positions) == len(normals) and indices.max() < len(positions)
    assert indices.max() < np.iinfo(indices.dtype).max  # the largest value restarts a primitive
    return positions[indices].reshape(-1, 3, 3).astype(float), normals[indices].reshape(-1, 3, 3).astype(float)


def obj_quads(data):
    """Corners (F, 4, 3) and normals (F, 3) of an OBJ, and its vertices."""
    vertices, normals, faces, of = [], [], [], []
    for line in data.decode("ascii").splitlines():
        kind, *words = line.split()
        if kind == "v":
            vertices.append([float(w) for w in words])
        elif kind == "vn":
            normals.append([float(w) for w in words])
        elif kind == "f":
            pairs = [tuple(int(n) for n in word.split("//")) for word in words]
            assert len({normal for _, normal in pairs}) == 1
            faces.append([vertex - 1 for vertex, _ in pairs])
            of.append(pairs[0][1] - 1)
        else:
            assert kind in ("#", "o")
    assert np.min(faces) >= 0
    return np.array(vertices)[np.array(faces)], np.array(normals)[of], np.array(vertices)


def split(corners):
    return np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])


def volume(triangles):
    """By the divergence theorem: right only when every face is there once, and outward."""
    a, b, c = triangles.transpose(1, 0, 2)
    return np.einsum("tk,tk->", a, np.cross(b, c)) / 6


def assert_watertight(triangles, unit):
    """Every directed edge is used as often as its opposite."""
    keys = np.rint(triangles / unit * 2).astype(int)
    count = {}
    for triangle in keys:
        for n in range(3):
            edge = tuple(triangle[n]), tuple(triangle[(n + 1) % 3])
            count[edge] = count.get(edge, 0) + 1
    assert all(count.get((b, a), 0) == n for (a, b), n in count.items())


@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: "x".join(map(str, g.shape)))
def test_glb_encloses_exactly_the_voxels(grid):
    triangles, normals = glb_triangles(glb_bytes(grid))
    unit = 1 / max(grid.shape)
    assert volume(triangles) == pytest.approx(grid.sum() * unit**3, rel=1e-6)
    assert_watertight(triangles, unit)
    a, b, c = triangles.transpose(1, 0, 2)
    outward = np.cross(b - a, c - a) / unit**2  # faces are unit squares, and a triangle's cross product is their area
    assert np.abs(normals - outward[:, None]).max() < 1e-5
    assert np.abs(triangles).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: "x".join(map(str, g.shape)))
def test_obj_encloses_exactly_the_voxels(grid):
    corners, normals, vertices = obj_quads(obj_bytes(grid))
    unit = 1 / max(grid.shape)
    triangles = split(corners)
    assert volume(triangles) == pytest.approx(grid.sum() * unit**3, rel=1e-4)  # six digits are written
    assert_watertight(triangles, unit)
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]) / unit**2
    assert np.abs(normals - outward).max() < 1e-3
    assert len(np.unique(vertices, axis=0)) == len(vertices)  # shared, not repeated


def test_many_faces_take_wide_indices():
    grid = random_grid((32, 32, 32), 0.5)
    data = glb_bytes(grid)
    gltf, _ = read_glb(data)
    (primitive,) = gltf["meshes"][0]["primitives"]
    assert gltf["accessors"][primitive["indices"]]["componentType"] == 5125
    assert gltf["accessors"][primitive["attributes"]["POSITION"]]["count"] > 65535
    assert volume(glb_triangles(data)[0]) == pytest.approx(grid.sum() / 32**3, rel=1e-6)


def test_up_stays_up_and_the_front_turns_to_plus_z():
    """The package looks along -Z at the front; glTF's fronts face +Z, and both are right-handed with Y up."""
    grid = np.zeros((3, 3, 3), bool)
    grid[0, 2, 0] = True  # left (-x), top (+y), front (-z)
    centre = glb_triangles(glb_bytes(grid))[0].mean((0, 1))
    assert centre == pytest.approx([1 / 3, 1 / 3, 1 / 3], abs=1e-6)  # its own left is +x in glTF's frame
    corners, _, _ = obj_quads(obj_bytes(grid))
    assert corners.mean((0, 1)) == pytest.approx([-1 / 3, 1 / 3, -1 / 3], abs=1e-5)


def test_empty_and_flat_grids_are_refused():
    with pytest.raises(DataError, match="no voxel is occupied"):
        quads(np.zeros((4, 4, 4), bool))
    with pytest.raises(DataError, match="shape"):
        glb_bytes(np.ones((4, 4), bool))


@pytest.mark.parametrize("name, word", [("my chair", "my_chair"), (" ", "object")])
def test_an_obj_names_its_object_in_one_word(name, word):
    assert f"\no {word}\n".encode() in obj_bytes(np.ones((1, 1, 1), bool), name)


@pytest.mark.parametrize("name", ["Stuhl grün", "world", "geometry_0", ""])
def test_any_name_survives(name):
    gltf, _ = read_glb(glb_bytes(np.ones((1, 1, 1), bool), name, {"photos": ["ä.jpg"]}))
    (node,) = gltf["nodes"]
    assert node["name"] == gltf["meshes"][0]["name"] == name and gltf["asset"]["extras"]["photos"] == ["ä.jpg"]


def test_the_material_is_a_plain_light_grey():
    gltf, _ = read_glb(glb_bytes(np.ones((1, 1, 1), bool)))
    (material,) = gltf["materials"]
    assert material["name"] == "voxels" and material.get("doubleSided", False) is False
    look = material["pbrMetallicRoughness"]
    assert np.abs(np.array(look["baseColorFactor"]) - [0.72, 0.74, 0.78, 1]).max() < 1 / 255
    assert look["metallicFactor"] == 0 and look["roughnessFactor"] == 0.9


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def rebuilt():
    run = get_experiment("demo/implicit-r384-s0")
    probability = np.random.default_rng(0).random((8, 8, 8)).astype(np.float32)
    pictures = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    photos = [
        Photo(Path(f"<i>{n}.jpg"), picture, (100, 80), "RGB", "JPEG", 1, (), "kept", 1.0, (0, 0, 100, 100), ("w",))
        for n, picture in enumerate(pictures)
    ]
    return Reconstruction(run, run.operating_point(), photos, probability, 0.4, 32.0, None)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".npz", ".html"])
def test_every_kind_is_written_whole_and_nothing_is_left_beside(tmp_path, rebuilt, suffix):
    path = write(tmp_path / "new folder" / f"chair{suffix}", rebuilt, ASSESSMENT)
    assert [p.name for p in path.parent.iterdir()] == [f"chair{suffix}"]
    again = path.read_bytes()
    write(path, rebuilt, ASSESSMENT)
    assert path.read_bytes() == again  # the same object gives the same file


def test_npz_holds_what_was_computed(tmp_path, rebuilt):
    with np.load(write(tmp_path / "a.npz", rebuilt, ASSESSMENT), allow_pickle=False) as found:
        assert found["probability"].dtype == np.float16
        assert np.abs(found["probability"].astype(float) - rebuilt.probability).max() < 1e-3
        assert (found["occupancy"] == (rebuilt.probability > 0.4)).all() and found["occupancy"].dtype == bool
        assert (found["pictures"] == [photo.image for photo in rebuilt.photos]).all()
        assert float(found["threshold"]) == 0.4 and str(found["run"]) == rebuilt.run.id
        assert list(found["photos"]) == ["<i>0.jpg", "<i>1.jpg"] and bool(found["trusted"])


def test_html_needs_no_network_and_holds_the_grid(tmp_path, rebuilt):
    text = write(tmp_path / "a.html", rebuilt, ASSESSMENT).read_text()
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", outside) and "@import" not in outside
    assert "<i>0" not in outside and "&lt;i&gt;0.jpg" in outside  # a file's name is no markup
    body = re.search(r'<div class="voxel-viewer".*?<script type="application/json">(.*?)</script>', text, re.S).group(1)
    data = json.loads(body)
    (thing,) = data["objects"]
    grid = from_run_lengths(base64.b64decode(thing["grids"][0]), data["side"])
    assert (grid == rebuilt.occupancy).all() and len(thing["views"]) == 2
    from PIL import Image

    shown = Image.open(io.BytesIO(base64.b64decode(thing["views"][1].split(",")[1])))
    assert (np.asarray(shown.convert("RGB")) == rebuilt.photos[1].image).all()


@pytest.mark.browser
def test_html_draws_in_a_browser_without_network(tmp_path, rebuilt):
    sys.path.insert(0, str(Path(__file__).parents[1] / "book"))
    import chromium

    if chromium.find() is None:
        pytest.skip("no Chromium on PATH: install it (Debian: apt-get install chromium) or set $CHROMIUM")
    path = write(tmp_path / "a.html", rebuilt, ASSESSMENT)
    with chromium.Browser() as browser:
        page = browser.visit(path.as_uri())
    assert 'data-drawn="1"' in page.dom and page.dom.count('class="viewer-view"') == 2
    assert not page.outside


def test_other_kinds_are_refused_by_name(tmp_path):
    for name in ("a.stl", "a", "a.glb.gz"):
        with pytest.raises(ConfigError, match=r"\.glb, \.obj, \.npz, \.html"):
            check_names([tmp_path / name])
    (tmp_path / "b.glb").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        check_names([tmp_path / "b.glb"])
    assert [p.suffix for p in check_names([f"a{s.upper()}" for s in SUFFIXES])] == [s.upper() for s in SUFFIXES]


def test_nothing_occupied_is_an_error_and_no_file(tmp_path, rebuilt):
    nothing = Reconstruction(rebuilt.run, rebuilt.setting, rebuilt.photos, rebuilt.probability * 0, 0.4, 32.0, None)
    with pytest.raises(DataError, match="no voxel is above 0.4"):
        write(tmp_path / "a.glb", nothing, ASSESSMENT)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_error(tmp_path, rebuilt):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write(tmp_path / "file" / "a.obj", rebuilt, ASSESSMENT)
