"""A plain renderer that does what krrish94/nerf-pytorch does in evaluation mode, step by step as its code orders it.

For tests and for `benchmarks.run`. Everything is evaluated at every sample, both networks wholly, directions encoded at
every point, in its chunks of 16,384 rays and 16,384 points. Its jitter and noise are left out: its evaluation mode has
neither. Any dtype; gradients where they are asked for.
"""

import torch


def encoding(x, octaves):
    parts = [x]
    for band in range(octaves):
        parts += [torch.sin(x * 2.0**band), torch.cos(x * 2.0**band)]
    return torch.cat(parts, -1)


def linear(state, name, x):
    return torch.nn.functional.linear(x, state[f"{name}.weight"].to(x), state[f"{name}.bias"].to(x))


def network(state, x):
    """Colour before its sigmoid, and density before its ReLU: (P, 4)."""
    encoded = state["layer1.weight"].shape[1]
    position, direction = x[:, :encoded], x[:, encoded:]
    hidden, n = linear(state, "layer1", position), 0
    while f"layers_xyz.{n}.weight" in state:
        hidden, n = torch.relu(linear(state, f"layers_xyz.{n}", hidden)), n + 1
    feature = torch.relu(linear(state, "fc_feat", hidden))
    density = linear(state, "fc_alpha", hidden)
    hidden = torch.relu(linear(state, "layers_dir.0", torch.cat([feature, direction], -1)))
    return torch.cat([linear(state, "fc_rgb", hidden), density], -1)


def evaluate(state, points, views, octaves, chunk):
    R, S, _ = points.shape
    flat = points.reshape(-1, 3)
    along = views[:, None].expand(R, S, 3).reshape(-1, 3)
    x = torch.cat([encoding(flat, octaves[0]), encoding(along, octaves[1])], -1)
    return torch.cat([network(state, part) for part in x.split(chunk)]).view(R, S, 4)


def volume(raw, t, directions, white):
    last = torch.full_like(t[:, :1], 1e10)
    distance = torch.cat([t[:, 1:] - t[:, :-1], last], -1) * directions.norm(dim=-1, keepdim=True)
    alpha = 1 - torch.exp(-torch.relu(raw[..., 3]) * distance)
    through = torch.cumprod(1 - alpha + 1e-10, -1)
    through = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], -1)
    weights = alpha * through
    colour = (weights[..., None] * torch.sigmoid(raw[..., :3])).sum(-2)
    opacity = weights.sum(-1)
    if white:
        colour = colour + (1 - opacity[:, None])
    return colour, weights, (weights * t).sum(-1), opacity


def quantiles(edges, weights, samples):
    weights = weights + 1e-5
    cdf = torch.cumsum(weights / weights.sum(-1, keepdim=True), -1)
    cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], -1)
    u = torch.linspace(0.0, 1.0, samples, dtype=cdf.dtype).expand(len(cdf), samples).contiguous()
    above = torch.searchsorted(cdf, u, right=True)
    below = (above - 1).clamp(min=0)
    above = above.clamp(max=cdf.shape[-1] - 1)
    low, high = cdf.gather(1, below), cdf.gather(1, above)
    span = torch.where(high - low < 1e-5, torch.ones_like(low), high - low)
    left, right = edges.gather(1, below), edges.gather(1, above)
    return left + (u - low) / span * (right - left)


def render(coarse, fine, origins, directions, views, near, far, white, octaves, samples=(64, 64), chunk=16384):
    """Colours of the fine and of the coarse network, depth and opacity of the fine one.

    coarse, fine: the port's state dicts. origins, directions, views: (R, 3); in NDC where the scene is.
    """
    out = []
    for o, d, v in zip(origins.split(chunk), directions.split(chunk), views.split(chunk), strict=True):
        u = torch.linspace(0.0, 1.0, samples[0], dtype=o.dtype)
        t = (near * (1.0 - u) + far * u).expand(len(o), samples[0])
        raw = evaluate(coarse, o[:, None] + d[:, None] * t[..., None], v, octaves, chunk)
        first, weights, _, _ = volume(raw, t, d, white)
        more = quantiles(0.5 * (t[:, 1:] + t[:, :-1]), weights[:, 1:-1], samples[1]).detach()
        t = torch.sort(torch.cat([t, more], -1), -1).values
        raw = evaluate(fine, o[:, None] + d[:, None] * t[..., None], v, octaves, chunk)
        colour, _, depth, opacity = volume(raw, t, d, white)
        out.append((colour, first, depth, opacity))
    return [torch.cat(of) for of in zip(*out, strict=True)]
