"""RNN image compression: N_original (Toderici 2017) and N_small (Sec. 2.2, Fig. 3 and appendix of Golts 2021).

```
r_{t-1} -> encoder E_t -> binarizer B -> b_t, m bits (what is sent) -> decoder D_t -> x^_t;  r_t = x - x^_t,  t = 1 .. N
```
Encoder and decoder keep what they know of earlier iterations in ConvLSTM states. No layer has a bias, as in the public
code that the layer sizes follow; images are shifted by 1/2, so that the decoder's tanh / 2 covers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.data.loader import Batch, to_float
from compress3d.engine.optim import with_decay
from compress3d.engine.step import Step
from compress3d.errors import ConfigError
from compress3d.layers.binarizer import Binarizer
from compress3d.layers.precision import at_least_float32
from compress3d.layers.recurrent import ConvLSTMCell, State
from compress3d.losses import LossTerms, compression_loss
from compress3d.scales import Scale

if TYPE_CHECKING:
    from compress3d.engine.experiment import OptimConfig

STRIDE = 16  # of the encoder: m = (H/16)(W/16) M


@dataclass(frozen=True)
class Architecture:
    """Layer table of a compression network at full width.

    Attributes:
        bits: M, code channels; they do not scale with the width, so that a rate means the same at every scale.
        encoder: hidden channels of the three encoder ConvLSTMs (input kernel 3, stride 2, hidden kernel 1).
        convolution: whether a 1 x 1 convolution and tanh make the code from the last encoder layer (N_original); where
            not, that layer has M channels and its output, in (-1, 1), goes to the binarizer as it is.
        entry: channels of the decoder's first 1 x 1 convolution.
        entry_shuffle: whether depth-to-space follows it.
        decoder: (hidden channels, hidden kernel) of the decoder's ConvLSTMs, each followed by depth-to-space.
        exit_shuffle: whether the last 1 x 1 convolution makes 12 channels for one more depth-to-space.
    """

    bits: int
    encoder: tuple[int, int, int]
    convolution: bool
    entry: int
    entry_shuffle: bool
    decoder: tuple[tuple[int, int], ...]
    exit_shuffle: bool = False

    def code_size(self, image_size: int) -> int:
        """m, values of one iteration's code."""
        return self.bits * (image_size // STRIDE) ** 2


# The appendix fixes N_small's encoder and says "three convolutional RNN layers, smaller in capacity" of its decoder.
# Four doublings lead from 8 to 128 pixels, so one of them must stand elsewhere: three readings.
ARCHITECTURES = {
    "original": Architecture(32, (256, 512, 512), True, 512, False, ((512, 1), (512, 1), (256, 3), (128, 3))),
    "small": Architecture(16, (256, 512, 16), False, 512, True, ((256, 1), (128, 3), (64, 3))),
    "small-a2": Architecture(16, (256, 512, 16), False, 512, True, ((512, 1), (256, 3), (128, 3))),
    "small-b": Architecture(16, (256, 512, 16), False, 256, False, ((256, 1), (256, 1), (128, 3)), exit_shuffle=True),
}


class CompressionEncoder(nn.Module):
    """E^comp: a strided convolution and three ConvLSTMs; in N_original one more 1 x 1 convolution."""

    def __init__(self, architecture: Architecture, scale: Scale):
        super().__init__()
        widths = [scale.channels(c) for c in (64, *architecture.encoder)]
        if not architecture.convolution:
            widths[-1] = architecture.bits
        self.entry = nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False)
        self.rnns = nn.ModuleList(
            ConvLSTMCell(a, b, stride=2, bias=False) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.code = nn.Conv2d(widths[-1], architecture.bits, 1, bias=False) if architecture.convolution else None

    def forward(self, residual: Tensor, states: list[State | None]) -> tuple[Tensor, list[State]]:
        """One iteration: residual (B, 3, H, W) in [-1, 1] -> code before binarization (B, M, H/16, W/16) in [-1, 1]."""
        x, after = self.entry(residual), []
        for rnn, state in zip(self.rnns, states, strict=True):
            state, x = rnn(x, state)
            after.append(state)
        x = x if self.code is None else self.code(x)
        x = at_least_float32(x)  # bfloat16 would round the binarizer's probabilities to 1/256
        return (x if self.code is None else torch.tanh(x)), after


class CompressionDecoder(nn.Module):
    """D^comp: a 1 x 1 convolution, ConvLSTMs with a depth-to-space behind each, a 1 x 1 convolution and tanh / 2."""

    def __init__(self, architecture: Architecture, scale: Scale):
        super().__init__()
        self.architecture = architecture
        width = scale.channels(architecture.entry)
        self.entry = nn.Conv2d(architecture.bits, width, 1, bias=False)
        width = width // 4 if architecture.entry_shuffle else width
        self.rnns = nn.ModuleList()
        for hidden, kernel in architecture.decoder:
            self.rnns.append(ConvLSTMCell(width, scale.channels(hidden), hidden_kernel=kernel, bias=False))
            width = scale.channels(hidden) // 4
        self.exit = nn.Conv2d(width, 12 if architecture.exit_shuffle else 3, 1, bias=False)

    def forward(self, code: Tensor, states: list[State | None]) -> tuple[Tensor, list[State]]:
        """One iteration: code (B, M, H/16, W/16) of -1 and +1 -> output (B, 3, H, W) in [-1/2, 1/2], float32."""
        x, after = self.entry(code), []
        if self.architecture.entry_shuffle:
            x = F.pixel_shuffle(x, 2)
        for rnn, state in zip(self.rnns, states, strict=True):
            state, x = rnn(x, state)
            after.append(state)
            x = F.pixel_shuffle(x, 2)
        x = self.exit(x)
        if self.architecture.exit_shuffle:
            x = F.pixel_shuffle(x, 2)
        return torch.tanh(at_least_float32(x)) / 2, after


class Coded(NamedTuple):
    """Everything that N iterations make."""

    codes: Tensor  # b_t, (B, N, M, H/16, W/16): -1 and +1, floats in [-1, 1] where the binarizer is off
    decoded: Tensor  # x^_t, (B, N, 3, H, W), about [0, 1], not clamped


class TrainedOnIterations(nn.Module):
    """Training of what holds a compression RNN: N is drawn for each minibatch; the RNN learns at a rate of its own."""

    training_iterations: tuple[int, int]  # fewest and most N

    def loss(self, images: Tensor, occupancy: Tensor, iterations: int) -> LossTerms:
        """Losses of views (B, V, 3, H, W) in [0, 1] and voxels (B, G, G, G), with N iterations."""
        raise NotImplementedError

    def training_step(self, batch: Batch, step: Step) -> LossTerms:
        """Losses of a minibatch, with an N that depends on the step alone, uniform over its range (appendix)."""
        N = int(step.rng(12).integers(*self.training_iterations, endpoint=True))
        return self.loss(to_float(batch.images), batch.occupancy, N)

    def parameter_groups(self, optim: OptimConfig) -> list[dict]:
        """All other weights, then those of compression RNNs, each with its peak learning rate and warmup."""
        codec = {id(p): p for part in self.modules() if isinstance(part, CompressionRNN) for p in part.parameters()}
        others = [p for p in self.parameters() if id(p) not in codec]
        groups = [
            (others, optim.learning_rate, optim.warmup),
            (list(codec.values()), optim.codec_learning_rate, optim.codec_warmup),
        ]
        named = [{"params": params, "peak": peak, "warmup": warmup, "lr": 0.0} for params, peak, warmup in groups]
        return with_decay(named, optim.weight_decay)


class CompressionRNN(TrainedOnIterations):
    """Variable-rate compression of one image: N iterations of m = (H/16)(W/16) M bits, Eq. 10 and 11.

    Args:
        scale: sizes; `paper` gives the published networks.
        architecture: "original" (M = 32), "small" (M = 16), or its other readings "small-a2", "small-b".
        additive: gamma of Eq. 10: True adds up the outputs (gamma = 1), False decodes the whole image each time.
        binary: False sends 32-bit floats instead of bits (Sec. 4.3).
        training_iterations: fewest and most N of a minibatch.

    Raises:
        ConfigError: there is no such architecture, or the image's side is no multiple of 16.

    Example:
        >>> from compress3d.scales import scale
        >>> model = CompressionRNN(scale("paper"), "small").eval()
        >>> coded = model(torch.zeros(1, 3, 128, 128), iterations=1)   # 1024 bits, 384:1
        >>> coded.codes.shape, coded.decoded.shape
        (torch.Size([1, 1, 16, 8, 8]), torch.Size([1, 1, 3, 128, 128]))
    """

    def __init__(
        self,
        scale: Scale,
        architecture: str = "small",
        additive: bool = True,
        binary: bool = True,
        *,
        training_iterations: tuple[int, int] = (1, 8),
    ):
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ConfigError(
                f"compression network {architecture!r}", "does not exist", f"choose one of {', '.join(ARCHITECTURES)}"
            )
        if scale.image_size % STRIDE:
            raise ConfigError(f"image size {scale.image_size}", "is no multiple of 16", "crop or resize the image")
        self.scale, self.additive, self.binary = scale, additive, binary
        self.training_iterations = training_iterations
        self.architecture = ARCHITECTURES[architecture]
        self.encoder = CompressionEncoder(self.architecture, scale)
        self.binarizer = Binarizer()
        self.decoder = CompressionDecoder(self.architecture, scale)

    @property
    def code_size(self) -> int:
        """m, values of one iteration's code."""
        return self.architecture.code_size(self.scale.image_size)

    def forward(self, images: Tensor, iterations: int) -> Coded:
        """N iterations on images (B, 3, H, W) in [0, 1], each image coded by itself."""
        codes, decoded = zip(*self._iterate(iterations, images - 0.5), strict=True)
        return Coded(torch.stack(codes, 1), torch.stack(decoded, 1) + 0.5)

    def encode(self, images: Tensor, iterations: int) -> Tensor:
        """Codes (B, N, M, H/16, W/16) of images (B, 3, H, W) in [0, 1].

        The sender decodes as well, for the residual of the next iteration; not after the last one.
        """
        sent = self._iterate(iterations, images - 0.5, decode_last=False)
        return torch.stack([code for code, _ in sent], 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, N, 3, H, W) in [0, 1], one more a code, of codes (B, N, M, H/16, W/16)."""
        received = self._iterate(codes.shape[1], codes=codes)
        return torch.stack([(decoded + 0.5).clamp(0, 1) for _, decoded in received], 1)

    def _iterate(
        self, iterations: int, x: Any = None, codes: Tensor | None = None, decode_last: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """b_t and x^_t for t = 1 .. N, of a sender's `x`, shifted by 1/2, or a receiver's `codes`.

        Without `decode_last`, x^_N is left out and x^_{N-1} given again.
        """
        encoder, decoder = [None] * len(self.encoder.rnns), [None] * len(self.decoder.rnns)
        decoded: Any = 0.0  # x^_0
        for t in range(iterations):
            if codes is None:
                residual = x - decoded  # Eq. 11, and r_0 = x
                code, encoder = self.encoder(residual, encoder)
                code = self.binarizer(code) if self.binary else code  # Eq. 10, left: b_t = B[E_t(r_{t-1})]
            else:
                code = codes[:, t]
            if decode_last or t + 1 < iterations:
                output, decoder = self.decoder(code, decoder)
                decoded = output + decoded if self.additive else output  # Eq. 10, right: D_t(b_t) + gamma x^_{t-1}
            yield code, decoded

    def loss(self, images: Tensor, occupancy: Tensor | None, iterations: int) -> LossTerms:
        """L_comp of views (B, V, 3, H, W) in [0, 1], as B V separate images."""
        images = images.flatten(0, 1)
        l_comp = compression_loss(images, self(images, iterations).decoded)
        return LossTerms(l_comp, {"compression": l_comp})
