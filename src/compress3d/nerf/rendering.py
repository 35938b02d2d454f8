"""Volume rendering as in the original: stratified and importance sampling, coarse and fine network.

Mildenhall et al. 2020, Sec. 4 and 5.2, and their code. A point is `origin + t * direction`; an interval's length is its
dt times the direction's length, and the last interval reaches to infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from compress3d.engine.hardware import choose_precision
from compress3d.engine.step import Step
from compress3d.errors import ConfigError
from compress3d.layers.precision import at_least_float32
from compress3d.losses import LossTerms, photometric_loss
from compress3d.nerf.fields import Field
from compress3d.nerf.mlp import MLP
from compress3d.nerf.rays import RayBatch, Rays

INFINITE = 1e10  # length of the last interval of a ray, as in the original code
NEVER_DARK = 1e-10  # of the light that passes a sample, as there
STREAM = 20  # of a step's random numbers: jitter of samples, noise of densities
EPSILON = 1e-5  # added to weights before sampling, as in the original code: a ray through nothing is sampled evenly
INVISIBLE = 1e-7  # points of less weight have no colour computed: 192 of them change a pixel by less than 2e-5
CPU_RAYS = 256  # rays rendered together on a CPU: 1.5 times as fast as 4,096, whose activations leave the cache


class Rendered(NamedTuple):
    """Pixels of R rays."""

    colour: Tensor  # (R, 3), about [0, 1]
    depth: Tensor  # (R,): sum of weight times t; divided by the opacity it is the mean t of what stops the light
    opacity: Tensor  # (R,), in [0, 1]: sum of weights
    coarse: Tensor | None = None  # (R, 3), the coarse network's colour, where it was asked for


# -- along a ray -----------------------------------------------------------------------------------------------------


def sample_weights(sigma: Tensor, t: Tensor, lengths: Tensor) -> Tensor:
    """What each sample adds to its pixel: w_i = T_i (1 - exp(-sigma_i delta_i)), Eq. 3.

    T_i = product over j < i of exp(-sigma_j delta_j) is the light that reaches sample i. Computed in the order of the
    original code, with its 1e-10 in each factor, because last bits matter: an empty interval holds 1e-5 of the whole,
    which is just the threshold of `importance`, so that a sample that falls into it may stay or move. In another order
    1 pixel in 20,000 of a trained network differs by 1e-2.

    Args:
        sigma: (R, S), densities >= 0 per unit of length.
        t: (R, S), ascending.
        lengths: (R,), of the rays' directions.

    Returns:
        (R, S), float32 at least, >= 0, with a sum of 1 at most, but for 1e-10 a sample.

    Example:
        >>> sample_weights(torch.tensor([[0.0, 9e9]]), torch.tensor([[2.0, 3.0]]), torch.ones(1)).tolist()
        [[0.0, 1.0]]
    """
    sigma, t = at_least_float32(sigma), at_least_float32(t)
    delta = torch.cat([t.diff(dim=-1), torch.full_like(t[..., :1], INFINITE)], -1) * lengths.unsqueeze(-1)
    alpha = 1 - torch.exp(-sigma * delta)
    light = torch.cumprod(1 - alpha + NEVER_DARK, -1)
    return alpha * torch.cat([torch.ones_like(light[..., :1]), light[..., :-1]], -1)


def blend(weights: Tensor, rgb: Tensor, t: Tensor, white: bool | Tensor) -> Rendered:
    """Pixels of weights (R, S), colours (R, S, 3) and t (R, S); on white, or on black."""
    opacity = weights.sum(-1)
    colour = (weights.unsqueeze(-1) * rgb).sum(-2)  # no matrix product, which autocast would do in bfloat16
    colour = colour + (1 - opacity).unsqueeze(-1) * white
    return Rendered(colour, (weights * t).sum(-1), opacity)


def composite(sigma: Tensor, rgb: Tensor, t: Tensor, lengths: Tensor, white: bool | Tensor) -> Rendered:
    """Pixels of samples along rays, Eq. 3.

    Args:
        sigma: (R, S), densities >= 0.
        rgb: (R, S, 3).
        t: (R, S), ascending.
        lengths: (R,), of the rays' directions.
        white: the background; black where False.

    Example:
        >>> sigma, t = torch.tensor([[0.0, 9e9]]), torch.tensor([[2.0, 3.0]])
        >>> pixel = composite(sigma, torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]), t, torch.ones(1), white=True)
        >>> pixel.colour.tolist(), pixel.depth.tolist()
        ([[0.0, 1.0, 0.0]], [3.0])
    """
    return blend(sample_weights(sigma, t, lengths), rgb, t, white)


def stratified(
    near: float | Tensor, far: float | Tensor, rays: int, samples: int, like: Tensor, rng: torch.Generator | None = None
) -> Tensor:
    """t (R, S) from near to far: even, both ends among them; with `rng` each is drawn from its own interval, Eq. 2.

    As in the original code, intervals end half way between the even samples, and the first and last are half as long.

    Args:
        near, far: numbers, or one-element tensors.
        rays, samples: R and S.
        like: gives dtype and device.
        rng: on the same device.

    Example:
        >>> stratified(2, 6, 1, 3, torch.ones(1)).tolist()
        [[2.0, 4.0, 6.0]]
    """
    u = torch.linspace(0, 1, samples, dtype=like.dtype, device=like.device)
    t = (near * (1 - u) + far * u).expand(rays, samples)
    if rng is None:
        return t
    middle = (t[:, 1:] + t[:, :-1]) / 2
    low, high = torch.cat([t[:, :1], middle], -1), torch.cat([middle, t[:, -1:]], -1)
    return low + (high - low) * torch.rand(t.shape, generator=rng, dtype=t.dtype, device=t.device)


def importance(edges: Tensor, weights: Tensor, samples: int, rng: torch.Generator | None = None) -> Tensor:
    """t (R, S) drawn from a density that is constant between edges, Sec. 5.2: its inverse distribution function.

    As in the original code: 1e-5 is added to weights, and where an interval holds less than 1e-5 of the whole, what
    falls into it stays at its lower edge.

    Args:
        edges: (R, B + 1), ascending.
        weights: (R, B), >= 0, need not sum to 1.
        samples: S.
        rng: draws uniform numbers; None takes even quantiles from 0 to 1.

    Example:
        >>> importance(torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([[0.5, 0.5]]), 5).tolist()
        [[0.0, 0.5, 1.0, 2.0, 3.0]]
    """
    weights = weights + EPSILON
    cdf = (weights / weights.sum(-1, keepdim=True)).cumsum(-1)
    cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], -1)
    if rng is None:
        u = torch.linspace(0, 1, samples, dtype=cdf.dtype, device=cdf.device).expand(len(cdf), samples).contiguous()
    else:
        u = torch.rand(len(cdf), samples, generator=rng, dtype=cdf.dtype, device=cdf.device)
    high = torch.searchsorted(cdf, u, right=True)
    low, high = (high - 1).clamp(min=0), high.clamp(max=cdf.shape[-1] - 1)
    below, step = cdf.gather(-1, low), cdf.gather(-1, high)
    step = step - below
    share = (u - below) / torch.where(step < EPSILON, 1, step)
    start = edges.gather(-1, low)
    return start + share * (edges.gather(-1, high) - start)


# -- two networks ----------------------------------------------------------------------------------------------------


class SceneFacts(Protocol):
    """What a model has to know of a scene."""

    @property
    def bounds(self) -> np.ndarray: ...  # (2, 3)
    @property
    def near(self) -> float: ...
    @property
    def far(self) -> float: ...
    @property
    def white(self) -> bool: ...
    @property
    def ndc(self) -> bool: ...


FACTS = ("near", "far", "white", "ndc")  # what every model of a scene knows of it


class SceneModel(nn.Module):
    """A model of a scene.

    Attributes:
        near, far: t between which a ray is sampled; white: the background; ndc: rays are in NDC. Tensors of one
            element, part of the state.
    """

    near: Tensor
    far: Tensor
    white: Tensor
    ndc: Tensor

    def __init__(self, near: float = 0.0, far: float = 1e10, white: bool = True, ndc: bool = False):
        super().__init__()
        for name, value in zip(FACTS, (float(near), float(far), white, ndc), strict=True):
            self.register_buffer(name, torch.tensor(value))

    def set_scene(self, scene: SceneFacts) -> None:
        """Take over what a model has to know of a scene; a model that is loaded knows it."""
        for name in FACTS:
            getattr(self, name).fill_(getattr(scene, name))


class CoarseFine(SceneModel):
    """The original's way: a coarse network says where samples of a ray matter, a fine one renders them.

    Attributes:
        coarse, fine: the networks.

    Args:
        samples: of the coarse network, and those that are added for the fine one, which sees both.
        noise: standard deviation of what is added to raw densities in training.

    Raises:
        ConfigError: fewer than 3 coarse samples or none for the fine network; near is not before far.

    Example:
        >>> field = CoarseFine(MLP(2, 16), MLP(2, 16), near=2, far=6, white=True, samples=(8, 8))
        >>> rays = Rays(torch.zeros(5, 3), torch.rand(5, 3), torch.rand(5, 3))
        >>> render_image(field.render, rays).colour.shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        coarse: MLP,
        fine: MLP,
        near: float,
        far: float,
        white: bool,
        ndc: bool = False,
        samples: tuple[int, int] = (64, 128),
        noise: float = 0.0,
    ):
        super().__init__(near, far, white, ndc)
        if samples[0] < 3 or samples[1] < 1:
            raise ConfigError(f"samples {samples}", "are too few", "take 3 coarse ones and 1 fine one at least")
        if not near < far:
            raise ConfigError(f"near {near:g} and far {far:g}", "hold no ray", "give a far beyond near")
        self.coarse, self.fine = coarse, fine
        self.samples, self.noise = samples, noise

    def render(self, rays: Rays, rng: torch.Generator | None = None, both: bool = False) -> Rendered:
        """Pixels of rays.

        Args:
            rng: jitters samples and, where the network has `noise`, adds it to raw densities: as in training.
            both: also the coarse network's colour.
        """
        R, (S, more) = len(rays.origins), self.samples
        lengths = rays.directions.norm(dim=-1)
        t = stratified(self.near, self.far, R, S, rays.origins, rng)
        # With layers multiplied together some samples would move: see `sample_weights`.
        raw, features = self.coarse.density(_points(rays, t), as_written=True)
        sigma = self._activated(self.coarse, raw.view(R, S), rng)
        weights = sample_weights(sigma, t, lengths)
        coarse = None
        if both:
            rgb = _colours(self.coarse, features, rays.views, sigma, weights)
            coarse = blend(weights, rgb, t, self.white).colour
        del features
        middle = (t[:, 1:] + t[:, :-1]) / 2
        t = torch.cat([t, importance(middle, weights[:, 1:-1].detach(), more, rng)], -1).sort(-1).values
        raw, features = self.fine.density(_points(rays, t))
        sigma = self._activated(self.fine, raw.view(R, S + more), rng)
        weights = sample_weights(sigma, t, lengths)
        pixels = blend(weights, _colours(self.fine, features, rays.views, sigma, weights), t, self.white)
        return pixels._replace(coarse=coarse)

    def training_step(self, batch: RayBatch, step: Step) -> LossTerms:
        """Squared errors of both networks' pixels, "fine" and "coarse", and their sum.

        Jitter and noise are a function of `step`.
        """
        rng = torch.Generator(batch.origins.device)
        rng.manual_seed(int(step.rng(STREAM).integers(2**63)))
        found = self.render(batch.rays, rng, both=True)
        assert found.coarse is not None
        terms = {"fine": photometric_loss(found.colour, batch.colours)}
        terms["coarse"] = photometric_loss(found.coarse, batch.colours)
        return LossTerms(terms["fine"] + terms["coarse"], terms)

    def _activated(self, field: Field, raw: Tensor, rng: torch.Generator | None) -> Tensor:
        raw = at_least_float32(raw)
        if rng is not None and self.noise:
            raw = raw + self.noise * torch.randn(raw.shape, generator=rng, dtype=raw.dtype, device=raw.device)
        return field.activate(raw)


