"""Packed fields: read back bit for bit, as small as their entropy allows, and damaged files that say so."""

import copy
import hashlib
import json
import zlib

import numpy as np
import pytest
import torch

from compress3d.errors import ConfigError, DataError
from compress3d.nerf.cells import OccupiedCells
from compress3d.nerf.mlp import MLP
from compress3d.nerf.models import MLPScene, VoxelScene
from compress3d.nerf.packing import file, naive_bytes, pack, unpack
from compress3d.nerf.packing.arrays import read_sizes, write_sizes
from compress3d.nerf.packing.entropy import TOTAL, Contexts, Reader, Writer, frequencies
from compress3d.nerf.packing.masks import read_grid, read_matrix, write_grid, write_matrix
from compress3d.nerf.prune import named_layers, prune, survivors
from compress3d.nerf.quantize import blocks_of, from_levels, from_whole, quantise, scales_of, to_levels, to_whole
from compress3d.nerf.rays import Rays
from compress3d.nerf.rendering import CoarseFine


def original(width=24, seed=0):
    torch.manual_seed(seed)
    coarse, fine = MLP(6, width, skip=2), MLP(3, width, skip=None, first_relu=False, feature_relu=True)
    return CoarseFine(coarse, fine, near=2.0, far=6.0, white=True, samples=(8, 8), noise=0.5)


def in_cells(seed=0):
    torch.manual_seed(seed)
    cells = OccupiedCells(torch.rand(5, 7, 6) > 0.5, ((-1, -1, -1), (1, 1.5, 1)))
    model = MLPScene(MLP(2, 32, skip=None), cells, samples=40, scale=30.0)
    model.near.fill_(0.5)
    return model


def voxels(seed=0):
    torch.manual_seed(seed)
    model = VoxelScene(sizes=((0, 12),), prune=(), trim=None, relative_step=0.7)
    with torch.no_grad():
        model.voxels.rows.normal_()
        model.voxels.rows[:, 0] += 2
    inside = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 11)] * 3, indexing="ij")).norm(dim=0) < 0.8
    model.voxels.keep(inside)
    model.far.fill_(9.0)
    return model


MODELS = {"coarse-fine": original, "mlp": in_cells, "voxels": voxels}


def rays(count=40):
    torch.manual_seed(5)
    origins = torch.nn.functional.normalize(torch.randn(count, 3), dim=-1) * 3
    directions = -origins / 3 + 0.1 * torch.randn(count, 3)
    return Rays(origins, directions, torch.nn.functional.normalize(directions, dim=-1))


@torch.no_grad()
def picture(model):
    return model.render(rays()).colour


PRUNED = [(kind, ratio) for kind in MODELS for ratio in (0.0, 0.6, 0.95, 1.0) if kind != "voxels" or not ratio]


