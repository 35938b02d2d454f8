"""Rate arithmetic by hand: channels of the implicit model, iterations of a compression RNN (Eq. 12)."""

import re

import pytest

from compress3d.errors import ConfigError
from compress3d.joint.rates import implicit_channels, recurrent_iterations, true_rate

# rate -> C at 128 pixels: raw bits 393216 / rate / 4
CHANNELS = {48: 2048, 64: 1536, 96: 1024, 128: 768, 192: 512, 384: 256, 480: 205}


@pytest.mark.parametrize("rate, channels", CHANNELS.items())
def test_channels_of_the_paper(rate, channels):
    assert implicit_channels(128, rate) == channels


@pytest.mark.parametrize(
    "size, rate, bits, channels", [(128, 12, 32, 256), (128, 6, 32, 512), (64, 384, 1, 64), (32, 48, 1, 128)]
)
def test_channels_by_hand(size, rate, bits, channels):
    assert implicit_channels(size, rate, bits) == channels
    assert true_rate(size, 4 * channels, bits) == rate


@pytest.mark.parametrize("size, rate", [(128, 70_000), (32, 480), (64, 0), (64, -3), (32, 500)])
def test_rates_that_cannot_be_reached_are_refused(size, rate):
    with pytest.raises(ConfigError):
        implicit_channels(size, rate)


# (rate, M, bits a value) -> N: 24 * 256 / (rate M bits), whatever the image's size
ITERATIONS = {
    (384, 16, 1): 1, (192, 16, 1): 2, (128, 16, 1): 3, (96, 16, 1): 4, (64, 16, 1): 6, (48, 16, 1): 8,
    (192, 32, 1): 1, (96, 32, 1): 2, (64, 32, 1): 3, (48, 32, 1): 4, (24, 32, 1): 8,
    (12, 16, 32): 1, (6, 16, 32): 2, (6, 32, 32): 1, (3, 32, 32): 2,
}  # fmt: skip


@pytest.mark.parametrize("size", [16, 32, 48, 64, 128, 160, 1024])
@pytest.mark.parametrize("asked, N", ITERATIONS.items())
def test_iterations_by_hand(asked, N, size):
    rate, M, bits = asked
    assert recurrent_iterations(size, rate, M, bits) == N
    assert true_rate(size, N * M * (size // 16) ** 2, bits) == rate


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("channels", [16, 32])
@pytest.mark.parametrize("bits_per_value", [1, 32])
@pytest.mark.parametrize("N", range(1, 17))
def test_eq_12_inverts_the_code_length(size, channels, bits_per_value, N):
    values = N * (size // 16) ** 2 * channels
    rate = true_rate(size, values, bits_per_value)
    assert recurrent_iterations(size, rate, channels, bits_per_value) == N
    for other in (rate * 1.1, rate * 0.93):  # N / 1.1 and N / 0.93 are whole for no N up to 16 but 11 / 1.1
        if (N, other) != (11, rate * 1.1):
            with pytest.raises(ConfigError):
                recurrent_iterations(size, other, channels, bits_per_value)


@pytest.mark.parametrize(
    "size, rate, channels, bits",
    [(128, 480, 16, 1), (128, 385, 16, 1), (128, 384, 32, 1), (128, 256, 16, 1), (64, 12, 32, 32), (32, 24, 16, 32)],
)
def test_impossible_rate_is_refused_with_one_that_is_possible(size, rate, channels, bits):
    with pytest.raises(ConfigError, match="needs N = ") as refused:
        recurrent_iterations(size, rate, channels, bits)
    best = float(re.search(r"ask for ([\d.]+):1", str(refused.value))[1])
    assert best == 24 * 256 / (channels * bits)
    for N in (1, 2, 4):
        assert recurrent_iterations(size, best / N, channels, bits) == N


@pytest.mark.parametrize("size", [1, 8, 17, 40, 127, 137])
def test_image_whose_side_is_no_multiple_of_16_is_refused(size):
    with pytest.raises(ConfigError, match=f"image size {size}.*multiple of 16"):
        recurrent_iterations(size, 384, 16)


@pytest.mark.parametrize("rate", [0, -1, -384.0])
def test_rate_that_is_not_positive_is_refused(rate):
    with pytest.raises(ConfigError, match="not positive"):
        recurrent_iterations(128, rate, 16)
