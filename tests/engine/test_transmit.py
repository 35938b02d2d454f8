"""What every model sends: settings and their rates by hand, bytes, what arrives."""

import numpy as np
import pytest
import torch

from compress3d.data.loader import to_float
from compress3d.errors import ConfigError
from compress3d.runs import JPEG2000_RATES, TABLE, Run, variant
from compress3d.scales import scale
from compress3d.transmit import (
    arrived_pictures,
    bytes_per_view,
    compressor,
    probabilities,
    progressive,
    raw_bytes,
    setting,
    settings,
)

SIDE = {"smoke": 32, "demo": 64}
SMALL = {1: 384, 2: 192, 3: 128, 4: 96, 6: 64, 8: 48}  # N -> 24 * 256 / (16 N)
ORIGINAL = {1: 192, 2: 96, 3: 64, 4: 48}  # 24 * 256 / (32 N)
SERVED = {
    ("sequential", "small"): SMALL,
    ("sequential", "small-b"): SMALL,
    ("direct", "small"): SMALL,
    ("small", "small"): SMALL,
    ("original", "small"): ORIGINAL,
    ("sequential", "original"): ORIGINAL,
    ("direct", "original"): ORIGINAL,
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def views(name, count=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 2, 3, SIDE[name], SIDE[name]), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", SIDE)
@pytest.mark.parametrize("model, architecture", SERVED)
def test_recurrent_models_serve_every_rate_of_the_figures(model, architecture, name):
    run = Run(model, scale=name, architecture=architecture)
    found = settings(run)
    assert {at.iterations: at.rate for at in found} == SERVED[model, architecture]
    for at in found:
        assert at.accounting == "bits"
        assert at.values == SIDE[name] ** 2 * 24 / at.rate
        assert bytes_per_view(run, at) * at.rate == raw_bytes(run) == 3 * SIDE[name] ** 2


@pytest.mark.parametrize("name", SIDE)
@pytest.mark.parametrize("model", ["sequential", "direct", "implicit"])
@pytest.mark.parametrize("rate, N", [(12, 1), (6, 2)])
def test_floats_are_counted_with_32_bits(model, rate, N, name):
    run = Run(model, rate, scale=name, binary=False)
    (at,) = settings(run)
    assert (at.rate, at.accounting) == (rate, "floats")
    assert at.iterations == (None if model == "implicit" else N)
    assert bytes_per_view(run, at) == 4 * at.values == 3 * SIDE[name] ** 2 / rate


@pytest.mark.parametrize("name, rate", [("smoke", 384), ("smoke", 48), ("demo", 384), ("demo", 96), ("demo", 480)])
def test_implicit_model_serves_its_own_rate(name, rate):
    run = Run("implicit", rate, scale=name)
    (at,) = settings(run)
    assert (at.rate, at.accounting, at.iterations) == (rate, "bits", None)
    assert at.values == run.build().code_size == 4 * round(SIDE[name] ** 2 * 6 / rate)
    assert raw_bytes(run) / bytes_per_view(run, at) == pytest.approx(rate, rel=0.005)


@pytest.mark.parametrize("name", SIDE)
def test_uncompressed_network_sends_floats_at_12_to_1(name):
    run = Run("uncompressed", scale=name)
    (at,) = settings(run)
    assert (at.rate, at.accounting, at.values) == (12, "floats", SIDE[name] ** 2 // 16)
    assert bytes_per_view(run, at) == SIDE[name] ** 2 / 4


@pytest.mark.parametrize("name", SIDE)
@pytest.mark.parametrize("rate", [None, 12, 6])
def test_jpeg2000_counts_payload_and_whole_files(name, rate):
    run = Run("jpeg2000", rate, scale=name)
    rates = JPEG2000_RATES if rate is None else (rate,)
    assert [(at.accounting, at.rate) for at in settings(run)] == [(a, c) for a in ("payload", "file") for c in rates]
    with pytest.raises(ConfigError, match="through_jpeg2000"):
        bytes_per_view(run, settings(run)[0])


@pytest.mark.parametrize("run", [r for r in TABLE.values() if r.scale != "paper"], ids=lambda run: run.id)
def test_every_setting_of_every_run_is_found_by_its_rate(run):
    found = settings(run)
    assert setting(run) == found[0]
    for at in found:
        assert setting(run, at.rate, at.accounting) == at
        assert setting(run, at.rate * 1.009, at.accounting) == at
    assert len({(at.rate, at.accounting) for at in found}) == len(found)


@pytest.mark.parametrize(
    "run, rate, accounting, known",
    [
        (Run("sequential", scale="smoke"), 100, None, "384:1 (bits), 192:1 (bits), 128:1 (bits), 96:1 (bits)"),
        (Run("direct", scale="smoke"), 384, "floats", "384:1 (bits)"),
        (Run("implicit", 384, scale="smoke"), 192, None, "384:1 (bits)"),
        (Run("uncompressed", scale="smoke"), 384, None, "12:1 (floats)"),
        (Run("jpeg2000", scale="smoke"), 12, "file", "48:1 (payload)"),
        (Run("original", scale="demo"), 384, None, "192:1 (bits), 96:1 (bits), 64:1 (bits), 48:1 (bits)."),
    ],
)
def test_refusal_lists_what_is_served(run, rate, accounting, known):
    with pytest.raises(ConfigError) as refused:
        setting(run, rate, accounting)
    assert run.id in str(refused.value) and f"{rate}:1" in str(refused.value) and known in str(refused.value)


@pytest.mark.parametrize("batch_size", [1, 2, 16])
@pytest.mark.parametrize("name", SIDE)
@pytest.mark.parametrize("model, iterations", [("implicit", None), ("sequential", 1), ("direct", 1), ("direct", 3)])
@torch.no_grad()
def test_probabilities_are_those_of_the_log_logits(model, iterations, name, batch_size):
    torch.manual_seed(0)
    network = Run(model, 384 if model == "implicit" else None, scale=name).build().eval()
    images = views(name)
    logits = network(to_float(images), *(() if iterations is None else (iterations,)))
    got = probabilities(network, images, iterations, batch_size=batch_size)
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-logits.double().numpy())), atol=1e-5)
    assert got.dtype == np.float32 and got.shape == (3, *(scale(name).grid,) * 3)
    if model == "direct":
        assert not np.array_equal(got, probabilities(network, images, iterations + 1))


