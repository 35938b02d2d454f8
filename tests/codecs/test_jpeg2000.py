"""JPEG 2000 within a budget: every byte is accounted for, Pillow and glymur agree, nothing is larger than promised."""

import numpy as np
import pytest
from PIL import Image

from compress3d.codecs import jpeg2000
from compress3d.codecs.codestream import Codestream
from compress3d.codecs.jpeg2000 import FLOOR, OVERSHOOT, decode, encode, encode_within, simulate
from compress3d.errors import CodecError, ConfigError

SIZES = (32, 64, 128, 137)
LARGEST_FLOOR = 40  # bytes of payload where the rate control can go no lower, at 4 resolutions
RATES = (6, 24, 48, 96, 192, 384, 480)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b) ** 2)
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


@pytest.mark.parametrize("size", SIZES)
def test_pillow_and_glymur_are_the_same_codec(kind, size, picture_of):
    """Same payload bytes for the same request, and each reads the other's streams to the same pixels."""
    image = picture_of(kind, size)
    for rate in RATES:
        by_glymur = encode(image, rate)
        by_pillow = jpeg2000._compress(Image.fromarray(image), jpeg2000.RESOLUTIONS, "rates", rate)
        assert by_glymur.payload == by_pillow.payload
        np.testing.assert_array_equal(decode(by_pillow), jpeg2000._decode_in_memory(by_pillow))


@pytest.mark.parametrize("size", SIZES)
def test_payload_keeps_its_budget(kind, size, picture_of):
    image = picture_of(kind, size)
    for rate in RATES:
        stream = encode_within(image, rate)
        assert stream.fits
        assert 1 <= stream.payload_bytes <= 3 * size * size / rate
        assert stream.payload_bytes == stream.total_bytes - stream.header_bytes - 2


@pytest.mark.parametrize("size", SIZES)
def test_file_keeps_its_budget_or_says_that_it_does_not(kind, size, picture_of):
    image = picture_of(kind, size)
    for rate in RATES:
        stream = encode_within(image, rate, "file")
        assert stream.fits == (stream.total_bytes <= 3 * size * size / rate)
        assert stream.fits or 3 * size * size / rate < stream.header_bytes + LARGEST_FLOOR + 2
        assert stream.fits or stream.payload_bytes <= LARGEST_FLOOR


@pytest.mark.parametrize("kind", ["object", "photograph", "noise"], indirect=True)
@pytest.mark.parametrize("accounting", ["payload", "file"])
@pytest.mark.parametrize("size", [64, 128])
def test_more_bytes_never_hurt_much(kind, size, accounting, picture_of):
    image = picture_of(kind, size)
    sizes, quality = [], []
    for rate in np.geomspace(480, 6, 25):
        stream = encode_within(image, rate, accounting)
        sizes.append(stream.total_bytes)
        quality.append(psnr(image, decode(stream)))
    assert all(more >= less for less, more in zip(sizes, sizes[1:], strict=False))
    # Rate control minimises weighted error over components, not the PSNR of RGB: small steps back are its right.
    assert all(more >= less - 0.3 for less, more in zip(quality, quality[1:], strict=False))
    assert quality[-1] > quality[0] + (0.5 if kind == "noise" else 5)


@pytest.mark.parametrize("rate", [48, 192, 384, 480])
@pytest.mark.parametrize("size", [64, 128])
def test_search_finds_what_trying_every_budget_finds(size, rate, picture_of):
    """The staircase from budget to payload is climbed to the highest stair that fits."""
    for image in (picture_of("object", size), picture_of("photograph", size)):
        limit, reached = int(3 * size * size / rate), 0
        for budget in range(max(FLOOR, limit - 4), limit + 3 * jpeg2000.RESOLUTIONS + 2):
            ratio = jpeg2000._asked_ratio(Image.fromarray(image), budget, jpeg2000.RESOLUTIONS)
            stream = jpeg2000._compress(Image.fromarray(image), jpeg2000.RESOLUTIONS, "rates", ratio)
            lean = jpeg2000._without_empty_packets(stream)
            if lean.payload_bytes <= limit:
                reached = max(reached, lean.payload_bytes)
        assert encode_within(image, rate).payload_bytes == reached


def test_leaving_out_empty_packets_changes_no_pixel(picture_of):
    """Also where picture data ends in 0x80, which looks like an empty packet and is none."""
    shorter = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        image = np.asarray(
            Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
        )
        stream = jpeg2000._compress(Image.fromarray(image), 4, "rates", 3072 / (seed + 170))
        lean = jpeg2000._without_empty_packets(stream)
        shorter += stream.total_bytes - lean.total_bytes
        np.testing.assert_array_equal(decode(lean), decode(stream))
    assert shorter > 150


