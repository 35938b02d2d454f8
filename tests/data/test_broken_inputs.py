"""Every broken file raises DataError with the file's name in it; a build lists the broken object and leaves it out."""

import numpy as np
import pytest
from PIL import Image

from compress3d.data.shapenet import build_shapenet
from compress3d.data.shapenet.decode import decode_binvox, decode_metadata, decode_view
from compress3d.data.shapenet.source import read_item
from compress3d.data.shapenet.splits import read_split_file
from compress3d.errors import DataError
from tests.synthetic_objects import find_items
from tools.shapenet_files import encode_binvox, format_metadata

RNG = np.random.default_rng(7)
PICTURE = RNG.integers(0, 256, (137, 137, 4), dtype=np.uint8)
PICTURE[:40] = 0


def png(array: np.ndarray, **options) -> bytes:
    import io

    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", **options)
    return file.getvalue()


PNG = png(PICTURE)
VOXELS = RNG.random((32, 32, 32)) < 0.1
BINVOX = encode_binvox(VOXELS)
HEAD, BODY = BINVOX.split(b"\ndata\n", 1)
HEAD += b"\ndata\n"
CAMERAS = np.column_stack(
    [RNG.uniform(0, 360, 24), RNG.uniform(25, 30, 24), np.zeros(24), RNG.random(24), np.full(24, 25)]
)
TEXT = format_metadata(CAMERAS).encode()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def lines_changed(change) -> bytes:
    return b"".join(line + b"\n" for line in change(TEXT.splitlines()))


