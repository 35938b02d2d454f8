"""RNN image compression: N_original (Toderici 2017) and N_small (Sec. 2.2, Fig. 3 and appendix of Golts 2021).

```
r_{t-1} -> encoder E_t -> binarizer B -> b_t, m bits (what is sent) -> decoder D_t -> x^_t;  r_t = x - x^_t,  t = 1 .. N
```
Encoder and decoder remember earlier iterations in ConvLSTM states. No layer has a bias, as in the public code that the
layer sizes follow; pictures are shifted by 1/2, so that the decoder's tanh / 2 covers them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.errors import ConfigError
from compress3d.layers.binarizer import Binarizer
from compress3d.layers.recurrent import ConvLSTMCell, State
from compress3d.losses import Losses
from compress3d.scales import Scale

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


# The appendix fixes N_small's encoder and says "three convolutional RNN layers, smaller in capacity" of its decoder.
# Four doublings lead from 8 to 128 pixels, so one of them must stand elsewhere: three readings.
ARCHITECTURES = {
    "original": Architecture(32, (256, 512, 512), True, 512, False, ((512, 1), (512, 1), (256, 3), (128, 3))),
    "small": Architecture(16, (256, 512, 16), False, 512, True, ((256, 1), (128, 3), (64, 3))),
    "small-a2": Architecture(16, (256, 512, 16), False, 512, True, ((512, 1), (256, 3), (128, 3))),
    "small-b": Architecture(16, (256, 512, 16), False, 256, False, ((256, 1), (256, 1), (128, 3)), exit_shuffle=True),
}


class CompressionEncoder(nn.Module):
    """E^comp: a strided convolution and three ConvLSTMs; in N_original one more 1 x 1 convolution.

    Args:
        architecture: layer table.
        scale: width.
    """

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
            after.append(rnn(x, state))
            x = after[-1][0]
        x = x if self.code is None else self.code(x)
        x = x.to(torch.promote_types(x.dtype, torch.float32))  # bfloat16 would round the chances of Eq. 13 to 1/256
        return (x if self.code is None else torch.tanh(x)), after


class CompressionDecoder(nn.Module):
    """D^comp: a 1 x 1 convolution, ConvLSTMs with a depth-to-space behind each, a 1 x 1 convolution and tanh / 2.

    Args:
        architecture: layer table.
        scale: width.
    """

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
            after.append(rnn(x, state))
            x = F.pixel_shuffle(after[-1][0], 2)
        x = self.exit(x)
        if self.architecture.exit_shuffle:
            x = F.pixel_shuffle(x, 2)
        return torch.tanh(x.float()) / 2, after


class Coded(NamedTuple):
    """Everything that N iterations make.

    Attributes:
        codes: b_t of Eq. 10, (B, N, M, H/16, W/16): -1 and +1, floats in [-1, 1] where the binarizer is off.
        decoded: x^_t of Eq. 10, (B, N, 3, H, W), about [0, 1], not clamped.
    """

    codes: Tensor
    decoded: Tensor


class CompressionRNN(nn.Module):
    """Variable-rate compression of one picture: N iterations of m = (H/16)(W/16) M bits (Eq. 10-12).

    Args:
        scale: sizes; `paper` gives the published networks.
        architecture: "original" (M = 32), "small" (M = 16), or its other readings "small-a2", "small-b".
        additive: gamma of Eq. 10: True adds up the outputs (gamma = 1), False decodes the whole picture each time.
        binary: False sends 32-bit floats instead of bits (Sec. 4.3).

    Raises:
        ConfigError: there is no such architecture, or the picture's side is no multiple of 16.

    Example:
        >>> from compress3d.scales import scale
        >>> model = CompressionRNN(scale("paper"), "small").eval()
        >>> coded = model(torch.zeros(1, 3, 128, 128), iterations=1)   # 1024 bits, 384:1
        >>> coded.codes.shape, coded.decoded.shape
        (torch.Size([1, 1, 16, 8, 8]), torch.Size([1, 1, 3, 128, 128]))
    """

    def __init__(self, scale: Scale, architecture: str = "small", additive: bool = True, binary: bool = True):
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ConfigError(
                f"compression network {architecture!r}", "does not exist", f"choose one of {', '.join(ARCHITECTURES)}"
            )
        if scale.image_size % STRIDE:
            raise ConfigError(f"image size {scale.image_size}", "is no multiple of 16", "crop or resize the picture")
        self.scale, self.additive, self.binary = scale, additive, binary
        self.architecture = ARCHITECTURES[architecture]
        self.encoder = CompressionEncoder(self.architecture, scale)
        self.binarizer = Binarizer()
        self.decoder = CompressionDecoder(self.architecture, scale)

    @property
    def code_size(self) -> int:
        """m, values of one iteration's code."""
        return self.architecture.bits * (self.scale.image_size // STRIDE) ** 2

    def forward(self, images: Tensor, iterations: int) -> Coded:
        """N iterations on pictures (B, 3, H, W) in [0, 1], each picture coded by itself."""
        x = images - 0.5
        encoder, decoder = [None] * 3, [None] * len(self.decoder.rnns)
        residual, total = x, torch.zeros_like(x)  # r_0 = x, x^_0 = 0 (Eq. 11)
        codes, decoded = [], []
        for _ in range(iterations):
            code, encoder = self.encoder(residual, encoder)
            code = self.binarizer(code) if self.binary else code  # b_t = B[E_t(r_{t-1})], Eq. 10
            output, decoder = self.decoder(code, decoder)
            total = output + total if self.additive else output  # x^_t = D_t(b_t) + gamma x^_{t-1}, Eq. 10
            residual = x - total  # Eq. 11
            codes.append(code)
            decoded.append(total + 0.5)
        return Coded(torch.stack(codes, 1), torch.stack(decoded, 1))

    def losses(self, images: Tensor, occupancy: Tensor | None, iterations: int) -> Losses:
        """L_comp, Eq. 14, of views (B, V, 3, H, W) in [0, 1], as B V separate pictures."""
        pictures = images.flatten(0, 1)
        l_comp = compression_loss(pictures, self(pictures, iterations).decoded)
        return Losses(l_comp, compression=l_comp)

    def encode(self, images: Tensor, iterations: int) -> Tensor:
        """Codes (B, N, M, H/16, W/16) of pictures (B, 3, H, W) in [0, 1].

        The sender decodes as well, for the residual of the next iteration; not after the last one.
        """
        x = images - 0.5
        encoder, decoder = [None] * 3, [None] * len(self.decoder.rnns)
        residual, total, codes = x, torch.zeros_like(x), []
        for t in range(iterations):
            code, encoder = self.encoder(residual, encoder)
            codes.append(self.binarizer(code) if self.binary else code)
            if t + 1 < iterations:
                output, decoder = self.decoder(codes[-1], decoder)
                total = output + total if self.additive else output
                residual = x - total
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures (B, N, 3, H, W) in [0, 1], one more a code, of codes (B, N, M, H/16, W/16)."""
        decoder, total, decoded = [None] * len(self.decoder.rnns), 0.0, []
        for code in codes.unbind(1):
            output, decoder = self.decoder(code, decoder)
            total = output + total if self.additive else output
            decoded.append((total + 0.5).clamp(0, 1))
        return torch.stack(decoded, 1)


def compression_loss(images: Tensor, decoded: Tensor) -> Tensor:
    """L_comp, Eq. 14 with beta = 1 / (B H W 3 N): the mean absolute residual over pictures, pixels and iterations.

    Args:
        images: (B, 3, H, W) in [0, 1].
        decoded: (B, N, 3, H, W), `Coded.decoded`.
    """
    return (images.unsqueeze(1) - decoded).abs().mean()
