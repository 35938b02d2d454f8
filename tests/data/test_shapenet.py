"""The reader of ShapeNet's layout: from folders and archives, both splits, tables, resuming."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest

from compress3d.data.shapenet import CATEGORIES, SYNSETS, build_shapenet
from compress3d.data.shapenet.decode import decode_metadata
from compress3d.data.shapenet.splits import read_split_file, sorted_split
from compress3d.errors import DataError
from tests.synthetic_objects import find_items
from tools.shapenet_files import format_metadata

CHAIR, TABLE = "03001627", "04379243"


@pytest.fixture
def layout(tools, tmp_path):
    """Six chairs and four tables."""
    for number in range(10):
        tools.write_object(tmp_path / "in", CHAIR if number < 6 else TABLE, f"model{number}", number)
    return tmp_path / "in"


def pack(layout, name, kinds, mode):
    with tarfile.open(layout.parent / "packed" / name, mode) as tar:
        for kind in kinds:
            tar.add(layout / kind, kind)


def test_thirteen_synsets():
    assert len(SYNSETS) == 13 == len(set(CATEGORIES))
    assert SYNSETS["02691156"] == "airplane" and SYNSETS["04530566"] == "watercraft"
    assert list(SYNSETS) == sorted(SYNSETS)


# Totals and sorted-tail test counts of the published lists, per category in the order of the synsets.
PUBLISHED = [
    (4045, 809), (1816, 364), (1572, 315), (7497, 1500), (6778, 1356), (1095, 219), (2318, 464),
    (1618, 324), (2372, 475), (3173, 635), (8509, 1702), (1052, 211), (1939, 388),
]  # fmt: skip


@pytest.mark.parametrize(("total", "test"), PUBLISHED)
def test_sorted_split_has_the_published_counts(total, test):
    models = [f"{number * 7919 % total:06x}" for number in range(total)]
    split = sorted_split(models)
    tail = [model for model in sorted(models) if split[model] == "test"]
    assert len(tail) == test and tail == sorted(models)[-test:]
    assert sum(total for total, _ in PUBLISHED) == 43_784


def test_a_built_store_holds_what_the_files_hold(layout, tools, tmp_path):
    store = build_shapenet(layout, tmp_path / "out", workers=0)
    assert [record.uid for record in store.objects[:2]] == [f"{CHAIR}/model0", f"{CHAIR}/model1"]
    assert [record.category for record in store.objects] == ["chair"] * 6 + ["table"] * 4
    assert [record.split for record in store.objects] == ["train"] * 4 + ["test"] * 2 + ["train"] * 3 + ["test"]
    for row in range(10):
        rgba, occupancy, cameras = tools.make_object(row)
        hidden = rgba[..., 3] == 0
        assert np.array_equal(store.alpha[row], rgba[..., 3])
        assert np.array_equal(store.rgb[row], np.where(hidden[..., None], 0, rgba[..., :3]))
        assert np.array_equal(store.occupancy(row), occupancy)
        assert np.array_equal(store.cameras[row], cameras)
    store.verify()


@pytest.mark.parametrize("packing", ["tar", "two tgz", "one tgz"])
def test_archives_give_the_same_data_set(packing, layout, tmp_path):
    packed = tmp_path / "packed"
    packed.mkdir()
    kinds = ["ShapeNetRendering", "ShapeNetVox32"]
    if packing == "two tgz":
        for kind in kinds:
            pack(layout, f"{kind}.tgz", [kind], "w:gz")
        source = packed
    else:
        source = packed / ("all.tar" if packing == "tar" else "all.tgz")
        pack(layout, source.name, kinds, "w" if packing == "tar" else "w:gz")
    before = sorted(packed.iterdir())
    store = build_shapenet(source, tmp_path / "out", workers=0)
    assert store.sha256 == build_shapenet(layout, tmp_path / "plain", workers=0).sha256
    assert sorted(packed.iterdir()) == before, "nothing is left beside the archives"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "packed", "plain"]


def test_processes_change_nothing(layout, tmp_path):
    one, two = (build_shapenet(layout, tmp_path / f"w{n}", workers=n) for n in (0, 2))
    assert one.objects == two.objects and one.info["files"] == two.info["files"]


def test_categories_and_limit(layout, tmp_path):
    store = build_shapenet(layout, tmp_path / "a", categories=["table"], limit=2, workers=0)
    assert [record.uid for record in store.objects] == [f"{TABLE}/model6", f"{TABLE}/model7"]
    with pytest.raises(DataError, match="rifle"):
        build_shapenet(layout, tmp_path / "b", categories=["rifle"], workers=0)


@pytest.mark.parametrize("form", ["json", "csv"])
def test_list_of_ids(form, layout, tmp_path):
    path = tmp_path / f"ids.{form}"
    if form == "json":
        entry = {"taxonomy_id": CHAIR, "taxonomy_name": "chair"}
        lists = {"train": ["model3", "model0"], "val": ["model5"], "test": ["model1"]}
        path.write_text(json.dumps([{**entry, **lists}]))
    else:
        rows = [("model3", "train"), ("model0", "train"), ("model5", "val"), ("model1", "test")]
        path.write_text(
            "id,synsetId,subSynsetId,modelId,split\n" + "".join(f"1,{CHAIR},{CHAIR},{m},{s}\n" for m, s in rows)
        )
    assert read_split_file(path)[CHAIR, "model5"] == "val"
    store = build_shapenet(layout, tmp_path / "out", split=path, workers=0)
    found = {record.uid[-6:]: record.split for record in store.objects}
    assert found == {"model0": "train", "model1": "test", "model3": "train", "model5": "val"}


def test_tables_beside_the_folders(tools, tmp_path):
    source = tmp_path / "in"
    for number, name in enumerate("ab"):
        tools.write_object(source, "plane", name, number)
    (source / "index.csv").write_text(
        "class,model,uid,flags,licence,group,split\nplane,a,pack__a,flat,CC0-1.0,plane7,test\nplane,b,pack__b,,CC0-1.0,plane8,train\n"
    )
    (source / "credits.csv").write_text(
        'uid,class,title,creator,licence,package,url\npack__a,plane,Jet,"A, B",CC-BY-3.0,p,example.org/1\n'
    )
    first, second = build_shapenet(source, tmp_path / "out", workers=0).objects
    assert (first.uid, first.category, first.source, first.split) == ("pack__a", "airplane", "cad", "test")
    assert (first.group, first.flags, first.licence) == ("plane7", "flat", "CC-BY-3.0")
    assert (first.title, first.creator, first.url) == ("Jet", "A, B", "example.org/1")
    assert (second.uid, second.split, second.flags, second.licence) == ("pack__b", "train", "", "CC0-1.0")


@pytest.mark.parametrize(
    "text", ["298.8009519434 28.5818690177 0 0.7085854625 25", "0 25 0 0.65 25", "359.9 30 0 0.95 25"]
)
def test_metadata_columns(text):
    cameras = decode_metadata((text + "\n").encode() * 24, "x")
    assert cameras.shape == (24, 5) and cameras.dtype == np.float32
    assert np.allclose(cameras[3], [float(word) for word in text.split()], rtol=1e-7)
    assert np.array_equal(decode_metadata(format_metadata(cameras).encode(), "x"), cameras)


def test_objects_are_sorted_and_strays_ignored(layout):
    (layout / "ShapeNetRendering" / "readme.txt").write_text("hello")
    (layout / "ShapeNetVox32" / CHAIR / "only-voxels").mkdir()
    items, tables = find_items(layout)
    assert [item.record.uid for item in items] == sorted(item.record.uid for item in items) and len(items) == 10
    assert tables == {}


def test_a_file_missing_in_an_archive_is_named(layout, tmp_path):
    (tmp_path / "packed").mkdir()
    (layout / "ShapeNetRendering" / CHAIR / "model2" / "rendering" / "09.png").unlink()
    pack(layout, "all.tar", ["ShapeNetRendering", "ShapeNetVox32"], "w")
    store = build_shapenet(tmp_path / "packed" / "all.tar", tmp_path / "out", workers=0)
    (reason,) = store.info["skipped"].values()
    assert f"all.tar!ShapeNetRendering/{CHAIR}/model2/rendering/09.png: is missing" in reason


@pytest.mark.parametrize("after", [0, 3, 8])
def test_killed_build_with_worker_processes_goes_on(after, layout, tmp_path):
    """SIGKILL the builder while its workers decode: the next one is not locked out, and makes the same store."""
    out, whole = tmp_path / "out", build_shapenet(layout, tmp_path / "whole", workers=0)
    code = (
        f"from compress3d.data.shapenet import build_shapenet; build_shapenet({str(layout)!r}, {str(out)!r}, workers=2)"
    )
    builder = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    journal = tmp_path / "out.partial" / "journal.jsonl"
    while builder.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= after):
        time.sleep(0.001)
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    store = build_shapenet(layout, out, workers=0)
    assert store.sha256 == whole.sha256 and store.info["files"] == whole.info["files"]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            os.killpg(builder.pid, 0)  # the workers are in the builder's process group
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("worker processes outlived their builder")
