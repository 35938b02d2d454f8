"""FlightGear's aircraft: which files are aircraft, where the nose points, where textures come from."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress3d.data.cad import simulators
from compress3d.data.cad.ac3d import read_ac3d

AC = """AC3Db
MATERIAL "red paint" rgb 1 0 0 amb 0 0 0 emis 0 0 0 spec 0 0 0 shi 8 trans 0.25
OBJECT world
kids 2
OBJECT poly
name "wing"
data 11
two
lines ok
texrep 2 1
loc 10 0 0
rot 0 1 0 -1 0 0 0 0 1
numvert 4
0 0 0
1 0 0
1 2 0
0 2 0
numsurf 2
SURF 0x20
mat 0
refs 4
0 0 0
1 1 0
2 1 1
3 0 1
SURF 0x22
mat 0
refs 2
0 0 0
1 0 0
kids 0
OBJECT poly
name "propeller disc"
numvert 3
0 0 50
1 0 50
0 1 50
numsurf 1
SURF 0x0
mat 0
refs 3
0 0 0
1 0 0
2 0 0
kids 0
"""


@pytest.fixture
def write(tmp_path):
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "latin-1")
        return path

    return write


def test_fewer_objects_than_announced_are_taken_as_they_are(write):
    """13 of FlightGear's files are so."""
    assert len(read_ac3d(write("a.ac", AC.replace("kids 2", "kids 5"))).faces) == 3


def test_newer_material_blocks(write):
    block = 'MAT "m"\nrgb 0 1 0\ntrans 0.5\nENDMAT\n'
    old = AC.splitlines(keepends=True)[1]
    (material,) = read_ac3d(write("a.ac", AC.replace(old, block))).materials
    assert (material.colour, material.alpha) == ((0.0, 1.0, 0.0), 0.5)


def test_flightgear_finds_aircraft_and_turns_the_nose(write, tmp_path):
    for name in ("AI/Aircraft/717/Models/717.ac", "AI/Aircraft/717/Models/nav-light.ac", "AI/Aircraft/x/Lights/y.ac"):
        write(name, AC)
    write("elsewhere/Models/z.ac", AC)
    models = simulators.find_aircraft(tmp_path)
    assert [model.uid for model in models] == ["FG__717__717"] and models[0].licence == "GPL-2+"
    mesh = simulators.read_aircraft(models[0])
    assert len(mesh.faces) == 2  # the propeller's disc is an effect
    np.testing.assert_allclose(mesh.vertices[0], [0, 0, 10])  # tail at +X -> +Z


def test_liveries_supply_missing_textures(write, tmp_path):
    path = write("AI/Aircraft/717/Models/717.ac", AC.replace('name "wing"', 'name "wing"\ntexture "Paint.png"'))
    livery = tmp_path / "AI/Aircraft/717/Models/Liveries/paint.png"
    livery.parent.mkdir()
    Image.new("RGB", (4, 2), (1, 2, 3)).save(livery)
    mesh = simulators.read_aircraft(simulators.find_aircraft(tmp_path)[0])
    assert path.exists() and [t.shape for t in mesh.textures] == [(2, 4, 3)] and mesh.materials[0].texture == 0
    livery.write_bytes(b"no picture")
    simulators._liveries.cache_clear()
    assert simulators.read_aircraft(simulators.find_aircraft(tmp_path)[0]).materials[0].texture == -1
