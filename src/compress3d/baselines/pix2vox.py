"""Pix2Vox-F: each view to a volume of its own, then a learned average of them (Xie 2019): no recurrence.

```
view (3, H, W) -> VGG16-BN up to conv4_1 (512, 28, 28) -> tail (128, 4, 4) = (256, 2, 2, 2) -> decoder -> 8 features and
one volume a view, (G, G, G) -> merger: a score a voxel, softmax over views -> weighted mean of the volumes
```
Layer sizes follow the public code, branch Pix2Vox-F, without refiner as there. Three things differ from it:

* The VGG layers are trained from scratch with all others; the authors take them from ImageNet and freeze them. No such
  weights are at hand here, so this is not the published result but the published network on our data.
* L_3D is the mean binary cross entropy, as for all models here; the authors minimize 10 times that. Adam does not
  see the factor. (The two-way log likelihood of Eq. 15 is the same number.)
* In training, batch normalisation takes its statistics over all views of a minibatch at once; the authors' loop
  normalises the first views of all objects, then the second ones, and so on. In evaluation there is no difference.

Multiply-adds a view, by hand: output cells x weights that each sees (a stride-2 transposed convolution: 8 of its 64).

| millions | VGG    | tail  | decoder | merger | sum    |
|----------|-------:|------:|--------:|-------:|-------:|
| paper    | 10,260 | 1,008 |     185 |    278 | 11,730 |
| demo     |    208 |    63 |      24 |     42 |    338 |
| smoke    |     38 |    16 |       1 |      3 |     57 |
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.errors import ConfigError, DataError
from compress3d.layers.precision import at_least_float32
from compress3d.r2n2.network import VoxelNetwork
from compress3d.scales import Scale

# Behind the last ReLU, at every width: the logits made of them have no bias, so that too few can get stuck at logits of
# one sign (with one feature, at smoke scale, L_3D stayed at log 2).
FEATURES = 8

# At full width.
VGG_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512,))  # a pooling between blocks: 224 -> 28
TAIL_CHANNELS = (512, 256, 128)
DECODER_CHANNELS = (256, 128, 64, 32)
MERGER_CHANNELS = (16, 8, 4, 2)  # and one score at the end
ENLARGED = (7, 4)  # 128 pixels -> 224, and 64 -> 112, 32 -> 56
VGG_SIDE, FIRST_GRID = 28, 2  # cells a side after VGG, and where volumes start


def _halvings(size: int, end: int, most: int) -> int:
    """n for which `size` = 2^n `end`; -1 where there is none up to `most`."""
    return next((n for n in range(most + 1) if end << n == size), -1)


class ViewEncoder(nn.Module):
    """VGG16-BN up to its eighth convolution, and the tail of Pix2Vox-F.

    An image of 224 pixels needs three poolings to reach 28 x 28 cells. A smaller one needs fewer: the last are left
    out, so that the first, large layers shrink the image as in the paper. Where no number of poolings leads to 28 x 28
    cells, ConfigError is raised.
    """

    def __init__(self, scale: Scale):
        super().__init__()
        self.side = scale.image_size * ENLARGED[0] // ENLARGED[1]
        poolings = _halvings(self.side, VGG_SIDE, len(VGG_BLOCKS) - 1)
        if poolings < 0:
            problem = "do not end at 28 x 28 cells in Pix2Vox"
            raise ConfigError(f"images of {scale.image_size} pixels", problem, "choose 16, 32, 64 or 128 pixels")
        layers: list[nn.Module] = []
        a = 3
        for n, block in enumerate(VGG_BLOCKS):
            for b in map(scale.channels, block):
                layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
                a = b
            if n < poolings:
                layers.append(nn.MaxPool2d(2))
        self.vgg = nn.Sequential(*layers)
        b, c, d = map(scale.channels, TAIL_CHANNELS)
        self.tail = nn.Sequential(
            *(nn.Conv2d(a, b, 1), nn.BatchNorm2d(b), nn.ELU(inplace=True)),
            *(nn.Conv2d(b, c, 3), nn.BatchNorm2d(c), nn.ELU(inplace=True), nn.MaxPool2d(4)),  # 28 -> 26 -> 6
            *(nn.Conv2d(c, d, 3), nn.BatchNorm2d(d), nn.ELU(inplace=True)),  # 6 -> 4
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 128 x width, 4, 4)."""
        x = F.interpolate(x, size=(self.side, self.side), mode="bilinear", align_corners=False)
        x = (2 * x - 1).contiguous(memory_format=torch.channels_last)  # (x - 0.5) / 0.5
        return self.tail(self.vgg(x))


