"""Broken scenes: each gives one clear error that names the file and says what to do."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress3d.errors import ConfigError, DataError
from compress3d.nerf.scenes import open_scene
from tests.nerf.tiny_scenes import blender, llff

TRAIN, TEST, POSES = "transforms_train.json", "transforms_test.json", "poses_bounds.npy"
VIEW, PICTURE = "train/r_1.png", "images_4/image003.png"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    top = tmp_path_factory.mktemp("whole")
    blender(top / "blender")
    llff(top / "llff")
    return top


# -- ways to break a scene -------------------------------------------------------------------------------------------


def change(name: str, edit):
    """Edit the JSON of a listing."""

    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        edited = edit(content)
        (folder / name).write_text(json.dumps(content if edited is None else edited))

    return damage


def frame(edit, name: str = TRAIN, number: int = 1):
    return change(name, lambda content: edit(content["frames"][number]))


def setting(**values):
    return change(TRAIN, lambda content: content.update(values))


def path(value):
    return frame(lambda one: one.update(file_path=value))


def entry(row: int, column: int, value):
    def edit(one: dict) -> None:
        one["transform_matrix"][row][column] = value

    return frame(edit)


def rotation(turn):
    """Replace the rotation R of a frame by turn(R)."""

    def edit(one: dict) -> None:
        matrix = np.array(one["transform_matrix"], float)
        matrix[:3, :3] = turn(matrix[:3, :3])
        one["transform_matrix"] = matrix.tolist()

    return frame(edit)


def moved(scale: float, number: int = 1):
    def edit(one: dict) -> None:
        matrix = np.array(one["transform_matrix"], float)
        matrix[:3, 3] *= scale
        one["transform_matrix"] = matrix.tolist()

    return frame(edit, number=number)


def text(name: str, content: str | bytes):
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def gone(name: str):
    def damage(folder: Path) -> None:
        target = folder / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return damage


def picture(name: str, mode: str, **options):
    """Save a picture again in another mode."""

    def damage(folder: Path) -> None:
        with Image.open(folder / name) as image:
            image.convert(mode).save(folder / name, **options)

    return damage


def resized(name: str, size: tuple[int, int]):
    def damage(folder: Path) -> None:
        with Image.open(folder / name) as image:
            image.resize(size).save(folder / name)

    return damage


def cut(name: str, share: float):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[: int(share * size(folder, name))])


def size(folder: Path, name: str) -> int:
    return (folder / name).stat().st_size


def flipped(name: str, offset: float):
    def damage(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[int(offset * len(data))] ^= 0x10
        (folder / name).write_bytes(data)

    return damage


def png(width: int, height: int, bits: int = 8, colour: int = 6, rows: bytes = b"") -> bytes:
    """A PNG file written by hand: Pillow writes none of 16 bits and three colours, nor one that lies about its size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    pixels = zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def sixteen(channels: int) -> bytes:
    row = b"\0" + np.arange(16 * channels, dtype=">u2").tobytes()
    return png(16, 16, 16, {2: 4, 3: 2, 4: 6}[channels], row * 16)


def transparent(folder: Path) -> None:
    Image.new("RGBA", (16, 16)).save(folder / VIEW)


def turned(folder: Path) -> None:
    with Image.open(folder / PICTURE) as image:
        exif = image.getexif()
        exif[0x0112] = 3
        image.save(folder / PICTURE, exif=exif)


def see_through(folder: Path) -> None:
    with Image.open(folder / PICTURE) as image:
        image.putalpha(100)
        image.save(folder / PICTURE)


def table(edit):
    """Edit the array of poses_bounds.npy."""

    def damage(folder: Path) -> None:
        values = np.load(folder / POSES)
        edited = edit(values)
        np.save(folder / POSES, values if edited is None else edited)

    return damage


def at(row, column, value):
    def edit(values: np.ndarray) -> None:
        values[row, column] = value

    return table(edit)


