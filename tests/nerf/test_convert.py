"""Weights of others: there and back, and files that are damaged, of another kind, or hold code."""

import os
import pickle

import numpy as np
import pytest
import torch

from benchmarks import naive_nerf
from compress3d.errors import CheckpointError
from compress3d.nerf.convert import from_keras, from_port, load_port, read_keras, to_keras, to_port
from compress3d.nerf.mlp import MLP

SCENE = dict(near=2.0, far=6.0, white=True)


def port_network(depth=4, width=16, L=(3, 2), seed=0):
    torch.manual_seed(seed)
    return MLP(depth, width, None, *L, first_relu=False, feature_relu=True)


def checkpoint():
    """What the port saves."""
    states = {f"model_{part}_state_dict": to_port(port_network(seed=n)) for n, part in enumerate(("coarse", "fine"))}
    return {"iter": 199_999, **states, "optimizer_state_dict": {"state": {}}, "loss": torch.tensor(0.1), "psnr": 21.4}


@pytest.mark.parametrize(("depth", "width", "L"), [(4, 16, (3, 2)), (1, 8, (0, 0)), (8, 32, (10, 4))])
def test_a_port_network_by_its_own_formula(depth, width, L):
    field = port_network(depth, width, L).double()
    state = to_port(field)
    points, views = torch.randn(2, 6, 3, dtype=torch.float64)
    x = torch.cat([naive_nerf.encoding(points, L[0]), naive_nerf.encoding(views, L[1])], -1)
    expected = naive_nerf.network(state, x)
    loaded = from_port(to_port(field.float())).double()
    raw, features = loaded.density(points)
    torch.testing.assert_close(raw, expected[:, 3], rtol=0, atol=1e-5)
    torch.testing.assert_close(loaded.colour(features, views, 1), expected[:, :3].sigmoid(), rtol=0, atol=1e-5)
    assert loaded.architecture == field.architecture


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_there_and_back(tmp_path, zipped):
    path, content = tmp_path / "a.ckpt", checkpoint()
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    field = load_port(path, **SCENE, samples=(8, 8))
    for part in ("coarse", "fine"):
        state = to_port(getattr(field, part))
        expected = content[f"model_{part}_state_dict"]
        assert list(state) == list(expected) and all(torch.equal(state[key], expected[key]) for key in state)
    assert field.samples == (8, 8) and field.near == 2 and field.white


def test_masked_weights_are_written_as_zeros():
    field = MLP(2, 8, L_position=1, L_direction=1)
    field.feature.add_mask(torch.zeros(8, 8, dtype=torch.bool))
    assert not to_port(field)["fc_feat.weight"].any()
    assert not to_keras(field)[4].any()


def broken(**changes):
    content = checkpoint()
    state = content["model_fine_state_dict"]
    for key, value in changes.items():
        if value is None:
            del state[key.replace("__", ".")]
        else:
            state[key.replace("__", ".")] = value
    return content