@pytest.mark.parametrize("model", ["sequential", "direct", "small", "original"])
@pytest.mark.parametrize("batch_size", [1, 2, 16])
@torch.no_grad()
def test_progressive_pictures_are_what_a_decoder_shows(model, batch_size):
    torch.manual_seed(0)
    network = Run(model, scale="smoke").build().eval()
    rnn, images = compressor(network), views("smoke")
    got = progressive(rnn, images, 3, batch_size=batch_size)
    assert got.shape == (3, 2, 3, 3, 32, 32)
    for n in range(3):
        for v in range(2):
            shown = rnn.decode(rnn.encode(to_float(images[n, v]).unsqueeze(0), 3))[0]
            torch.testing.assert_close(got[n, v].clamp(0, 1), shown, atol=1e-4, rtol=0)


@pytest.mark.parametrize("model", ["sequential", "direct", "small"])
@pytest.mark.parametrize("rate, N", [(384, 1), (96, 4)])
@torch.no_grad()
def test_arrived_pictures_are_the_last_iteration_in_8_bit(model, rate, N):
    torch.manual_seed(0)
    run = Run(model, scale="smoke")
    network, images = run.build().eval(), views("smoke")
    with torch.no_grad():  # large weights, so that pictures leave [0, 1]
        for value in compressor(network).parameters():
            value.normal_(std=4 / value[0].numel() ** 0.5)
    arrived = arrived_pictures(run, network, images, setting(run, rate))
    decoded = compressor(network)(to_float(images).flatten(0, 1), N).decoded[:, -1].unflatten(0, (3, 2))
    assert arrived.dtype == torch.uint8 and arrived.shape == images.shape
    assert N == 1 or (decoded.min() < 0 and decoded.max() > 1)
    assert (arrived / 255 - decoded.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-5


@pytest.mark.parametrize("run", [Run("implicit", 384, scale="smoke"), Run("uncompressed", scale="smoke")])
def test_no_picture_arrives_where_a_code_is_sent(run):
    network = run.build().eval()
    assert compressor(network) is None
    assert arrived_pictures(run, network, views("smoke"), setting(run)) is None


def test_arrived_pictures_of_jpeg2000_fit_their_bytes():
    run = variant(Run("jpeg2000", scale="smoke"), "arrived")
    y, x = np.mgrid[:32, :32]
    picture = np.stack([np.hypot(x - 15, y - 12) < 9, x > 10, y > 20]).astype(np.uint8) * 180
    images = torch.from_numpy(picture)[None, None]
    coarse, fine = (arrived_pictures(run, run.build(), images, setting(run, rate, "payload")) for rate in (384, 48))
    error = [(a.float() - images.float()).abs().mean().item() for a in (coarse, fine)]
    assert coarse.shape == images.shape and error[1] < error[0]
