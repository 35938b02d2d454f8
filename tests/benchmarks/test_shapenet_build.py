"""What a build of thousands of objects needs: flat memory, going on after a kill, room checked before it starts.

The same at 5,000 objects: `python -m benchmarks.shapenet_build`.
"""

import gc
import gzip
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.fake_shapenet import FakeShapeNet
from benchmarks.shapenet_build import watch
from compress3d.cli import app
from compress3d.data.parallel import ordered_map
from compress3d.data.shapenet import archive, build_shapenet
from compress3d.data.shapenet.layout import FILES
from compress3d.data.store import OBJECT_BYTES, ObjectRecord, Store, StoreWriter
from compress3d.errors import DataError

COUNT = 60
needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc (Linux)")


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with `in`: 60 objects in two archives."""
    top = tmp_path_factory.mktemp("scale")
    FakeShapeNet(COUNT).write_archives(top / "in")
    return top


@needs_proc
def test_memory_is_flat_and_a_killed_build_goes_on_to_the_same_store(work):
    whole = watch("whole", work, every=0.01)
    log = (work / "whole.log").read_text()
    assert whole.status == 0, log
    early, late = whole.peak(0, 0.5, COUNT), whole.peak(0.5, 1, COUNT)
    assert early and late - early < COUNT / 2 * OBJECT_BYTES / 2, "the half that came last would be 54 MB"

    killed = watch("again", work, kill_at=20, every=0.01)
    assert killed.status == -signal.SIGKILL and not (work / "again").exists()
    resumed = watch("again", work, every=0.01)
    log = (work / "again.log").read_text()
    assert resumed.status == 0, log
    assert int(re.search(r"(\d+) of them are there already", log)[1]) >= 20
    first, second = Store.open(work / "whole"), Store.open(work / "again")
    assert len(second) == COUNT and first.info["files"] == second.info["files"] and first.sha256 == second.sha256
    assert {path.name for path in work.iterdir()} == {"in", "whole", "again", "whole.log", "again.log"}


@pytest.mark.skipif(os.name == "nt", reason="process groups")
def test_ctrl_c_ends_in_good_order(work):
    """It reaches the workers too: nobody prints a traceback, and nothing is left running."""
    command = [sys.executable, "-c", "from compress3d.cli import main; main()"]
    builder = subprocess.Popen(
        [*command, "data", "build", "shapenet", "--source", "in", "--out", "./stopped"],
        cwd=work, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    journal = work / "stopped.partial" / "journal.jsonl"
    while builder.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.001)
    os.killpg(builder.pid, signal.SIGINT)
    _, errors = builder.communicate(timeout=1200)
    assert builder.returncode == 130 and "run the same command again" in errors and "Traceback" not in errors
    with pytest.raises(ProcessLookupError):
        os.killpg(builder.pid, 0)


def test_the_index_of_an_archive_is_small(tmp_path):
    """43,784 objects at this price take less than 100 MB."""
    objects = 100
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        for number in range(objects):
            key = f"02958343/{number:032x}"
            for name in FILES["ShapeNetRendering"]:
                tar.addfile(tarfile.TarInfo(f"ShapeNetRendering/{key}/rendering/{name}"))
            tar.addfile(tarfile.TarInfo(f"ShapeNetVox32/{key}/model.binvox"))
    archive.index(tmp_path / "all.tar", tmp_path / "all.tar")  # what the first call imports does not count
    tracemalloc.start()
    found, _ = archive.index(tmp_path / "all.tar", tmp_path / "all.tar")
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert all(len(found[half]) == objects for half in FILES)
    assert size / objects < 100e6 / 43_784


# -- room ------------------------------------------------------------------------------------------------------------


def test_room_and_time_are_told_before_and_the_end_after(work, tmp_path):
    lines = []
    build_shapenet(work / "in", tmp_path / "out", limit=1, workers=0, report=lines.append)
    room, speed, end = lines
    assert re.match(rf"13 objects need 23 MB in {tmp_path}/out; unpacking needs \d+ MB in .*\.unpacked until", room)
    assert re.search(r"until the end \(\d+\.\d GB are free\)$", room)
    assert re.match(r"about \d+ seconds if nothing else is running here \(\d+ ms an object, measured on 6\)", speed)
    assert re.match(r".*out: 13 objects of 13 categories, 23 MB$", end)


def test_too_small_a_disk_is_refused_before_the_pictures_are_unpacked(work, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=50_000_000))
    with pytest.raises(DataError, match=r"needs 109 MB for 60 objects and \d+ MB to unpack.*50 MB are free.*--limit"):
        build_shapenet(work / "in", tmp_path / "out", workers=0)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_the_set_needs_its_share(work, tmp_path):
    lines = []
    store = build_shapenet(work / "in", tmp_path / "out", categories=["car"], limit=2, workers=0, report=lines.append)
    assert lines[0].startswith("2 objects need 4 MB") and len(store) == 2


@pytest.mark.parametrize("size", [0, 1000, 70_000])
def test_unpacked_size_is_exact_for_small_archives(size, tmp_path):
    (tmp_path / "x.tgz").write_bytes(gzip.compress(bytes(size), mtime=0))
    assert archive.unpacked_bytes(tmp_path / "x.tgz") == size


@pytest.mark.parametrize("true", [12_400_000_000, 13_900_000_000, 16_000_000_000])
def test_unpacked_size_beyond_4_gib(true, tmp_path):
    """gzip keeps the size modulo 2^32; 12.3 GB of pictures are at least 12.3 GB unpacked."""
    with open(tmp_path / "x.tgz", "wb") as file:
        file.write(b"\x1f\x8b")
        file.seek(12_300_000_000 - 4)  # a hole: takes no room
        file.write((true % 2**32).to_bytes(4, "little"))
    assert archive.unpacked_bytes(tmp_path / "x.tgz") == true


def test_a_full_disk_is_named(tools, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    writer = StoreWriter.open(tmp_path / "s", "synthetic")
    writer._files["rgb"].close()
    writer._files["rgb"] = open("/dev/full", "wb", buffering=0)
    with pytest.raises(DataError, match="No space left on device.*run the same command again"):
        writer.add(ObjectRecord("a", "chair", "synthetic"), *tools.make_object(0))


# -- going on --------------------------------------------------------------------------------------------------------


def test_half_an_unpacked_archive_is_not_taken_for_a_whole(work, tmp_path):
    """What a build killed while it unpacked leaves."""
    source = work / "in" / "ShapeNetRendering.tgz"
    partial = archive.plain_name(source, tmp_path / "out.unpacked")
    partial.parent.mkdir()
    partial.with_name(partial.name + ".partial").write_bytes(b"half")
    assert len(build_shapenet(work / "in", tmp_path / "out", limit=1, workers=0)) == 13


def test_a_finished_build_reads_nothing(work, tmp_path):
    """The same command again: no unpacking, not even a look into the archives."""
    source = tmp_path / "in"
    source.mkdir()
    for path in (work / "in").iterdir():
        (source / path.name).symlink_to(path)
    built = build_shapenet(source, tmp_path / "out", limit=1, workers=0)
    for path in source.iterdir():
        path.unlink()
        path.write_bytes(b"no archive any more")
    assert build_shapenet(source, tmp_path / "out", limit=1, workers=0).sha256 == built.sha256
    with pytest.raises(DataError, match="holds another build"):
        build_shapenet(source, tmp_path / "out", limit=2, workers=0)


def test_the_screen_is_not_flooded(tools, tmp_path, capsys):
    for number in range(30):
        (tmp_path / f"in/ShapeNetRendering/02958343/m{number:02d}/rendering").mkdir(parents=True)
    tools.write_object(tmp_path / "in", "02958343", "whole", 0)
    lines = []
    store = build_shapenet(tmp_path / "in", tmp_path / "out", workers=0, report=lines.append)
    errors = capsys.readouterr().err
    assert errors.count("left out:") == 20 and "only listed" in errors
    assert len(store.info["skipped"]) == 30
    assert lines[-1].startswith(f"30 objects were left out; {tmp_path / 'out' / 'left-out.csv'} says which and why")


def die(number: int) -> int:
    os._exit(9)


def test_a_worker_that_the_system_ends_is_no_traceback():
    with pytest.raises(DataError, match="a worker process: was ended from outside.*--workers"):
        list(ordered_map(die, range(3), workers=1))


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_command_builds_a_part(work, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESS3D_CACHE", str(tmp_path))
    options = ["--source", str(work / "in"), "--category", "car", "--limit", "1", "--workers", "0"]
    ran = CliRunner().invoke(app, ["data", "build", "shapenet", *options])
    assert ran.exit_code == 0, ran.output
    assert "1 objects need" in ran.output and "Store(" in ran.output
    assert Store.open(tmp_path / "shapenet").objects[0].category == "car"


def test_help_shows_one_spelling():
    shown = CliRunner().invoke(app, ["data", "--help"]).output
    assert "build" in shown and "verify" in shown and "shapenet" not in shown.lower()
    shown = CliRunner().invoke(app, ["data", "build", "--help"]).output
    assert all(name in shown for name in ("shapes", "cad", "shapenet", "smoke"))


def test_an_archive_is_written_with_folders_first(work):
    """The made-up archives have the members of the distributed ones."""
    with gzip.open(work / "in" / "ShapeNetRendering.tgz") as file, tarfile.open(fileobj=io.BytesIO(file.read())) as tar:
        names = tar.getnames()
    assert names[0] == "ShapeNetRendering" and names[1] == "ShapeNetRendering/02691156"
    first = [name for name in names if re.match(names[2], name)]
    assert re.fullmatch(r"ShapeNetRendering/02691156/[0-9a-f]{32}", names[2]) and first[1] == f"{names[2]}/rendering"
    expected = {f"{view:02d}.png" for view in range(24)} | {"rendering_metadata.txt", "renderings.txt"}
    assert {name.split("/")[-1] for name in first[2:]} == expected and len(names) == 1 + 13 + COUNT * 28
