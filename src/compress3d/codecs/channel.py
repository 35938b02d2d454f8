"""The way from a camera to a receiver: `send(images, rate)` says what is received and how many bytes it took.

A channel is a codec of images, conventional or learned. A network that makes its own code is given the views as they
are, and its code is counted by its operating point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from compress3d.codecs.jpeg2000 import Accounting

BITS = {"bits": 1, "floats": 32}  # of a value of a code
MID_GREY = 128


class OperatingPoint(NamedTuple):
    """One point of a model's curve over rates."""

    rate: float  # compression rate c asked for
    accounting: str  # what is counted: "bits", "floats" (32 bits each), or for JPEG 2000 "payload" or the whole "file"
    iterations: int | None = None  # N of the compression RNN; None for models without one
    values: int | None = None  # numbers of a view's code; None where bytes are measured

    @property
    def bytes_per_view(self) -> float | None:
        """Bytes of a view's code; None where they are measured."""
        return None if self.values is None else self.values * BITS[self.accounting] / 8


class Received(NamedTuple):
    """What arrives of views that were sent."""

    images: Tensor  # uint8 (B, V, 3, H, W), on the device of those sent
    bytes: np.ndarray  # float64 (B, V), what each view took
    fits: np.ndarray  # bool (B, V), whether there is a stream of the view within its budget


class Output(NamedTuple):
    """What comes out of a model for a minibatch of B objects with V views, at one operating point.

    `probabilities` are p_V of Eq. 15. `decoded` are the images after each of T iterations, about [0, 1], not clamped;
    None where the receiver gets a code and no image.
    """

    probabilities: Tensor | None  # float32 (B, G, G, G) in [0, 1]; None for models without voxels
    decoded: Tensor | None  # float32 (B, V, T, 3, H, W)
    bytes: np.ndarray  # float64 (B, V)
    fits: np.ndarray | None = None  # bool (B, V) where streams may not fit their budget

    @property
    def images(self) -> Tensor | None:
        """The views as the receiver sees them, uint8 (B, V, 3, H, W); None where it gets a code and no image."""
        if self.decoded is None:
            return None
        return (self.decoded[:, :, -1].clamp(0, 1) * 255).round().to(torch.uint8)


class Channel(Protocol):
    """A codec of images."""

    def send(self, images: Tensor, rate: float) -> Received:
        """Send views, uint8 (B, V, 3, H, W), with 1/rate of their raw bytes each."""
        ...


@dataclass(frozen=True)
class Jpeg2000:
    """JPEG 2000, the same budget for every view.

    Attributes:
        accounting: "payload" (both ends know the header) or "file". At 64 pixels the smallest file has about 173
            bytes, 71:1; beyond that no file fits, nothing arrives, and the receiver shows what JPEG 2000 decodes from
            nothing: mid-grey.
    """

    accounting: Accounting = "payload"

    def send(self, images: Tensor, rate: float) -> Received:
        """See `Channel.send`; bytes are those of the streams, the budget where none fits."""
        from compress3d.codecs.jpeg2000 import budget_bytes, simulate  # OpenJPEG, which training machines may lack

        B, V, C, H, W = images.shape
        pixels = images.cpu().permute(0, 1, 3, 4, 2).reshape(B * V, H, W, C).contiguous().numpy()
        decoded, spent = simulate(pixels, rate, accounting=self.accounting)
        budget = budget_bytes(pixels[0], rate)
        fits = spent <= budget
        decoded[~fits] = MID_GREY
        received = torch.from_numpy(decoded).view(B, V, H, W, C).permute(0, 1, 4, 2, 3).to(images.device)
        return Received(received, np.minimum(spent, budget).astype(float).reshape(B, V), fits.reshape(B, V))


@dataclass(frozen=True)
class Learned:
    """A learned codec of images, at the operating points it serves."""

    decode: Callable[[Tensor, OperatingPoint], Output]  # of views, uint8 (B, V, 3, H, W), to decoded images
    find: Callable[[float], OperatingPoint]  # raises where the codec does not serve the rate

    def send(self, images: Tensor, rate: float) -> Received:
        """See `Channel.send`."""
        found = self.decode(images, self.find(rate))
        assert found.images is not None, "a codec of images decodes them"
        return Received(found.images, found.bytes, np.ones(images.shape[:2], bool))


class ChannelBatches(Dataset):
    """Training minibatches whose views went through a channel, all of one minibatch at one random rate (Sec. 4.1).

    Args:
        batches: of untouched images, indexed by step.
        channel: what they go through.
        rates, seed: one rate is drawn for a minibatch, with equal chances; a function of (seed, step).
    """

    def __init__(self, batches: Dataset, channel: Channel, rates: Sequence[float], seed: int):
        self.batches, self.channel, self.rates, self.seed = batches, channel, tuple(rates), seed

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]  # torch gives no Dataset a length

    def __getitem__(self, step: int):
        batch = self.batches[step]
        rate = np.random.default_rng([self.seed, step, 2000]).choice(self.rates)
        return batch._replace(images=self.channel.send(batch.images, float(rate)).images)
