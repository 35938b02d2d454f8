"""The published split, how it was drawn, where new models go, and the build as a whole."""

import os
from collections import defaultdict

import numpy as np
import pytest

from compress3d.data.cad import build_cad, find_models
from compress3d.data.cad.build import cameras_of, flags_of
from compress3d.data.cad.groups import Place, assign, published_split, shape_groups
from compress3d.errors import DataError
from tools.draw_cad_split import make_split


def random_shapes(count, seed=0):
    """Pairs: every second shape is the one before with one of its voxels missing."""
    rng = np.random.default_rng(seed)
    shapes, categories = {}, {}
    for k in range(count):
        solid = rng.random((8, 8, 8)) < 0.3
        twin = solid.copy()
        twin[tuple(np.argwhere(solid)[0])] = False
        for name, shape in ((f"a__{k}", solid), (f"b__{k}", twin)):
            shapes[name], categories[name] = shape, "chair" if k % 2 else "airplane"
    return categories, shapes


def sides(places):
    found = defaultdict(set)
    for place in places.values():
        found[place.group].add(place.split)
    return found


def test_published_split_keeps_groups_together():
    places = published_split()
    assert len(places) == 980 and sum(p.split == "test" for p in places.values()) == 198
    assert all(len(side) == 1 for side in sides(places).values())


def test_groups_join_through_others():
    base = np.zeros((4, 10, 10, 1), bool)
    base[0, :, :, 0] = True  # IoU .92 with 1, 1 has .91 with 2, and 0 only .84 with 2
    base[1].reshape(-1)[8:] = True
    base[2].reshape(-1)[16:] = True
    base[3].reshape(-1)[:40] = True
    assert shape_groups(base, 0.9).tolist() == [0, 0, 0, 1]
    assert shape_groups(base, 0.95).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(3))
def test_drawn_split_does_not_depend_on_the_order(seed):
    categories, shapes = random_shapes(40, seed)
    places = make_split(categories, shapes)
    order = np.random.default_rng(seed).permutation(list(categories))
    assert make_split({u: categories[u] for u in order}, {u: shapes[u] for u in order}) == places
    assert all(len(side) == 1 for side in sides(places).values())
    assert all(places[f"a__{k}"].group == places[f"b__{k}"].group for k in range(40))
    assert {"train", "test"} == {p.split for p in places.values()}


@pytest.mark.parametrize("split", ["train", "test"])
def test_new_models_follow_their_near_duplicates(split):
    categories, shapes = random_shapes(20)
    published = {u: Place(c, f"g{u}", split) for u, c in categories.items() if u.startswith("a")}
    places = assign(categories, shapes, published)
    assert set(places) == set(categories)
    assert all(places[f"b__{k}"].split == split and places[f"b__{k}"].group == f"ga__{k}" for k in range(20))


def test_flags():
    alpha = np.full((2, 10, 10), 255, np.uint8)
    assert flags_of(np.array([0.5, 0.5, 0.7]), alpha, 500) == []
    assert flags_of(np.array([0.7, 0.001, 0.7]), alpha, 20) == ["flat", "few_voxels"]
    assert flags_of(np.array([0.5, 0.5, 0.7]), alpha // 2, 500) == ["transparent"]


def test_cameras_depend_on_the_uid_alone():
    assert (cameras_of("x") == cameras_of("x")).all() and (cameras_of("x") != cameras_of("y")).any()


def test_missing_and_empty_sources_are_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        find_models([tmp_path / "nowhere"])
    with pytest.raises(DataError, match="holds no"):
        find_models([tmp_path])


def test_build_leaves_broken_models_out(tmp_path):
    pytest.importorskip("embreex")
    head = 'AC3Db\nMATERIAL "m" rgb 1 0 0 trans 0\nOBJECT poly\nnumvert 4\n0 0 0\n1 0 0\n0 1 0\n0 0 1\nnumsurf 4\n'
    faces = ["0 2 1", "0 1 3", "0 3 2", "1 2 3"]
    surfaces = "".join("SURF 0x10\nmat 0\nrefs 3\n" + "".join(f"{v} 0 0\n" for v in f.split()) for f in faces)
    for name, text in (("good", head + surfaces + "kids 0\n"), ("bad", head)):
        folder = tmp_path / "in" / "AI" / "Aircraft" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.ac").write_text(text)
    store = build_cad([tmp_path / "in"], tmp_path / "out", workers=0)
    assert [record.uid for record in store.objects] == ["FG__good__good"]
    assert list(store.info["skipped"]) == ["FG__bad__bad"] and "bad.ac" in store.info["skipped"]["FG__bad__bad"]
    assert store.occupancy(0).any() and store.alpha[0].any()
    np.testing.assert_allclose(store.cameras[0], cameras_of("FG__good__good"), rtol=1e-6)


def test_real_packages():
    folders = os.environ.get("COMPRESS3D_CAD_SOURCES")
    if not folders:
        pytest.skip("COMPRESS3D_CAD_SOURCES names no folder with the unpacked packages")
    models = {model.uid: model for model in find_models(folders.split(os.pathsep))}
    places = published_split()
    assert set(models) == set(places)
    assert all(models[uid].category == places[uid].category for uid in models)
    licences = {"CC0-1.0", "CC-BY-3.0", "CC-BY-3.0-US", "GPL-2+", "Free-Art-1.3"}
    assert {model.licence for model in models.values()} == licences
    assert all(model.creator for model in models.values())
    for uid in list(models)[::97]:
        assert len(models[uid].mesh().faces) >= 4
