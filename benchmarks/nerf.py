"""Speed of coarse and fine rendering, and of a training step, against a renderer as in krrish94/nerf-pytorch."""

from __future__ import annotations

import math

import torch
from torch import nn

from benchmarks import naive_nerf
from compress3d.joint.timing import alternate
from compress3d.losses import photometric_loss
from compress3d.nerf.convert import to_port
from compress3d.nerf.mlp import MLP
from compress3d.nerf.rays import Rays
from compress3d.nerf.rendering import CoarseFine, render_image


def bench_nerf(
    rays: int = 512, repeats: int = 5, sizes: tuple[tuple[int, int], ...] = ((4, 128), (8, 256))
) -> list[tuple[str, float, float]]:
    """Milliseconds: name, reference, ours; medians. The same networks and the same 64 + 64 samples.

    The networks are random, with a quarter of the samples seen: the port's lego has 10 %, its fern 40 %. Colours of
    others are left out, and the fewer are seen, the more that saves.

    Args:
        rays: of a call.
        sizes: depth and width of networks.
    """
    rows = []
    for depth, width in sizes:
        field = random_networks(depth, width)
        origins, directions = torch.randn(2, rays, 3, generator=torch.Generator().manual_seed(0))
        given = Rays(origins, directions, nn.functional.normalize(directions, dim=-1))
        target = torch.rand(rays, 3)
        states = [{name: value.requires_grad_() for name, value in to_port(net).items()} for net in field.children()]

        def naive(states=states, given=given):
            return naive_nerf.render(*states, *given, near=2.0, far=6.0, white=True, octaves=(10, 4))[:2]

        def naive_step(naive=naive, target=target):
            sum(photometric_loss(colour, target) for colour in naive()).backward()

        def step(field=field, given=given, target=target):
            found = field.render(given, both=True)
            (photometric_loss(found.colour, target) + photometric_loss(found.coarse, target)).backward()

        calls = {
            "rendering": (torch.no_grad()(naive), lambda: render_image(field.render, given)),  # noqa: B023
            "training step": (naive_step, step),
        }
        named = {f"{name}/{way}": call for name, both in calls.items() for way, call in zip("ab", both, strict=True)}
        label = f"NeRF {depth} x {width}"
        times = alternate(named, repeats, label=label)
        rows += [(f"{label}, {name}", times[f"{name}/a"], times[f"{name}/b"]) for name in calls]
    return rows


def random_networks(depth: int, width: int) -> CoarseFine:
    """Two of the port's kind, of a fixed seed: haze in a quarter of the space."""
    rng = torch.Generator().manual_seed(0)
    nets = [MLP(depth, width, None, first_relu=False, feature_relu=True) for _ in range(2)]
    with torch.no_grad():
        for net in nets:
            for layer in net.layers().values():
                nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.in_features), generator=rng)
                nn.init.zeros_(layer.bias)
            net.density_head.weight *= 0.1
            raw, _ = net.density(4 * torch.randn(4000, 3, generator=rng))
            net.density_head.bias -= raw.quantile(0.75)
    return CoarseFine(*nets, near=2, far=6, white=True, samples=(64, 64))
