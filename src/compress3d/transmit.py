"""What a run's model sends at a rate, and what arrives: bytes, decoded pictures, voxels.

The three joint models, the compression RNNs and JPEG 2000 in one vocabulary: a `Setting` is a rate and how it is
counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from compress3d.data.loader import to_float
from compress3d.errors import ConfigError
from compress3d.joint.compression import ARCHITECTURES, STRIDE, CompressionRNN
from compress3d.joint.rates import CODE_CELLS, FLOAT_BITS, implicit_channels, raw_bits, true_rate
from compress3d.runs import JPEG2000_RATES, LARGEST_N, Run
from compress3d.scales import scale

ACCOUNTINGS = ("payload", "file")
MID_GREY = 128
SHOWN_N = (1, 2, 3, 4, 6, 8)  # with 384/N bits an iteration: 384, 192, 128, 96, 64 and 48


class Setting(NamedTuple):
    """One point of a run's curve.

    Attributes:
        rate: compression rate c asked for.
        accounting: what is counted: "bits", "floats" (32 bits each), or for JPEG 2000 "payload" or the whole "file".
        iterations: N of the compression RNN; None for models without one.
        values: numbers of a view's code; None for JPEG 2000, whose bytes are measured.
    """

    rate: float
    accounting: str
    iterations: int | None = None
    values: int | None = None


def settings(run: Run) -> list[Setting]:
    """Every setting a run is evaluated at: one for most models, several rates for variable-rate ones.

    Example:
        >>> from compress3d.runs import find
        >>> [s.rate for s in settings(find("demo/sequential-s0"))]
        [384.0, 192.0, 128.0, 96.0, 64.0, 48.0]
    """
    size = scale(run.scale).image_size
    if run.model == "jpeg2000":
        rates = JPEG2000_RATES if run.rate is None else (run.rate,)
        return [Setting(rate, accounting) for accounting in ACCOUNTINGS for rate in rates]
    accounting, bits = ("bits", 1) if run.binary else ("floats", FLOAT_BITS)
    if run.iterations is not None:
        name = run.architecture if run.model in ("sequential", "direct") else run.model
        m = ARCHITECTURES[name].bits * (size // STRIDE) ** 2
        most = LARGEST_N["original" if name == "original" else "small"]
        counts = [N for N in SHOWN_N if N <= most] if run.binary else [run.iterations[1]]
        return [Setting(true_rate(size, N * m, bits), accounting, N, N * m) for N in counts]
    if run.model == "implicit":
        K = CODE_CELLS * implicit_channels(size, run.rate, bits)
        return [Setting(run.rate, accounting, None, K)]
    K = scale(run.scale).code_size
    return [Setting(true_rate(size, K, FLOAT_BITS), "floats", None, K)]


def setting(run: Run, rate: float | None = None, accounting: str | None = None) -> Setting:
    """The setting of `run` at `rate` (within 1 %) and `accounting`; its first one where they are None.

    Raises:
        ConfigError: the run does not serve that rate; the message lists those it serves.
    """
    served = settings(run)
    for found in served:
        if (rate is None or abs(found.rate / rate - 1) < 0.01) and accounting in (None, found.accounting):
            return found
    known = ", ".join(f"{s.rate:g}:1 ({s.accounting})" for s in served)
    asked = run.id + ("" if rate is None else f" at {rate:g}:1") + ("" if accounting is None else f", {accounting}")
    raise ConfigError(asked, "is not served", f"choose one of {known}")


def through_jpeg2000(images: Tensor, rate: float, accounting: str) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Pictures as they arrive over a link that grants each view 1/rate of its raw bytes.

    Args:
        images: uint8 (N, V, 3, H, W).
        rate: compression rate c.
        accounting: "payload" (both ends know the header) or "file". At 64 pixels the smallest file has about 173
            bytes, 71:1; beyond that no file fits, nothing arrives, and the receiver shows what JPEG 2000 decodes from
            nothing: mid-grey.

    Returns:
        Decoded uint8 (N, V, 3, H, W), bytes spent (N V,), and whether a picture fitted its budget (N V,).
    """
    from compress3d.codecs.jpeg2000 import budget_bytes, simulate

    N, V, C, H, W = images.shape
    pictures = images.permute(0, 1, 3, 4, 2).reshape(N * V, H, W, C).contiguous().numpy()
    decoded, spent = simulate(pictures, rate, accounting=accounting)
    budget = budget_bytes(pictures[0], rate)
    fits = spent <= budget
    decoded[~fits] = MID_GREY
    arrived = torch.from_numpy(decoded).view(N, V, H, W, C).permute(0, 1, 4, 2, 3)
    return arrived, np.minimum(spent, budget), fits


def compressor(model: nn.Module) -> CompressionRNN | None:
    """The compression RNN of a model, None where it has none."""
    return model if isinstance(model, CompressionRNN) else getattr(model, "compression", None)


@torch.no_grad()
def probabilities(model: nn.Module, images: Tensor, iterations: int | None = None, batch_size: int = 16) -> np.ndarray:
    """p_V of Eq. 15 for uint8 images (N, V, 3, H, W): float32 (N, G, G, G) in [0, 1].

    Args:
        iterations: N of a sequential or direct model.
    """
    device = next(model.parameters()).device
    more = () if iterations is None else (iterations,)
    chunks = [torch.sigmoid(model(to_float(part.to(device)), *more)).float().cpu() for part in images.split(batch_size)]
    return torch.cat(chunks).numpy()


@torch.no_grad()
def progressive(model: CompressionRNN, images: Tensor, iterations: int, batch_size: int = 16) -> Tensor:
    """Decoded pictures after each iteration, float32 (N, V, T, 3, H, W), not clamped, of uint8 (N, V, 3, H, W)."""
    device = next(model.parameters()).device
    chunks = []
    for part in images.split(batch_size):
        decoded = model(to_float(part.to(device)).flatten(0, 1), iterations).decoded
        chunks.append(decoded.unflatten(0, part.shape[:2]).cpu())
    return torch.cat(chunks)


def arrived_pictures(run: Run, model: nn.Module, images: Tensor, at: Setting) -> Tensor | None:
    """The views as the receiver sees them, uint8 (N, V, 3, H, W); None where it gets a code and no picture.

    Args:
        run, model: the experiment and its network.
        images: uint8 (N, V, 3, H, W).
        at: one of `settings(run)`.
    """
    if run.model == "jpeg2000":
        return through_jpeg2000(images, at.rate, at.accounting)[0]
    rnn = compressor(model)
    if rnn is None:
        return None
    last = progressive(rnn, images, at.iterations)[:, :, -1]
    return (last.clamp(0, 1) * 255).round().to(torch.uint8)


def bytes_per_view(run: Run, at: Setting) -> float:
    """Bytes of a view's code.

    Raises:
        ConfigError: JPEG 2000, whose bytes are measured and not fixed.
    """
    if at.values is None:
        raise ConfigError(run.id, "spends what its codestream takes", "measure it with `through_jpeg2000`")
    return at.values * (FLOAT_BITS if at.accounting == "floats" else 1) / 8


def raw_bytes(run: Run) -> int:
    """Bytes of a raw view."""
    return raw_bits(scale(run.scale).image_size) // 8
