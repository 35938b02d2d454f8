"""The shipped test set: what may ship, lossless pictures, the same bytes each time, opened on first use."""

import dataclasses
import io
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from compress3d import paths
from compress3d.data.build import build
from compress3d.data.shapenet.decode import decode_view
from compress3d.data.store import ObjectRecord, Store, StoreWriter
from compress3d.data.testset import open_test_set
from compress3d.errors import ConfigError, DataError
from tools.export_test_set import choose, encode_png, export_test_set, is_free


@pytest.fixture(scope="module")
def cad(tmp_path_factory) -> Store:
    """Seven chairs, six mugs in four groups, six things of no class; some flagged, some under other licences."""
    rng = np.random.default_rng(0)
    writer = StoreWriter.open(tmp_path_factory.mktemp("cad") / "cad", "cad")
    base = ObjectRecord(
        "", "chair", "cad", split="test", licence="CC-BY-3.0", creator="A, B", title="Chair", url="x.org"
    )
    records = [dataclasses.replace(base, uid=f"chair{n}", group=f"g{n}") for n in range(7)]
    records[0] = dataclasses.replace(records[0], split="train")
    records[1] = dataclasses.replace(records[1], flags="flat")
    records += [dataclasses.replace(base, uid=f"mug{n}", category="tableware", group=f"m{n // 2}") for n in range(6)]
    records += [dataclasses.replace(base, uid=f"other{n}", category="other", group=f"o{n}") for n in range(6)]
    records += [dataclasses.replace(base, uid="gpl", group="gpl", licence="GPL-2+")]
    for record in records:
        rgba = np.zeros((24, 137, 137, 4), np.uint8)
        rgba[:, 30:60, 40:70] = rng.integers(0, 256, (24, 30, 30, 4))
        cameras = np.column_stack([rng.uniform(0, 360, (24, 4)), np.full(24, 25)])
        writer.add(record, rgba, rng.random((32, 32, 32)) < 0.01, cameras)
    return writer.finish()


def test_what_may_ship(cad):
    assert sorted(cad.objects[row].uid for row in choose(cad)) == [f"chair{n}" for n in range(2, 7)]


@pytest.mark.parametrize(
    ("licence", "free"),
    [("CC0-1.0", True), ("CC-BY-3.0", True), ("CC-BY-3.0-US", True), ("CC-BY-4.0", True), ("CC-BY-SA-3.0", False),
     ("CC-BY-NC-4.0", False), ("CC-BY-ND-3.0", False), ("GPL-2+", False), ("Free Art License 1.3", False), ("", False)],
)  # fmt: skip
def test_licences(licence, free):
    assert is_free(ObjectRecord("a", "chair", "cad", licence=licence)) == free


@pytest.mark.parametrize("shape", [(137, 137), (1, 1), (5, 9), (64, 3)])
@pytest.mark.parametrize("kind", ["noise", "smooth", "plain"])
def test_png_is_lossless_and_no_larger_than_pillows(shape, kind):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*shape, 4), dtype=np.uint8)
    if kind == "smooth":
        picture[:] = np.add.outer(np.arange(shape[0]), 2 * np.arange(shape[1]))[..., None].astype(np.uint8)
    elif kind == "plain":
        picture[:] = 77
    data, file = encode_png(picture), io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), picture)
    assert len(data) <= len(file.getvalue())
    if shape == (137, 137):
        assert np.array_equal(decode_view(data, "x"), picture)


def test_export_and_open(cad, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped_data", lambda: tmp_path / "data")
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    archive = tmp_path / "data" / "cad-test.tgz"
    with pytest.raises(DataError, match="cad-test.tgz: is missing"):
        open_test_set()
    records = export_test_set(cad, archive, workers=0)
    first = archive.read_bytes()
    export_test_set(cad, archive, workers=2)
    assert archive.read_bytes() == first, "the same store gives the same bytes"

    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(open_test_set())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({store.sha256 for store in opened}) == 1 and len(opened) == 3
    assert {entry.name for entry in (tmp_path / "cache").iterdir()} == {"cad-test", "cad-test.lock"}
    store = open_test_set()
    assert store.objects == records, "licence, creator, title, link, group and split come back"
    for row, record in enumerate(store.objects):
        source = cad.row(record.uid)
        for name in ("rgb", "alpha", "voxels", "cameras"):
            assert np.array_equal(getattr(store, name)[row], getattr(cad, name)[source]), name

    export_test_set(cad, archive, max_bytes=int(len(first) * 0.9), workers=0)
    assert len(open_test_set()) == len(records) - 1, "a newer archive replaces the folder in the cache"
    shutil.rmtree(tmp_path / "cache" / "cad-test")
    archive.write_bytes(first[: len(first) // 2])
    with pytest.raises(DataError, match="cad-test.tgz"):
        open_test_set()
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == ["cad-test.lock"]


def test_nothing_to_ship(store, tmp_path):
    with pytest.raises(DataError, match="no clean test model"):
        export_test_set(store, tmp_path / "x.tgz", workers=0)


def test_the_shipped_set_keeps_its_promises():
    """At least 60 clean objects under 8 MB, all test, all CC0 or CC-BY with a creator, at least 10 classes."""
    archive = paths.shipped_data() / "cad-test.tgz"
    assert archive.stat().st_size < 8_000_000
    shipped = open_test_set()
    shipped.verify()
    assert len(shipped) >= 60 and shipped.info["skipped"] == {}
    assert len({record.category for record in shipped.objects}) >= 10
    for record in shipped.objects:
        assert record.split == "test" and not record.flags and is_free(record) and record.creator and record.group


def test_sources(tools, tmp_path):
    tools.write_object(tmp_path / "in", "03001627", "a", 0)
    assert len(build("shapenet", tmp_path / "out", source=tmp_path / "in", workers=0)) == 1
    with pytest.raises(ConfigError, match="choose one of shapes, cad, shapenet"):
        build("photographs", tmp_path / "x")
