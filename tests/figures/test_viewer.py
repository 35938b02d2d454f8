"""Run lengths by hand, there and back, and broken ones; pictures without loss; what the viewer says and refuses."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from compress3d.errors import DataError
from compress3d.figures import display
from compress3d.figures.viewer import (
    NOTHING_DECODED,
    NOTHING_SENT,
    Shape,
    image_url,
    run_lengths,
    viewer,
)
from tests.run_lengths import from_run_lengths

TRUTH, IMPLICIT, SEQUENTIAL = ("ground truth", ""), ("implicit", "384:1"), ("sequential", "48:1")


def payload(shapes, **look):
    return viewer(shapes, **look).payload


def picture(seed=0, side=8):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def ball(radius):
    x, y, z = np.ogrid[:32, :32, :32]
    return (x - 16) ** 2 + (y - 16) ** 2 + (z - 16) ** 2 < radius**2


def with_pictures(**changes):
    grids = {method: np.ones((2, 2, 2), bool) for method in (TRUTH, IMPLICIT, SEQUENTIAL)}
    fields = dict(views=[picture(1), picture(2)], decoded={SEQUENTIAL: [picture(3), picture(4)]})
    return Shape("a", grids, **fields | changes)


@pytest.mark.parametrize(
    "bits, expected",
    [("0111", b"\x01\x03"), ("1100", b"\x00\x02\x02"), ("0000", b"\x04"), ("1111", b"\x00\x04")],
)
def test_run_lengths_by_hand(bits, expected):
    grid = np.array([[[bit == "1" for bit in bits]]])
    assert run_lengths(grid) == expected


def test_long_runs_take_seven_bits_a_byte():
    grid = np.zeros((1, 1, 300), bool)
    grid[0, 0, 299] = True
    assert run_lengths(grid) == bytes([299 & 127 | 128, 299 >> 7, 1])


@pytest.mark.parametrize("side", [1, 5, 16, 32])
@pytest.mark.parametrize("density", [0, 0.01, 0.5, 1])
def test_there_and_back(side, density):
    grid = np.random.default_rng(side).random((side,) * 3) < density
    assert (from_run_lengths(run_lengths(grid), grid.shape) == grid).all()


@pytest.mark.parametrize("broken", [b"", b"\x03", b"\x05", b"\x84"])
def test_broken_run_lengths(broken):
    with pytest.raises(ValueError, match="voxels"):
        from_run_lengths(broken, (1, 2, 2))


def test_a_solid_is_small():
    assert len(run_lengths(ball(12))) < 1200  # 4096 as bits


def pixels_of(url):
    kind, body = url.removeprefix("data:image/").split(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(body))) as image:
        assert image.format.lower() == kind
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("kind", ["noise", "flat", "black"])
def test_pictures_lose_nothing_and_are_no_larger_than_png(kind):
    pixels = {"noise": picture(side=64), "flat": np.full((64, 64, 3), 77, np.uint8), "black": picture() * 0}[kind]
    url = image_url(pixels)
    assert (pixels_of(url) == pixels).all()
    assert url == image_url(pixels.copy())
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG", optimize=True)
    assert len(base64.b64decode(url.split(",")[1])) <= len(png.getvalue())


def test_pictures_are_png_where_pillow_has_no_webp(monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda name: False)
    url = image_url(picture())
    assert url.startswith("data:image/png") and (pixels_of(url) == picture()).all()


@pytest.mark.parametrize("broken", [picture() / 255, picture()[..., 0], np.zeros((4, 4, 4), np.uint8)])
def test_pictures_of_another_kind_are_refused(broken):
    with pytest.raises(DataError, match="uint8"):
        image_url(broken)


def test_pairs_become_models_and_rates():
    methods = payload([with_pictures()], chosen=IMPLICIT)["methods"]
    assert [(m["model"], m["rate"]) for m in methods] == [TRUTH, IMPLICIT, SEQUENTIAL]
    assert [m["name"] for m in methods] == ["ground truth", "implicit 384:1", "sequential 48:1"]
    grid = np.ones((2, 2, 2), bool)
    assert "model" not in payload([Shape("a", {"implicit 384:1": grid})])["methods"][0]
    mixed = payload([Shape("a", {"mean": grid, IMPLICIT: grid})])["methods"]
    assert [(m["model"], m["rate"]) for m in mixed] == [("mean", ""), IMPLICIT]


def test_decoded_views_and_the_words_where_there_are_none():
    shape = payload([with_pictures(image_notes={SEQUENTIAL: "L1 0.021"})])["objects"][0]
    assert [len(urls) for urls in shape["decoded"]] == [0, 0, 2]
    assert [pixels_of(url).tolist() for url in shape["decoded"][2]] == [picture(3).tolist(), picture(4).tolist()]
    assert shape["pictureNotes"] == [NOTHING_SENT, NOTHING_DECODED, "L1 0.021"]
    own = payload([with_pictures(image_notes={IMPLICIT: "512 bits"})])["objects"][0]
    assert own["pictureNotes"] == [NOTHING_SENT, "512 bits", ""]
    assert "decoded" not in payload([with_pictures(decoded={})])["objects"][0]


def test_one_object_without_decoded_views_beside_one_that_has_them():
    objects = payload([with_pictures(), with_pictures(decoded={})])["objects"]
    assert objects[1]["decoded"] == [[], [], []] and objects[1]["pictureNotes"][2] == NOTHING_DECODED


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(decoded={SEQUENTIAL: [picture()]}), "2 views and 1 decoded by sequential 48:1"),
        (dict(decoded={("sequential", "96:1"): [picture()] * 2}), "no grid"),
        (dict(image_notes={"implicit 384:1": "a name, not the pair"}), "no grid"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(DataError, match=words):
        payload([with_pictures(**changes)])


def test_nine_objects_with_twenty_methods_stay_small():
    """Pictures of a shaded ball with noise on it: they pack worse than views of objects on a black ground."""
    models, rates = ("implicit", "direct", "JPEG 2000"), (48, 96, 192, 288, 384, 480)
    methods = [TRUTH, ("uncompressed", "12:1"), *((model, f"{c}:1") for model in models for c in rates)]
    y, x = np.ogrid[-1.5:1.5:64j, -1.5:1.5:64j]
    shade = 200 * np.sqrt(np.clip(1 - x**2 - y**2, 0, None))[..., None] * [1, 0.8, 0.5]
    rng = np.random.default_rng(0)

    def view():
        return np.clip(shade + rng.normal(0, 3, shade.shape) * (shade > 0), 0, 255).astype(np.uint8)

    def shape(number):
        decoded = {m: [view(), view()] for m in methods if m[0] in ("direct", "JPEG 2000")}
        assert len(methods) == 20 and len(decoded) == 12
        return Shape(f"object {number}", {m: ball(12) for m in methods}, [view(), view()], decoded=decoded)

    assert len(json.dumps(payload([shape(n) for n in range(9)]))) < 1_200_000


def test_viewer_refuses_what_it_cannot_show():
    grid = np.ones((2, 2, 2), bool)
    with pytest.raises(DataError, match="no object"):
        payload([])
    with pytest.raises(DataError, match="other methods"):
        payload([Shape("a", {"m": grid}), Shape("b", {"n": grid})])
    with pytest.raises(DataError, match="another grid"):
        payload([Shape("a", {"m": grid}), Shape("b", {"m": np.ones((3, 2, 2), bool)})])
    with pytest.raises(DataError, match="to show first"):
        payload([Shape("a", {"m": grid})], chosen="n")


def test_viewer_output_is_deterministic(monkeypatch):
    grid = np.ones((2, 2, 2), bool)
    shapes = [Shape("a", {"m": grid, "n": ~grid}, [np.zeros((4, 4, 3), np.uint8)], {"m": "IoU 1.00"}, "CC0")]
    monkeypatch.setenv(display.BOOK_VARIABLE, "1")
    one, two = (viewer(shapes, chosen="n")._repr_mimebundle_()["text/html"] for _ in range(2))
    assert one == two and '"chosen":1' in one
