"""The store: contents, checksums, damage, and builders that are killed at any moment."""

import dataclasses
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from compress3d.data.store import OBJECT_BYTES, ObjectRecord, Store, StoreWriter, check_disk
from compress3d.errors import DataError


@pytest.fixture
def copy(store, tmp_path):
    shutil.copytree(store.path, tmp_path / "copy")
    return tmp_path / "copy"


def test_contents_and_dtypes(store, tools):
    assert len(store) == 12 and store.name == "synthetic"
    for row in (0, 5, 11):
        rgba, occupancy, cameras = tools.make_object(row)
        visible = rgba[..., 3:] > 0
        assert np.array_equal(store.rgb[row], rgba[..., :3] * visible)
        assert np.array_equal(store.alpha[row], rgba[..., 3])
        assert np.array_equal(store.occupancy(row), occupancy) and store.occupancy(row).dtype == bool
        assert np.array_equal(store.cameras[row], cameras)
    shapes = [array.shape for array in (store.rgb, store.alpha, store.voxels, store.cameras)]
    assert shapes == [(12, 24, 137, 137, 3), (12, 24, 137, 137), (12, 4096), (12, 24, 5)]
    with pytest.raises(ValueError, match="read-only"):
        store.rgb[0, 0, 0, 0, 0] = 1


