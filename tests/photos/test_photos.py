"""Own photographs: every kind of file against Pillow and numpy, broken ones by name, memory by the kernel's count."""

import io
import json
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, ImageOps

from compress3d.data.loader import CENTRE, CROP
from compress3d.data.reading import decode
from compress3d.data.testset import open_test_set
from compress3d.errors import ConfigError, DataError
from compress3d.photos import background, collect, frame, photo_tensor, prepare, prepare_all, synthetic

BLUE, RED, PAPER = (40, 80, 200), (200, 60, 30), (235, 235, 230)


def body(width=60, height=40):
    """An asymmetric object, RGBA: an L of two colours."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[:, : width // 3] = (*BLUE, 255)
    pixels[height // 2 :] = (*RED, 255)
    return Image.fromarray(pixels)


def scene(size=(160, 120), at=(40, 30), thing=None, ground=PAPER):
    picture = Image.new("RGB", size, ground)
    thing = thing or body()
    picture.paste(thing, at, thing)
    return picture


@pytest.fixture
def save(tmp_path):
    def saved(picture, name="photo.png", **options):
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return saved


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, options", [
    ("a.png", {}), ("a.jpg", {"quality": 90}), ("a.webp", {"lossless": True}),
    ("a.tif", {}), ("b.tif", {"compression": "tiff_lzw"}),
])  # fmt: skip
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied_once(save, name, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(scene(), name, exif=exif, **options)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
    found = decode(path)
    assert found.orientation == orientation
    assert found.size == expected.shape[1::-1] and (found.pixels == expected).all()
    assert any("EXIF" in note for note in found.notes) == (orientation > 1)


@pytest.mark.parametrize("mode, name", [
    ("1", "a.png"), ("L", "a.png"), ("LA", "a.png"), ("P", "a.png"), ("P", "a.gif"), ("RGB", "a.bmp"), ("RGB", "a.ppm"),
    ("RGBA", "a.png"), ("RGBA", "a.webp"), ("RGBA", "a.tif"), ("CMYK", "a.tif"), ("CMYK", "a.jpg"), ("YCbCr", "a.jpg"),
    ("YCbCr", "a.tif"), ("RGB", "a.jp2"), ("RGB", "a.avif"), ("RGB", "a.tga"), ("RGB", "a.mpo"), ("L", "a.jpg"),
])  # fmt: skip
def test_every_mode_shows_its_colours(save, mode, name):
    """Against plain colours known beforehand; JPEG, AVIF and JPEG 2000 may be off by a few levels."""
    picture = Image.new("RGB", (64, 48), RED)
    picture.paste(BLUE, (32, 0, 64, 48))
    options = {"lossless": True} if name.endswith("webp") else {}
    if name.endswith("mpo"):
        options = {"save_all": True, "append_images": [picture], "quality": 95}
    found = decode(save(picture.quantize(4) if mode == "P" else picture.convert(mode), name, **options))
    grey = [round(0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]) for c in (RED, BLUE)]
    expected = [(g, g, g) for g in grey] if mode in ("L", "LA") else [RED, BLUE]
    opaque = {("YCbCr", "a.jpg"): "RGB", ("RGBA", "a.webp"): "RGB"}  # what these formats make of it
    assert found.mode == opaque.get((mode, name), mode)
    assert (found.pixels[..., 3] == 255).all()
    if mode == "1":
        assert set(np.unique(found.pixels)) <= {0, 255}
        return
    for x, colour in ((10, expected[0]), (52, expected[1])):
        assert np.abs(found.pixels[24, x, :3].astype(int) - colour).max() <= 6, (mode, name)


def test_transparent_palettes_and_colour_keys_become_alpha(save):
    picture = body().quantize(8)  # a palette with transparent entries
    found = decode(save(picture, "a.png")).pixels
    assert found[5, 55, 3] == 0 and found[35, 55, 3] == 255
    keyed = Image.new("RGB", (20, 20), (1, 2, 3))
    keyed.paste(RED, (5, 5, 15, 15))
    found = decode(save(keyed, "b.png", transparency=(1, 2, 3))).pixels
    assert found[0, 0, 3] == 0 and found[10, 10].tolist() == [*RED, 255]


def test_the_first_frame_of_an_animation_counts(save):
    first, second = Image.new("RGB", (32, 32), RED), Image.new("RGB", (32, 32), BLUE)
    for name in ("a.gif", "a.webp", "a.png"):
        options = {"lossless": True} if name.endswith("webp") else {}
        found = decode(save(first, name, save_all=True, append_images=[second], **options))
        assert np.abs(found.pixels[16, 16, :3].astype(int) - RED).max() < 8 and "first of 2 frames" in found.notes


@pytest.mark.parametrize("kind, top, shift", [("<u2", 65535, 8), ("<u2", 4095, 4), ("<i4", 65535, 8), ("<i4", 1023, 2)])
def test_deep_integers_are_scaled_from_the_depth_they_fill(save, kind, top, shift):
    ramp = np.linspace(0, top, 256 * 8).round().astype(kind).reshape(8, 256)
    found = decode(save(Image.fromarray(ramp), "a.tif"))
    expected = np.rint(ramp.astype(float) * 255 / (2 ** (8 + shift) - 1))
    assert np.abs(found.pixels[..., 0] - expected).max() <= 1
    assert f"scaled from {8 + shift} bit to 8 bit" in found.notes


def test_sixteen_bit_png_is_not_clipped(save):
    ramp = np.linspace(0, 65535, 256 * 8).round().astype("<u2").reshape(8, 256)
    found = decode(save(Image.fromarray(ramp), "a.png")).pixels[..., 0]
    assert np.abs(found - np.rint(ramp / 257)).max() <= 1


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (0.0, 255.0), (-3.0, 7.0)])
def test_floats_are_scaled_and_what_is_no_number_is_dark(save, low, high):
    ramp = np.linspace(low, high, 16 * 16, dtype=np.float32).reshape(16, 16)
    ramp[3, 4], ramp[3, 5] = np.nan, np.inf
    found = decode(save(Image.fromarray(ramp), "a.tif")).pixels[..., 0].astype(int)
    assert found[3, 4] == 0 and found[3, 5] == 255
    ramp[3, 4:6] = low, high
    assert np.abs(found - np.rint((ramp - low) / (high - low) * 255)).max() <= 1


def test_colour_profiles_are_applied_and_broken_ones_reported(save):
    plain = scene()
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    found = decode(save(
        ImageCms.profileToProfile(plain, srgb, lab, outputMode="LAB"), "lab.tif",
        icc_profile=ImageCms.ImageCmsProfile(lab).tobytes(),
    ))  # fmt: skip
    assert np.abs(found.pixels[..., :3].astype(int) - np.asarray(plain)).max() <= 6
    found = decode(save(plain, "broken.png", icc_profile=b"no profile"))
    assert (found.pixels[..., :3] == np.asarray(plain)).all() and any("profile ignored" in note for note in found.notes)
    rgba = plain.convert("RGBA")
    rgba.putalpha(100)
    profile = ImageCms.ImageCmsProfile(srgb).tobytes()
    found = decode(save(rgba, "rgba.png", icc_profile=profile))
    assert (found.pixels[..., 3] == 100).all() and np.abs(found.pixels.astype(int) - np.asarray(rgba)).max() <= 2


def test_large_pictures_are_means_over_squares(save):
    """Bands must not show: compared with numpy's mean over the whole picture at once."""
    pixels = np.random.default_rng(0).integers(0, 256, (2100, 3000, 3)).astype(np.uint8)
    found = decode(save(Image.fromarray(pixels), "a.png", compress_level=0)).pixels
    assert found.shape == (1050, 1500, 4)
    expected = pixels.reshape(1050, 2, 1500, 2, 3).mean((1, 3))
    assert np.abs(found[..., :3] - expected).max() <= 1


