"""Channels: budgets are kept, what does not fit does not arrive, and training draws its rate by step."""

import numpy as np
import pytest
import torch

from compress3d.codecs.channel import ChannelBatches, Jpeg2000, Received
from compress3d.codecs.jpeg2000 import simulate
from compress3d.data.loader import Batch


@pytest.fixture
def views():
    y, x = np.mgrid[:64, :64]
    picture = np.stack([np.hypot(x - 30, y - 25) < 18, (x + y) % 64 > 40, x > 20], -1).astype(np.uint8) * 180
    return torch.from_numpy(np.stack([picture, picture[::-1].copy()])).permute(0, 3, 1, 2)[None]


@pytest.mark.parametrize("rate", [48, 96, 384])
def test_payload_keeps_its_budget_and_an_image_arrives(views, rate):
    received, spent, fits = Jpeg2000("payload").send(views, rate)
    assert received.shape == views.shape and received.dtype == torch.uint8
    assert (spent <= 64 * 64 * 3 / rate).all() and fits.all()
    assert (received != 128).any()


def test_no_whole_file_has_32_bytes_so_nothing_arrives(views):
    received, spent, fits = Jpeg2000("file").send(views, 384)
    assert not fits.any()
    assert (received == 128).all()
    assert (spent == 32).all()


def test_a_generous_whole_file_arrives(views):
    received, spent, fits = Jpeg2000("file").send(views, 24)
    assert fits.all() and (spent <= 512).all()
    error = (received.float() - views.float()).square().mean()
    assert error < views.float().var() / 10


class Untouched(torch.utils.data.Dataset):
    """The same views at every step."""

    def __init__(self, views):
        self.views = views

    def __len__(self):
        return 300

    def __getitem__(self, step):
        return Batch(self.views, torch.zeros(1), torch.full((1, 2), step))


class Recorder:
    def __init__(self):
        self.rates = []

    def send(self, images, rate):
        self.rates.append(rate)
        return Jpeg2000("payload").send(images, rate) if len(self.rates) < 4 else Received(images, None, None)


def test_training_batches_go_through_the_channel_at_one_drawn_rate_each(views):
    rates, recorder = (48, 96, 384), Recorder()
    batches = ChannelBatches(Untouched(views), recorder, rates, seed=5)
    first = batches[0]
    assert len(batches) == 300 and (first.items == 0).all()
    pixels = views[0].permute(0, 2, 3, 1).contiguous().numpy()
    expected, _ = simulate(pixels, recorder.rates[0], accounting="payload")
    np.testing.assert_array_equal(first.images[0].permute(0, 2, 3, 1).numpy(), expected)
    for step in range(1, 300):
        assert (batches[step].items == step).all()
    found = {rate: recorder.rates.count(rate) for rate in rates}
    assert sum(found.values()) == 300 and all(70 < count < 130 for count in found.values()), found  # 100 +- 8
    recorder.rates = []
    again = [batches[step] for step in (7, 8)]
    assert len(again) == 2 and recorder.rates == [
        float(np.random.default_rng([5, step, 2000]).choice(rates)) for step in (7, 8)
    ]
