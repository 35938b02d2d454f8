"""The radiance field of Mildenhall et al. 2020 as a network, and as a public PyTorch port has it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compress3d.errors import ConfigError

TILE = 1024  # points that pass all layers together: on a CPU two of their activations stay in the cache of a core


def encode(x: Tensor, L: int) -> Tensor:
    """Positions or directions with sines and cosines of L octaves, Eq. 4 of Mildenhall et al. 2020.

    As in their code, x itself comes first, and there is no factor pi.

    Args:
        x: (..., 3), float32 or float64.
        L: octaves; 0 gives x.

    Returns:
        (..., 3 + 6 L): x, sin(x), cos(x), sin(2 x), cos(2 x), ..., cos(2^(L - 1) x), of three values each.

    Example:
        >>> encode(torch.zeros(1, 3), 2).int().tolist()
        [[0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]]
    """
    octaves = 2.0 ** torch.arange(L, dtype=x.dtype, device=x.device)
    angles = x.unsqueeze(-2) * octaves.unsqueeze(-1)  # exact, so that every octave is as precise as the first
    waves = torch.stack([angles.sin(), angles.cos()], -2).flatten(-3)
    return torch.cat([x, waves], -1)


class Linear(nn.Linear):
    """A linear layer of which weights can be taken out.

    Attributes:
        joined: widths of the parts that its input is joined of; one where they are not given.
        mask, bias_mask: bool, as `weight` and `bias`, True where a value acts; None where all do. Part of the state
            dict where they are set, and taken from one that holds them.

    Example:
        >>> layer = Linear(2, 1)
        >>> layer.add_mask(torch.tensor([[True, False]]))
        >>> bool(layer(torch.tensor([[0.0, 7.0]])) == layer.bias)
        True
    """

    mask: Tensor | None
    bias_mask: Tensor | None

    def __init__(self, in_features: int, out_features: int, joined: tuple[int, ...] = ()):
        super().__init__(in_features, out_features)
        self.joined = joined or (in_features,)
        self.register_buffer("mask", None)
        self.register_buffer("bias_mask", None)

    @property
    def acting_weight(self) -> Tensor:
        """(out, in): the weight, 0 where it is masked."""
        return self.weight if self.mask is None else self.weight * self.mask

    @property
    def acting_bias(self) -> Tensor:
        """(out,): the bias, 0 where it is masked."""
        return self.bias if self.bias_mask is None else self.bias * self.bias_mask

    def add_mask(self, mask: Tensor) -> None:
        """Let only weights act where `mask`, bool (out, in), is True; those that a mask took out before stay out.

        Raises:
            ConfigError: the mask is of another shape or not bool.
        """
        if mask.shape != self.weight.shape or mask.dtype != torch.bool:
            problem = f"is {mask.dtype} {tuple(mask.shape)}, not bool {tuple(self.weight.shape)}"
            raise ConfigError("mask", problem, "make one of the weight it is for")
        mask = mask.to(self.weight.device)
        self.mask = mask.clone() if self.mask is None else self.mask & mask

    def add_bias_mask(self, mask: Tensor) -> None:
        """The same for biases, bool (out,)."""
        self.bias_mask = mask.clone() if self.bias_mask is None else self.bias_mask & mask

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.acting_weight, self.acting_bias)

    def _load_from_state_dict(self, state_dict, prefix, *args):  # of torch: a state says all, also which weights act
        for name, value in (("mask", self.weight), ("bias_mask", self.bias)):
            mask = state_dict.get(f"{prefix}{name}")
            setattr(self, name, None if mask is None else torch.ones_like(value, dtype=torch.bool))
        super()._load_from_state_dict(state_dict, prefix, *args)


class _Map(NamedTuple):
    """An affine map."""

    weight: Tensor  # (out, in)
    bias: Tensor  # (out,)

    @classmethod
    def of(cls, layer: Linear) -> _Map:
        return cls(layer.acting_weight, layer.acting_bias)

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def after(self, first: _Map) -> _Map:
        """`self(first(x))` as one map."""
        weight, bias = self.weight.double(), self.bias.double()  # rounded once
        weight, bias = weight @ first.weight.double(), weight @ first.bias.double() + bias
        return _Map(weight.to(self.weight.dtype), bias.to(self.bias.dtype))


class MLP(nn.Module):
    """NeRF: density of a position, colour of a position and a direction (Mildenhall et al. 2020, Fig. 7).

    The defaults are the original code: 593,408 weights and 2,436 biases. Where its figure and its code differ, this
    follows the code: one layer of width / 2 after the direction has joined.

    Where no gradient is asked for, neighbouring layers with nothing between them (the original's `feature` and
    `direction`; the port's first two) are multiplied together first, and points pass in tiles that fit a core's cache.

    Attributes:
        position: layers 0 to depth - 1, each followed by ReLU.
        density_head, feature, direction, colour_head: layers of the two outputs.

    Args:
        depth, width: layers, and units of each.
        skip: the encoded position joins again after layer `skip`; None, or a number for which no layer follows, for no
            such joint.
        L_position, L_direction: octaves of the encodings.
        first_relu: False leaves out the ReLU after layer 0, as krrish94/nerf-pytorch does.
        feature_relu: True puts one after `feature`, as that port does.

    Raises:
        ConfigError: a size that no network can have.

    Example:
        >>> field = MLP(depth=4, width=32, skip=None)
        >>> raw, features = field.density(torch.rand(6, 3))
        >>> raw.shape, field.colour(features, torch.eye(3)[:2], 3).shape  # two rays of three points
        (torch.Size([6]), torch.Size([6, 3]))
    """

    def __init__(
        self,
        depth: int = 8,
        width: int = 256,
        skip: int | None = 4,
        L_position: int = 10,
        L_direction: int = 4,
        first_relu: bool = True,
        feature_relu: bool = False,
    ):
        super().__init__()
        if depth < 1 or width < 2 or L_position < 0 or L_direction < 0 or (skip is not None and skip < 0):
            asked = f"a network of {depth} layers of {width}, skip {skip}, octaves {L_position} and {L_direction}"
            raise ConfigError(asked, "cannot be", "ask for one layer of two units at least, and nothing negative")
        self.depth, self.width = depth, width
        self.skip = skip if skip is not None and skip + 1 < depth else None
        self.L_position, self.L_direction = L_position, L_direction
        self.first_relu, self.feature_relu = first_relu, feature_relu
        encoded, joined = 3 + 6 * L_position, 0 if self.skip is None else self.skip + 1
        inputs = [(encoded,)] + [(encoded, width) if n == joined else (width,) for n in range(1, depth)]
        self.position = nn.ModuleList(Linear(sum(of), width, of) for of in inputs)
        self.density_head = Linear(width, 1)
        self.feature = Linear(width, width)
        views = 3 + 6 * L_direction
        self.direction = Linear(width + views, width // 2, (width, views))
        self.colour_head = Linear(width // 2, 3)

    @property
    def architecture(self) -> dict[str, int | bool | None]:
        """What `MLP(**architecture)` makes the same network of."""
        names = ("depth", "width", "skip", "L_position", "L_direction", "first_relu", "feature_relu")
        return {name: getattr(self, name) for name in names}

    def layers(self) -> dict[str, Linear]:
        """Its layers by name, in order."""
        return {name: layer for name, layer in self.named_modules() if isinstance(layer, Linear)}

    def density(self, points: Tensor, as_written: bool = False) -> tuple[Tensor, Tensor]:
        """Raw density (P,) and features (P, width) of points (P, 3); see `Field`.

        Args:
            as_written: multiply no layers together first, which rounds otherwise.
        """
        maps = [_Map.of(layer) for layer in self.position]  # type: ignore[arg-type]  # torch: "Module"
        joined = None if self.skip is None else self.skip + 1
        straight = None if self.first_relu else 0
        whole = torch.is_grad_enabled() or as_written
        if straight == 0 and self.depth > 1 and joined != 1 and not whole:
            maps, straight = [maps[1].after(maps[0]), *maps[2:]], None
            joined = None if joined is None else joined - 1
        head = _Map.of(self.density_head)

        def through(points: Tensor) -> tuple[Tensor, Tensor]:
            encoded = hidden = encode(points, self.L_position)
            for n, layer in enumerate(maps):
                hidden = layer(torch.cat([encoded, hidden], -1) if n == joined else hidden)
                hidden = hidden if n == straight else F.relu_(hidden)
            return head(hidden).squeeze(-1), hidden

        if torch.is_grad_enabled() or points.device.type != "cpu" or len(points) <= TILE:
            return through(points)
        raw, features = zip(*map(through, points.split(TILE)), strict=True)
        return torch.cat(raw), torch.cat(features)

    def activate(self, raw: Tensor) -> Tensor:
        """Density: ReLU of it."""
        return F.relu(raw)

    def colour(self, features: Tensor, views: Tensor, ray: Tensor | int) -> Tensor:
        """RGB (P, 3) in (0, 1); see `Field`. A direction is encoded and multiplied once a ray, not at each point."""
        weight, bias = _Map.of(self.direction)
        of_features = _Map(weight[:, : self.width], torch.zeros_like(bias))
        of_views = _Map(weight[:, self.width :], bias)(encode(views, self.L_direction))
        feature = _Map.of(self.feature)
        if self.feature_relu or torch.is_grad_enabled():
            features = feature(features)
            features = F.relu_(features) if self.feature_relu else features
        else:
            of_features = of_features.after(feature)
        hidden = of_features(features)
        if isinstance(ray, int):
            hidden.view(len(views), ray, len(bias)).add_(of_views.unsqueeze(1))
        else:
            hidden += of_views.index_select(0, ray)
        return _Map.of(self.colour_head)(F.relu_(hidden)).sigmoid()