def test_picture_data_that_ends_in_0x80_is_kept(monkeypatch):
    """A decoder that misses the last byte must not be given the shorter stream."""
    stream = encode(np.full((32, 32, 3), 90, np.uint8), 12)
    whole = stream.with_payload(stream.payload.rstrip(b"\x80") + b"\x80" * 3)
    needed = whole.payload_bytes - 1

    def decoder(candidate: Codestream) -> np.ndarray:
        if candidate.payload_bytes < needed - 1:
            raise CodecError("stream", "is too short", "nothing")
        return np.array([candidate.payload_bytes >= needed])

    monkeypatch.setattr(jpeg2000, "_decode_in_memory", decoder)
    assert jpeg2000._without_empty_packets(whole).payload_bytes == needed


def test_asked_ratio_is_no_upper_bound(picture_of):
    """The overshoot trap, and its size."""
    over = [
        encode(picture_of(kind, 128), rate).total_bytes - 49152 // rate
        for kind in ("object", "photograph", "noise")
        for rate in (48, 96, 192)
    ]
    assert max(over) > 0
    assert max(over) <= OVERSHOOT


def test_384_to_1_is_out_of_reach_for_a_file_of_128_pixels(picture_of):
    """Smallest files stay above 128 bytes, while the payload has room to spare."""
    image = picture_of("photograph", 128)
    stream = encode(image, 384)
    assert not stream.fits
    assert 145 < stream.total_bytes <= 145 + LARGEST_FLOOR
    assert stream.total_bytes == encode(image, 4000).total_bytes
    assert encode_within(image, 384).fits


def test_four_resolutions_beat_the_default_six_at_384(picture_of):
    image = picture_of("object", 64)
    assert (
        psnr(image, decode(encode_within(image, 384, resolutions=4)))
        > psnr(image, decode(encode_within(image, 384, resolutions=6))) + 0.5
    )


def test_falling_rates_make_layers_and_rising_rates_do_not(tmp_path, picture_of):
    """The layer order trap of OpenJPEG, which is why one file a rate is written."""
    glymur = jpeg2000.load_glymur()
    image, options = picture_of("photograph", 128), {"irreversible": True, "mct": True}
    falling = glymur.Jp2k(tmp_path / "falling.j2k", data=image, cratios=(384, 192, 48), **options)
    with pytest.warns(UserWarning, match="should be strictly lesser"):
        rising = glymur.Jp2k(tmp_path / "rising.j2k", data=image, cratios=(48, 192, 384), **options)
    falling.layer = rising.layer = 1
    assert psnr(image, falling[:]) + 5 < psnr(image, rising[:])


def test_below_every_packet_mid_grey_is_sent(picture_of):
    stream = encode_within(picture_of("photograph", 32), 3072)
    assert stream.fits
    assert stream.payload_bytes == 1
    assert np.unique(decode(stream)).tolist() == [128]
    assert not encode_within(picture_of("photograph", 32), 4000).fits  # less than a byte


def test_simulate_is_encoding_and_decoding(picture_of):
    images = np.stack([picture_of(kind, 64) for kind in ("object", "photograph", "noise", "black")])
    for accounting in ("payload", "file"):
        for rate in (48, 384):
            decoded, spent = simulate(images, rate, accounting)
            streams = [encode_within(image, rate, accounting) for image in images]
            assert decoded.shape == images.shape and decoded.dtype == np.uint8 and spent.dtype == np.int64
            np.testing.assert_array_equal(decoded, [decode(stream) for stream in streams])
            assert spent.tolist() == [s.payload_bytes if accounting == "payload" else s.total_bytes for s in streams]
            again, _ = simulate(images, rate, accounting)
            np.testing.assert_array_equal(again, decoded)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_tiny_pictures(size, picture_of):
    image = picture_of("noise", size)
    assert decode(encode(image, 6)).shape == (size, size, 3)
    assert decode(encode_within(image, 6)).shape == (size, size, 3)


def test_oblong_pictures():
    image = np.random.default_rng(0).integers(0, 256, (40, 72, 3), dtype=np.uint8)[::-1]
    assert decode(encode_within(image, 24)).shape == (40, 72, 3)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((3, 64, 64), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        np.zeros((0, 64, 3), np.uint8),
    ],
)
def test_other_pictures_are_refused(image):
    for call in (encode, encode_within):
        with pytest.raises(CodecError, match=r"uint8 \(H, W, 3\)"):
            call(image, 48)


def test_impossible_requests_are_refused(picture_of):
    image = picture_of("object", 32)
    for rate in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="not positive"):
            encode(image, rate)
    with pytest.raises(ConfigError, match="accounting"):
        encode_within(image, 48, "bits")
    with pytest.raises(CodecError, match=r"\(N, H, W, 3\)"):
        simulate(image, 48)