@pytest.mark.parametrize("bits", [32, 16, 12, 8, 6, 5, 4, 2])
@pytest.mark.parametrize("kind, ratio", PRUNED)
def test_a_file_holds_the_quantised_model_bit_for_bit(kind, bits, ratio):
    model = MODELS[kind]()
    if ratio:
        prune(model, ratio)
    data = pack(model, bits, "a name")
    assert data == pack(model, bits, "a name")  # nothing of chance in it
    found, expected = unpack(data), quantise(copy.deepcopy(model), bits)
    assert not found.training and type(found) is type(model)
    if kind == "voxels":
        for name in ("rows", "index", "bounds"):
            assert torch.equal(getattr(found.voxels, name), getattr(expected.voxels, name)), name
        assert found.relative_step == expected.relative_step
    else:
        for (name, layer), twin in zip(named_layers(found).items(), named_layers(expected).values(), strict=True):
            assert torch.equal(layer.acting_weight, twin.acting_weight), name
            assert torch.equal(layer.bias, twin.bias), name
        assert survivors(found) == survivors(model)
    assert torch.equal(picture(found), picture(expected.eval()))
    if bits == 32:
        assert torch.equal(picture(found), picture(model.eval()))


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("bits", [3, 6, 8, 12])
@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (40, 1), (33, 155)])
def test_whole_numbers_are_within_half_a_scale_unless_clipping_is_better(shape, bits, rows):
    values = (np.random.default_rng(0).normal(size=shape) * np.geomspace(1, 1e-3, shape[0])[:, None]).astype("f4")
    blocks = blocks_of((shape[1],), bits) if rows else None
    whole = to_whole(values, bits, blocks)
    most = 2 ** (bits - 1) - 1
    assert np.abs(whole.numbers).max() <= most and whole.steps.shape == ((shape[0], len(blocks)) if rows else (1, 1))
    # Never worse than the plain way: a scale that just holds the largest value, rounded up by a sixteenth of an octave.
    sizes = np.cumsum(blocks)[:-1] if rows else []
    plain = [np.abs(part).max(1 if rows else None, keepdims=True) for part in np.split(values, sizes, axis=1)]
    plain = [
        np.broadcast_to(side, part.shape) for side, part in zip(plain, np.split(values, sizes, axis=1), strict=True)
    ]
    scale = np.maximum(np.concatenate(plain, 1).astype(np.float64) / most * 2 ** (1 / 16), 1e-30)
    error = np.square(from_whole(whole) - values.astype(np.float64)).sum()
    assert error <= np.square(scale / 2).sum() + 1e-12


def test_parts_of_a_joined_input_have_scales_of_their_own():
    values = np.concatenate([np.full((4, 8), 1e-3), np.full((4, 8), 1.0)], 1).astype("f4")
    apart, together = (from_whole(to_whole(values, 4, blocks)) for blocks in ((8, 8), (16,)))
    assert np.abs(apart / values - 1).max() < 0.08 and (together[:, :8] == 0).all()


@pytest.mark.parametrize("bits", [16, 12, 8, 6, 5, 4, 3, 2])
@pytest.mark.parametrize("kind", MODELS)
def test_rounding_twice_changes_nothing(kind, bits):
    """So that a field that was rounded, looked at and then packed is in the file as it was looked at."""
    for seed in range(3):
        model = MODELS[kind](seed=seed)
        if kind != "voxels" and seed:
            prune(model, 0.5)
        once = quantise(model, bits)
        twice, read = quantise(copy.deepcopy(once), bits), unpack(pack(once, bits))
        for name, value in once.named_parameters():
            assert torch.equal(twice.get_parameter(name), value), name
        assert torch.equal(picture(read), picture(once))


def test_rounding_twice_by_one_scale_and_of_many_sizes():
    rng = np.random.default_rng(0)
    for bits in range(2, 13):
        for scale in (1e-30, 1e-4, 1.0, 3e4, 1e30):
            values = (rng.standard_t(3, size=(7, 40)) * scale).astype("f4")
            for blocks in (None, (40,), (8, 32)):
                once = from_whole(to_whole(values, bits, blocks))
                np.testing.assert_array_equal(from_whole(to_whole(once, bits, blocks)), once)
            once = from_levels(to_levels(values.T, bits))
            np.testing.assert_array_equal(from_levels(to_levels(once, bits)), once)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e-12, 2.5e20, 1.0])
def test_a_column_of_one_value_keeps_it(value):
    values = np.full((9, 2), value, "f4")
    np.testing.assert_array_equal(from_levels(to_levels(values, 4)), values)


@pytest.mark.parametrize("bits", [1, 13, 0, 64, -8])
def test_bits_that_are_not_made_are_refused(bits):
    with pytest.raises(ConfigError, match="not made"):
        pack(original(), bits)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("bits", [16, 8])
@pytest.mark.parametrize("kind", MODELS)
def test_values_that_are_not_finite_are_refused(kind, bits, value):
    model = MODELS[kind]()
    with torch.no_grad():
        (model.voxels.rows if kind == "voxels" else next(iter(named_layers(model).values())).weight)[0, 0] = value
    with pytest.raises(DataError, match="finite|half precision"):
        pack(model, bits)


