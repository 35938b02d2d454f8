"""The AC3D reader and the wheels of TORCS' cars, against small files worked out by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from compress3d.data.cad import simulators
from compress3d.data.cad.ac3d import read_ac3d
from compress3d.errors import DataError

HEAD = 'AC3Db\nMATERIAL "red paint" rgb 1 0 0 amb 1 1 1 emis 0 0 0 spec 0 0 0 shi 0 trans 0.25\n'
SQUARE = "numvert 4\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
FACE = "SURF 0x30\nmat 0\nrefs 4\n0 0 0\n1 1 0\n2 1 1\n3 0 1\n"


def write(tmp_path, text, name="a.ac"):
    path = tmp_path / name
    path.write_text(text, "latin-1")
    return path


def png(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_polygon_becomes_a_fan_with_its_material(tmp_path):
    mesh = read_ac3d(write(tmp_path, HEAD + "OBJECT poly\n" + SQUARE + "numsurf 1\n" + FACE + "kids 0\n"))
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.uv.tolist() == [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]
    assert mesh.materials[0].colour == (1.0, 0.0, 0.0) and mesh.materials[0].alpha == 0.75
    assert np.isnan(mesh.normals).all()  # the file has none: creases decide


def test_strip_keeps_one_side_out(tmp_path):
    corners = "".join(f"{k} 0 0\n" for k in (0, 1, 3, 2))
    text = HEAD + "OBJECT poly\n" + SQUARE + f"numsurf 1\nSURF 0x14\nmat 0\nrefs 4\n{corners}kids 0\n"
    mesh = read_ac3d(write(tmp_path, text))
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    assert mesh.faces.tolist() == [[0, 1, 3], [3, 1, 2]]
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_lines_have_no_faces_and_two_sided_faces_are_not_doubled(tmp_path):
    line = "SURF 0x2\nmat 0\nrefs 2\n0 0 0\n1 0 0\n"
    text = HEAD + "OBJECT poly\n" + SQUARE + "numsurf 2\n" + line + FACE.replace("0x30", "0x20") + "kids 0\n"
    assert len(read_ac3d(write(tmp_path, text)).faces) == 2


def test_transforms_nest_and_turn_normals(tmp_path):
    rows = "numvert 3\n1 0 0 1 0 0\n0 0 0 1 0 0\n0 1 0 1 0 0\n"
    triangle = "numsurf 1\nSURF 0x0\nmat 0\nrefs 3\n0 0 0\n1 0 0\n2 0 0\n"
    turn = "rot 0 1 0 -1 0 0 0 0 1\n"  # columns: x goes to y, y to -x
    text = HEAD + "OBJECT world\nloc 0 0 5\n" + turn + "kids 1\nOBJECT poly\nloc 2 0 0\n" + rows + triangle + "kids 0\n"
    mesh = read_ac3d(write(tmp_path, text))
    np.testing.assert_allclose(mesh.vertices, [[0, 3, 5], [0, 2, 5], [-1, 2, 5]])
    np.testing.assert_allclose(mesh.normals, np.tile([0, 1, 0], (1, 3, 1)))


def test_textures_repeat_and_only_the_base_counts(tmp_path):
    text = HEAD + 'OBJECT poly\ntexture "skid.png" skids\ntexture "body.png" base\ntexrep 2 3\ntexoff 0.5 0\n'
    text += SQUARE + "numsurf 1\n" + FACE + "kids 0\n"
    asked = []
    mesh = read_ac3d(write(tmp_path, text), lambda name: asked.append(name) or png((9, 8, 7)))
    assert asked == ["body.png"] and mesh.textures[0][0, 0].tolist() == [9, 8, 7]
    np.testing.assert_allclose(mesh.uv[0], [[0.5, 0], [2.5, 0], [2.5, 3]])


def test_objects_can_be_skipped_by_name(tmp_path):
    text = HEAD + 'OBJECT world\nkids 2\nOBJECT poly\nname "propdisc"\n' + SQUARE + "numsurf 1\n" + FACE + "kids 0\n"
    text += 'OBJECT poly\nname "hull"\n' + SQUARE + "numsurf 1\n" + FACE + "kids 0\n"
    path = write(tmp_path, text)
    assert len(read_ac3d(path).faces) == 4
    assert len(read_ac3d(path, skip=lambda name: "disc" in name).faces) == 2


GOOD = HEAD + "OBJECT poly\n" + SQUARE + "numsurf 1\n" + FACE + "kids 0\n"


@pytest.mark.parametrize(
    "text",
    ["", "solid stl\n", HEAD, GOOD[:-40], GOOD.replace("1 1 0\n", "1 x 0\n", 1), GOOD.replace("SURF 0x30", "SURFACE")],
)
def test_broken_files_are_named(tmp_path, text):
    path = write(tmp_path, text, "broken.ac")
    with pytest.raises(DataError, match="broken.ac"):
        read_ac3d(path).cleaned(path)


def test_a_vertex_that_does_not_exist_is_named(tmp_path):
    path = write(tmp_path, GOOD.replace("3 0 1\n", "7 0 1\n"), "broken.ac")
    with pytest.raises(DataError, match="broken.ac: has a face with a vertex that does not exist"):
        read_ac3d(path).cleaned(path)


def test_wheels_stand_where_the_description_says(tmp_path):
    car = tmp_path / "cars" / "kart"
    car.mkdir(parents=True)
    (car / "kart.acc").write_text(GOOD, "latin-1")
    axles = "".join(
        f'<section name="{a} Axle"><attnum name="xpos" unit="m" val="{x}"/></section>'
        for a, x in (("Front", 2), ("Rear", -1))
    )
    wheel = '<attnum name="ypos" val="{}"/><attnum name="tire width" unit="mm" val="200"/>'
    wheel += '<attnum name="rim diameter" unit="in" val="10"/><attnum name="tire height-width ratio" val="0.5"/>'
    wheels = "".join(
        f'<section name="{a} {s} Wheel">{wheel.format(y)}</section>'
        for a in ("Front", "Rear")
        for s, y in (("Right", -0.7), ("Left", 0.7))
    )
    (car / "kart.xml").write_text(axles + wheels, "latin-1")
    (model,) = simulators.find_cars(tmp_path)
    mesh = simulators.read_car(model)
    assert model.uid == "TORCS__kart" and model.category == "car"
    radius = 10 * 0.0254 / 2 + 0.2 * 0.5
    points = mesh.vertices[4:]  # after the body's square; x forward became -z
    assert len(mesh.faces) == 2 + 4 * 2 * 4 * simulators.SPOKES
    np.testing.assert_allclose(points[:, 2].min(), -2 - radius)
    np.testing.assert_allclose(points[:, 2].max(), 1 + radius)
    np.testing.assert_allclose(np.ptp(points[:, 0]), 2 * (0.7 + 1.04 * 0.1))
    np.testing.assert_allclose(points[:, 1].max(), 2 * radius - 0.09, rtol=1e-6)


def test_a_car_without_description_is_named(tmp_path):
    car = tmp_path / "cars" / "kart"
    car.mkdir(parents=True)
    (car / "kart.acc").write_text(GOOD, "latin-1")
    with pytest.raises(DataError, match="kart.xml"):
        simulators.find_cars(tmp_path)[0].mesh()