def _points(rays: Rays, t: Tensor) -> Tensor:
    """(R S, 3) of t (R, S)."""
    return (rays.origins.unsqueeze(1) + t.unsqueeze(-1) * rays.directions.unsqueeze(1)).flatten(0, 1)


def _colours(field: Field, features: Tensor, views: Tensor, sigma: Tensor, weights: Tensor) -> Tensor:
    """RGB (R, S, 3) of samples of densities and weights (R, S); 0, and not computed, for those that are not seen.

    With gradients those of density 0 are left out, which have none.
    """
    R, S = weights.shape
    gradients = torch.is_grad_enabled()
    if gradients and weights.device.type != "cpu":  # a GPU would add up gradients in an order that changes
        return field.colour(features, views, S).view(R, S, 3)
    seen = (sigma > 0 if gradients else weights > INVISIBLE).flatten().nonzero().squeeze(-1)
    found = field.colour(features.index_select(0, seen), views, seen // S)
    rgb = torch.zeros(R * S, 3, dtype=found.dtype, device=found.device)
    return rgb.index_copy(0, seen, found).view(R, S, 3)


# -- pictures --------------------------------------------------------------------------------------------------------


def rays_at_once(device: torch.device, bytes_a_ray: int = 192 * 256 * 4 * 6) -> int:
    """How many rays to render together.

    Args:
        bytes_a_ray: what one takes on a GPU; six activations of 192 points of the original's network by default.
    """
    if device.type != "cuda":
        return CPU_RAYS
    free, _ = torch.cuda.mem_get_info(device)
    return max(CPU_RAYS, min(free // 2 // bytes_a_ray, 1 << 16))


@torch.no_grad()
def render_image(
    render: Callable[[Rays], Rendered],
    rays: Rays,
    chunk: int | None = None,
    progress: bool = False,
    precision: str = "float32",
) -> Rendered:
    """Pixels of many rays, some at a time, without gradients.

    Args:
        render: such as `CoarseFine.render`.
        rays: on the device that computes.
        chunk: rays at a time; chosen for the device where None.
        progress: show a bar.
        precision: "bfloat16" is taken where the device computes in it by itself.

    Raises:
        ConfigError: `chunk` is not positive.
    """
    device, R = rays.origins.device, len(rays.origins)
    chunk = rays_at_once(device) if chunk is None else chunk
    if chunk < 1:
        raise ConfigError(f"a chunk of {chunk} rays", "renders nothing", "give a positive number")
    low = precision != "float32" and choose_precision(precision, device) == "bfloat16"
    starts = range(0, max(R, 1), chunk)
    parts = []
    with torch.autocast(device.type, torch.bfloat16, enabled=low):
        for start in tqdm(starts, desc="rendering", unit_scale=chunk, unit="ray", disable=not progress, leave=False):
            parts.append(render(rays.part(slice(start, start + chunk))))
    colour, depth, opacity, coarse = zip(*parts, strict=True)
    both = None if coarse[0] is None else torch.cat(coarse)
    return Rendered(torch.cat(colour), torch.cat(depth), torch.cat(opacity), both)