@pytest.mark.parametrize("bits", [32, 16, 8, 5])
@pytest.mark.parametrize("what", ["a zero layer", "a zero row", "all pruned layer", "constant", "zero biases"])
def test_odd_tensors_pack(what, bits):
    model = original()
    layer = model.fine.feature
    with torch.no_grad():
        if what == "a zero layer":
            layer.weight.zero_()
        elif what == "a zero row":
            layer.weight[3].zero_()
        elif what == "all pruned layer":
            layer.add_mask(torch.zeros_like(layer.weight, dtype=torch.bool))
        elif what == "constant":
            layer.weight.fill_(-0.37)
        else:
            for other in named_layers(model).values():
                other.bias.zero_()
    found, expected = unpack(pack(model, bits)), quantise(copy.deepcopy(model), bits)
    assert torch.equal(found.fine.feature.acting_weight, expected.fine.feature.acting_weight)
    assert torch.equal(picture(found), picture(expected))


@pytest.mark.parametrize("kept", [0, 1])
def test_a_voxel_field_of_nothing_and_of_one_cell(kept):
    model = voxels()
    cells = torch.zeros_like(model.voxels.cells)
    if kept:
        cells[5, 5, 5] = True
    model.voxels.keep(cells)
    found = unpack(pack(model, 8))
    assert torch.equal(found.voxels.index, model.voxels.index) and found.voxels.rows.shape == model.voxels.rows.shape


# -- bytes -------------------------------------------------------------------------------------------------------------


def entropy(counts):
    p = np.asarray(counts)[np.asarray(counts) > 0] / np.sum(counts)
    return -(p * np.log2(p)).sum() * np.sum(counts) / 8


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(64, 64), (256, 319)])
def test_masks_without_structure_take_their_entropy_and_with_structure_less(shape, share):
    rng = np.random.default_rng(1)
    for of_columns in (False, True):
        chances = np.full(shape[1], share)
        if of_columns:  # some inputs are dead, others are busy
            chances = np.where(rng.random(shape[1]) < share, 0.85, 0.02)
        mask = rng.random(shape) < chances
        writer = Writer()
        write_matrix(writer, mask)
        data = writer.done()
        np.testing.assert_array_equal(read_matrix(Reader(data, "mask"), shape), mask)
        plain = entropy([mask.sum(), mask.size - mask.sum()])
        assert len(data) < plain * (0.9 if of_columns and shape[0] > 100 and 0.05 < share < 0.9 else 1.1) + 80


def test_grids_take_less_than_their_entropy():
    z = np.stack(np.meshgrid(*[np.linspace(-1, 1, 40)] * 3, indexing="ij"))
    ball = np.linalg.norm(z, axis=0) < 0.7
    writer = Writer()
    write_grid(writer, ball)
    data = writer.done()
    np.testing.assert_array_equal(read_grid(Reader(data, "grid"), ball.shape), ball)
    assert len(data) < 0.15 * entropy([ball.sum(), ball.size - ball.sum()])


@pytest.mark.parametrize("count", [1, 2, 3, 256, 4096])
def test_frequencies_add_up_and_code(count):
    rng = np.random.default_rng(count)
    for numbers in (rng.integers(0, count, 3000), np.full(50, count - 1), np.zeros(0, int), np.minimum(rng.geometric(0.4, 9000) - 1, count - 1)):  # fmt: skip  # noqa: E501
        table = frequencies(numbers, count)
        assert table.astype(int).sum() == (TOTAL - 1 if len(numbers) else 0)
        assert ((table > 0) == (np.bincount(numbers, minlength=count) > 0)).all()
        writer = Writer()
        writer.numbers(numbers, table)
        data = writer.done()
        np.testing.assert_array_equal(Reader(data, "numbers").numbers(len(numbers), table), numbers)
        if len(numbers):
            assert len(data) < 1.02 * entropy(np.bincount(numbers)) + 16


