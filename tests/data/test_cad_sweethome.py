"""Sweet Home 3D libraries written by the tests: catalogue, rotation, size, OBJ and MTL, licences."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from compress3d.data.cad import find_models, sweethome
from compress3d.data.cad.labels import copyright_holders, read_licence
from compress3d.data.cad.obj import PLAIN, read_mtl
from compress3d.errors import DataError

#: A box 1 x 2 x 3 with one corner at zero; outward quads, the last with negative indices.
BOX = "mtllib box.mtl\nusemtl skin\n" + "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 2) for z in (0, 3))
BOX += "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
BOX += "f 1/1 2/2 4/3 3/4\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf -7 -3 -1 -5\n"
MTL = "newmtl skin\nKd 0.2 0.4 0.6\nd 0.5\nmap_Kd -s 1 1 1 skin.png\n"


def catalogue(**extra):
    entry = {"id": "Maker#chair-red", "name": "Caf\\u00e9 chair", "category": "Living room", "creator": "Ann",
             "model": "/red/box.obj", "width": "10", "depth": "30", "height": "20"} | extra  # fmt: skip
    return "# a library\nid=Test\n" + "".join(f"{key}#1={value}\n" for key, value in entry.items())


def library(folder, properties, **files):
    skin = io.BytesIO()
    Image.new("RGB", (2, 2), (1, 2, 3)).save(skin, "PNG")
    members = {"PluginFurnitureCatalog.properties": properties, "red/box.obj": BOX, "red/box.mtl": MTL,
               "red/skin.png": skin.getvalue(), "LICENSE.TXT": "Creative Commons Attribution 3.0"} | files  # fmt: skip
    path = folder / "Maker.sh3f"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)
    return path


def test_catalogue_entry_becomes_a_model(tmp_path):
    library(tmp_path, catalogue())
    (model,) = find_models([tmp_path])
    assert (model.uid, model.category, model.title) == ("Maker__chair-red", "chair", "Café chair")
    assert (model.creator, model.licence) == ("Ann", "CC-BY-3.0")


def test_own_licence_file_wins_over_the_library(tmp_path):
    library(tmp_path, catalogue(), **{"red/licence.txt": "Released under Creative Commons Zero"})
    assert find_models([tmp_path])[0].licence == "CC0-1.0"


def test_size_and_front(tmp_path):
    library(tmp_path, catalogue())
    (model,) = find_models([tmp_path])
    mesh = sweethome.read_mesh(model)
    assert len(mesh.faces) == 12
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [10, 20, 30])
    np.testing.assert_allclose(mesh.vertices.min(0), [-10, 0, -30])  # turned half round: +z became -z
    mesh = model.mesh()
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), np.array([10, 20, 30]) / np.sqrt(1400), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=2), 1, rtol=1e-5)


def test_rotation_comes_before_the_size(tmp_path):
    quarter = "0 0 1 0 1 0 -1 0 0"  # x goes to -z, z to x
    library(tmp_path, catalogue(modelRotation=quarter))
    mesh = sweethome.read_mesh(find_models([tmp_path])[0])
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [10, 20, 30])
    edge = mesh.vertices[1] - mesh.vertices[0]  # along z in the file: 3, now the width, 10, and mirrored by the front
    np.testing.assert_allclose(edge, [-10, 0, 0], atol=1e-12)


def test_material_and_texture(tmp_path):
    library(tmp_path, catalogue())
    mesh = sweethome.read_mesh(find_models([tmp_path])[0])
    (material,) = mesh.materials
    assert (material.colour, material.alpha, material.texture) == ((0.2, 0.4, 0.6), 0.5, 0)
    assert mesh.textures[0][0, 0].tolist() == [1, 2, 3]
    assert mesh.uv[:2].tolist() == [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]


def test_mtl_passes_over_nonsense():
    found = read_mtl(b"Kd 1 1 1\nnewmtl a\nKd x y z\nd\nnewmtl b\nKd 1 0 0\n")
    assert found["a"] == (PLAIN, 1.0, None) and found["b"][0] == (1.0, 0.0, 0.0)


BROKEN = {
    "no catalogue": (None, {}),
    "model missing": (catalogue(), {"red/box.obj": None}),
    "no faces": (catalogue(), {"red/box.obj": "v 0 0 0\n"}),
    "not a number": (catalogue(), {"red/box.obj": BOX.replace("v 0 0 0", "v 0 zero 0")}),
    "face beyond": (catalogue(), {"red/box.obj": BOX + "f 1 2 99\n"}),
    "short rotation": (catalogue(modelRotation="1 0 0"), {}),
    "bad rotation": (catalogue(modelRotation="one"), {}),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_libraries_are_named(tmp_path, kind):
    properties, files = BROKEN[kind]
    library(tmp_path, properties, **files)
    with pytest.raises(DataError, match="Maker.sh3f"):
        find_models([tmp_path])[0].mesh()


def test_truncated_archive_is_named(tmp_path):
    path = library(tmp_path, catalogue())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="Maker.sh3f"):
        find_models([tmp_path])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Released under Creative Commons Attribution 3.0 licence. See also CC0.", "CC-BY-3.0"),
        ("CC-BY-NC 3.0, not free", "CC-BY-NC"),
        ("http://creativecommons.org/licenses/by/3.0/us/", "CC-BY-3.0-US"),
        ("Free Art License 1.3", "Free-Art-1.3"),
        ("GNU General Public License", "GPL-2+"),
        ("all rights reserved", ""),
    ],
)
def test_licences(text, name):
    assert read_licence(text) == name


def test_holders_are_listed_once():
    assert copyright_holders("Copyright 2000 A B (a@b)\nCopyright (C) 2001 C D\nCopyright 2002 A B") == "A B, C D"
