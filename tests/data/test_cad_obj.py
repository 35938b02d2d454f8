"""The OBJ reader and the cleaning of triangles, against hand-made files and plain loops."""

import numpy as np
import pytest

from compress3d.data.cad.obj import read_mtl, read_obj
from compress3d.data.mesh import Material, Mesh, triangulate_fan
from compress3d.errors import DataError

CUBE = """mtllib cube.mtl
v 0 0 0
v 1 0 0
v 1 2 0
v 0 2 0
v 0 0 3
v 1 0 3
v 1 2 3
v 0 2 3
vt 0 0
vt 1 1
vn 0 0 -1
usemtl wood
f 1/1/1 4//1 3 2/2
f 5 6 7 8
f 1 2 6 5
usemtl nowhere
f -5 -1 -2 -6
f 1 5 8 4
f 2 3 7 6
"""
MTL = "newmtl wood\nKd 0.5 0.25 2\nd 0.5\nmap_Kd -s 1 1 1 my wood.jpg\n"


@pytest.mark.parametrize("counts", [[3], [4], [3, 2, 5], [1, 7], []])
def test_fans_match_a_plain_loop(counts):
    expected, owners, first = [], [], 0
    for polygon, count in enumerate(counts):
        for k in range(1, count - 1):
            expected.append([first, first + k, first + k + 1])
            owners.append(polygon)
        first += count
    triangles, polygon = triangulate_fan(np.array(counts, int))
    assert triangles.tolist() == expected and polygon.tolist() == owners


def test_cleaning_drops_what_no_picture_can_show():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [99, 99, 99], [np.nan, 0, 0]], float)
    faces = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3], [0, 0, 1], [0, 1, 5]])
    given = np.full((6, 3, 3), np.nan)
    given[0] = [0, 0, -7]
    mesh = Mesh(vertices, faces, given, np.zeros((6, 3, 2)), np.zeros(6, int), [Material((1, 1, 1))]).cleaned("x")
    assert mesh.faces.shape == (4, 3) and len(mesh.vertices) == 4  # the far vertex would have shrunk the model
    low, high = mesh.bounds
    np.testing.assert_allclose(low + high, 0, atol=1e-6)
    assert np.linalg.norm(high - low) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(mesh.normals[0], [[0, 0, -1]] * 3)  # the file's, at unit length
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=2), 1, atol=1e-6)


def test_normals_stay_at_right_angles_under_uneven_scale():
    rng = np.random.default_rng(0)
    corners = rng.normal(size=(1, 3, 3))
    normal = np.cross(corners[0, 1] - corners[0, 0], corners[0, 2] - corners[0, 0])
    normals = np.tile(normal, (1, 3, 1))
    mesh = Mesh(corners[0], np.array([[0, 1, 2]]), normals, np.zeros((1, 3, 2)), np.zeros(1, int), [])
    moved = mesh.transformed(rng.normal(size=(3, 3)))
    edges = moved.vertices[1:] - moved.vertices[0]
    np.testing.assert_allclose(edges @ moved.normals[0, 0], 0, atol=1e-9)


def test_obj_corners_materials_and_negative_indices():
    files = {"d/cube.obj": CUBE.encode(), "d/cube.mtl": MTL.encode()}
    asked = []

    def load(name):
        asked.append(name)
        return files.get(name)

    mesh = read_obj("d/cube.obj", load, "cube.obj")
    assert mesh.faces.shape == (12, 3) and asked[-1] == "d/my wood.jpg"
    assert mesh.materials == [Material((0.5, 0.25, 1.0), 0.5, -1), Material((0.4, 0.4, 0.4), 1.0, -1)]
    assert mesh.material_of_face.tolist() == [0] * 6 + [1] * 6
    np.testing.assert_allclose(mesh.normals[0, :2], [[0, 0, -1]] * 2)
    assert np.isnan(mesh.normals[0, 2]).all()
    np.testing.assert_allclose(mesh.uv[1], [[0, 0], [0, 0], [1, 1]])
    assert sorted(mesh.faces[6:8].ravel().tolist()) == sorted([3, 7, 6, 3, 6, 2])
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    assert (a * np.cross(b, c)).sum() / 6 == pytest.approx(6)  # closed and outward


def test_mtl_options_and_nonsense():
    assert read_mtl(MTL.encode())["wood"] == ((0.5, 0.25, 1.0), 0.5, "my wood.jpg")
    assert read_mtl(b"newmtl a\nKd x y z\nd\nmap_Kd b.png") == {"a": ((0.4, 0.4, 0.4), 1.0, "b.png")}
    assert read_mtl(b"\xff\x00garbage") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("v 0 0 0\nf 1 2 3\n", "line 2"),
        ("v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "no number"),
        ("v 0 0 a\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "no number"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 drei\n", "line 4"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "fewer than 4"),
        ("", "fewer than 4"),
    ],
)
def test_broken_obj_names_the_file(text, words):
    with pytest.raises(DataError, match=words) as caught:
        read_obj("x.obj", {"x.obj": text.encode()}.get, "lib.sh3f!x.obj").cleaned("lib.sh3f!x.obj")
    assert "lib.sh3f!x.obj" in str(caught.value)
