"""Which pictures are shown, and what stands under them: hand-worked values."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch

from compress3d.figures import pictures


def grey(values):
    """uint8 (1, 1, 3, H, W) of grey levels."""
    return torch.tensor(values, dtype=torch.uint8).expand(3, -1, -1)[None, None].contiguous()


def test_texture_by_hand():
    """Inside 51, 102, 255 in a row: differences 0.2 and 0.6; those to the black ground do not count."""
    images = grey([[0, 0, 0, 0], [0, 51, 102, 255]])
    assert pictures.texture(images) == pytest.approx([(0.2 + 0.6) / 2])
    assert pictures.texture(images.transpose(-1, -2)) == pytest.approx([(0.2 + 0.6) / 2])
    both = grey([[51, 102], [255, 255]])  # rows: 0.2 and 0; columns: 0.8 and 0.6
    assert pictures.texture(both) == pytest.approx([1.6 / 4])


def test_texture_of_nothing_and_of_one_colour():
    assert pictures.texture(grey([[0, 0], [0, 51]])) == 0  # no two neighbours inside
    assert pictures.texture(grey([[51, 51], [51, 51]])) == 0


def test_texture_is_an_average_over_pairs_of_all_views():
    one, two = grey([[51, 102]]), grey([[51, 51]])
    assert pictures.texture(torch.cat([one, two], 1)) == pytest.approx([0.1])
    assert pictures.texture(torch.cat([one, two], 0)) == pytest.approx([0.2, 0])


def test_rows_are_spread_from_lowest_to_highest():
    assert list(pictures.spread_rows([0.3, 0.1, 0.2, 0.5, 0.4], 3)) == [1, 0, 3]
    assert list(pictures.spread_rows([0.3, 0.1], 2)) == [1, 0]


def test_grid_has_a_block_an_object_and_a_dash_for_what_is_missing():
    images = torch.full((3, 3, 8, 8), 51, dtype=torch.uint8)
    decoded = {"a": {48: images, 384: images + 51}, "b": {48: images, 384: None}}
    figure = pictures.decoded_grid(images, decoded)
    assert len(figure.axes) == 3 * 2 * 3  # objects, methods, original and two rates
    assert [ax.get_title() for ax in figure.axes[:3]] == ["1:1", "48:1", "384:1"]
    assert [ax.get_xlabel() for ax in figure.axes[:3]] == ["", "100.0 dB", "14.0 dB"]  # 20 log10(5)
    assert [ax.get_ylabel() for ax in figure.axes[:6:3]] == ["a", "b"]
    assert figure.axes[5].texts[0].get_text() == "–" and not figure.axes[5].images
    assert figure.axes[0].images and not figure.axes[3].images  # the original once a block
    assert (figure.axes[0].images[0].get_array() == 52).all()  # 51 to a multiple of 4
    pixels = figure.axes[1].get_window_extent()
    assert (pixels.width, pixels.height) == pytest.approx((64, 64))
    assert [edge % 1 for edge in (pixels.x0, pixels.y0)] == pytest.approx([0, 0], abs=1e-6)
    plt.close(figure)


def test_loss_table_shows_pictures_alone():
    at = {"rate": 48.0, "true_rate": 48.0, "bytes_per_view": 256.0, "iterations": 8}
    more = {"compression_loss": 0.02, "l1": 0.01, "psnr": 31.26}
    found = {
        "a": {"points": [{**at, **more, "accounting": "bits"}, {**at, **more, "accounting": "file"}]},
        "b": {"points": [{**at, "accounting": "bits", "miou": 0.5}]},
    }
    assert pictures.loss_table(found).rows == [["a", "48", "48.0", "256", "8", "0.0200", "0.0100", "31.3"]]


def test_decode_gives_none_where_there_are_no_weights_or_no_such_rate(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESS3D_ROOT", str(tmp_path))
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert pictures.decode({"N": "smoke/small-s0"}, images, [48, 384]) == {"N": {48: None, 384: None}}


def test_decode_by_a_shipped_network(tmp_path, monkeypatch):
    from compress3d.engine.experiment import get_experiment
    from compress3d.engine.weights import save_weights, weights_path

    monkeypatch.setenv("COMPRESS3D_ROOT", str(tmp_path))
    run = get_experiment("smoke/small-s0")
    save_weights(run.build(), weights_path(run), {})
    found = pictures.decode({"N": run.id}, torch.zeros(2, 3, 32, 32, dtype=torch.uint8), [48, 50])
    assert found["N"][48].shape == (2, 3, 32, 32) and found["N"][48].dtype == torch.uint8
    assert found["N"][50] is None
