"""What every model sends and what comes out: operating points and rates by hand, bytes, images, voxels."""

import numpy as np
import pytest
import torch

from compress3d.data.loader import to_float
from compress3d.engine.evaluate import output, outputs, probabilities
from compress3d.engine.experiment import ViewData, experiments
from compress3d.errors import ConfigError
from compress3d.joint.experiments import (
    JPEG2000_RATES,
    CompressionConfig,
    DirectConfig,
    ImplicitConfig,
    Jpeg2000Config,
    SequentialConfig,
    experiment,
)
from compress3d.r2n2.experiments import R2N2Config
from compress3d.scales import scale

SIDE = {"smoke": 32, "demo": 64}
SMALL = {1: 384, 2: 192, 3: 128, 4: 96, 6: 64, 8: 48}  # N -> 24 * 256 / (16 N)
ORIGINAL = {1: 192, 2: 96, 3: 64, 4: 48}  # 24 * 256 / (32 N)
SERVED = [
    (SequentialConfig(), SMALL),
    (SequentialConfig(architecture="small-b"), SMALL),
    (DirectConfig(), SMALL),
    (CompressionConfig(), SMALL),
    (CompressionConfig(network="original"), ORIGINAL),
    (SequentialConfig(architecture="original"), ORIGINAL),
    (DirectConfig(architecture="original"), ORIGINAL),
]
RECURRENT = [SequentialConfig(), DirectConfig(), CompressionConfig(), CompressionConfig(network="original")]


def raw(name):
    """Bytes of a raw view."""
    return 3 * SIDE[name] ** 2


def codec(model):
    """The compression RNN of a model."""
    return getattr(model, "compression", model)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def views(name, count=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 2, 3, SIDE[name], SIDE[name]), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", SIDE)
@pytest.mark.parametrize("model, served", SERVED)
def test_recurrent_models_serve_every_rate_of_the_figures(model, served, name):
    found = model.operating_points(scale(name))
    assert {at.iterations: at.rate for at in found} == served
    for at in found:
        assert at.accounting == "bits"
        assert at.values == SIDE[name] ** 2 * 24 / at.rate
        assert at.bytes_per_view * at.rate == raw(name)


@pytest.mark.parametrize("name", SIDE)
@pytest.mark.parametrize("config", [SequentialConfig, DirectConfig, ImplicitConfig])
@pytest.mark.parametrize("rate, N", [(12, 1), (6, 2)])
def test_floats_are_counted_with_32_bits(config, rate, N, name):
    (at,) = config(rate, binary=False).operating_points(scale(name))
    assert (at.rate, at.accounting) == (rate, "floats")
    assert at.iterations == (None if config is ImplicitConfig else N)
    assert at.bytes_per_view == 4 * at.values == raw(name) / rate


@pytest.mark.parametrize("name, rate", [("smoke", 384), ("smoke", 48), ("demo", 384), ("demo", 96), ("demo", 480)])
def test_implicit_model_serves_its_own_rate(name, rate):
    model = ImplicitConfig(rate)
    (at,) = model.operating_points(scale(name))
    assert (at.rate, at.accounting, at.iterations) == (rate, "bits", None)
    assert at.values == model.build(scale(name)).code_size == 4 * round(SIDE[name] ** 2 * 6 / rate)
    assert raw(name) / at.bytes_per_view == pytest.approx(rate, rel=0.005)


@pytest.mark.parametrize("name", SIDE)
def test_uncompressed_network_sends_floats_at_12_to_1(name):
    (at,) = R2N2Config().operating_points(scale(name))
    assert (at.rate, at.accounting, at.values) == (12, "floats", SIDE[name] ** 2 // 16)
    assert at.bytes_per_view == SIDE[name] ** 2 / 4


@pytest.mark.parametrize("name", SIDE)
@pytest.mark.parametrize("rate", [None, 12, 6])
def test_jpeg2000_counts_payload_and_whole_files(name, rate):
    found = Jpeg2000Config(rate).operating_points(scale(name))
    rates = JPEG2000_RATES if rate is None else (rate,)
    assert [(at.accounting, at.rate) for at in found] == [(a, c) for a in ("payload", "file") for c in rates]
    assert all(at.bytes_per_view is None for at in found)  # measured, not fixed


SENDS = [run for run in (*experiments("smoke"), *experiments("demo")) if isinstance(run.data, ViewData)]


@pytest.mark.parametrize("run", SENDS, ids=lambda run: run.id)
def test_every_setting_of_every_run_is_found_by_its_rate(run):
    found = run.operating_points()
    assert run.operating_point() == found[0]
    for at in found:
        assert run.operating_point(at.rate, at.accounting) == at
        assert run.operating_point(at.rate * 1.009, at.accounting) == at
    assert len({(at.rate, at.accounting) for at in found}) == len(found)


@pytest.mark.parametrize(
    "model, rate, accounting, known",
    [
        (SequentialConfig(), 100, None, "384:1 (bits), 192:1 (bits), 128:1 (bits), 96:1 (bits)"),
        (DirectConfig(), 384, "floats", "384:1 (bits)"),
        (ImplicitConfig(384), 192, None, "384:1 (bits)"),
        (R2N2Config(), 384, None, "12:1 (floats)"),
        (Jpeg2000Config(), 12, "file", "48:1 (payload)"),
        (CompressionConfig(network="original"), 384, None, "192:1 (bits), 96:1 (bits), 64:1 (bits), 48:1 (bits)."),
    ],
)
def test_refusal_lists_what_is_served(model, rate, accounting, known):
    run = experiment(model, "smoke")
    with pytest.raises(ConfigError) as refused:
        run.operating_point(rate, accounting)
    assert run.id in str(refused.value) and f"{rate}:1" in str(refused.value) and known in str(refused.value)


@pytest.mark.parametrize("batch_size", [1, 2, 16])
@pytest.mark.parametrize("name", SIDE)
@pytest.mark.parametrize(
    "model, iterations",
    [(ImplicitConfig(384), None), (SequentialConfig(), 1), (DirectConfig(), 1), (DirectConfig(), 3)],
)
@torch.no_grad()
def test_probabilities_are_those_of_the_logits(model, iterations, name, batch_size):
    torch.manual_seed(0)
    network = model.build(scale(name)).eval()
    images = views(name)
    logits = network(to_float(images), *(() if iterations is None else (iterations,)))
    got = probabilities(network, images, iterations, batch_size=batch_size)
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-logits.double().numpy())), atol=1e-5)
    assert got.dtype == np.float32 and got.shape == (3, *(scale(name).grid,) * 3)
    if model.name == "direct":
        assert not np.array_equal(got, probabilities(network, images, iterations + 1))


