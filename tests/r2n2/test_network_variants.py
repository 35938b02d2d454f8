"""The five networks of 3D-R2N2 against their layer tables and the naive reference."""

import itertools

import pytest
import torch

from benchmarks.naive import log_probabilities, naive_layout, naive_reconstruction
from compress3d.errors import ConfigError
from compress3d.losses import occupancy_loss
from compress3d.r2n2.convert import by_public_name
from compress3d.r2n2.network import NETWORKS, Reconstruction
from compress3d.scales import scale


def conv(a, b, k, dims):
    return a * b * k**dims + b


# Parameters by hand. Encoders of 2 x 2 cells; W_x: 1024 x 3 128 64 for both recurrences.
PLAIN_ENCODER = conv(3, 96, 7, 2) + conv(96, 128, 3, 2) + conv(128, 256, 3, 2) + 3 * conv(256, 256, 3, 2)
PLAIN_DECODER = 2 * conv(128, 128, 3, 3) + conv(128, 64, 3, 3) + conv(64, 32, 3, 3) + conv(32, 2, 3, 3)
RESIDUAL_ENCODER = (
    conv(3, 96, 7, 2)
    + conv(96, 96, 3, 2)
    + conv(96, 128, 3, 2)
    + conv(128, 128, 3, 2)
    + conv(96, 128, 1, 2)
    + conv(128, 256, 3, 2)
    + conv(256, 256, 3, 2)
    + conv(128, 256, 1, 2)
    + 6 * conv(256, 256, 3, 2)
    + conv(256, 256, 1, 2)
)
RESIDUAL_DECODER = (
    4 * conv(128, 128, 3, 3)
    + conv(128, 64, 3, 3)
    + conv(64, 64, 3, 3)
    + conv(128, 64, 1, 3)
    + conv(64, 32, 3, 3)
    + 2 * conv(32, 32, 3, 3)
    + conv(32, 2, 3, 3)
)


def lstm(k):
    return 1024 * 3 * 128 * 64 + 3 * 128 * 64 + conv(128, 3 * 128, k, 3)


def gru(k):
    return 1024 * 3 * 128 * 64 + conv(128, 3 * 128, k, 3)


FC = {False: 1024 * 1024 + 1024, True: 2304 * 1024 + 1024}
COUNTS = {
    "lstm-1": PLAIN_ENCODER + lstm(1) + PLAIN_DECODER,
    "gru-1": PLAIN_ENCODER + gru(1) + PLAIN_DECODER,
    "lstm-3": PLAIN_ENCODER + lstm(3) + PLAIN_DECODER,
    "gru-3": PLAIN_ENCODER + gru(3) + PLAIN_DECODER,
    "res-gru-3": RESIDUAL_ENCODER + gru(3) + RESIDUAL_DECODER,
}


@pytest.mark.parametrize("name, padded", itertools.product(NETWORKS, (False, True)))
def test_parameter_counts_of_the_published_networks(name, padded):
    model = Reconstruction(scale("paper"), name, padded=padded)
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name] + FC[padded]


GRID = [
    (name, upsampling, padded, as_ports, views)
    for name, upsampling, padded in itertools.product(NETWORKS, ("nearest", "zeros"), (False, True))
    for as_ports in ((False, True) if name == "res-gru-3" else (False,))
    for views in (1, 3)
]


@pytest.mark.parametrize("name, upsampling, padded, as_ports, views", GRID)
def test_equals_the_naive_reference_forward_and_backward(name, upsampling, padded, as_ports, views):
    torch.manual_seed(views)
    model = Reconstruction(scale("smoke"), name, upsampling, padded, as_ports).double()
    images = torch.rand(2, views, 3, 32, 32, dtype=torch.float64)
    got = log_probabilities(model, images)
    expected = naive_reconstruction(by_public_name(model), images, naive_layout(model))
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)
    truth = torch.rand(got[:, 0].shape) > 0.8
    loss, naive_loss = (torch.nn.functional.nll_loss(scores, truth.long()) for scores in (got, expected))
    torch.testing.assert_close(occupancy_loss(model(images), truth), naive_loss, atol=1e-12, rtol=0)
    parameters = list(model.parameters())
    for a, b in zip(
        *(torch.autograd.grad(x, parameters, materialize_grads=True) for x in (loss, naive_loss)), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_view_more_goes_on_from_the_state(name):
    torch.manual_seed(3)
    model = Reconstruction(scale("smoke"), name).eval().double()
    codes = torch.rand(1, 4, model.scale.code_size, dtype=torch.float64)
    _, state = model.recurrent(codes[:, :3])
    h, _ = model.recurrent(codes[:, 3:], state)
    torch.testing.assert_close(model.decoder(h), model.fuse_views(codes), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_kernel_1_has_no_spatial_support(name):
    """A change of one unit of the state reaches the next state of its 3^3 neighbours, or with kernel 1 its own."""
    torch.manual_seed(4)
    recurrent = Reconstruction(scale("smoke"), name).recurrent.double()
    codes = torch.rand(1, 1, recurrent.input_map.in_features, dtype=torch.float64)
    h = torch.rand(1, recurrent.hidden_channels, 4, 4, 4, dtype=torch.float64)
    other = h.clone()
    other[0, 2, 1, 1, 1] += 1
    lstm = not NETWORKS[name].gru
    after, moved = (recurrent(codes, (s, torch.zeros_like(s)) if lstm else s)[0] for s in (h, other))
    touched = (after != moved).any(dim=1)[0].nonzero()
    reach = 0 if NETWORKS[name].kernel == 1 else (1 if lstm else 2)  # the GRU convolves r h, and r convolves h
    assert (touched - 1).abs().max() == reach


def test_127_and_128_pixels_end_as_three_cells():
    encoder = Reconstruction(scale("paper"), "res-gru-3", padded=True).encoder
    for side in (127, 128):
        assert encoder.features(torch.zeros(1, 3, side, side)).shape == (1, 256, 3, 3)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="choose one of lstm-1"):
        Reconstruction(scale("smoke"), "gru-5")
    with pytest.raises(ConfigError, match="nearest"):
        Reconstruction(scale("smoke"), upsampling="cubic")