BROKEN_PNG = {
    "empty": b"",
    "text": b"<html>404 not found</html>",
    "jpeg named png": b"\xff\xd8\xff\xe0" + bytes(2000),
    "zeros": bytes(4096),
    "rgb": png(PICTURE[..., :3]),
    "grey": png(PICTURE[..., 0]),
    "palette": png(np.array(Image.fromarray(PICTURE[..., :3]).quantize(16))),
    "16 bit": png(PICTURE[..., 0].astype(np.uint16)),
    "one row less": png(PICTURE[:-1]),
    "one column less": png(np.ascontiguousarray(PICTURE[:, :-1])),
    "128 pixels": png(np.ascontiguousarray(PICTURE[:128, :128])),
    "one pixel": png(PICTURE[:1, :1].copy()),
    "274 pixels": png(PICTURE.repeat(2, 0).repeat(2, 1)),
    "bytes after the end": PNG + b"\0",
    "two pictures": PNG + PNG,
    "first byte missing": PNG[1:],
    **{f"cut to {n} bytes": PNG[:n] for n in (1, 4, 8, 12, 20, 33, 40, 57, 100, 500)},
    **{f"cut to {n} %": PNG[: len(PNG) * n // 100] for n in range(5, 100, 5)},
    **{f"last {n} bytes missing": PNG[:-n] for n in (1, 2, 4, 8, 11, 12, 13, 16, 17, 64)},
    **{
        f"byte {n} changed": flipped(PNG, n)
        for n in (0, 5, 11, 13, 17, 22, 24, 25, 30, 36, 40, 45, 300, 3000, len(PNG) - 5)
    },
}
BROKEN_BINVOX = {
    "empty": b"",
    "text": b"<html>404 not found</html>",
    "zeros": bytes(500),
    "other version": BINVOX.replace(b"#binvox 1", b"#binvox 2"),
    "no magic": BINVOX[10:],
    "no dim": BINVOX.replace(b"dim 32 32 32\n", b""),
    "dim of two": BINVOX.replace(b"dim 32 32 32", b"dim 32 32"),
    "dim of words": BINVOX.replace(b"dim 32 32 32", b"dim a b c"),
    "dim no cube": BINVOX.replace(b"dim 32 32 32", b"dim 32 32 16"),
    "dim negative": BINVOX.replace(b"dim 32 32 32", b"dim -32 -32 -32"),
    "dim zero": BINVOX.replace(b"dim 32 32 32", b"dim 0 0 0"),
    "dim huge": BINVOX.replace(b"dim 32 32 32", b"dim 99999 99999 99999"),
    "128 voxels": encode_binvox(np.zeros((128, 128, 128), bool)),
    "16 voxels": encode_binvox(np.ones((16, 16, 16), bool)),
    "claims 64": BINVOX.replace(b"dim 32 32 32", b"dim 64 64 64"),
    "no data line": BINVOX.replace(b"\ndata\n", b"\n"),
    "only a header": HEAD,
    "header without body's newline": HEAD[:-1],
    "half a run": BINVOX[:-1],
    "one run less": BINVOX[:-2],
    "one run more": BINVOX + b"\x00\x01",
    "two files": BINVOX + BINVOX,
    "newline at the end": BINVOX + b"\n",
    "value 2": HEAD + b"\x02" + BODY[1:],
    "value 255": HEAD + BODY[:20] + b"\xff" + BODY[21:],
    **{f"cut to {n} bytes": BINVOX[:n] for n in (1, 5, 9, 10, 15, 22, 30, 50, 60)},
    **{f"body cut to {n} %": HEAD + BODY[: len(BODY) * n // 100] for n in range(10, 100, 10)},
}
BROKEN_METADATA = {
    "empty": b"",
    "binary": bytes(range(128, 256)),
    "23 lines": lines_changed(lambda lines: lines[:-1]),
    "25 lines": lines_changed(lambda lines: [*lines, lines[0]]),
    "four columns": lines_changed(lambda lines: [line.rsplit(b" ", 1)[0] for line in lines]),
    "six columns": lines_changed(lambda lines: [line + b" 0" for line in lines]),
    "one line short": lines_changed(lambda lines: [*lines[:-1], b"1 2 3"]),
    "a word": lines_changed(lambda lines: [b"a 25 0 0.7 25", *lines[1:]]),
    "nan": lines_changed(lambda lines: [b"nan 25 0 0.7 25", *lines[1:]]),
    "inf": lines_changed(lambda lines: [*lines[:-1], b"1 inf 0 0.7 25"]),
    "too large": lines_changed(lambda lines: [*lines[:-1], b"1 1e99 0 0.7 25"]),
    "cut": TEXT[: len(TEXT) // 2],
    "cut in the last line": TEXT[:-8],
}


def test_enough_cases():
    assert len(BROKEN_PNG) + len(BROKEN_BINVOX) + len(BROKEN_METADATA) >= 100


def test_the_unbroken_files_are_read():
    assert np.array_equal(decode_view(PNG, "x"), PICTURE)
    assert np.array_equal(decode_binvox(BINVOX), VOXELS)
    assert np.array_equal(decode_metadata(TEXT, "x"), CAMERAS.astype(np.float32))


@pytest.mark.parametrize("case", BROKEN_PNG)
def test_broken_png(case):
    with pytest.raises(DataError, match=r"folder/07\.png: .*What to do"):
        decode_view(BROKEN_PNG[case], "folder/07.png")


@pytest.mark.parametrize("case", BROKEN_BINVOX)
def test_broken_binvox(case):
    with pytest.raises(DataError, match=r"folder/model\.binvox: .*What to do"):
        decode_binvox(BROKEN_BINVOX[case], "folder/model.binvox")


@pytest.mark.parametrize("case", BROKEN_METADATA)
def test_broken_metadata(case):
    with pytest.raises(DataError, match=r"rendering_metadata\.txt: .*What to do"):
        decode_metadata(BROKEN_METADATA[case], "folder/rendering_metadata.txt")


@pytest.mark.parametrize("name", ["00.png", "13.png", "23.png", "rendering_metadata.txt", "model.binvox"])
def test_a_missing_file_is_named(name, tools, tmp_path):
    tools.write_object(tmp_path, "03001627", "a", 0)
    next(tmp_path.rglob(name)).unlink()
    items, _ = find_items(tmp_path)
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read_item(items[0])


def test_a_solid_of_no_voxel_is_refused(tools, tmp_path):
    tools.write_object(tmp_path, "03001627", "a", 0)
    next(tmp_path.rglob("model.binvox")).write_bytes(encode_binvox(np.zeros((32, 32, 32), bool)))
    with pytest.raises(DataError, match="model.binvox: has no occupied voxel"):
        read_item(find_items(tmp_path)[0][0])


def test_a_build_lists_broken_objects_and_leaves_them_out(tools, tmp_path):
    for number, model in enumerate("abcdef"):
        tools.write_object(tmp_path / "in", "03001627", model, number)
    views = tmp_path / "in/ShapeNetRendering/03001627"
    (views / "b/rendering/05.png").write_bytes(PNG[:700])
    (views / "d/rendering/11.png").unlink()
    (tmp_path / "in/ShapeNetVox32/03001627/e/model.binvox").unlink()
    store = build_shapenet(tmp_path / "in", tmp_path / "out", workers=0)
    assert [record.uid for record in store.objects] == [f"03001627/{model}" for model in "acf"]
    skipped = store.info["skipped"]
    assert sorted(skipped) == [f"03001627/{model}" for model in "bde"]
    assert "05.png" in skipped["03001627/b"] and "11.png" in skipped["03001627/d"] and "binvox" in skipped["03001627/e"]


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "another folder", "a text file", "half an archive"])
def test_a_source_that_is_none(what, tmp_path):
    source = tmp_path / "source"
    if what == "an empty folder":
        source.mkdir()
    elif what == "another folder":
        (source / "pictures").mkdir(parents=True)
    elif what == "a text file":
        source.write_text("hello " * 1000)
    elif what == "half an archive":
        source.write_bytes(b"\x1f\x8b\x08\x00" + bytes(100))
    with pytest.raises(DataError, match="source"):
        build_shapenet(source, tmp_path / "out", workers=0)


@pytest.mark.parametrize(
    "text", ["", "[]", "[1, 2]", "{}", '[{"train": ["a"]}]', "a,b\n1,2\n", "synsetId,modelId,split\n1,2,maybe\n"]
)
def test_a_list_of_ids_that_is_none(text, tmp_path):
    (tmp_path / "ids").write_text(text)
    with pytest.raises(DataError, match="ids"):
        read_split_file(tmp_path / "ids")