@pytest.mark.parametrize("model", [SequentialConfig(), DirectConfig(), DirectConfig(concatenated=True)])
def test_one_pass_of_the_codec_gives_every_rate(model):
    """Voxels and images at each of the rates, out of one pass, against a pass with just that many iterations."""
    torch.manual_seed(0)
    run, images = experiment(model, "smoke"), views("smoke")
    network, passes = run.build().eval(), []
    network.compression.register_forward_hook(lambda *_: passes.append(1))
    found = dict(outputs(run, network, images, run.operating_points()))
    assert len(passes) == 1 and [point.iterations for point in found] == [1, 2, 3, 4, 6, 8]
    for point, out in found.items():
        np.testing.assert_allclose(out.probabilities, probabilities(network, images, point.iterations), atol=1e-5)
        with torch.no_grad():
            decoded = network.compression(to_float(images).flatten(0, 1), point.iterations).decoded
        torch.testing.assert_close(out.decoded.flatten(0, 1), decoded, atol=1e-5, rtol=0)
        assert (out.bytes == point.bytes_per_view).all() and out.bytes.shape == (3, 2)


@pytest.mark.parametrize("model", RECURRENT, ids=lambda model: model.name)
def test_decoded_images_are_what_a_decoder_shows(model):
    torch.manual_seed(0)
    run, images = experiment(model, "smoke"), views("smoke")
    network = run.build().eval()
    point = next(point for point in run.operating_points() if point.iterations == 3)
    got = output(run, network, images, point).decoded
    assert got.shape == (3, 2, 3, 3, 32, 32)
    for n in range(3):
        for v in range(2):
            with torch.no_grad():
                rnn = codec(network)
                shown = rnn.decode(rnn.encode(to_float(images[n, v]).unsqueeze(0), 3))[0]
            torch.testing.assert_close(got[n, v].clamp(0, 1), shown, atol=1e-4, rtol=0)


@pytest.mark.parametrize("model", RECURRENT[:3], ids=lambda model: model.name)
@pytest.mark.parametrize("rate, N", [(384, 1), (96, 4)])
@torch.no_grad()
def test_received_images_are_the_last_iteration_in_8_bit(model, rate, N):
    torch.manual_seed(0)
    run = experiment(model, "smoke")
    network, images = run.build().eval(), views("smoke")
    for value in codec(network).parameters():  # large weights, so that images leave [0, 1]
        value.normal_(std=4 / value[0].numel() ** 0.5)
    received = output(run, network, images, run.operating_point(rate)).images
    decoded = codec(network)(to_float(images).flatten(0, 1), N).decoded[:, -1].unflatten(0, (3, 2))
    assert received.dtype == torch.uint8 and received.shape == images.shape
    assert N == 1 or (decoded.min() < 0 and decoded.max() > 1)
    assert (received / 255 - decoded.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-5
    sent = model.channel(network, scale("smoke")).send(images, rate)  # the same codec as a channel
    assert torch.equal(sent.images, received) and (sent.bytes == 3 * 32 * 32 / rate).all()


@pytest.mark.parametrize("model", [ImplicitConfig(384), R2N2Config()], ids=lambda model: model.name)
def test_no_image_is_received_where_a_code_is_sent(model):
    run = experiment(model, "smoke")
    assert output(run, run.build().eval(), views("smoke"), run.operating_point()).images is None


def test_jpeg2000_network_sees_what_its_channel_hands_on():
    torch.manual_seed(0)
    run = experiment(Jpeg2000Config(), "smoke")
    y, x = np.mgrid[:32, :32]
    picture = np.stack([np.hypot(x - 15, y - 12) < 9, x > 10, y > 20]).astype(np.uint8) * 180
    images, network = torch.from_numpy(picture)[None, None], run.build().eval()
    coarse, fine = (output(run, network, images, run.operating_point(rate, "payload")) for rate in (384, 48))
    error = [(found.images.float() - images.float()).abs().mean().item() for found in (coarse, fine)]
    assert coarse.images.shape == images.shape and error[1] < error[0]
    assert coarse.bytes.item() <= 8 and fine.bytes.item() <= 64 and coarse.fits.all()
    for found in (coarse, fine):
        np.testing.assert_allclose(found.probabilities, probabilities(network, found.images), atol=1e-6)
    assert not torch.equal(coarse.probabilities, fine.probabilities)