CONTENTS = {
    "a list": (lambda: [1, 2], "holds a list"),
    "no fine network": (lambda: {**checkpoint(), "model_fine_state_dict": None}, "no fine network"),
    "no coarse network": (lambda: {"model_fine_state_dict": to_port(port_network())}, "no coarse network"),
    "a bias is missing": (lambda: broken(fc_rgb__bias=None), "fc_rgb.bias is missing"),
    "the first layer is missing": (lambda: broken(layer1__weight=None), "layer1.weight is missing"),
    "a middle layer is missing": (lambda: broken(layers_xyz__1__weight=None), "layers_xyz.1.bias, which has no place"),
    "a further layer": (lambda: broken(fc_out__weight=torch.ones(2, 2)), "fc_out.weight, which has no place"),
    "a number for a weight": (lambda: broken(layer1__weight=3.0), "layer1.weight is missing"),
    "no matrix": (lambda: broken(layer1__weight=torch.ones(16)), "not a matrix"),
    "an encoding that is none": (lambda: broken(layer1__weight=torch.ones(16, 20)), "fit no encoding"),
    "a joint": (lambda: broken(layers_xyz__1__weight=torch.ones(16, 37)), r"is \(16, 37\), not \(16, 16\)"),
    "a bias of another shape": (lambda: broken(fc_alpha__bias=torch.ones(2)), r"is \(2,\), not \(1,\)"),
    "integers": (lambda: broken(fc_alpha__bias=torch.ones(1, dtype=torch.int32)), "not finite numbers"),
    "NaN": (lambda: broken(fc_feat__weight=torch.full((16, 16), torch.nan)), "fc_feat.weight holds values"),
    "infinity": (lambda: broken(fc_feat__bias=torch.full((16,), -torch.inf)), "fc_feat.bias holds values"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_checkpoints_of_another_content(tmp_path, name):
    content, problem = CONTENTS[name]
    path = tmp_path / "a.ckpt"
    torch.save(content(), path)
    with pytest.raises(CheckpointError, match=problem) as caught:
        load_port(path, **SCENE)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_checkpoints_cut_off(tmp_path, zipped, share):
    path = tmp_path / "a.ckpt"
    torch.save(checkpoint(), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError):
        load_port(path, **SCENE)


def test_a_flipped_bit_of_a_zipped_checkpoint(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save(checkpoint(), path)
    data = bytearray(path.read_bytes())
    weights = checkpoint()["model_fine_state_dict"]["fc_feat.weight"].numpy().tobytes()
    data[bytes(data).index(weights) + 100] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="another checksum"):
        load_port(path, **SCENE)


def test_files_of_another_kind(tmp_path):
    path = tmp_path / "a.ckpt"
    for data in (b"", b"a picture", np.random.default_rng(0).bytes(5000)):
        path.write_bytes(data)
        with pytest.raises(CheckpointError):
            load_port(path, **SCENE)
        with pytest.raises(CheckpointError):
            read_keras(path)
    for read in (lambda path: load_port(path, **SCENE), read_keras):
        with pytest.raises(CheckpointError, match="does not exist"):
            read(tmp_path / "none")
        with pytest.raises(CheckpointError, match="cannot be read"):
            read(tmp_path)


class Trap:
    """Whoever unpickles this makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_not_run(tmp_path, zipped):
    path, made = tmp_path / "a.ckpt", tmp_path / "made"
    torch.save({**checkpoint(), "extra": Trap(made)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="code"):
        load_port(path, **SCENE)
    assert not made.exists()


# -- Keras -----------------------------------------------------------------------------------------------------------


def keras_file(path, arrays):
    """As the original saves: np.save of a list of arrays of many shapes."""
    content = np.empty(len(arrays), object)
    content[:] = arrays
    np.save(path, content)


def test_the_originals_arrays_and_their_order(tmp_path):
    rng = np.random.default_rng(0)
    layers = [(63, 256), *[(256, 256)] * 4, (319, 256), *[(256, 256)] * 2]  # of the code that wrote them
    layers += [(256, 256), (283, 128), (128, 3), (256, 1)]  # bottleneck, views, colour, density
    arrays = [rng.normal(size=size, scale=0.05).astype(np.float32) for a, b in layers for size in ((a, b), (b,))]
    keras_file(tmp_path / "model_200000.npy", arrays)
    field = from_keras(read_keras(tmp_path / "model_200000.npy"))

    x = rng.normal(size=(5, 3))
    d = rng.normal(size=(5, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    waves = [
        np.concatenate([f(2.0**k * v) for k in range(L) for f in (np.sin, np.cos)], 1) for v, L in ((x, 10), (d, 4))
    ]
    e, looks = np.concatenate([x, waves[0]], 1), np.concatenate([d, waves[1]], 1)
    of = [(arrays[2 * n].astype(float), arrays[2 * n + 1].astype(float)) for n in range(12)]
    h = e
    for n in range(8):
        h = np.maximum(h @ of[n][0] + of[n][1], 0)
        h = np.concatenate([e, h], 1) if n == 4 else h
    sigma = h @ of[11][0] + of[11][1]
    h = np.concatenate([h @ of[8][0] + of[8][1], looks], 1)
    h = np.maximum(h @ of[9][0] + of[9][1], 0)
    rgb = 1 / (1 + np.exp(-(h @ of[10][0] + of[10][1])))
    field = field.double()
    raw, features = field.density(torch.from_numpy(x))
    np.testing.assert_allclose(raw.detach(), sigma[:, 0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(field.colour(features, torch.from_numpy(d), 1).detach(), rgb, rtol=0, atol=1e-10)


@pytest.mark.parametrize("as_list", [True, False])
def test_arrays_there_and_back(tmp_path, as_list):
    arrays = to_keras(MLP(3, 8, 1, 2, 1))
    path = tmp_path / "model.npy"
    if as_list:
        keras_file(path, arrays)
    else:  # NumPy's old protocol 2, whose bytes are Latin-1 text
        content = np.empty(len(arrays), object)
        content[:] = arrays
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(content))
            pickle.dump(content, file, protocol=2)
    again = to_keras(from_keras(read_keras(path), MLP(3, 8, 1, 2, 1)))
    assert all(np.array_equal(a, b) for a, b in zip(arrays, again, strict=True))


def test_arrays_that_do_not_fit():
    arrays = to_keras(MLP(3, 8, None, 2, 1))
    target = MLP(3, 8, None, 2, 1)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(CheckpointError, match="hold 13 arrays, not 14"):
        from_keras(arrays[:-1], target)
    wrong = [*arrays[:6], arrays[6][:, :-1], *arrays[7:]]
    with pytest.raises(CheckpointError, match=r"array 6 \(feature.weight\) is \(7, 8\), not \(8, 8\)"):
        from_keras(wrong, target)
    with pytest.raises(CheckpointError, match="not finite"):
        from_keras([np.full_like(arrays[0], np.nan), *arrays[1:]], target)
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_keras_files_that_hold_something_else(tmp_path):
    path, made = tmp_path / "model.npy", tmp_path / "made"
    for content, problem in (
        (np.array([Trap(made)], object), "refused"),
        (np.array([{"a": 1}], object), "arrays of numbers"),
        (np.array([np.array(["a"])], object), "arrays of numbers"),
        (np.arange(5.0), "arrays of numbers"),
        (np.empty(0, object), "arrays of numbers"),
    ):
        np.save(path, content)
        with pytest.raises(CheckpointError, match=problem):
            read_keras(path)
    assert not made.exists()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.99])
def test_keras_files_cut_off(tmp_path, share):
    path = tmp_path / "model.npy"
    keras_file(path, to_keras(MLP(3, 8, None, 2, 1)))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match="no list of arrays"):
        read_keras(path)
