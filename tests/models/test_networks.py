"""The five networks of 3D-R2N2 against their layer tables and against a plain reading of them."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from compress3d.errors import ConfigError
from compress3d.models.layouts import to_pytorch
from compress3d.models.reconstruction import NETWORKS, Reconstruction
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


def plain(model: Reconstruction, images):
    """Log odds, written from the layer tables with the weights under their public names; views one after another."""
    w = to_pytorch(model)
    network, pooled, padding = model.network, model.encoder.pooled, model.encoder.padding
    mode = next(c.mode for c in model.decoder.modules() if hasattr(c, "mode"))
    ups = [hasattr(c, "mode") for c in (s.a if network.residual else s for s in list(model.decoder.children())[0])]

    def act(x):
        return F.leaky_relu(x, 0.01)

    def layer(x, name):
        kernel = w[f"{name}.weight"]
        apply = F.conv2d if kernel.dim() == 4 else F.conv3d
        return apply(x, kernel, w[f"{name}.bias"], padding=kernel.shape[-1] // 2)

    def up(x):
        B, C, D = x.shape[:3]
        y = torch.zeros(B, C, 2 * D, 2 * D, 2 * D)
        for corner in itertools.product((0, 1), repeat=3):
            if mode == "nearest" or corner == (0, 0, 0):
                y[:, :, corner[0] :: 2, corner[1] :: 2, corner[2] :: 2] = x
        return y

    def stage(x, name):
        y = act(layer(act(layer(x, f"{name}a")), f"{name}b"))
        if f"{name}c.weight" in w:
            return y + layer(x, f"{name}c")
        return y + x if name.endswith(("conv6", "conv7", "conv8")) else y

    def gate(name, code, h):
        kernel = w[f"encoder.{name}.conv3d.weight"]
        z = F.conv3d(h, kernel, padding=kernel.shape[-1] // 2) + w[f"encoder.{name}.bias"]
        return z + (code @ w[f"encoder.{name}.fc_layer.weight"].T).view_as(h)

    N = model.memory.hidden_channels
    h = c = torch.zeros(len(images), N, 4, 4, 4)
    for t in range(images.shape[1]):
        x = images[:, t]
        for n in range(6):
            x = stage(x, f"encoder.conv{n + 1}") if network.residual else act(layer(x, f"encoder.conv{n + 1}"))
            x = F.max_pool2d(x, 2, padding=padding) if pooled[n] else x
        code = act(F.linear(x.flatten(1), w["encoder.fc7.weight"], w["encoder.fc7.bias"]))
        if network.gru:
            u, r = (torch.sigmoid(gate(name, code, h)) for name in ("t_x_s_update", "t_x_s_reset"))
            h = u * h + (1 - u) * torch.tanh(gate("t_x_rs", code, r * h))
        else:
            i, f = (torch.sigmoid(gate(name, code, h)) for name in ("t_x_s_input", "t_x_s_forget"))
            c = f * c + i * torch.tanh(gate("t_x_s_cell", code, h))
            h = torch.tanh(c)
    x = h
    for n in range(3):
        x = up(x) if ups[n] else x
        x = stage(x, f"decoder.conv{n + 7}") if network.residual else act(layer(x, f"decoder.conv{n + 7}"))
    if network.residual:
        a = act(layer(x, "decoder.conv10a"))
        b = act(layer(a, "decoder.conv10b"))
        x = b + layer(b if model.decoder.stages[3].outer else a, "decoder.conv10c")
    else:
        x = act(layer(x, "decoder.conv10"))
    scores = layer(x, "decoder.conv11")
    return scores[:, 1] - scores[:, 0]


GRID = [
    (name, upsampling, padded, outer, views)
    for name, upsampling, padded in itertools.product(NETWORKS, ("nearest", "zeros"), (False, True))
    for outer in ((False, True) if name == "res-gru-3" else (False,))
    for views in (1, 3)
]


@pytest.mark.parametrize("name, upsampling, padded, outer, views", GRID)
def test_equals_the_plain_reading_forward_and_backward(name, upsampling, padded, outer, views):
    torch.manual_seed(views)
    model = Reconstruction(scale("smoke"), name, upsampling, padded, outer).double()
    images = torch.rand(2, views, 3, 32, 32, dtype=torch.float64)
    torch.set_default_dtype(torch.float64)
    try:
        torch.testing.assert_close(model(images), plain(model, images), atol=1e-9, rtol=0)
        images.requires_grad_()
        (ours,) = torch.autograd.grad(model(images).square().sum(), images)
        (expected,) = torch.autograd.grad(plain(model, images).square().sum(), images)
        torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-6)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_view_more_goes_on_from_the_state(name):
    torch.manual_seed(3)
    model = Reconstruction(scale("smoke"), name).eval()
    images = torch.rand(1, 4, 3, 32, 32)
    _, state = model.remember(images[:, :3])
    h, _ = model.remember(images[:, 3:], state)
    torch.testing.assert_close(model.decoder(h), model(images))


@pytest.mark.parametrize("name", NETWORKS)
def test_kernel_1_hears_no_neighbour(name):
    """A change of one unit of the hidden state reaches the next state of its 3^3 neighbours, or with kernel 1 of itself."""
    torch.manual_seed(4)
    memory = Reconstruction(scale("smoke"), name).memory.double()
    codes = torch.rand(1, 1, memory.input_map.in_features, dtype=torch.float64)
    h = torch.rand(1, memory.hidden_channels, 4, 4, 4, dtype=torch.float64)
    other = h.clone()
    other[0, 2, 1, 1, 1] += 1
    lstm = not NETWORKS[name].gru
    after, moved = (memory(codes, (s, torch.zeros_like(s)) if lstm else s)[0] for s in (h, other))
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
