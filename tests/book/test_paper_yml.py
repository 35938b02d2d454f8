"""The paper's printed numbers: every entry is complete and numeric, and they agree with the paper's own arithmetic."""

import math

import pytest
import yaml

from compress3d import paths
from compress3d.figures.tables import paper

NUMBERS = {"value", "forward", "backward", "saving_forward", "saving_backward", "std", "loss", "rate"}
WORDS = {"where", "note", "bound"}


class UniqueKeys(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; here that is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"typed twice: {sorted(k for k in keys if keys.count(k) > 1)}"
        return super().construct_mapping(node, deep)


def entries():
    tree = yaml.load((paths.book() / "paper.yml").read_text(encoding="utf-8"), Loader=UniqueKeys)
    for source, sections in tree.items():
        for name, section in sections.items():
            if "where" in section:
                yield f"{source}.{name}", section
                continue
            yield from ((f"{source}.{name}.{key}", entry) for key, entry in section.items())


def test_every_entry_has_numbers_and_a_place():
    found = dict(entries())
    assert len(found) > 50
    for key, entry in found.items():
        assert entry["where"], key
        assert entry.keys() <= NUMBERS | WORDS, key
        assert entry.keys() & {"value", "forward"}, key
        assert entry.get("bound", "lower") in ("lower", "upper"), key
        for name in entry.keys() & NUMBERS:
            values = entry[name] if isinstance(entry[name], list) else [entry[name]]
            assert values and all(type(v) in (int, float) and math.isfinite(v) for v in values), key


# Typed by hand from the paper, apart from book/paper.yml: every number of a section, in the order of `COLUMNS`.
# A section there with more, fewer or other numbers than here fails.
COLUMNS = ["value", "std", "rate", "loss", "forward", "backward", "saving_forward", "saving_backward"]
PRINTED = {
    "golts2021.conditions": {
        "views": 5, "threshold": 0.4, "image_size": 128, "image_channels": 3, "grid": 32, "batch_size": 6, "epochs": 20,
        "gpu": 1080, "gpus": 1, "models": 3, "losses": 2, "code_length": 1024, "hidden_size": 128, "lstm_grid": 4,
        "encoder_stride": 64, "encoder_poolings": 6, "encoder_pool_stride": 2, "encoder_variants": 2, "lstm_kernel": 3,
        "epochs_of_choy": 60, "epochs_cost_percent": 3, "bits_per_channel": 8, "codec_stride": 16, "codec_channels": 32,
        "codec_gamma": [0, 1], "codec_code_values": [-1, 1], "codec_convolutions_first": 1, "codec_encoder_layers": 3,
        "depth_to_space_depth": 4, "depth_to_space_side": 2, "codec_patch": 32, "iou_std": 0.2,
    },
    "golts2021.table1": {
        "choy_original": (0.54, 0.22), "ours_20_epochs": (0.64, 0.20), "ours_60_epochs": (0.66, 0.20),
    },
    "golts2021.table1_caption": {"choy_percentiles": [15, 85], "choy_percentile_sigmas": 2},
    "golts2021.fig8": {
        "uncompressed": (0.64, 12), "jpeg2000_384": (0.1, 384), "sequential_384": (0.5, 384), "direct_384": (0.5, 384),
        "sequential_beats_jpeg2000_from": 128, "largest_rate_iterations": 1, "models_above_jpeg2000": 2,
        "implicit_largest_rate": 480, "unified_largest_rate": 384,
    },
    "golts2021.significance": {
        "bins": 7, "bin_counts": [17, 82, 131, 273, 340, 384, 233], "bin_std": 0.04, "shown_bin": 5,
        "shown_bin_count": 340, "lowest_two_bins": 0.2,
    },
    "golts2021.low_rates": {"float_bits": 32, "float_rates": [12, 6], "quantizer_bits": [4, 8, 16]},
    "golts2021.decoding": {"jpeg2000_keeps_detail_at": 48},
    "golts2021.shown_rates": {
        "uncompressed": 1, "table2": [48, 192, 384, 480], "table4": [48, 192, 384], "table5": [48, 192, 384],
        "table6": [48, 192, 384], "examples": 4,
    },
    "golts2021.appendix": {
        "small_encoder_maps": 16, "original_encoder_maps": 512, "small_bits": 16, "original_bits": 32,
        "small_largest_rate": 384, "original_largest_rate": 192, "small_decoder_layers": 3,
        "original_decoder_layers": 4, "toderici_training_rate": 24, "loss_gap": 2,
        "fig11_constant_rate": 48, "fig11_random_up_to": 384,
    },
    "golts2021.conditions_table3": {"views": 5, "iterations": 4},
    "golts2021.table3": {
        "reconstruction": (13, 13),
        "reconstruction_encoder": (6, 6),
        "compression_original": (40, 24),
        "compression_small": (32, 20),
        "sequential": (45, 33, 15, 11),
        "direct": (39, 27, 26, 27),
        "implicit": (13, 13, 75, 65),
    },
    "choy2016r2n2": {
        "lstm_1": (0.499, 0.116), "gru_1": (0.540, 0.105), "lstm_3": (0.539, 0.106), "gru_3": (0.592, 0.091),
        "res3d_gru_3": (0.634, 0.080),
    },
    "choy2016pascal.kar": {
        "aeroplane": 0.298, "bicycle": 0.144, "boat": 0.188, "bus": 0.501, "car": 0.472, "chair": 0.234,
        "motorbike": 0.361, "sofa": 0.149, "train": 0.249, "tvmonitor": 0.492, "mean": 0.318,
    },
    "choy2016pascal.res3d_gru_3": {
        "aeroplane": 0.544, "bicycle": 0.499, "boat": 0.560, "bus": 0.816, "car": 0.699, "chair": 0.280,
        "motorbike": 0.649, "sofa": 0.332, "train": 0.672, "tvmonitor": 0.574, "mean": 0.571,
    },
    "xie2019pix2vox.r2n2_by_category": {
        "airplane": [0.513, 0.536, 0.549, 0.556, 0.561], "bench": [0.421, 0.484, 0.502, 0.516, 0.527],
        "cabinet": [0.716, 0.746, 0.763, 0.767, 0.772], "car": [0.798, 0.821, 0.829, 0.833, 0.836],
        "chair": [0.466, 0.515, 0.533, 0.541, 0.550], "display": [0.468, 0.527, 0.545, 0.558, 0.565],
        "lamp": [0.381, 0.406, 0.415, 0.416, 0.421], "loudspeaker": [0.662, 0.696, 0.708, 0.714, 0.717],
        "rifle": [0.544, 0.582, 0.593, 0.595, 0.600], "sofa": [0.628, 0.677, 0.690, 0.698, 0.706],
        "table": [0.513, 0.550, 0.564, 0.573, 0.580], "telephone": [0.661, 0.717, 0.732, 0.738, 0.754],
        "watercraft": [0.513, 0.576, 0.596, 0.604, 0.610],
    },
    "xie2019pix2vox.test_objects": {
        "airplane": 810, "bench": 364, "cabinet": 315, "car": 1501, "chair": 1357, "display": 220, "lamp": 465,
        "loudspeaker": 325, "rifle": 475, "sofa": 635, "table": 1703, "telephone": 211, "watercraft": 389,
    },
    "xie2019pix2vox.pix2vox_f_by_category": {
        "airplane": 0.600, "bench": 0.538, "cabinet": 0.765, "car": 0.837, "chair": 0.535, "display": 0.511,
        "lamp": 0.435, "loudspeaker": 0.707, "rifle": 0.598, "sofa": 0.687, "table": 0.587, "telephone": 0.770,
        "watercraft": 0.582,
    },
    "literature_by_views": {
        "views": [1, 2, 3, 4, 5, 8, 12, 16, 20],
        "r2n2": [0.560, 0.603, 0.617, 0.625, 0.634, 0.635, 0.636, 0.636, 0.636],
        "pix2vox_f": [0.634, 0.660, 0.668, 0.673, 0.676, 0.680, 0.682, 0.684, 0.684],
    },
}  # fmt: skip


@pytest.mark.parametrize("section", PRINTED)
def test_as_printed(section):
    def row(entry):
        numbers = [entry[name] for name in COLUMNS if name in entry]
        return numbers[0] if len(numbers) == 1 else tuple(numbers)

    assert {key: row(entry) for key, entry in paper(section).items()} == PRINTED[section]


def test_no_section_escapes_the_transcription():
    assert {key.rpartition(".")[0] for key, _ in entries()} == PRINTED.keys()
    assert set(COLUMNS) == NUMBERS


def test_quoted_3d_r2n2_rounds_to_the_row_of_table_1():
    assert round(paper("choy2016r2n2.lstm_3")["value"], 2) == paper("golts2021.table1.choy_original")["value"]


def test_bins_are_minibatches_of_six_of_the_last_fifth_of_shapenet():
    counts = paper("golts2021.significance.bin_counts")["value"]
    assert len(counts) == paper("golts2021.significance.bins")["value"]
    assert sum(counts) == 8762 // paper("golts2021.conditions.batch_size")["value"]
    shown = counts[paper("golts2021.significance.shown_bin")["value"] - 1]
    assert shown == paper("golts2021.significance.shown_bin_count")["value"]


def test_stopping_early_costs_what_the_text_says():
    early, late = (paper(f"golts2021.table1.ours_{epochs}_epochs")["value"] for epochs in (20, 60))
    assert round(100 * (1 - early / late)) == paper("golts2021.conditions.epochs_cost_percent")["value"]


def test_strides_are_the_product_of_their_layers():
    of = {name: entry["value"] for name, entry in paper("golts2021.conditions").items()}
    assert of["encoder_pool_stride"] ** of["encoder_poolings"] == of["encoder_stride"]
    assert of["depth_to_space_side"] ** 2 == of["depth_to_space_depth"]
    layers = paper("golts2021.appendix.original_decoder_layers")["value"]
    assert of["depth_to_space_side"] ** layers == of["codec_stride"]
    assert of["codec_channels"] == paper("golts2021.appendix.original_bits")["value"]


def raw_bits():
    side = paper("golts2021.conditions.image_size")["value"]
    channels = paper("golts2021.conditions.image_channels")["value"]
    return side**2 * channels * paper("golts2021.conditions.bits_per_channel")["value"]


@pytest.mark.parametrize("codec", ["small", "original"])
def test_largest_rate_is_one_iteration_of_equation_12(codec):
    side = paper("golts2021.conditions.image_size")["value"] // paper("golts2021.conditions.codec_stride")["value"]
    bits = side**2 * paper(f"golts2021.appendix.{codec}_bits")["value"]
    assert raw_bits() / bits == paper(f"golts2021.appendix.{codec}_largest_rate")["value"]


def test_float_code_of_3d_r2n2_is_12_to_1():
    bits = paper("golts2021.conditions.code_length")["value"] * paper("golts2021.low_rates.float_bits")["value"]
    assert raw_bits() / bits == paper("golts2021.fig8.uncompressed")["rate"]


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_table_3_adds_up(way):
    """Savings are against the original compression followed by the reconstruction, in whole percent."""
    ms = {name: paper(f"golts2021.table3.{name}")[way] for name in (
        "reconstruction", "reconstruction_encoder", "compression_original", "compression_small",
        "sequential", "direct", "implicit")}  # fmt: skip
    assert ms["sequential"] == ms["compression_small"] + ms["reconstruction"]
    assert ms["direct"] == ms["sequential"] - ms["reconstruction_encoder"]
    before = ms["compression_original"] + ms["reconstruction"]
    for model in ("sequential", "direct", "implicit"):
        saving = paper(f"golts2021.table3.{model}")[f"saving_{way}"]
        assert abs(100 * (1 - ms[model] / before) - saving) < 1, model