def test_pillow_is_left_as_it_was(save):
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)
    decode(save(scene()))
    with pytest.raises(DataError):
        decode(save(Image.new("L", (1, 1))))
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before


# --- broken files -----------------------------------------------------------------------------------------------------


def png_header(width, height):
    """A PNG that claims a size and holds no pixel."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def encoded(kind, **options):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99, 3)).astype(np.uint8)).save(
        stream, kind, **options
    )
    return stream.getvalue()


BROKEN = {
    "empty.jpg": (b"", "0 bytes"),
    "text.jpg": (b"dear diary\n" * 50, "looks like text"),
    "noise.png": (bytes(np.random.default_rng(0).integers(128, 256, 4000).astype(np.uint8)), "no picture"),
    "cut.jpg": (encoded("JPEG")[:2000], "damaged"),
    "cut.png": (encoded("PNG")[:3000], "damaged"),
    "cut.webp": (encoded("WEBP", lossless=True)[:3000], "picture"),
    "cut.tif": (encoded("TIFF")[:3000], "damaged"),
    "head.jpg": (encoded("JPEG")[:20], "picture"),
    "tiny.png": (b"", "too small"),
    "huge.png": (png_header(20_000, 20_000), "400 megapixels"),
    "hollow.png": (png_header(100, 100), "damaged"),
    "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 500, "HEIC"),
}


@pytest.fixture
def broken(tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, (data, _) in BROKEN.items():
        (folder / name).write_bytes(data)
    Image.new("RGB", (1, 1)).save(folder / "tiny.png")
    return folder


def test_every_broken_file_says_what_is_wrong_and_what_to_do(broken):
    for name, (_, words) in BROKEN.items():
        with pytest.raises(DataError, match=words) as caught:
            prepare(broken / name, 64)
        assert name in str(caught.value) and "What to do" in str(caught.value), name
    with pytest.raises(DataError, match="cannot be read"):
        prepare(broken / "missing.jpg", 64)
    with pytest.raises(DataError, match="is a folder"):
        prepare(broken, 64)


def test_broken_files_are_left_out_never_zeroed(broken, save):
    good = save(scene(), "good.png")
    outcomes = []
    photos, errors = prepare_all([broken / "text.jpg", good, broken / "empty.jpg"], 64, done=outcomes.append)
    assert (
        [photo.path for photo in photos] == [good]
        and len(errors) == 2
        and outcomes == [errors[0], photos[0], errors[1]]
    )
    assert photo_tensor(photos).shape == (1, 1, 3, 64, 64)
    with pytest.raises(DataError, match="none of 2"):
        prepare_all([broken / "text.jpg", broken / "empty.jpg"], 64)
    with pytest.raises(DataError, match="0 bytes"):
        prepare_all([broken / "empty.jpg"], 64)


def test_a_picture_of_background_alone_is_an_error(save):
    with pytest.raises(DataError, match="nothing left"):
        prepare(save(Image.new("RGB", (100, 100), PAPER)), 64)
    with pytest.raises(ConfigError, match="choose one of auto"):
        prepare(save(scene()), 64, method="green")


# --- background -------------------------------------------------------------------------------------------------------


def pixels_of(picture):
    return np.asarray(picture.convert("RGBA"))


def test_auto_takes_alpha_then_a_plain_border_then_keeps():
    clear = Image.new("RGBA", (160, 120))
    clear.paste(body(), (40, 30))
    found = background.segment(np.asarray(clear))
    assert found.segmented and "alpha" in found.method and (found.alpha == np.asarray(clear)[..., 3]).all()
    found = background.segment(pixels_of(scene()))
    assert found.segmented and "border" in found.method
    crowd = Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8))
    crowd.paste(body(), (40, 30), body())
    found = background.segment(pixels_of(crowd))
    assert not found.segmented and (found.alpha == 255).all() and "no plain background" in found.warnings[0]


@pytest.mark.parametrize("ground, method", [(PAPER, "border"), ((255, 255, 255), "white"), ((0, 0, 0), "black")])
def test_a_plain_ground_is_removed_to_the_pixel(ground, method):
    picture = scene(ground=ground)
    truth = np.zeros((120, 160), bool)
    truth[30:70, 40:100] = np.asarray(body())[..., 3] > 0
    for way in (method, "auto"):
        assert ((background.segment(pixels_of(picture), way).alpha > 127) == truth).mean() > 0.995


def test_uneven_light_and_noise_do_not_matter():
    large = scene((640, 480), (160, 120), body(240, 160))
    y, x = np.mgrid[0:1:480j, 0:1:640j]
    lit = np.asarray(large) * (1 - 0.35 * (x + y * y)[..., None] / 2)
    lit += np.random.default_rng(0).normal(0, 4, lit.shape)
    segmentation = background.segment(pixels_of(Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))))
    truth = np.zeros((480, 640), bool)
    truth[120:280, 160:400] = np.asarray(body(240, 160))[..., 3] > 0
    found = segmentation.alpha > 127
    assert segmentation.segmented and (found & truth).sum() / (found | truth).sum() > 0.97


def test_ground_enclosed_by_the_object_is_removed():
    ring = Image.new("RGB", (300, 300), PAPER)
    ring.paste(BLUE, (80, 80, 220, 220))
    ring.paste(PAPER, (120, 120, 180, 180))
    alpha = background.segment(pixels_of(ring)).alpha
    assert alpha[150, 150] == 0 and alpha[100, 150] == 255


def test_dust_is_no_object():
    dusty = scene((320, 240), (80, 60), body(120, 80))
    dusty.paste((0, 0, 0), (300, 10, 303, 13))
    alpha = background.segment(pixels_of(dusty)).alpha
    assert frame.bounding_box(alpha) == (80, 60, 200, 140)


# --- framing ----------------------------------------------------------------------------------------------------------


def test_compositing_equals_numpy():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64, 4)).astype(np.uint8)
    found = frame.resample(pixels, np.full((64, 64), 255, np.uint8), (0.0, 0.0, 64.0), 16, background=240)
    alpha = pixels[..., 3:] / 255
    flat = pixels[..., :3] * alpha + 240 * (1 - alpha)
    assert np.abs(found - flat.reshape(16, 4, 16, 4, 3).mean((1, 3))).max() <= 1.5  # premultiplied in 8 bit


def test_what_lies_beyond_the_picture_is_ground():
    pixels = np.full((10, 20, 4), 255, np.uint8)
    found = frame.resample(pixels, pixels[..., 3], (0.0, -5.0, 20.0), 20)
    assert (found[5:15] == 255).all() and (found[:5] == 0).all() and (found[15:] == 0).all()


def test_framing_ignores_where_the_object_stands(save):
    """Same object, other places: the very same picture."""
    first = prepare(save(scene((400, 300), (100, 80)), "a.png"), 64)
    for n, at in enumerate([(37, 211), (301, 20), (5, 5)]):
        other = prepare(save(scene((400, 300), at), f"{n}.png"), 64)
        assert np.abs(other.image.astype(int) - first.image).max() <= 1


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_framing_ignores_how_large_the_object_is(save, factor):
    first = prepare(save(scene((300, 300), (100, 90), body(120, 80)), "a.png"), 64)
    large = body(120, 80).resize((120 * factor, 80 * factor), Image.Resampling.NEAREST)
    other = prepare(save(scene((300 * factor, 300 * factor), (20, 30), large), "b.png"), 64)
    assert np.abs(other.image.astype(int) - first.image).mean() < 1.5  # of 255: edges fall between pixels


@pytest.mark.parametrize("width, height", [(60, 40), (40, 60), (90, 12)])
def test_objects_fill_what_they_fill_in_training(save, width, height):
    picture = prepare(save(scene((400, 300), (120, 100), body(width, height))), 128).image
    left, top, right, bottom = frame.bounding_box(np.where(picture.max(2) > 30, 255, 0))
    assert max(right - left, bottom - top) / 128 == pytest.approx(frame.FILL, abs=0.025)
    assert (left + right) / 256 - 0.5 == pytest.approx(0, abs=0.01)
    assert (top + bottom) / 256 - 0.5 == pytest.approx(frame.BELOW, abs=0.01)


def test_the_framing_is_that_of_the_test_set():
    """FILL and BELOW, measured again on every seventh object."""
    store = open_test_set()
    window = slice(CENTRE, CENTRE + CROP)
    longer, below = [], []
    for row in store.select(split="test", clean=True)[::7]:
        for alpha in np.asarray(store.alpha[row])[:, window, window]:
            left, top, right, bottom = frame.bounding_box(alpha)
            longer.append(max(right - left, bottom - top) / CROP)
            below.append((top + bottom) / 2 / CROP - 0.5)
    assert np.median(longer) == pytest.approx(frame.FILL, abs=0.03)
    assert np.mean(below) == pytest.approx(frame.BELOW, abs=0.01)


def test_doubts_are_said(save):
    def warned(picture, name, size=64, **options):
        return " ".join(prepare(save(picture, name), size, **options).warnings)

    assert "touches the left and upper edge" in warned(scene(at=(0, 0), thing=body(90, 80)), "edge.png")
    assert "go nearer" in warned(scene((800, 600), (300, 300)), "far.png")
    assert "enlarged" in warned(scene(), "small.png", size=128)
    assert "no transparency" in warned(scene(), "opaque.png", method="alpha")
    assert not prepare(save(scene((320, 240), (80, 60), body(120, 80)), "good.png"), 64).warnings


def test_the_report_names_crop_and_share_in_the_file_s_own_pixels(save):
    photo = prepare(save(scene((3200, 2400), (800, 600), body(1200, 800)), "a.png"), 64)
    left, top, right, bottom = photo.crop
    assert right - left == pytest.approx(1200 / frame.FILL, rel=0.01) and (left + right) / 2 == pytest.approx(
        1400, abs=5
    )
    assert photo.share == pytest.approx(1200 * 800 * 2 / 3 / (3200 * 2400), rel=0.02) and photo.size == (3200, 2400)
    assert photo.line.startswith("a.png: 3200x2400 RGB PNG; plain border removed, object 8% of the picture, crop ")


# --- files ------------------------------------------------------------------------------------------------------------


def test_folders_and_patterns_in_the_order_of_their_numbers(tmp_path):
    for name in ("IMG_10.jpg", "IMG_2.JPG", "img_1.png", "notes.txt", "._IMG_2.jpg"):
        (tmp_path / name).write_bytes(b"x")
    names = [path.name for path in collect([tmp_path])]
    assert names == ["img_1.png", "IMG_2.JPG", "IMG_10.jpg"]
    assert [path.name for path in collect([f"{tmp_path}/*.[jJ]*", tmp_path / "notes.txt"])] == [*names[1:], "notes.txt"]
    assert len(collect([tmp_path, tmp_path / "img_1.png"])) == 3  # each once
    (tmp_path / "empty").mkdir()
    for wrong in ([tmp_path / "empty"], [f"{tmp_path}/*.gif"], []):
        with pytest.raises(DataError, match="What to do"):
            collect(wrong)


# --- the command ------------------------------------------------------------------------------------------------------


PROGRAM = """
import atexit, sys
from compress3d.cli import main

