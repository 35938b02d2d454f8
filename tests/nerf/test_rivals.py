"""Pictures at a budget, and the ISO coder for networks where it is installed."""

import copy
import io

import numpy as np
import pytest
import torch
from PIL import Image, features

from compress3d.errors import CodecError, DataError
from compress3d.nerf import rivals
from compress3d.nerf.mlp import MLP
from compress3d.nerf.prune import named_layers, prune
from compress3d.nerf.rivals import QUALITIES, decode_picture, nncodec_coded, pictures_within

CODECS = [
    "jpeg2000",
    pytest.param("avif", marks=pytest.mark.skipif(not features.check("avif"), reason="Pillow has no AVIF")),
]


def scene(count=11, side=48):
    """Pictures of unlike difficulty, with some grain, uint8 (count, side, side, 3)."""
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(count, 8, 8, 3)) * np.linspace(10, 60, count)[:, None, None, None] + 128
    smooth = [
        np.asarray(Image.fromarray(w.clip(0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC))
        for w in waves
    ]
    return (np.stack(smooth) + rng.normal(0, 8, (count, side, side, 3))).clip(0, 255).astype(np.uint8)


def error(images, decoded):
    return float(np.square(images.astype(float) - decoded).mean())


@pytest.mark.parametrize("codec", CODECS)
def test_pictures_fill_the_budget_and_not_more(codec):
    images, errors = scene(), []
    for each in (600, 1200):
        found = pictures_within(images, each * len(images), codec)
        assert 0.9 * each * len(images) < found.bytes <= each * len(images)
        assert found.bytes == sum(len(stream) for stream in found.streams) and len(found.streams) == len(images)
        for stream, shown in zip(found.streams, found.decoded, strict=True):  # files that any reader reads
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(stream)).convert("RGB")), shown)
        errors.append(error(images, found.decoded))
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0]


@pytest.mark.parametrize("codec", CODECS)
def test_it_is_the_best_common_quality_that_fits(codec, monkeypatch):
    """Against trying every quality."""
    monkeypatch.setitem(rivals.QUALITIES, codec, QUALITIES[codec][::5])
    images, budget = scene(9, 24), 9 * 600
    encode = rivals._encoder(codec)
    sizes = [[len(encode(Image.fromarray(image), quality)) for image in images] for quality in rivals.QUALITIES[codec]]
    best = max(place for place, of in enumerate(sizes) if sum(of) <= budget)
    found = [len(stream) for stream in pictures_within(images, budget, codec).streams]
    assert all(size in (sizes[best][n], sizes[best + 1][n]) for n, size in enumerate(found))
    assert sum(found) >= sum(sizes[best])


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_pictures_give_the_same_bytes(codec):
    first, second = (pictures_within(scene(3), 3000, codec).streams for _ in range(2))
    assert first == second


@pytest.mark.parametrize("codec", CODECS)
def test_a_budget_beyond_the_highest_quality_gives_the_highest(codec):
    images, highest = scene(2, 16), QUALITIES[codec][-1]
    encode = rivals._encoder(codec)
    expected = [encode(Image.fromarray(image), highest) for image in images]
    assert pictures_within(images, 10**9, codec).streams == expected


@pytest.mark.parametrize("codec", CODECS)
def test_a_budget_that_no_file_fits_is_refused(codec):
    with pytest.raises(CodecError, match="more than 100"):
        pictures_within(scene(3), 100, codec)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)]
)
def test_what_is_no_pictures_is_refused(images):
    with pytest.raises(CodecError, match="pictures"):
        pictures_within(images, 1000, "jpeg2000")


def test_a_codec_that_does_not_exist_is_refused():
    with pytest.raises(CodecError, match="webp"):
        pictures_within(scene(1), 1000, "webp")


def test_a_picture_that_is_none_is_refused():
    with pytest.raises(CodecError, match="cannot be decoded"):
        decode_picture(b"no picture")


def network():
    torch.manual_seed(0)
    model = MLP(3, 32, skip=None)
    prune(model, 0.5)
    return model


def test_without_nncodec_it_says_how_to_get_it():
    try:
        import nncodec.nn  # noqa: F401
    except ImportError:
        with pytest.raises(DataError, match="another environment"):
            nncodec_coded(network())
    else:
        pytest.skip("nncodec is installed")


def test_the_iso_coder_gives_back_a_network_near_the_pruned_one():
    pytest.importorskip("nncodec.nn", reason="nncodec is not installed", exc_type=ImportError)
    model = network()
    sizes = []
    for qp in (-40, -24):
        coded = nncodec_coded(copy.deepcopy(model), qp=qp)
        sizes.append(coded.bytes)
        for name, layer in named_layers(coded.model).items():
            expected = named_layers(model)[name].acting_weight
            step = 2.0 ** (qp / 4)  # with a density of 2: a step halves every four
            assert (layer.acting_weight - expected).abs().max() <= 4 * step, name
    assert sizes[0] > sizes[1]