def axis(row: int, factor: float, column: int = 0):
    """Multiply one axis of a camera."""

    def edit(values: np.ndarray) -> None:
        values[row, [column, column + 5, column + 10]] *= factor

    return table(edit)


def backwards(values: np.ndarray) -> None:
    for column in (1, 2):  # right and backwards: half a turn
        values[4, [column, column + 5, column + 10]] *= -1


def one_place(values: np.ndarray) -> None:
    values[:, [3, 8, 13]] = 1.0


def boastful(folder: Path) -> None:
    """A header that claims a petabyte."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**13, 17)})
    (folder / POSES).write_bytes(head.getvalue() + bytes(1000))


def archive(folder: Path) -> None:
    values = np.load(folder / POSES)
    with open(folder / POSES, "wb") as file:
        np.savez(file, values)


def pickled(folder: Path) -> None:
    np.save(folder / POSES, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)


def no_pictures(folder: Path) -> None:
    for file in (folder / "images_4").iterdir():
        file.unlink()


def as_opencv(one: dict) -> None:
    matrix = np.array(one["transform_matrix"], float)
    matrix[:3, 1:3] *= -1
    one["transform_matrix"] = matrix.tolist()


def same_place(content: dict) -> None:
    for one in content["frames"]:
        one["transform_matrix"] = content["frames"][0]["transform_matrix"]


def both_layouts(folder: Path) -> None:
    np.save(folder / POSES, np.zeros((6, 17)))


def only_transforms(folder: Path) -> None:
    (folder / TRAIN).rename(folder / "transforms.json")
    (folder / TEST).unlink()


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


NAN, INF = float("nan"), float("inf")
BLENDER = {  # damage, the file that the message must name, and what it must say
    "no training list": (gone(TRAIN), TRAIN, "is missing"),
    "no test list": (gone(TEST), TEST, "is missing.*held out"),
    "one list for all": (only_transforms, TRAIN, "is missing.*split the frames of transforms.json"),
    "empty folder": (emptied, "scene", "holds no scene"),
    "both layouts": (both_layouts, "scene", "two layouts"),
    "list is a folder": (lambda f: (gone(TRAIN)(f), (f / TRAIN).mkdir()), TRAIN, "is missing"),
    "list is empty": (text(TRAIN, ""), TRAIN, "no sound JSON"),
    "list is cut off": (cut(TRAIN, 0.6), TRAIN, "no sound JSON"),
    "list is binary": (text(TRAIN, b"\xff\xfe\x00\x01"), TRAIN, "no sound JSON"),
    "list is nested too deeply": (text(TRAIN, "[" * 200_000), TRAIN, "no sound JSON"),
    "list is an array": (text(TRAIN, "[]"), TRAIN, "no JSON object"),
    "list is null": (text(TRAIN, "null"), TRAIN, "no JSON object"),
    "key twice": (text(TRAIN, '{"camera_angle_x": 0.6, "camera_angle_x": 0.7}'), TRAIN, "stands twice"),
    "number of 5,000 digits": (text(TRAIN, f'{{"camera_angle_x": {"9" * 5000}, "frames": []}}'), TRAIN, "What to do"),
    "no angle": (change(TRAIN, lambda c: c.pop("camera_angle_x") and None), TRAIN, "no `camera_angle_x`"),
    "angle is text": (setting(camera_angle_x="0.69"), TRAIN, "'0.69', not a number"),
    "angle is null": (setting(camera_angle_x=None), TRAIN, "None, not a number"),
    "angle is true": (setting(camera_angle_x=True), TRAIN, "True, not a number"),
    "angle is 0": (setting(camera_angle_x=0), TRAIN, "camera_angle_x 0;"),
    "angle is negative": (setting(camera_angle_x=-0.69), TRAIN, "camera_angle_x -0.69;"),
    "angle in degrees": (setting(camera_angle_x=39.6), TRAIN, "39.6;.*radians"),
    "angle is pi": (setting(camera_angle_x=3.1416), TRAIN, "between 0.01 and 3"),
    "angle is NaN": (setting(camera_angle_x=NAN), TRAIN, "nan, not a finite number"),
    "angle is infinite": (setting(camera_angle_x=INF), TRAIN, "inf, not a finite number"),
    "angle is enormous": (setting(camera_angle_x=10**400), TRAIN, "enormous"),
    "angles differ": (setting(camera_angle_x=0.5), TEST, "camera_angle_x 0.69, transforms_train.json 0.5"),
    "lens distorts": (setting(k1=0.1), TRAIN, "distorts"),
    "no frames": (change(TRAIN, lambda c: c.pop("frames") and None), TRAIN, "no `frames`"),
    "frames are empty": (setting(frames=[]), TRAIN, "lists no frames"),
    "test frames are empty": (change(TEST, lambda c: c.update(frames=[])), TEST, "lists no frames"),
    "frames are an object": (setting(frames={"0": {}}), TRAIN, "are no list"),
    "a frame is a number": (setting(frames=[7]), TRAIN, "frame 0 is no object"),
    "too many frames": (setting(frames=[0] * 100_001), TRAIN, "lists 100001 frames"),
    "frame without path": (frame(lambda one: one.pop("file_path") and None), TRAIN, "frame 1 has no `file_path`"),
    "path is a number": (path(3), TRAIN, "frame 1 has no `file_path`"),
    "path is empty": (path(""), TRAIN, "frame 1 has no `file_path`"),
    "path leads out": (path("../../etc/passwd"), TRAIN, "outside"),
    "path leads out later": (path("train/../../other/r_0"), TRAIN, "outside"),
    "path is absolute": (path("/etc/passwd"), TRAIN, "outside"),
    "path of Windows leads out": (path("..\\..\\secret"), TRAIN, "outside"),
    "path with a drive": (path("C:\\scenes\\r_0"), TRAIN, "outside"),
    "path with a zero byte": (path("train/r_1\0"), TRAIN, "outside"),
    "path of 5,000 letters": (path("train/" + "r" * 5000), TRAIN, "5006 characters"),
    "path through a folder of 300 letters": (path("t" * 300 + "/r_1"), TRAIN, "304 characters"),
    "path of half a character": (path("train/\ud800"), "train/", "is missing"),
    "path to a folder": (path("train.png"), "train.png", "is missing"),
    "frame twice": (path("./train/r_0"), TRAIN, "is listed twice"),
    "frame twice, spelt otherwise": (path("train//x/../r_0.png"), TRAIN, "is listed twice"),
    "training view held out too": (frame(lambda one: one.update(file_path="train/r_0"), TEST), TEST, "lists too"),
    "no pose": (frame(lambda one: one.pop("transform_matrix") and None), TRAIN, "no `transform_matrix`"),
    "pose is 2 x 2": (frame(lambda one: one.update(transform_matrix=[[1, 0], [0, 1]])), TRAIN, "not 4 x 4"),
    "pose is ragged": (frame(lambda one: one["transform_matrix"][2].pop() and None), TRAIN, "not 4 x 4"),
    "pose holds text": (entry(0, 0, "1.0"), TRAIN, "'1.0', not a number"),
    "pose holds null": (entry(1, 3, None), TRAIN, "None, not a number"),
    "pose holds NaN": (entry(1, 1, NAN), TRAIN, "nan, not a finite number"),
    "pose holds infinity": (entry(0, 3, -INF), TRAIN, "-inf, not a finite number"),
    "pose with another last row": (entry(3, 3, 2.0), TRAIN, "last row"),
    "pose is transposed": (
        frame(lambda one: one.update(transform_matrix=np.array(one["transform_matrix"]).T.tolist())),
        TRAIN,
        "last row",
    ),
    "pose is scaled": (rotation(lambda R: 1.01 * R), TRAIN, "not a rotation.*0.02"),
    "pose is zero": (rotation(lambda R: 0 * R), TRAIN, "not a rotation"),
    "pose is sheared": (rotation(lambda R: R + [[0, 0.01, 0], [0, 0, 0], [0, 0, 0]]), TRAIN, "not a rotation"),
    "pose mirrors": (rotation(lambda R: R * [-1, 1, 1]), TRAIN, "mirrors"),
    "pose of OpenCV": (frame(as_opencv), TRAIN, "looks away from the scene"),
    "pose in centimetres": (moved(100), TRAIN, "400 from the middle"),
    "camera beyond all": (moved(1e300), TRAIN, "from the middle"),
    "pose of enormous numbers": (entry(0, 0, 1e300), TRAIN, "not a rotation"),
    "all cameras in one place": (change(TRAIN, same_place), TRAIN, "in one place"),
    "missing picture": (gone(VIEW), VIEW, "is missing; transforms_train.json lists it as frame 1"),
    "missing test picture": (gone("test/r_0.png"), "test/r_0.png", "is missing"),
    "missing folder of pictures": (gone("train"), "train/r_0.png", "is missing"),
    "empty picture": (text(VIEW, ""), VIEW, "is empty"),
    "picture is text": (text(VIEW, "version https://git-lfs.github.com/spec/v1\n"), VIEW, "looks like text"),
    "picture is cut off": (cut(VIEW, 0.5), VIEW, "damaged"),
    "picture is cut off early": (cut(VIEW, 0.05), VIEW, "damaged|no picture"),
    "picture with a wrong byte": (flipped(VIEW, 0.5), VIEW, "damaged"),
    "picture with a wrong head": (flipped(VIEW, 0.0), VIEW, "no picture"),
    "picture of another size": (resized(VIEW, (15, 16)), VIEW, "15 x 16 pixels, r_0.png has 16 x 16"),
    "picture upright, others not": (resized(VIEW, (16, 32)), VIEW, "16 x 32 pixels"),
    "picture too small": (resized(VIEW, (4, 4)), VIEW, "4x4 pixels: too small"),
    "picture that claims to be enormous": (text(VIEW, png(200_000, 200_000)), VIEW, "megapixels"),
    "picture without alpha": (picture(VIEW, "RGB"), VIEW, "no alpha"),
    "picture is a JPEG": (picture(VIEW, "RGB", format="JPEG"), VIEW, "no alpha"),
    "picture is grey": (picture(VIEW, "L"), VIEW, "is grey"),
    "picture is grey with alpha": (picture(VIEW, "LA"), VIEW, "is grey"),
    "picture is black and white": (picture(VIEW, "1"), VIEW, "is grey"),
    "picture of 16 bits": (text(VIEW, sixteen(4)), VIEW, "16 bits"),
    "picture of 16 bits, grey": (picture(VIEW, "I;16"), VIEW, "bits a channel|is grey"),
    "picture is transparent": (transparent, VIEW, "transparent everywhere"),
}
LLFF = {
    "no poses": (gone(POSES), "scene", "holds no scene"),
    "poses are a folder": (lambda f: (gone(POSES)(f), (f / POSES).mkdir()), POSES, "is missing"),
    "poses are empty": (text(POSES, b""), POSES, "no sound .npy"),
    "poses are text": (text(POSES, "1 2 3"), POSES, "no sound .npy"),
    "poses are cut off": (cut(POSES, 0.7), POSES, "no sound .npy"),
    "poses claim a petabyte": (boastful, POSES, "no sound .npy"),
    "poses are pickled": (pickled, POSES, "no sound .npy"),
    "poses are an archive": (archive, POSES, "npz"),
    "poses of another width": (table(lambda v: v[:, :15]), POSES, r"\(9, 15\)"),
    "poses in one row": (table(lambda v: v.ravel()), POSES, r"\(153,\)"),
    "poses as matrices": (table(lambda v: v[:, :15].reshape(-1, 3, 5)), POSES, r"\(9, 3, 5\)"),
    "poses are integers": (table(lambda v: v.astype(int)), POSES, "int64"),
    "poses are complex": (table(lambda v: v.astype(complex)), POSES, "complex"),
    "poses are text of numbers": (table(lambda v: v.astype(str)), POSES, "floating point"),
    "no rows": (table(lambda v: v[:0]), POSES, "no cameras"),
    "a row less": (table(lambda v: v[:-1]), POSES, "8 pictures, images_4 has 9"),
    "a row more": (table(lambda v: np.r_[v, v[:1]]), POSES, "10 pictures, images_4 has 9"),
    "two views": (table(lambda v: v[:2]), POSES, "too few"),
    "NaN": (at(3, 7, NAN), POSES, "row 3"),
    "infinite depth": (at(3, 16, INF), POSES, "row 3"),
    "axis scaled": (axis(2, 1.05), POSES, "image002.png has a pose that is not a rotation"),
    "axis mirrored": (axis(2, -1.0), POSES, "image002.png has a pose that mirrors"),
    "axis zero": (axis(2, 0.0), POSES, "not a rotation"),
    "camera turned round": (table(backwards), POSES, "image004.png looks away"),
    "enormous place": (at(4, 3, 1e300), POSES, "10,000 times|no numbers|looks away"),
    "tiny depth": (at(4, 15, 1e-300), POSES, "10,000 times|no numbers"),
    "cameras in one place": (table(one_place), POSES, "one place"),
    "near is 0": (at(1, 15, 0.0), POSES, "row 1 has the depths 0 to"),
    "near is negative": (at(1, 15, -1.0), POSES, "depths -1 to"),
    "near beyond far": (at(1, 15, 99.0), POSES, "depths 99 to"),
    "near is far": (table(lambda v: np.c_[v[:, :16], v[:, 15]]), POSES, "not 0 < near < far"),
    "height 0": (at(slice(None), 4, 0.0), POSES, "row 0 has 64 x 0 pixels"),
    "focal length negative": (at(slice(None), 14, -50.0), POSES, "focal length -50"),
    "absurd width": (at(slice(None), 9, 1e9), POSES, "1e"),
    "one other focal length": (at(5, 14, 70.0), POSES, "row 5 has height, width and focal length"),
    "sizes turned": (table(lambda v: v[:, [*range(4), 9, *range(5, 9), 4, *range(10, 17)]]), PICTURE[:9], "16 x 12"),
    "no folder of pictures": (gone("images_4"), "scene", "holds no folder of pictures"),
    "no pictures": (no_pictures, "images_4", "holds no pictures"),
    "a picture less": (gone(PICTURE), POSES, "9 pictures, images_4 has 8"),
    "picture is cut off": (cut(PICTURE, 0.5), PICTURE, "damaged"),
    "picture of another size": (resized(PICTURE, (15, 12)), PICTURE, "15 x 12 pixels, .* 16 x 12"),
    "picture of full size": (resized(PICTURE, (64, 48)), PICTURE, "64 x 48 pixels, .* 16 x 12"),
    "picture is grey": (picture(PICTURE, "L"), PICTURE, "is grey"),
    "picture of 16 bits": (text(PICTURE, sixteen(3)), PICTURE, "16 bits"),
    "picture turned by EXIF": (turned, PICTURE, "EXIF orientation 3"),
    "picture is see-through": (see_through, PICTURE, "transparent pixels"),
}
CASES = [("blender", *case) for case in BLENDER.items()] + [("llff", *case) for case in LLFF.items()]


@pytest.mark.parametrize(("layout", "case", "what"), CASES, ids=[f"{layout}: {case}" for layout, case, _ in CASES])
def test_one_clear_error(layout, case, what, whole, tmp_path):
    """The sound scene opens; the damaged one gives a DataError that names the file, the problem and a remedy."""
    damage, named, problem = what
    folder = tmp_path / "scene"
    shutil.copytree(whole / layout, folder)
    damage(folder)
    with pytest.raises(DataError, match=problem) as caught:
        open_scene(folder)
    error = caught.value
    expected = folder if named == "scene" else folder / named
    assert error.where.startswith(str(expected)), error
    assert len(error.remedy) > 10 and len(str(error)) < 600 and "\n" not in error.problem


@pytest.mark.parametrize("layout", ["blender", "llff"])
def test_the_sound_scenes_open(layout, whole):
    scene = open_scene(whole / layout)
    assert np.isfinite(scene.images).all() and len(scene.images) == {"blender": 6, "llff": 9}[layout]


@pytest.mark.parametrize("layout", ["blender", "llff"])
def test_any_flipped_byte_is_an_error_or_the_same_scene(layout, whole, tmp_path):
    """No byte of a picture can change without a word: 60 flips in one picture."""
    folder = tmp_path / "scene"
    shutil.copytree(whole / layout, folder)
    sound, file = open_scene(folder).images, folder / (VIEW if layout == "blender" else PICTURE)
    data, rng = file.read_bytes(), np.random.default_rng(0)
    errors = 0
    for place in rng.integers(0, len(data), 60):
        broken = bytearray(data)
        broken[place] ^= 1 << rng.integers(8)
        file.write_bytes(broken)
        try:
            images = open_scene(folder).images
        except DataError as error:
            errors += error.where == str(file)
        else:
            np.testing.assert_array_equal(images, sound)  # such as a flip in the checksum of the last chunk
            errors += 1
    assert errors == 60


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"size": 0}, "size"), ({"size": -3}, "size"), ({"size": 10.5}, "size"), ({"size": True}, "size"),
        ({"testskip": 0}, "testskip"), ({"testskip": 1.5}, "testskip"), ({"splits": ("all",)}, "splits"),
        ({"splits": ()}, "splits"), ({"averaged": "mean"}, "averaged"), ({"near": 6.0, "far": 2.0}, "near"),
        ({"near": 2.0, "far": 2.0}, "near"), ({"near": -1.0}, "near"), ({"far": INF}, "near"), ({"far": NAN}, "near"),
        ({"hold_out": 8}, "hold_out"), ({"colour": "red"}, "colour"),
        ({"bounds": [[0, 0, 0]]}, "bounds"), ({"bounds": [[1, 1, 1], [0, 0, 0]]}, "bounds"),
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense(options, problem, whole):
    with pytest.raises(ConfigError, match=f"^{problem}"):
        open_scene(whole / "blender", **options)


def test_a_size_that_the_pictures_do_not_have(whole):
    with pytest.raises(DataError, match="16 x 16 pixels, fewer than the 17 asked for"):
        open_scene(whole / "blender", size=17)
    with pytest.raises(DataError, match="16 x 12 pixels, fewer than the 40 asked for"):
        open_scene(whole / "llff", size=40)


def test_more_pictures_than_memory(whole, monkeypatch):
    monkeypatch.setattr("compress3d.nerf.scenes.pictures.MOST_BYTES", 6 * 16 * 16 * 12 - 1)
    with pytest.raises(DataError, match=r"need 0\.0 GB of memory.*testskip"):
        open_scene(whole / "blender")
    assert open_scene(whole / "blender", testskip=2).images.shape == (5, 16, 16, 3)


@pytest.mark.parametrize("name", ["", "no-such-scene", "../x", "a\0b", "/nowhere/at/all", "x" * 5000, "a\ud800"])
def test_names_that_are_no_scene(name):
    with pytest.raises(DataError, match="is no scene that is known.*terrace"):
        open_scene(name)


def test_a_file_is_no_scene(whole):
    with pytest.raises(DataError, match="not the folder of a scene"):
        open_scene(whole / "blender" / TRAIN)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_unreadable_list(whole, tmp_path):
    folder = tmp_path / "scene"
    shutil.copytree(whole / "blender", folder)
    (folder / TRAIN).chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        open_scene(folder)
