"""The layer table against sums worked by hand from the published layer sizes."""

import pytest
import torch

from compress3d.figures.layers import layer_table, layers, share
from compress3d.joint.implicit import Implicit
from compress3d.r2n2.network import Reconstruction
from compress3d.scales import scale


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return layers(Reconstruction(scale("paper")), image_size=128)


def test_encoder_by_hand(paper):
    sizes = [
        (3, 96, 7, 128),
        (96, 128, 3, 64),
        (128, 256, 3, 32),
        (256, 256, 3, 16),
        (256, 256, 3, 8),
        (256, 256, 3, 4),
    ]
    assert share(paper, "encoder") == (
        sum(a * b * k * k + b for a, b, k, _ in sizes),
        sum(a * b * k * k * side * side for a, b, k, side in sizes),
    )


def test_lstm_by_hand(paper):
    assert share(paper, "lstm.input_map") == (1024 * 24576 + 24576, 1024 * 24576)
    assert share(paper, "lstm.hidden_map") == (128 * 384 * 27 + 384, 128 * 384 * 27 * 64)


def test_folded_layers_take_8_of_27_multiply_adds(paper):
    widths = (128, 128, 128, 64)
    for n, (a, b, side) in enumerate(zip(widths, widths[1:], (8, 16, 32), strict=False)):
        layer = next(item for item in paper if item.name == f"decoder.convs.{n}")
        assert layer.macs * 27 == 8 * (27 * a * b * side**3)
        assert layer.shape == (b, side, side, side)


@pytest.mark.parametrize("name", ["smoke", "demo"])
@pytest.mark.parametrize("build", [Reconstruction, lambda size: Implicit(size, 384)])
def test_no_parameter_is_missed_on_any_device(name, build):
    model = build(scale(name))
    found = layers(model, scale(name).image_size)
    assert share(found, "")[0] == sum(p.numel() for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


def test_table_ends_with_the_totals(paper):
    table = layer_table(paper)
    assert table.rows[-1][3:] == ["30,921,122", "5,915.5"]
    assert len(table.rows) == len(paper) + 1
