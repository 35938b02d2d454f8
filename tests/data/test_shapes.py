"""Procedural objects: functions of their seed, never empty, and found again by carving their meshes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from compress3d.data.build import ensure
from compress3d.data.shapenet import CATEGORIES as SHAPENET
from compress3d.data.shapes import CATEGORIES, build_shapes, make
from compress3d.data.shapes import build as shapes
from compress3d.data.store import Store
from compress3d.errors import ConfigError

# Occupied voxels of objects 0 and 1 of seed 0, as in the store that the shipped weights were trained on.
VOXELS = {
    "airplane": (469, 904), "bench": (1636, 1032), "cabinet": (18067, 6975), "car": (2329, 3552),
    "chair": (2889, 1183), "display": (3798, 2392), "lamp": (3012, 606), "loudspeaker": (3315, 6630),
    "rifle": (265, 318), "sofa": (8160, 7326), "table": (2981, 1769), "telephone": (817, 787),
    "watercraft": (1253, 881),
}  # fmt: skip


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_the_classes_are_shapenets():
    assert sorted(CATEGORIES) == sorted(SHAPENET)


@pytest.mark.parametrize("category", CATEGORIES)
def test_objects_stay_the_ones_that_the_weights_were_trained_on(category):
    """Counts may move by a voxel in a thousand where another processor rounds differently."""
    found = [make(category, index).occupancy().sum() for index in (0, 1)]
    assert found == pytest.approx(VOXELS[category], rel=2e-3, abs=1)


@pytest.mark.parametrize("category", CATEGORIES)
def test_objects_fill_the_grid_and_differ(category):
    """The longest side spans the grid, the object is centred, and neither index nor seed repeats an object."""
    found = [make(category, index, seed).occupancy() for seed in (0, 5) for index in range(4)]
    for occupancy in found:
        assert occupancy.shape == (32, 32, 32) and occupancy.dtype == bool
        spans = [np.flatnonzero(occupancy.any(axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        assert max(np.ptp(span) + 1 for span in spans) == 32
        assert all(abs(span[0] + span[-1] - 31) <= 1 for span in spans)
        assert occupancy.mean() < 0.95 or category in ("cabinet", "loudspeaker")
    for i in range(len(found)):
        for j in range(i):
            assert not np.array_equal(found[i], found[j])


@pytest.mark.parametrize("category", CATEGORIES)
def test_same_numbers_same_object(category):
    first, again = make(category, 2, 9), make(category, 2, 9)
    assert np.array_equal(first.mesh.vertices, again.mesh.vertices)
    assert first.mesh.materials == again.mesh.materials
    assert np.array_equal(first.occupancy(), again.occupancy())


@pytest.mark.parametrize("category", CATEGORIES)
def test_meshes_are_sound(category):
    mesh = make(category, 3).mesh
    assert np.linalg.norm(np.ptp(mesh.vertices, axis=0)) == pytest.approx(1, abs=1e-5)
    assert mesh.vertices.min(0) == pytest.approx(-mesh.vertices.max(0), abs=1e-6)
    assert np.linalg.norm(mesh.normals, axis=2) == pytest.approx(1, abs=1e-4)
    assert np.isfinite(mesh.uv).all()
    assert mesh.material_of_face.max() < len(mesh.materials)
    assert max(material.texture for material in mesh.materials) < len(mesh.textures)
    assert all(0 <= value <= 1 for material in mesh.materials for value in material.colour)


def test_carving_finds_the_exact_occupancy():
    """Two independent ways to the voxels, analytic and by rays, over two objects of every class."""
    pytest.importorskip("embreex")
    from compress3d.data.voxelize import space_carve

    agreement = []
    for category in CATEGORIES:
        for index in (10, 11):
            shape = make(category, index)
            agreement.append(iou(space_carve(shape.mesh), shape.occupancy()))
    assert np.mean(agreement) > 0.97
    assert min(agreement) > 0.75


def test_occupancy_at_other_grids_agrees():
    """A grid twice as fine, pooled, is the same object up to the layer of brushed voxels."""
    for category in ("cabinet", "car", "sofa"):
        shape = make(category, 1)
        fine = shape.occupancy(64).reshape(32, 2, 32, 2, 32, 2).any((1, 3, 5))
        assert iou(fine, shape.occupancy(32)) > 0.9


def test_unknown_categories_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="teapot"):
        make("teapot", 0)
    with pytest.raises(ConfigError, match="teapot"):
        build_shapes(tmp_path / "store", 2, categories=["teapot"])


def test_build_continues_after_a_stop_and_does_not_depend_on_what_else_is_built(tmp_path, monkeypatch):
    """Stopped after two objects and taken up again, the store equals one built at once; its objects equal those of a
    store of other categories."""
    pytest.importorskip("embreex")
    chosen = ["lamp", "chair"]
    built, real = [], shapes._build_one

    def stops_after_two(item, seed):
        if len(built) == 2:
            raise KeyboardInterrupt
        built.append(item)
        return real(item, seed)

    monkeypatch.setattr(shapes, "_build_one", stops_after_two)
    with pytest.raises(KeyboardInterrupt):
        build_shapes(tmp_path / "stopped", 4, categories=chosen, workers=0)
    monkeypatch.setattr(shapes, "_build_one", real)
    store = build_shapes(tmp_path / "stopped", 4, categories=chosen, workers=0)
    whole = build_shapes(tmp_path / "whole", 4, categories=chosen, workers=0)
    assert [record.uid for record in store.objects] == ["lamp-00000", "chair-00000", "lamp-00001", "chair-00001"]
    assert store.sha256 == whole.sha256
    store.verify()

    alone = build_shapes(tmp_path / "alone", 1, categories=["chair"], workers=0)
    assert np.array_equal(alone.rgb[0], store.rgb[1]) and np.array_equal(alone.voxels[0], store.voxels[1])
    assert np.array_equal(alone.cameras[0], store.cameras[1])
    assert isinstance(Store.open(tmp_path / "alone"), Store)


def test_processes_do_not_change_the_store(tmp_path):
    """Three lamps take unequal time; two processes leave their order and bytes as one does."""
    pytest.importorskip("embreex")
    one, two = (build_shapes(tmp_path / str(k), 3, categories=["lamp"], workers=k) for k in (0, 2))
    assert one.sha256 == two.sha256
    assert one.info["files"] == two.info["files"]


def test_seeds_give_other_stores(tmp_path):
    pytest.importorskip("embreex")
    first, second = (build_shapes(tmp_path / str(seed), 1, seed, ["table"], workers=0) for seed in (0, 1))
    assert first.sha256 != second.sha256
    assert not np.array_equal(first.cameras[0], second.cameras[0])


def test_two_processes_may_ask_for_the_smoke_store_at_once(tmp_path):
    """As those of one training do: one makes it, the other waits."""
    script = "from compress3d.data.build import smoke_store; print(smoke_store().sha256)"
    environment = {**os.environ, "COMPRESS3D_CACHE": str(tmp_path / "cache")}
    both = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0][-1] == said[1][-1]


def test_the_procedural_store_is_opened_where_it_is_and_made_where_it_is_not(tmp_path, monkeypatch):
    pytest.importorskip("embreex")
    monkeypatch.setenv("COMPRESS3D_CACHE", str(tmp_path / "there"))
    build_shapes(tmp_path / "there" / "shapes", 1, categories=["table"], workers=0)
    assert len(ensure("shapes")) == 1
    monkeypatch.setenv("COMPRESS3D_CACHE", str(tmp_path / "not"))
    monkeypatch.setattr(shapes, "fill", lambda writer, items, make, workers: (writer.discard(), len(items))[1])
    assert ensure("shapes") == 3250