@pytest.mark.parametrize("threshold", [0.0, 0.9])
def test_sizes_of_rows_with_scales_of_their_own_take_less_where_small_ones_are_gone(threshold):
    """Against the entropy of all sizes together, with a table sent: what knows nothing of scales and thresholds."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 200)) * np.geomspace(1, 3, 60)[:, None]
    whole = to_whole(values.astype("f4"), 8, (200,))
    kept = np.abs(values) > np.quantile(np.abs(values), threshold)
    sizes, k = np.abs(whole.numbers)[kept], np.broadcast_to(whole.top - whole.steps, values.shape)[kept]
    writer, header = Writer(), {}
    write_sizes(writer, header, "w", sizes, k, 128)
    data = writer.done()
    np.testing.assert_array_equal(read_sizes(Reader(data, "sizes"), header, "w", k, 128, "sizes"), sizes)
    assert len(data) < entropy(np.bincount(sizes)) * (0.95 if threshold else 1.02) + 16


def test_contexts_learn_the_same_on_both_sides():
    rng = np.random.default_rng(0)
    context, bits = rng.integers(0, 5, 400), rng.random(400) < 0.2
    writer, learnt = Writer(), Contexts(5)
    for part in np.split(np.arange(400), 20):
        writer.bits(bits[part], learnt.chances(context[part]))
        learnt.learn(context[part], bits[part])
    reader, again = Reader(writer.done(), "bits"), Contexts(5)
    for part in np.split(np.arange(400), 20):
        found = reader.bits(again.chances(context[part]))
        np.testing.assert_array_equal(found, bits[part])
        again.learn(context[part], found)


def test_fewer_bits_and_more_pruning_make_smaller_files():
    model = original(64)
    sizes = [len(pack(model, bits)) for bits in (32, 16, 8, 5)]
    assert sizes == sorted(sizes, reverse=True)
    raw = 4 * sum(p.numel() for p in model.parameters())
    assert sizes[0] < raw and sizes[2] < raw / 3.5 and naive_bytes(model) > sizes[0]
    pruned = []
    for ratio in (0.3, 0.7, 0.9, 0.98):
        prune(model, ratio)
        pruned.append(len(pack(model, 8)))
    assert [sizes[2], *pruned] == sorted([sizes[2], *pruned], reverse=True)


def test_levels_are_within_half_a_step_but_for_the_outermost():
    values = np.random.default_rng(0).normal(size=(5000, 3)).astype("f4") * [1, 10, 0]
    levels = to_levels(values.astype("f4"), 6)
    off = np.abs(from_levels(levels) - values) > scales_of(levels.k) * 0.501 + 1e-6
    assert (
        off.mean(0).max() < 0.0025 and 58 <= levels.numbers.max() <= 63
    )  # a scale is up to 4 % larger than it had to be


# -- damage ------------------------------------------------------------------------------------------------------------


def damaged(data):
    """Name and bytes of files that hold no field any more."""
    rng = np.random.default_rng(0)
    for length in [*range(0, 40, 3), *rng.integers(40, len(data), 40).tolist()]:
        yield f"cut to {length}", data[:length]
    for _ in range(100):
        place, bit = int(rng.integers(len(data))), 1 << int(rng.integers(8))
        yield f"bit {bit} of byte {place}", data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
    for _ in range(20):
        start, end = sorted(rng.integers(0, len(data), 2).tolist())
        yield f"zeros from {start} to {end}", data[:start] + bytes(end + 1 - start) + data[end + 1 :] + b"x"
    yield from (("two files", data + data), ("a byte more", data + b"\0"), ("another file", b"\x89PNG" + data[4:]))
    yield from (("a version", data[:3] + b"\2" + data[4:]), ("text", b"C3N, or so I say\n" * 40))


@pytest.mark.parametrize("kind", MODELS)
def test_every_damaged_file_says_so(kind):
    data = pack(MODELS[kind](), 8)
    for what, broken in damaged(data):
        with pytest.raises(DataError) as refused:
            unpack(broken, "scene.c3n")
        assert "scene.c3n" in str(refused.value) and "What to do" in str(refused.value), what


def forged(data, change, stream=None):
    """A file whose header was changed, with a checksum that fits."""
    length = int.from_bytes(data[4:8], "little")
    header = json.loads(zlib.decompress(data[8 : 8 + length]))
    change(header)
    return file.write(header, data[8 + length : -file.CHECKSUM] if stream is None else stream)


def values_of(header, key=None):
    """Ways to entries of a header."""
    for name, value in header.items():
        yield (name,) if key is None else (*key, name)
        if isinstance(value, dict):
            yield from values_of(value, (name,) if key is None else (*key, name))


WRONG = [None, -1, 0, 1, 3, 2**40, 1e300, "text", [], {}, [2**20] * 3, True, float("nan")]


@pytest.mark.parametrize("kind", MODELS)
def test_a_forged_header_never_crashes_or_asks_for_much(kind):
    """Its checksum fits, so only what the header says can give it away. Where it passes, no value is another one."""
    model = MODELS[kind]()
    if kind != "voxels":
        prune(model, 0.5)
    data = pack(model, 8)
    length = int.from_bytes(data[4:8], "little")
    ways = list(values_of(json.loads(zlib.decompress(data[8 : 8 + length]))))
    refused = 0
    for way in ways:
        for wrong in WRONG:

            def change(header, way=way, wrong=wrong):
                for name in way[:-1]:
                    header = header[name]
                header[way[-1]] = wrong

            try:
                found = unpack(forged(data, change), "scene.c3n")
            except DataError as error:
                assert "scene.c3n" in str(error)
                refused += 1
            else:
                for value, expected in zip(
                    found.parameters(), quantise(copy.deepcopy(model), 8).parameters(), strict=True
                ):
                    assert torch.equal(value, expected), (way, wrong)
        with pytest.raises(DataError):
            unpack(forged(data, lambda header, way=way: _drop(header, way)), "scene.c3n")
    assert refused > 0.6 * len(ways) * len(WRONG)


def _drop(header, way):
    if way == ("name",):  # for people only
        header["kind"] = "?"
    for name in way[:-1]:
        header = header[name]
    del header[way[-1]]


@pytest.mark.parametrize("depth, width", [(64, 4096), (60, 1024), (8, 4096), (1, 4096)])
@pytest.mark.parametrize("size", [0, 30_000, 125_000])
def test_a_forged_header_gets_no_memory_that_its_stream_does_not_fill(depth, width, size):
    """Sizes within the limits of each number, beyond what the file can hold; refused before a network is made."""

    def change(header):
        for network in header["networks"].values():
            network |= {"depth": depth, "width": width}

    made = []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DataError):
        patch.setattr("compress3d.nerf.packing.MLP", lambda *of: made.append(of) or MLP(1, 2))
        unpack(forged(pack(original(), 8), change, bytes(size)), "scene.c3n")
    allowed = 2 * (depth + 2) * width * (width + 63) <= max(1 << 22, 256 * size)
    assert bool(made) == allowed


@pytest.mark.parametrize("kind", MODELS)
def test_streams_that_nobody_wrote_are_refused(kind):
    data, rng = pack(MODELS[kind](), 8), np.random.default_rng(0)
    for size in (0, 3, 4, 400, 8000):
        for stream in (bytes(size), b"\xff" * size, rng.bytes(size)):
            with pytest.raises(DataError, match="scene.c3n"):
                unpack(forged(data, lambda header: None, stream), "scene.c3n")


def test_a_header_that_inflates_without_end_is_stopped():
    text = zlib.compress(b" " * (1 << 24) + b"{}")
    body = file.MAGIC + bytes([file.VERSION]) + len(text).to_bytes(4, "little") + text
    with pytest.raises(DataError, match="header"):
        unpack(body + hashlib.sha256(body).digest()[: file.CHECKSUM], "bomb.c3n")
