"""Views, orders and textures: what is measured, on networks whose answers are known."""

import numpy as np
import pytest
import torch

from compress3d import metrics
from compress3d.baselines.experiments import Pix2VoxConfig
from compress3d.data.shapes import make
from compress3d.engine.evaluate import probabilities
from compress3d.errors import ConfigError
from compress3d.r2n2.experiments import R2N2Config
from compress3d.r2n2.network import NETWORKS
from compress3d.scales import scale
from compress3d.studies.textures import DRESSES, dress, render
from compress3d.studies.views import by_count, by_order, each_view, joined, networks


class LastView(torch.nn.Module):
    """Says what the last view shows: a network that forgets."""

    def fuse_views(self, views):
        filled = (views[:, -1].mean((1, 2, 3)) > 0.5).float()
        return (filled * 20 - 10).view(-1, 1, 1, 1).expand(-1, 4, 4, 4)


class Mean(torch.nn.Module):
    """Says the same for every order of the views."""

    def fuse_views(self, views):
        return (views.mean((1, 2, 3, 4)) * 20 - 10).view(-1, 1, 1, 1).expand(-1, 4, 4, 4)


@pytest.fixture
def views():
    """Two objects of 5 views; the first object's last view is white, all others are black."""
    images = torch.zeros(2, 5, 3, 8, 8)
    images[0, 4] = 1
    return images, np.ones((2, 4, 4, 4), bool)


def test_counts_take_the_first_views(views):
    found = by_count(LastView(), *views, ["chair", "table"])
    assert [point["views"] for point in found] == [1, 2, 3, 4, 5]
    assert [point["miou"] for point in found] == [0, 0, 0, 0, 0.5]  # only the fifth view of the first object says yes
    assert found[-1]["by_category"] == {"chair": 1.0, "table": 0.0}


def test_order_matters_to_a_network_that_forgets(views):
    found = by_order(LastView(), *views, orders=200)  # all 120 there are
    assert len(found["miou"]) == 120 and found["largest"] == 1.0 and found["miou"][0] == 0.5
    # the white view is last in a fifth of all orders: a deviation of sqrt(.2 .8) = .4 for one object, 0 for the other
    assert found["spread"] == pytest.approx(0.2)
    still = by_order(Mean(), *views)
    assert still["spread"] == still["largest"] == 0 and len(set(still["miou"])) == 1


def test_only_trained_reconstruction_networks_take_part():
    found = [run.id for run in networks("demo")]
    assert "demo/uncompressed-s0" in found
    assert not any(word in run for run in found for word in ("implicit", "direct", "sequential", "small", "jpeg2000"))


def test_a_dress_changes_colours_and_nothing_else():
    """Silhouettes and voxels are the same in all dresses; plain is grey, textured far richer in contrast than plain."""
    pytest.importorskip("embreex", reason="rendering needs embreex: pip install 'compress3d[data]'")
    found = {name: render(name, count=4, image_size=128) for name in DRESSES}
    outline = found["plain"][0].amax(2) > 0
    contrast = {}
    for name, (images, truth, _) in found.items():
        assert images.shape == (4, 5, 3, 128, 128) and images.dtype == torch.uint8
        assert ((images.amax(2) > 0) == outline).float().mean() > 0.999  # a black texel may fall on the black ground
        np.testing.assert_array_equal(truth, found["plain"][1])
        inside = images.float().permute(2, 0, 1, 3, 4)[:, outline]
        contrast[name] = inside.std().item()
        if name == "plain":
            assert (inside[0] == inside[1]).all() and (inside[1] == inside[2]).all()
    assert contrast["textured"] > 1.2 * contrast["plain"]
    assert metrics.iou(found["plain"][1].astype(float), found["textured"][1]).tolist() == [1.0] * 4


def test_unknown_dress_is_refused():
    with pytest.raises(ConfigError, match="plain, coloured, textured"):
        dress(make("chair", 0).mesh, "striped", np.random.default_rng(0))


NETWORKS_HERE = [*map(R2N2Config, NETWORKS), Pix2VoxConfig()]


@pytest.mark.parametrize("network", NETWORKS_HERE, ids=lambda network: network.name)
def test_views_encoded_once_give_what_the_whole_network_gives(network):
    torch.manual_seed(0)
    model = network.build(scale("smoke")).eval()
    images = torch.randint(0, 256, (3, 4, 3, 32, 32), dtype=torch.uint8)
    views = each_view(model, images)
    for chosen in ([0], [0, 1, 2], [3, 1, 0, 2]):
        np.testing.assert_allclose(joined(model, views[:, chosen]), probabilities(model, images[:, chosen]), atol=1e-5)
