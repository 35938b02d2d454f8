"""The paper's printed numbers: every entry is complete and numeric, and they agree with the paper's own arithmetic."""

import math
from pathlib import Path

import pytest
import yaml

from compress3d import paths
from compress3d.paper import paper

NUMBERS = {
    "value",
    "forward",
    "backward",
    "saving_forward",
    "saving_backward",
    "std",
    "loss",
    "rate",
    "mse",
    "compression",
}
WORDS = {"where", "note", "bound"}


class UniqueKeys(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; here that is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"typed twice: {sorted(k for k in keys if keys.count(k) > 1)}"
        return super().construct_mapping(node, deep)


def entries():
    """Document and key below it -> entry: whatever has a place is one."""

    def below(node, key):
        if "where" in node:
            yield key, node
        else:
            for name, child in node.items():
                yield from below(child, (*key, name))

    tree = yaml.load((paths.book() / "paper.yml").read_text(encoding="utf-8"), Loader=UniqueKeys)
    return {(document, ".".join(key)): entry for (document, *key), entry in below(tree, ())}


def test_every_entry_has_numbers_and_a_place():
    for key, entry in entries().items():
        assert entry["where"], key
        assert entry.keys() <= NUMBERS | WORDS, key
        assert entry.keys() & {"value", "forward"}, key
        assert entry.get("bound", "lower") in ("lower", "upper"), key
        for name in entry.keys() & NUMBERS:
            values = entry[name] if isinstance(entry[name], list) else [entry[name]]
            assert values and all(type(v) in (int, float) and math.isfinite(v) for v in values), key


# One file a document, typed by hand from the paper, apart from book/paper.yml; a line is "key name=number ...".
TRANSCRIPTIONS = Path(__file__).parent / "printed"


@pytest.mark.parametrize("document", sorted({document for document, _ in entries()}))
def test_as_printed(document):
    """Typed twice, and every number of the one is in the other."""

    def number(text):
        return [float(v) for v in text.split(",")] if "," in text else float(text)

    second = {}
    for line in (TRANSCRIPTIONS / f"{document}.txt").read_text().splitlines():
        key, *numbers = line.split()
        second[key] = {name: number(text) for name, text in (part.split("=") for part in numbers)}
    first = {
        key: {name: entry[name] for name in entry.keys() & NUMBERS}
        for (of, key), entry in entries().items()
        if of == document
    }
    assert first == second


def test_quoted_3d_r2n2_rounds_to_the_row_of_table_1():
    assert round(paper("choy2016.variants.lstm_3")["value"], 2) == paper("golts2021.table1.choy_original")["value"]


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
