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


@pytest.mark.parametrize(
    ("key", "name", "printed"),
    [
        ("golts2021.table1.choy_original", "value", 0.54),
        ("golts2021.table1.choy_original", "std", 0.22),
        ("golts2021.table1.ours_20_epochs", "value", 0.64),
        ("golts2021.table1.ours_60_epochs", "value", 0.66),
        ("golts2021.conditions.threshold", "value", 0.4),
        ("golts2021.fig8.jpeg2000_384", "value", 0.1),
        ("golts2021.table3.compression_original", "forward", 40),
        ("golts2021.table3.direct", "backward", 27),
        ("golts2021.appendix.original_largest_rate", "value", 192),
        ("choy2016r2n2.lstm_3", "value", 0.539),
    ],
)
def test_as_printed(key, name, printed):
    assert paper(key)[name] == printed


def test_quoted_3d_r2n2_rounds_to_the_row_of_table_1():
    assert round(paper("choy2016r2n2.lstm_3")["value"], 2) == paper("golts2021.table1.choy_original")["value"]


def test_bins_are_minibatches_of_six_of_the_last_fifth_of_shapenet():
    counts = paper("golts2021.significance.bin_counts")["value"]
    assert len(counts) == paper("golts2021.significance.bins")["value"]
    assert sum(counts) == 8762 // paper("golts2021.conditions.batch_size")["value"]
    assert counts[paper("golts2021.significance.shown_bin")["value"] - 1] == 340


def raw_bits():
    side = paper("golts2021.conditions.image_size")["value"]
    return side**2 * 3 * paper("golts2021.conditions.bits_per_channel")["value"]


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