@atexit.register
def peak():
    with open("/proc/self/status") as status:
        print(next(line for line in status if line.startswith("VmHWM")), file=sys.stderr)

main()
"""


def command(*arguments):
    """Exit status, output, errors and peak memory in bytes of `compress3d` with arguments.

    The peak is the kernel's VmHWM, read by the program as it ends: getrusage also counts what pytest held at the fork.
    """
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    errors, _, peak = ran.stderr.rpartition("VmHWM:")
    return ran.returncode, ran.stdout, errors, int(peak.split()[0]) * 1024


@pytest.fixture(scope="module")
def fifty(tmp_path_factory):
    """50 files: three of 50 megapixels, the broken ones, CMYK, 16 bit, and views of one object on paper."""
    folder = tmp_path_factory.mktemp("fifty")
    store = open_test_set()
    for name, (data, _) in BROKEN.items():
        (folder / name).write_bytes(data)
    Image.new("RGB", (1, 1)).save(folder / "tiny.png")
    shot = synthetic.on_paper(synthetic.rgba_image(store, 0, 0), (800, 600), noise=0)
    shot.convert("CMYK").save(folder / "cmyk.jpg")
    deep = np.asarray(shot.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    Image.fromarray(deep.astype(np.float32) / 65535).save(folder / "float.tif")
    large = shot.resize((8660, 5774), Image.Resampling.NEAREST)
    large.save(folder / "large.jpg", quality=75)
    large.convert("RGBA").save(folder / "large.png", compress_level=1)
    large.save(folder / "large.bmp")
    del large
    for n in range(50 - len(list(folder.iterdir()))):
        view = synthetic.rgba_image(store, 0, n % 24)
        synthetic.on_paper(view, (500 + 20 * n, 400 + 13 * n), seed=n).save(folder / f"view{n}.jpg")
    assert len(list(folder.iterdir())) == 50
    return folder


def test_fifty_photos_some_broken_in_less_than_two_gigabytes(fifty, tmp_path):
    names = [name for name in (path.name for path in fifty.iterdir())]
    out = [tmp_path / f"object.{kind}" for kind in ("glb", "obj", "npz")]
    status, said, errors, peak = command("reconstruct", *sorted(fifty.iterdir()), *(f"--out={path}" for path in out))
    assert status == 0, errors
    assert peak < 2e9, f"{peak / 1e9:.2f} GB"
    for name in names:
        assert (f"{name}: " in errors) == (name in BROKEN) and (f"\n{name}: " in f"\n{said}") == (name not in BROKEN)
    assert f"{50 - len(BROKEN)} views used, {len(BROKEN)} left out" in said
    assert "mean voxel confidence" in said and "Traceback" not in errors
    assert all(path.stat().st_size > 1000 for path in out)
    with np.load(out[2]) as found:
        assert found["pictures"].shape == (50 - len(BROKEN), 64, 64, 3)
    print(json.dumps({"peak_gb": round(peak / 1e9, 2)}))


def test_errors_of_the_command_end_with_status_one(broken, tmp_path):
    glb = f"--out={tmp_path / 'a.glb'}"
    for arguments, words in (
        ([broken / "text.jpg", broken / "empty.jpg", glb], "none of 2"),
        ([broken / "text.jpg", f"--out={tmp_path / 'a.stl'}"], ".glb, .obj, .npz, .html"),
    ):
        status, _, errors, _ = command("reconstruct", *arguments)
        assert status == 1 and words in errors and "Traceback" not in errors
    assert not (tmp_path / "a.glb").exists()
