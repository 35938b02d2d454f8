"""Shipped weights: what packing costs, and what is refused."""

import pytest
import torch
from torch import nn

from compress3d.engine.weights import load_weights, pack_weights, save_weights, unpack_weights, weights_origin
from compress3d.errors import CheckpointError
from compress3d.joint.implicit import Implicit
from compress3d.r2n2.network import Reconstruction
from compress3d.scales import scale


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Implicit(scale("smoke"), rate=384)


@pytest.fixture
def path(model, tmp_path):
    save_weights(model, tmp_path / "w.safetensors", {"minutes": 1.5})
    return tmp_path / "w.safetensors"


def test_packing_errs_by_half_a_step(model):
    unpacked = unpack_weights(pack_weights(model))
    for name, value in model.state_dict().items():
        error = (unpacked[name] - value).abs()
        if name == "lstm.input_map.weight":  # 8 bit: 255 levels a row; the scale itself is rounded to 11 bits
            bound = value.abs().amax(1, keepdim=True) / 127 * 0.56
        else:  # half precision: 11 bits
            bound = value.abs() * 2**-11 + 1e-7
        assert (error <= bound).all(), name


def test_packed_twice_is_packed_once(model):
    once = unpack_weights(pack_weights(model))
    model.load_state_dict(once)
    twice = unpack_weights(pack_weights(model))
    assert all(torch.allclose(once[name], twice[name], atol=1e-6, rtol=1e-3) for name in once)


def test_round_trip_through_the_file(model, path):
    other = Implicit(scale("smoke"), rate=384)
    load_weights(other, path)
    expected = unpack_weights(pack_weights(model))
    assert all(torch.equal(expected[name], value) for name, value in other.state_dict().items())
    assert weights_origin(path) == {"minutes": 1.5}


@pytest.mark.parametrize("length", [0, 1, 7, 8, 100, 5000])
def test_truncated_file_is_refused(model, path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=path.name):
        load_weights(model, path)


def test_text_missing_file_and_other_network_are_refused(model, path, tmp_path):
    with pytest.raises(CheckpointError, match="fits another network"):
        load_weights(Reconstruction(scale("smoke")), path)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_weights(model, tmp_path / "none.safetensors")
    path.write_text("no weights at all\n" * 100)
    with pytest.raises(CheckpointError, match="no whole safetensors"):
        load_weights(model, path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["decoder.classify.bias", "lstm.input_map.bias", "encoder.convs.0.weight"])
def test_values_that_are_not_finite_are_refused(model, path, bad, name):
    with torch.no_grad():
        dict(model.named_parameters())[name].view(-1)[0] = bad
    save_weights(model, path, {})
    with pytest.raises(CheckpointError, match=name):
        load_weights(model, path)


def test_statistics_of_batch_normalisation_are_kept_whole(tmp_path):
    """A variance above the largest half-precision number, and a count above the largest whole one, come back."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    model[1].running_var.copy_(torch.tensor([1e6, 0.1]))
    model[1].num_batches_tracked.fill_(70_001)
    save_weights(model, tmp_path / "w.safetensors", {})
    fresh = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    load_weights(fresh, tmp_path / "w.safetensors")
    assert torch.equal(fresh[1].running_var, model[1].running_var)
    assert fresh[1].num_batches_tracked.item() == 70_001
    torch.testing.assert_close(fresh[0].weight, model[0].weight, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("network", ["lstm-3", "gru-3"])
def test_a_shipped_network_gives_nearly_the_same_voxels(network, tmp_path):
    """8 bits a weight in the input map, 16 elsewhere: the probabilities move by less than a hundredth."""
    torch.manual_seed(0)
    model, fresh = (Reconstruction(scale("smoke"), network).eval() for _ in range(2))
    save_weights(model, tmp_path / "w.safetensors", {})
    load_weights(fresh, tmp_path / "w.safetensors")
    images = torch.rand(2, 3, 3, 32, 32)
    torch.testing.assert_close(torch.sigmoid(fresh(images)), torch.sigmoid(model(images)), atol=0.01, rtol=0)