def test_numpy_alone_reads_the_files(store):
    assert np.array_equal(np.load(store.path / "voxels.npy"), store.voxels)
    bits = np.load(store.path / "voxels.npy")[3]
    x, y, z = 5, 17, 30
    place = (x * 32 + y) * 32 + z
    assert bool(bits[place // 8] >> (7 - place % 8) & 1) == bool(store.occupancy(3)[x, y, z])


def test_select(store):
    assert store.select().tolist() == list(range(12))
    assert store.select("test").tolist() == [4, 9]
    assert store.select("train", ["table"]).tolist() == [1, 3, 5, 7, 11]
    assert store.select(categories=[]).tolist() == [] and store.select().dtype == np.int64


def test_select_leaves_out_flagged(tools, tmp_path):
    writer = StoreWriter.open(tmp_path / "s", "synthetic")
    for uid, flags in (("b", ""), ("a", "flat"), ("c", "")):
        writer.add(ObjectRecord(uid, "chair", "synthetic", flags=flags), *tools.make_object(0))
    store = writer.finish()
    assert store.select().tolist() == [1, 0, 2], "in the order of the uids"
    assert store.select(clean=True).tolist() == [0, 2]


def test_pickled_store_maps_the_same_files(store):
    again = pickle.loads(pickle.dumps(store))
    assert again.sha256 == store.sha256 and np.array_equal(again.cameras, store.cameras)
    assert len(pickle.dumps(store)) < 2000


def test_sha256_does_not_depend_on_the_order(store, tools, tmp_path):
    writer = StoreWriter.open(tmp_path / "back", "another name", {"and": "parameters"})
    for row in reversed(range(12)):
        writer.add(store.objects[row], *tools.make_object(row))
    assert writer.finish().sha256 == store.sha256


@pytest.mark.parametrize("what", ["a pixel", "alpha", "a voxel", "a camera", "the split", "the uid"])
def test_sha256_depends_on_everything_else(what, tools, tmp_path):
    record = ObjectRecord("a", "chair", "synthetic")
    rgba, occupancy, cameras = tools.make_object(0)
    first = StoreWriter.open(tmp_path / "first", "s")
    first.add(record, rgba, occupancy, cameras)
    place = tuple(np.argwhere(rgba[..., 3] > 100)[0])
    if what == "a pixel":
        rgba[place + (0,)] ^= 1
    elif what == "alpha":
        rgba[place + (3,)] ^= 1
    elif what == "a voxel":
        occupancy[3, 4, 5] ^= True
    elif what == "a camera":
        cameras[7, 0] += 1e-3
    else:
        record = dataclasses.replace(record, **{what[4:]: "test"})
    second = StoreWriter.open(tmp_path / "second", "s")
    second.add(record, rgba, occupancy, cameras)
    assert first.finish().sha256 != second.finish().sha256


# -- damage ----------------------------------------------------------------------------------------------------------

FILES = ["rgb.npy", "alpha.npy", "voxels.npy", "cameras.npy", "objects.jsonl", "store.json"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["missing", "empty", "half", "one byte less", "zeros"])
def test_a_damaged_store_does_not_open(name, how, copy):
    path = copy / name
    size = path.stat().st_size
    if how == "missing":
        path.unlink()
    elif how == "zeros":
        path.write_bytes(bytes(200))
    else:
        os.truncate(path, {"empty": 0, "half": size // 2, "one byte less": size - 2}[how])
    with pytest.raises(DataError, match="copy"):
        Store.open(copy)


def test_too_long_does_not_open(copy):
    with open(copy / "rgb.npy", "ab") as file:
        file.write(b"\0" * 10)
    with pytest.raises(DataError, match="rgb.npy"):
        Store.open(copy)


@pytest.mark.parametrize("name", FILES[:5])
def test_verify_finds_one_changed_byte(name, copy):
    Store.open(copy).verify()
    with open(copy / name, "r+b") as file:
        file.seek(-3 if name == "objects.jsonl" else 300, os.SEEK_END if name == "objects.jsonl" else os.SEEK_SET)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(b"0" if byte == b"1" else b"1")
    with pytest.raises(DataError, match=name):
        Store.open(copy).verify()


def test_another_format_is_refused(copy):
    info = json.loads((copy / "store.json").read_text())
    (copy / "store.json").write_text(json.dumps({**info, "format": 99}))
    with pytest.raises(DataError, match="format 99"):
        Store.open(copy)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="compress3d data build"):
        Store.open(tmp_path / "nothing")


# -- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["views", "view type", "grid", "cameras", "nan", "empty grid", "uid again"])
def test_add_refuses_wrong_objects_and_goes_on(what, tools, tmp_path):
    writer = StoreWriter.open(tmp_path / "s", "synthetic")
    writer.add(ObjectRecord("good", "chair", "synthetic"), *tools.make_object(0))
    rgba, occupancy, cameras = tools.make_object(1)
    uid = "bad"
    if what == "views":
        rgba = rgba[:23]
    elif what == "view type":
        rgba = rgba / 255
    elif what == "grid":
        occupancy = occupancy[:16]
    elif what == "cameras":
        cameras = cameras[:, :4]
    elif what == "nan":
        cameras[3, 3] = np.nan
    elif what == "empty grid":
        occupancy = np.zeros_like(occupancy)
    else:
        uid = "good"
    with pytest.raises(DataError, match=uid):
        writer.add(ObjectRecord(uid, "chair", "synthetic"), rgba, occupancy, cameras)
    writer.skip("bad", "because")
    writer.add(ObjectRecord("third", "chair", "synthetic"), *tools.make_object(2))
    store = writer.finish()
    assert [record.uid for record in store.objects] == ["good", "third"]
    assert store.info["skipped"] == {"bad": "because"}
    store.verify()


def test_a_finished_build_is_returned_and_another_refused(store, tools):
    writer = StoreWriter.open(store.path, source="synthetic", parameters={"seed": 0})
    assert writer.done == {record.uid for record in store.objects} and writer.finish().sha256 == store.sha256
    with pytest.raises(DataError, match="finished"):
        writer.add(ObjectRecord("new", "chair", "synthetic"), *tools.make_object(0))
    with pytest.raises(DataError, match="another build"):
        StoreWriter.open(store.path, source="synthetic", parameters={"seed": 1})


def test_row_finds_an_object_by_its_uid(store):
    assert [store.row(record.uid) for record in store.objects] == list(range(len(store)))
    with pytest.raises(DataError, match="holds no object 'nobody'"):
        store.row("nobody")


def test_rest_of_another_build_is_refused(tools, tmp_path):
    StoreWriter.open(tmp_path / "s", "synthetic", {"seed": 0}).close()
    with pytest.raises(DataError, match="another build"):
        StoreWriter.open(tmp_path / "s", "synthetic", {"seed": 1})
    StoreWriter.open(tmp_path / "s", "synthetic", {"seed": 0}).close()


def test_two_builders_at_once_are_refused(tmp_path):
    writer = StoreWriter.open(tmp_path / "s", "synthetic")
    code = f"from compress3d.data.store import StoreWriter; StoreWriter.open({str(tmp_path / 's')!r}, 'synthetic')"
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert second.returncode and "another process is building here" in second.stderr
    writer.close()
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_store_of_nothing_is_refused(tmp_path):
    writer = StoreWriter.open(tmp_path / "s", "synthetic")
    writer.skip("a", "broken")
    with pytest.raises(DataError, match="no object"):
        writer.finish()


def test_disk_is_checked_before(tmp_path):
    check_disk(tmp_path / "s", 1)
    with pytest.raises(DataError, match="GB"):
        check_disk(tmp_path / "deep" / "s", 10**9)
    assert OBJECT_BYTES == 24 * 137 * 137 * 4 + 4096 + 24 * 5 * 4


BUILDER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from tests.synthetic_objects import make_object
from compress3d.data.store import ObjectRecord, StoreWriter
writer = StoreWriter.open({path!r}, "synthetic", {{"seed": 0}})
for number in range(12):
    uid = f"object-{{number:03d}}"
    if uid in writer.done:
        continue
    writer.add(
        ObjectRecord(uid, ("chair", "table")[number % 2], "synthetic", split="test" if number % 5 == 4 else "train"),
        *make_object(number),
    )
    print(uid, flush=True)
writer.finish()
"""


@pytest.mark.parametrize("after", [1, 4, 9])
def test_killed_builder_goes_on_to_the_same_store(after, store, tmp_path):
    """SIGKILL a builder after some objects, at whatever point of the next one it is, and run it again."""
    path = tmp_path / "s"
    code = BUILDER.format(tests=os.path.dirname(os.path.dirname(os.path.dirname(__file__))), path=str(path))
    builder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for _ in range(after):
        assert builder.stdout.readline()
    time.sleep(0.003 * after)
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    assert not path.exists()
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(again.stdout.split()) <= 12 - after, "what was built is not built again"
    finished = Store.open(path)
    assert finished.sha256 == store.sha256 and finished.info["files"] == store.info["files"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("name", ["rgb.npy", "alpha.npy", "voxels.npy", "cameras.npy"])
@pytest.mark.parametrize("damage", ["lost rows", "half a row more", "last row zero"])
def test_rows_that_did_not_reach_the_disk_are_built_again(name, damage, store, tools, tmp_path):
    """After a power cut the journal may know more than the files hold, or the files more than the journal."""
    writer = StoreWriter.open(tmp_path / "s", "synthetic", {"seed": 0})
    for row in range(6):
        writer.add(store.objects[row], *tools.make_object(row))
    writer.skip("broken", "reason")
    writer.close()
    path = writer.work / name
    size, row_bytes = path.stat().st_size, getattr(store, name[:-4])[0].nbytes
    if damage == "lost rows":
        os.truncate(path, size - row_bytes - 1)
    elif damage == "half a row more":
        with open(path, "ab") as file:
            file.write(b"x" * (row_bytes // 2))
    else:
        with open(path, "r+b") as file:
            file.seek(-row_bytes, os.SEEK_END)
            file.write(bytes(row_bytes))
    kept = {"lost rows": 4, "half a row more": 6, "last row zero": 5}[damage]
    writer = StoreWriter.open(tmp_path / "s", "synthetic", {"seed": 0})
    assert len(writer.done - {"broken"}) == kept
    for row in range(12):
        if store.objects[row].uid not in writer.done:
            writer.add(store.objects[row], *tools.make_object(row))
    finished = writer.finish()
    finished.verify()
    assert finished.sha256 == store.sha256


def test_half_a_line_in_the_journal_is_dropped(store, tools, tmp_path):
    writer = StoreWriter.open(tmp_path / "s", "synthetic", {"seed": 0})
    for row in range(3):
        writer.add(store.objects[row], *tools.make_object(row))
    writer.close()
    journal = writer.work / "journal.jsonl"
    os.truncate(journal, journal.stat().st_size - 20)
    writer = StoreWriter.open(tmp_path / "s", "synthetic", {"seed": 0})
    assert writer.done == {"object-000", "object-001"}
    writer.close()
