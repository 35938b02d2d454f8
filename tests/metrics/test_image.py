"""L_comp and PSNR by hand, and against a plain loop over pictures."""

import numpy as np
import pytest
import torch

from compress3d import metrics


def test_pictures_by_hand():
    """One object, one view, one pixel; what is shown of 0.6 - 0.2 / 255 is 153 / 255 = 0.6, of 1.4 it is 1."""
    images = torch.tensor([51, 102, 255], dtype=torch.uint8).view(1, 1, 3, 1, 1)  # 0.2, 0.4 and 1
    decoded = torch.tensor([[0.3, 0.4, 0.0], [0.2, 0.6 - 0.2 / 255, 1.4]]).view(1, 1, 2, 3, 1, 1)
    found = metrics.image_scores(images, decoded)
    first, last = (0.1 + 0 + 1) / 3, (0 + 0.2 - 0.2 / 255 + 0.4) / 3
    assert found["compression_loss"] == pytest.approx((first + last) / 2, rel=1e-5)
    assert found["image_loss"] == pytest.approx([(first + last) / 2], rel=1e-5)
    assert found["l1"] == pytest.approx(last, rel=1e-5)
    assert found["psnr"] == pytest.approx(-10 * np.log10(0.2**2 / 3), rel=1e-5)


@pytest.mark.parametrize("N, V, T, side", [(1, 1, 1, 2), (2, 3, 1, 4), (3, 2, 4, 5)])
def test_pictures_equals_a_loop_over_pictures(N, V, T, side):
    rng = np.random.default_rng(N)
    images = rng.integers(0, 256, (N, V, 3, side, side), dtype=np.uint8)
    decoded = images[:, :, None] / 255 + rng.normal(0, 0.2, (N, V, T, 3, side, side))
    found = metrics.image_scores(torch.from_numpy(images), torch.from_numpy(decoded).float())
    loss, psnr, last = np.zeros(N), [], []
    for n, v in np.ndindex(N, V):
        x, y = images[n, v] / 255, decoded[n, v]
        loss[n] += sum(np.abs(x - y[t]).mean() for t in range(T)) / T / V
        last.append(np.abs(x - y[-1]).mean())
        mse = np.square(images[n, v] - np.clip(y[-1] * 255, 0, 255).round()).mean()
        psnr.append(10 * np.log10(255**2 / mse))
    np.testing.assert_allclose(found["image_loss"], loss, rtol=1e-5)
    assert found["compression_loss"] == pytest.approx(loss.mean(), rel=1e-5)
    assert found["l1"] == pytest.approx(np.mean(last), rel=1e-5)
    assert found["psnr"] == pytest.approx(np.mean(psnr), rel=1e-4)


def test_exact_pictures_have_100_db():
    images = torch.arange(48, dtype=torch.uint8).view(1, 1, 3, 4, 4)
    found = metrics.image_scores(images, (images / 255).unsqueeze(2))
    assert (found["compression_loss"], found["l1"]) == (0, 0)
    assert found["psnr"] == pytest.approx(100)


def test_psnr_of_8_bit_pictures_by_hand():
    image = torch.full((3, 2, 2), 51, dtype=torch.uint8)
    decoded = image.clone()
    decoded[:, 0, 0] = 102  # one pixel of four off by 0.2: mse 0.01
    assert metrics.psnr(image, decoded).item() == pytest.approx(20.0)
    rows = metrics.psnr(image.movedim(0, -1).numpy()[None], decoded.movedim(0, -1).numpy()[None])
    assert rows.tolist() == pytest.approx([20.0])
