"""The link of the JPEG 2000 baseline: budgets are kept, and what does not fit does not arrive."""

import numpy as np
import pytest
import torch

from compress3d.transmit import through_jpeg2000


@pytest.fixture
def views():
    y, x = np.mgrid[:64, :64]
    picture = np.stack([np.hypot(x - 30, y - 25) < 18, (x + y) % 64 > 40, x > 20], -1).astype(np.uint8) * 180
    return torch.from_numpy(np.stack([picture, picture[::-1].copy()])).permute(0, 3, 1, 2)[None]


@pytest.mark.parametrize("rate", [48, 96, 384])
def test_payload_keeps_its_budget_and_a_picture_arrives(views, rate):
    arrived, spent, fits = through_jpeg2000(views, rate, "payload")
    assert arrived.shape == views.shape and arrived.dtype == torch.uint8
    assert (spent <= 64 * 64 * 3 / rate).all() and fits.all()
    assert (arrived != 128).any()


def test_no_whole_file_has_32_bytes_so_nothing_arrives(views):
    arrived, spent, fits = through_jpeg2000(views, 384, "file")
    assert not fits.any()
    assert (arrived == 128).all()
    assert (spent == 32).all()


def test_a_generous_whole_file_arrives(views):
    arrived, spent, fits = through_jpeg2000(views, 24, "file")
    assert fits.all() and (spent <= 512).all()
    error = (arrived.float() - views.float()).square().mean()
    assert error < views.float().var() / 10