class VolumeDecoder(nn.Module):
    """One view's volume: four transposed convolutions from 2^3 to 32^3 cells, each with batch normalisation and ReLU.

    A smaller grid leaves out the first upsamplings: a 3^3 convolution stands in their place. Where no number of them
    leads to that grid, or the encoder's output does not fill 2^3 cells, ConfigError is raised.
    """

    def __init__(self, scale: Scale):
        super().__init__()
        widths = [*(scale.channels(c) for c in DECODER_CHANNELS), FEATURES]
        layers = len(widths) - 1
        upsamplings = _halvings(scale.grid, FIRST_GRID, layers)
        if upsamplings < 0:
            raise ConfigError(f"a grid of {scale.grid}^3", "cannot be reached by Pix2Vox", "choose 2, 4, 8, 16 or 32")
        if widths[0] != 2 * scale.channels(TAIL_CHANNELS[-1]):
            raise ConfigError(f"width {scale.width:g}", "does not halve Pix2Vox's channels evenly", "choose 1/2^n")
        self.first = widths[0]
        stack: list[nn.Module] = []
        for n, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
            if n < layers - upsamplings:
                stack.append(nn.Conv3d(a, b, 3, padding=1, bias=False))
            else:
                stack.append(nn.ConvTranspose3d(a, b, 4, stride=2, padding=1, bias=False))
            stack += [nn.BatchNorm3d(b), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*stack)
        self.classify = nn.Conv3d(widths[-1], 1, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 128 x width, 4, 4) -> features (B, 8, G, G, G) and logits (B, 1, G, G, G)."""
        x = x.reshape(-1, self.first, FIRST_GRID, FIRST_GRID, FIRST_GRID)
        features = self.layers(_channels_last(x))
        return features, self.classify(features)


class Merger(nn.Module):
    """How far each voxel of a view's volume is to be trusted: five 3^3 convolutions to one score."""

    def __init__(self, scale: Scale):
        super().__init__()
        widths = [FEATURES + 1, *(scale.channels(c) for c in MERGER_CHANNELS), 1]
        self.convs = nn.ModuleList(nn.Conv3d(a, b, 3, padding=1) for a, b in zip(widths, widths[1:], strict=False))
        self.norms = nn.ModuleList(nn.BatchNorm3d(b) for b in widths[1:])

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (B, 8, G, G, G) and logits (B, 1, G, G, G) of a view -> scores (B, 1, G, G, G)."""
        x = torch.cat([features, torch.sigmoid(logits)], dim=1)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(_channels_last(x))), 0.2, inplace=True)
        return x


def _channels_last(x: Tensor) -> Tensor:
    """`x`, (B, C, G, G, G), with its channels lying together: several times as fast on a CPU where they are few."""
    if x.shape[1] == 1:  # either order of memory is the same; the strides tell the convolution which to take
        return x.squeeze(1).unsqueeze(-1).movedim(-1, 1)
    return x.contiguous(memory_format=torch.channels_last_3d)


def merged_logits(scores: Tensor, logits: Tensor) -> Tensor:
    """Logits of sum_v w_v sigmoid(logits_v), w = softmax of the scores over views, without leaving the log domain.

    p and 1 - p are sums of exp(score_v) sigmoid(+-logits_v) over one common denominator, which cancels in their ratio.
    Both are (B, V, ...); the result, (B, ...) in float32 at least, is finite and has a gradient however sure they are.

    Example:
        >>> merged_logits(torch.zeros(1, 2), torch.tensor([[200.0, 200.0]]))
        tensor([200.])
    """
    scores, logits = at_least_float32(scores), at_least_float32(logits)
    occupied = torch.logsumexp(scores + F.logsigmoid(logits), dim=1)
    empty = torch.logsumexp(scores + F.logsigmoid(-logits), dim=1)
    return occupied - empty


class Pix2Vox(VoxelNetwork):
    """Pix2Vox-F, with the interface of `Reconstruction`; the order of views does not matter.

    Scale `paper` gives the published network, which enlarges its images from 128 to 224 pixels. The other scales
    enlarge by the same factor, 7/4, and have `width` times the channels of every layer but the decoder's last.

    Raises:
        ConfigError: the network cannot have these sizes.

    Example:
        >>> from compress3d.scales import scale
        >>> Pix2Vox(scale("smoke"))(torch.zeros(2, 5, 3, 32, 32)).shape
        torch.Size([2, 16, 16, 16])
    """

    def __init__(self, scale: Scale):
        super().__init__()
        self.scale = scale
        self.encoder = ViewEncoder(scale)
        self.decoder = VolumeDecoder(scale)
        self.merger = Merger(scale)
        for layer in self.modules():  # as the authors start: He 2015, no biases
            if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d)):
                nn.init.kaiming_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def encode_views(self, images: Tensor) -> Tensor:
        """Every view by itself: (B, V, 3, H, W) in [0, 1] -> scores and logits of its voxels, (B, V, 2, G, G, G).

        Raises:
            DataError: the images have another size, or are not floats.
        """
        side = self.scale.image_size
        if images.ndim != 5 or images.shape[1] < 1 or images.shape[2:] != (3, side, side):
            problem = f"do not fit Pix2Vox at scale {self.scale.name!r}"
            remedy = f"give (objects, views, 3, {side}, {side}), at least one view"
            raise DataError(f"images of shape {tuple(images.shape)}", problem, remedy)
        if not images.is_floating_point():
            raise DataError(f"images of {images.dtype}", "are not floats in [0, 1]", "divide them by 255")
        features, logits = self.decoder(self.encoder(images.flatten(0, 1)))
        volumes = torch.cat([self.merger(features, logits), logits], dim=1)
        return volumes.unflatten(0, images.shape[:2])

    def fuse_views(self, views: Tensor) -> Tensor:
        """Scores and logits of any number of views, (B, V, 2, G, G, G), in any order -> logits (B, G, G, G)."""
        return merged_logits(views[:, :, 0], views[:, :, 1])
