"""Compression-rate arithmetic of Golts & Schechner 2021: iterations (Eq. 12) and channels (Sec. 3.3) for a rate.

The rate c is raw bits over code bits, with 24 raw bits a pixel: `384:1` means c = 384. `bits_per_value` is 1 behind
the binarizer, 32 for the float codes of Sec. 4.3; `image_size` is H = W in pixels.
"""

from __future__ import annotations

from compress3d.errors import ConfigError

BITS_PER_PIXEL = 24  # 8 bit RGB
FLOAT_BITS = 32  # a code without binarizer (Sec. 4.3)
CODE_CELLS = 4  # the encoder's last feature map is 2 x 2, so K = 4 C
TOLERANCE = 0.005  # the paper's own 480:1 needs 204.8 channels; 205 give 479.5:1, off by 0.1 %


def raw_bits(image_size: int) -> int:
    """Bits of a raw square image: 24 H W."""
    return BITS_PER_PIXEL * image_size * image_size


def true_rate(image_size: int, code_size: int, bits_per_value: int = 1) -> float:
    """Rate that a code of `code_size` values really has.

    Example:
        >>> true_rate(128, 1024), true_rate(128, 1024, bits_per_value=32)
        (384.0, 12.0)
    """
    return raw_bits(image_size) / (code_size * bits_per_value)


def implicit_channels(image_size: int, rate: float, bits_per_value: int = 1) -> int:
    """C, output channels of the implicit encoder's last convolution, so that K = 4C gives `rate` within 0.5 %.

    Raises:
        ConfigError: no whole number of channels comes that close; the message names the nearest rates.

    Example:
        >>> implicit_channels(128, 384), implicit_channels(128, 480), implicit_channels(64, 48)
        (256, 205, 512)
    """
    exact = _size_for(rate, image_size, CODE_CELLS * bits_per_value)
    channels = round(exact)
    if not channels or abs(exact / channels - 1) > TOLERANCE:
        near = [true_rate(image_size, CODE_CELLS * c, bits_per_value) for c in (int(exact) + 1, int(exact)) if c]
        raise ConfigError(
            f"rate {rate:g}:1 at {image_size} pixels",
            f"needs {exact:.2f} channels, which is no whole number",
            "ask for " + " or ".join(f"{value:.1f}" for value in near),
        )
    return channels


def recurrent_iterations(image_size: int, rate: float, channels: int, bits_per_value: int = 1) -> int:
    """N: iterations of a compression RNN that makes m = (H/16)(W/16) M bits each, M = `channels`.

    Raises:
        ConfigError: N would be no positive whole number, or the image's side is no multiple of 16.

    Example:
        >>> recurrent_iterations(128, 48, channels=16), recurrent_iterations(128, 6, channels=16, bits_per_value=32)
        (8, 2)
    """
    if image_size % 16:
        raise ConfigError(f"image size {image_size}", "is no multiple of 16", "crop or resize the image")
    bits = (image_size // 16) ** 2 * channels * bits_per_value
    exact = _size_for(rate, image_size, bits)  # Eq. 12: N = 24 H W / (c m)
    if round(exact) < 1 or abs(exact - round(exact)) > 1e-9 * exact:
        best = raw_bits(image_size) / bits
        raise ConfigError(
            f"rate {rate:g}:1 with {bits} bits an iteration",
            f"needs N = {exact:.3f} iterations",
            f"ask for {best:g}:1 divided by a whole number",
        )
    return round(exact)


def _size_for(rate: float, image_size: int, bits: int) -> float:
    """How many parts of `bits` bits each give `rate`; rarely a whole number."""
    if rate <= 0:
        raise ConfigError(f"rate {rate}", "is not positive", "ask for raw bits over code bits, such as 384")
    return raw_bits(image_size) / (rate * bits)
