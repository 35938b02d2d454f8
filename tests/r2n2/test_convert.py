"""Weights in the public layouts: there and back, and against evaluations that know only the other layout."""

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from compress3d.errors import CheckpointError
from compress3d.r2n2.convert import from_pytorch, from_theano, to_pytorch, to_theano
from compress3d.r2n2.network import NETWORKS, Reconstruction
from compress3d.scales import scale

GRID = list(itertools.product(NETWORKS, ("nearest", "zeros"), (False, True)))


def networks(name, upsampling, padded, count=2):
    for seed in range(count):
        torch.manual_seed(seed)
        yield Reconstruction(scale("smoke"), name, upsampling, padded).double().eval()


@pytest.mark.parametrize("name, upsampling, padded", GRID)
@pytest.mark.parametrize("to, back", [(to_pytorch, from_pytorch), (to_theano, from_theano)])
def test_a_network_that_takes_the_weights_gives_the_same_voxels(name, upsampling, padded, to, back):
    trained, fresh = networks(name, upsampling, padded)
    images = torch.rand(2, 3, 3, 32, 32, dtype=torch.float64)
    assert (trained(images) - fresh(images)).abs().max() > 1e-3
    back(fresh, to(trained))
    # the way back is float32: exact, but for an LSTM's two biases of a unit, which come back as one, rounded to 2^-24
    rounding = 1e-12 if trained.network.gru else 1e-6
    torch.testing.assert_close(fresh(images), trained(images), atol=rounding, rtol=0)
    again = to(fresh)
    for a, b in zip(*(x.values() if isinstance(x, dict) else x for x in (to(trained), again)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_names_and_shapes_are_those_of_the_public_ports():
    """A sample of the state dict of the public residual GRU network, typed from its listing."""
    weights = to_pytorch(Reconstruction(scale("paper"), "res-gru-3", "zeros", padded=True, as_pytorch_ports=True))
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    expected = {
        "encoder.conv1a.weight": (96, 3, 7, 7),
        "encoder.conv2c.weight": (128, 96, 1, 1),
        "encoder.conv6b.bias": (256,),
        "encoder.fc7.weight": (1024, 2304),
        "encoder.t_x_s_update.fc_layer.weight": (8192, 1024),
        "encoder.t_x_s_reset.conv3d.weight": (128, 128, 3, 3, 3),
        "encoder.t_x_rs.bias": (1, 128, 1, 1, 1),
        "decoder.conv7a.weight": (128, 128, 3, 3, 3),
        "decoder.conv9c.weight": (64, 128, 1, 1, 1),
        "decoder.conv10c.weight": (32, 32, 3, 3, 3),
        "decoder.conv11.bias": (2,),
    }
    assert expected.items() <= shapes.items()
    assert len(shapes) == 2 * (15 + 1 + 10 + 1) + 9  # 6 x 2 + 3 and 4 x 2 + 2 convolutions, fc7, conv11, three gates


def test_the_original_convolves_in_three_dimensions_with_mirrored_kernels():
    """One gate of the GRU, evaluated by SciPy's true convolution in the original's order of axes."""
    (model,) = networks("gru-3", "zeros", True, count=1)
    arrays = to_theano(model)
    W_h, W_x, b = arrays[14:17]  # six convolutions and fc7 stand before, two arrays each
    N, K = model.recurrent.hidden_channels, model.recurrent.input_map.in_features
    assert W_h.shape == (N, 3, N, 3, 3) and W_x.shape == (K, 4 * N * 4 * 4) and b.shape == (N,)
    rng = np.random.default_rng(0)
    code, h = rng.normal(size=K), rng.normal(size=(4, N, 4, 4))  # depth, channel, row, column
    z = (code @ W_x).reshape(4, N, 4, 4) + b[None, :, None, None]
    for out, into in itertools.product(range(N), range(N)):
        z[:, out] += convolve(h[:, into], W_h[out, :, into], mode="constant")
    recurrent, ours = model.recurrent, torch.from_numpy(h.transpose(1, 0, 2, 3).copy())[None]
    gates = (
        recurrent.input_map(torch.from_numpy(code))[: N * 64].view(1, N, 4, 4, 4) + recurrent.hidden_map(ours)[:, :N]
    )
    np.testing.assert_allclose(gates[0].detach().numpy(), z.transpose(1, 0, 2, 3), atol=1e-12)


def test_an_lstm_of_the_original_goes_back_as_it_came():
    """`mv_lstm_net.py` has a bias a channel; ours has room for one a unit, and then keeps it."""
    N = scale("smoke").channels(128)
    a, b = (Reconstruction(scale("smoke"), "lstm-1", "zeros", padded=True) for _ in range(2))
    with torch.no_grad():
        a.recurrent.input_map.bias.copy_(torch.randn(3 * N, 1).expand(-1, 4**3).flatten())
    arrays = to_theano(a)
    again = to_theano(from_theano(b, arrays))
    assert sum(value.shape == (N,) for value in arrays) >= 3
    assert all(np.array_equal(x, y) for x, y in zip(arrays, again, strict=True))
    with torch.no_grad():
        a.recurrent.input_map.bias[0] += 1
    assert sum(value.shape == (N, 4, 4, 4) for value in to_theano(a)) == 1


def test_images_are_convolved_with_mirrored_kernels():
    (model,) = networks("lstm-3", "zeros", True, count=1)
    kernel, bias = to_theano(model)[:2]
    image = np.random.default_rng(1).normal(size=(3, 32, 32))
    expected = bias[5] + sum(convolve(image[c], kernel[5, c], mode="constant") for c in range(3))
    got = model.encoder.convs[0](torch.from_numpy(image)[None])[0, 5].detach().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_wrong_weights_are_refused_by_name():
    small, large = (Reconstruction(scale("smoke"), name) for name in ("gru-3", "res-gru-3"))
    weights = to_pytorch(small)
    with pytest.raises(CheckpointError, match="encoder.conv1a.weight: is missing"):
        from_pytorch(large, weights)
    with pytest.raises(CheckpointError, match="more: has no place"):
        from_pytorch(small, {**weights, "more": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="arrays, not"):
        from_theano(large, to_theano(small))
    padded = Reconstruction(scale("smoke"), "gru-3", padded=True)
    with pytest.raises(CheckpointError, match=r"encoder.fc7.weight: is \(64, 64\), not \(64, 144\)"):
        from_pytorch(padded, weights)
    with pytest.raises(CheckpointError, match="one for each channel"):
        lstm = to_pytorch(Reconstruction(scale("smoke"), "lstm-3"))
        names = dict(
            zip(("t_x_s_input", "t_x_s_forget", "t_x_s_cell"), ("t_x_s_update", "t_x_s_reset", "t_x_rs"), strict=True)
        )
        from_pytorch(
            small,
            {
                (k if len(p := k.split(".")) < 3 else ".".join([p[0], names.get(p[1], p[1]), *p[2:]])): v
                for k, v in lstm.items()
            },
        )
