"""The data set as people keep it: packed, unpacked, half of each, renamed, linked, with what their systems left."""

import csv
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fake_shapenet import FakeShapeNet
from compress3d.data.shapenet import build_shapenet
from compress3d.data.shapenet.source import read_item
from compress3d.data.store import LEFT_OUT
from compress3d.errors import DataError
from tests.synthetic_objects import find_items

VIEWS, SOLID = "ShapeNetRendering", "ShapeNetVox32"


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Three objects as folders; never changed."""
    top = tmp_path_factory.mktemp("tree")
    FakeShapeNet(3).write_folders(top)
    return top


@pytest.fixture(scope="module")
def sha256(tree, tmp_path_factory) -> str:
    return build_shapenet(tree, tmp_path_factory.mktemp("store") / "s", workers=0).sha256


def pack(archive: Path, *folders: Path, prefix: str = "", mode: str = "w:gz", **options) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, mode, **options) as tar:
        for folder in folders:
            tar.add(folder, prefix + folder.name)


def linked(tree: Path, top: Path) -> None:
    """The same tree in which every file is a symbolic link."""
    for path in sorted(tree.rglob("*")):
        other = top / path.relative_to(tree)
        if path.is_dir():
            other.mkdir(parents=True)
        else:
            other.symlink_to(path)


def strays(top: Path) -> None:
    """What macOS, Windows and notebooks leave behind."""
    for folder in [top, *(path for path in top.rglob("*") if path.is_dir())]:
        (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        (folder / "Thumbs.db").write_bytes(b"x")
        for name in os.listdir(folder):
            if not name.startswith("."):
                (folder / f"._{name}").write_bytes(b"\0\5\26\7")
    for half in (VIEWS, SOLID):
        (top / half / "readme.txt").write_text("hello")
        (top / half / ".ipynb_checkpoints" / "x").mkdir(parents=True)
        shutil.copytree(top / half, top / "__MACOSX" / half, ignore=lambda _, names: [n for n in names if "." in n])


def shouting(top: Path) -> None:
    """Files in capital letters, folders in small ones."""
    for path in sorted(top.rglob("*"), reverse=True):
        if path.is_file():
            path.rename(path.with_name(path.name.upper()))
    for half in (VIEWS, SOLID):
        (top / half).rename(top / half.lower())


def arrange(layout: str, tree: Path, top: Path) -> Path:
    """Lay the tree out below `top` in one of the ways; returns what the user names as the source."""
    both = [tree / VIEWS, tree / SOLID]
    if layout.startswith("two"):
        ending = ".tar" if "plain" in layout else ".TGZ" if "capital" in layout else ".tgz"
        for half in (VIEWS, SOLID):
            prefix = "./" if "dot" in layout else "data/ShapeNet/" if "deep" in layout else ""
            pack(top / f"{half}{ending}", tree / half, prefix=prefix, mode="w" if "plain" in layout else "w:gz")
        return top / f"{VIEWS}.tgz" if "one named" in layout else top
    if layout.startswith("one archive"):
        pack(top / "all.tgz", *(both if "views first" in layout else both[::-1]), format=tarfile.PAX_FORMAT)
        return top / "all.tgz"
    if layout == "archive of strays":
        shutil.copytree(tree, top / "t")
        strays(top / "t")
        pack(top / "all.tgz", *(path for path in sorted((top / "t").iterdir()) if path.is_dir()), prefix="./")
        return top / "all.tgz"
    top.mkdir()
    if layout == "views a folder, voxels packed":
        (top / VIEWS).symlink_to(tree / VIEWS)
        pack(top / f"{SOLID}.tgz", tree / SOLID)
    elif layout == "views packed, voxels a folder":
        pack(top / f"{VIEWS}.tgz", tree / VIEWS)
        shutil.copytree(tree / SOLID, top / SOLID)
    elif layout == "folders beside their archives":
        shutil.copytree(tree, top, dirs_exist_ok=True)
        for half in (VIEWS, SOLID):
            (top / f"{half}.tgz").write_bytes(b"a download that was stopped")
    elif layout == "the folder above":
        shutil.copytree(tree, top / "ShapeNet")
        (top / "papers").mkdir()
    elif layout == "each in a folder of its own":
        shutil.copytree(tree / VIEWS, top / "pictures" / VIEWS)
        pack(top / "voxels" / f"{SOLID}.tgz", tree / SOLID)
    elif layout == "a half is named":
        shutil.copytree(tree, top, dirs_exist_ok=True)
        return top / VIEWS
    elif layout == "unpacked into folders of the same name":
        for half in (VIEWS, SOLID):
            shutil.copytree(tree / half, top / half / half)
    elif layout == "links":
        linked(tree, top)
    else:
        shutil.copytree(tree, top, dirs_exist_ok=True)
        {"strays": strays, "other letters": shouting}[layout](top)
    return top


LAYOUTS = [
    "two packed", "two plain", "two with a dot", "two deep inside", "two in capital letters", "two, one named",
    "one archive, views first", "one archive, voxels first", "archive of strays",
    "views a folder, voxels packed", "views packed, voxels a folder", "folders beside their archives",
    "the folder above", "each in a folder of its own", "a half is named", "unpacked into folders of the same name",
    "links", "strays", "other letters",
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_data_set(layout, tree, sha256, tmp_path):
    source = arrange(layout, tree, tmp_path / "in")
    store = build_shapenet(source, tmp_path / "out", workers=0)
    assert store.sha256 == sha256 and store.info["skipped"] == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_links_inside_an_archive_are_followed(kind, tree, tmp_path):
    """tar writes the second name of a file as a link; programs that join equal files make such names."""
    shutil.copytree(tree, tmp_path / "in")
    for fourth in (tmp_path / "in").rglob("04.png"):
        fifth = fourth.with_name("05.png")
        fifth.unlink()
        if kind == "hard":
            os.link(fourth, fifth)
        else:
            fifth.symlink_to("../rendering/04.png")
    pack(tmp_path / "all.tgz", tmp_path / "in" / VIEWS, tmp_path / "in" / SOLID)
    with tarfile.open(tmp_path / "all.tgz") as tar:
        assert sum(member.islnk() or member.issym() for member in tar) == 3
    for item in find_items(tmp_path / "all.tgz")[0]:
        views = read_item(item)[0]
        assert np.array_equal(views[5], views[4]) and views[5].any()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("views only", "holds ShapeNetRendering but no ShapeNetVox32"),
        ("voxels only", "holds ShapeNetVox32.tgz but no ShapeNetRendering"),
        ("two copies below", "holds ShapeNetRendering more than once"),
        ("files of these names", "holds no ShapeNetRendering and no ShapeNetVox32"),
        ("empty halves", "holds no object that takes part"),
    ],
)
def test_a_source_that_cannot_be_used_says_why_and_leaves_nothing(what, message, tree, tmp_path):
    top = tmp_path / "in"
    top.mkdir()
    if what == "views only":
        (top / VIEWS).symlink_to(tree / VIEWS)
    elif what == "voxels only":
        pack(top / f"{SOLID}.tgz", tree / SOLID)
    elif what == "two copies below":
        for copy in "ab":
            (top / copy).symlink_to(tree)
    elif what == "files of these names":
        (top / VIEWS).write_text("x")
        (top / f"{SOLID}.tgz").mkdir()
    else:
        (top / VIEWS).mkdir()
        (top / SOLID).mkdir()
    with pytest.raises(DataError, match=message):
        build_shapenet(top, tmp_path / "out", workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_broken_or_missing_is_listed_and_left_out(packed, tmp_path):
    """Every kind of damage in one data set: the list names object, file, what is wrong and what to do."""
    made, top = FakeShapeNet(13), tmp_path / "in"
    made.write_folders(top)
    uids = ["/".join(made.key(number)) for number in range(13)]
    views = [top / VIEWS / uid / "rendering" for uid in uids]
    solid = [top / SOLID / uid / "model.binvox" for uid in uids]
    shutil.rmtree(solid[0].parent)  # views without voxels
    shutil.rmtree(views[1].parent)  # voxels without views
    shutil.rmtree(views[2])  # the car f9c1d7748c15499c6f2bd1c4e9adb41 of the real set is an empty folder
    (views[3] / "07.png").unlink()
    (views[4] / "23.png").write_bytes((views[4] / "23.png").read_bytes()[:-200])
    (views[5] / "00.png").write_bytes(b"")
    solid[6].write_bytes(b"")
    solid[7].write_bytes(solid[7].read_bytes()[:-3])
    (views[8] / "rendering_metadata.txt").unlink()
    (views[9] / "11.png").unlink()
    (views[9] / "11.png").symlink_to("nowhere.png")
    expected = {
        0: (solid[0], "is missing"),
        1: (views[1] / "00.png", "is missing (0 of 24 views are there)"),
        2: (views[2] / "00.png", "is missing (0 of 24 views are there)"),
        3: (views[3] / "07.png", "is missing (23 of 24 views are there)"),
        4: (views[4] / "23.png", "is no complete PNG picture (truncated)"),
        5: (views[5] / "00.png", "is empty"),
        6: (solid[6], "is empty"),
        7: (solid[7], "ends in the middle of a run (truncated)"),
        8: (views[8] / "rendering_metadata.txt", "is missing"),
        9: (views[9] / "11.png", "is missing (23 of 24 views are there)"),
    }
    if packed:
        source = tmp_path / "packed"
        pack(source / f"{VIEWS}.tgz", top / VIEWS)
        pack(source / f"{SOLID}.tgz", top / SOLID)
    else:
        source = top
    store = build_shapenet(source, tmp_path / "out", workers=0)
    assert {record.uid for record in store.objects} == set(uids[10:])
    with open(store.path / LEFT_OUT, newline="") as file:
        rows = {row["object"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(store.info["skipped"]) == set(uids[:10])
    for number, (path, problem) in expected.items():
        row = rows[uids[number]]
        assert row["problem"] == problem and row["what to do"]
        name = str(path.relative_to(top))
        assert row["file"] == (f"{source / name.split('/')[0]}.tgz!{name}" if packed else str(path))
    for row, record in enumerate(store.objects):
        number = uids.index(record.uid)
        assert np.array_equal(store.occupancy(row), made.occupancy(number))
        assert np.array_equal(store.cameras[row], made.cameras(number))


def test_the_sorted_split_counts_the_folders_of_the_voxels(tools, tmp_path):
    """3D-R2N2 lists ShapeNetVox32: a model without views counts there, one without voxels does not."""
    for number, model in enumerate("abcdefgh"):
        tools.write_object(tmp_path / "in", "02958343", model, number)
    shutil.rmtree(tmp_path / f"in/{VIEWS}/02958343/b")
    shutil.rmtree(tmp_path / f"in/{SOLID}/02958343/c")
    store = build_shapenet(tmp_path / "in", tmp_path / "out", workers=0)
    found = {record.uid[-1]: record.split for record in store.objects}  # of abdefgh the first int(0.8 * 7) = 5 train
    assert found == {"a": "train", "d": "train", "e": "train", "f": "train", "g": "test", "h": "test"}


def test_models_of_a_list_that_the_source_lacks_are_left_out_by_name(tree, tmp_path):
    uids = ["/".join(FakeShapeNet(3).key(number)) for number in range(3)]
    synset = uids[0].split("/")[0]
    lines = [f"{n},{uid.replace('/', ',,')},train\n" for n, uid in enumerate(uids)]
    lines += [f"8,{synset},,never-downloaded,test\n", "9,04554684,,a-washing-machine,test\n"]
    (tmp_path / "ids.csv").write_text("id,synsetId,subSynsetId,modelId,split\n" + "".join(lines))
    store = build_shapenet(tree, tmp_path / "out", split=tmp_path / "ids.csv", workers=0)
    assert len(store) == 3 and list(store.info["skipped"]) == [f"{synset}/never-downloaded"]


def test_a_newer_archive_of_the_same_name_is_unpacked_again(tree, tmp_path):
    source, unpacked = tmp_path / "in", tmp_path / "unpacked"
    for half in (VIEWS, SOLID):
        pack(source / f"{half}.tgz", tree / half)
    first = find_items(source, unpacked)[0]
    shutil.copytree(tree, tmp_path / "less")
    shutil.rmtree(tmp_path / "less" / VIEWS / first[0].record.uid)
    shutil.rmtree(tmp_path / "less" / SOLID / first[0].record.uid)
    for half in (VIEWS, SOLID):
        pack(source / f"{half}.tgz", tmp_path / "less" / half)
    assert [item.record.uid for item in find_items(source, unpacked)[0]] == [item.record.uid for item in first[1:]]
