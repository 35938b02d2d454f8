"""Rendering against loops, sampling against its distributions, and the whole against a plain renderer of the port."""

import copy
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks import naive_nerf
from compress3d.engine.step import Step
from compress3d.errors import ConfigError
from compress3d.nerf import rendering
from compress3d.nerf.convert import load_port, to_port
from compress3d.nerf.mlp import MLP
from compress3d.nerf.rays import RayBatch, Rays, pixel_rays, to_ndc
from compress3d.nerf.rendering import (
    CoarseFine,
    composite,
    importance,
    rays_at_once,
    render_image,
    sample_weights,
    stratified,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def samples(R, S, seed=0):
    """Densities of which some are 0, colours, t and lengths, float64."""
    rng = generator(seed)
    sigma = (torch.rand(R, S, generator=rng, dtype=torch.float64) * 6 - 2).clamp(min=0)
    rgb = torch.rand(R, S, 3, generator=rng, dtype=torch.float64)
    t = 2 + torch.rand(R, S, generator=rng, dtype=torch.float64).cumsum(-1)
    return sigma, rgb, t, torch.rand(R, generator=rng, dtype=torch.float64) + 0.5


def naive_pixel(sigma, rgb, t, length, white):
    """One ray, sample by sample."""
    light, colour, depth, opacity = 1.0, [0.0] * 3, 0.0, 0.0
    for i in range(len(t)):
        interval = (t[i + 1] - t[i] if i + 1 < len(t) else 1e10) * length
        weight = light * (1 - math.exp(-sigma[i] * interval))
        light *= math.exp(-sigma[i] * interval)
        colour = [c + weight * new for c, new in zip(colour, rgb[i], strict=True)]
        depth, opacity = depth + weight * t[i], opacity + weight
    return [c + (light if white else 0) for c in colour], depth, opacity


# -- along a ray -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("R", "S"), [(1, 1), (3, 2), (5, 33), (0, 4)])
@pytest.mark.parametrize("white", [True, False])
def test_composite_against_a_loop(R, S, white):
    of = samples(R, S)
    found = composite(*of, white)
    assert found.colour.shape == (R, 3) and found.coarse is None
    for r in range(R):
        colour, depth, opacity = naive_pixel(*(value[r].tolist() for value in of), white)
        assert found.colour[r].tolist() == pytest.approx(colour, abs=1e-8)  # 1e-10 a sample, as the original has it
        assert (found.depth[r].item(), found.opacity[r].item()) == pytest.approx((depth, opacity), abs=1e-7)


def test_gradients_of_composite_against_finite_differences():
    sigma, rgb, t, lengths = samples(3, 6)
    sigma = sigma + 0.1
    sigma[:, -1] = 0  # beyond it: 1e10 times as sensitive as any other, and so no more than a step
    inputs = [value.requires_grad_() for value in (sigma[:, :-1].clone(), rgb, t, lengths)]

    def pixels(sigma, rgb, t, lengths):
        sigma = torch.cat([sigma, torch.zeros_like(sigma[:, :1])], -1)
        return composite(sigma, rgb, t, lengths, white=True)[:3]

    assert torch.autograd.gradcheck(pixels, inputs)


def test_weights_of_nothing_and_of_a_wall():
    t, lengths = torch.linspace(2, 6, 8).expand(2, 8), torch.ones(2)
    sigma = torch.zeros(2, 8)
    sigma[1, 3:] = 1e6
    weights = sample_weights(sigma, t, lengths)
    assert weights[0].tolist() == [0] * 8
    assert weights[1].tolist() == pytest.approx([0, 0, 0, 1, 0, 0, 0, 0], abs=2e-10)


def test_half_of_the_density_over_twice_the_length_is_the_same():
    sigma, _, t, lengths = samples(4, 9)
    torch.testing.assert_close(sample_weights(sigma / 2, t, 2 * lengths), sample_weights(sigma, t, lengths))


def test_weights_are_of_float32_at_least():
    sigma, _, t, lengths = samples(4, 9)
    low = sample_weights(sigma.bfloat16(), t.float(), lengths.float())
    assert low.dtype == torch.float32 and sample_weights(sigma, t, lengths).dtype == torch.float64


def test_pixels_are_added_up_in_float32_where_networks_compute_in_bfloat16():
    of = [value.float() for value in samples(4, 9)]
    with torch.autocast("cpu", torch.bfloat16):
        low = composite(*of, white=True)
    for own, expected in zip(low[:3], composite(*of, white=True)[:3], strict=True):
        assert own.dtype == torch.float32 and torch.equal(own, expected)


# -- sampling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("near", "far", "S"), [(2.0, 6.0, 64), (0.0, 1.0, 3), (1.5, 9.0, 17)])
def test_even_samples(near, far, S):
    t = stratified(near, far, 4, S, torch.empty(0, dtype=torch.float64))
    np.testing.assert_allclose(t, np.tile(np.linspace(near, far, S), (4, 1)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("S", [3, 10])
def test_jittered_samples_are_uniform_in_their_intervals(S):
    near, far = 2.0, 6.0
    t = stratified(near, far, 4000, S, torch.empty(0, dtype=torch.float64), generator()).numpy()
    even = np.linspace(near, far, S)
    edges = np.concatenate([[near], (even[1:] + even[:-1]) / 2, [far]])
    for n in range(S):
        assert stats.kstest(t[:, n], "uniform", (edges[n], edges[n + 1] - edges[n])).pvalue > 1e-3
    correlation = np.corrcoef(t.T) - np.eye(S)
    assert np.abs(correlation).max() < 5 / math.sqrt(len(t))  # drawn independently


@pytest.mark.parametrize(("B", "S"), [(1, 2), (5, 64), (62, 128), (7, 1)])
def test_quantiles_against_numpys_interpolation(B, S):
    rng = generator(B)
    edges = torch.rand(6, B + 1, generator=rng, dtype=torch.float64).cumsum(-1)
    weights = torch.rand(6, B, generator=rng, dtype=torch.float64) + 0.1
    found = importance(edges, weights, S)
    for r in range(6):
        cdf = np.concatenate([[0], np.cumsum((weights[r] + 1e-5) / (weights[r] + 1e-5).sum())])
        u = np.linspace(0, 1, S).clip(0, cdf[-1])
        np.testing.assert_allclose(found[r], np.interp(u, cdf, edges[r]), rtol=0, atol=1e-11)


def test_drawn_samples_have_the_distribution_of_the_weights():
    edges = torch.tensor([0.0, 0.5, 2.0, 2.1, 5.0, 6.0], dtype=torch.float64)
    weights = torch.tensor([0.1, 0.0, 2.0, 0.7, 0.2], dtype=torch.float64)
    t = importance(edges.expand(500, 6), weights.expand(500, 5), 40, generator())
    cdf = np.concatenate([[0], np.cumsum((weights + 1e-5) / (weights + 1e-5).sum())])
    inside = t.flatten().numpy()
    assert stats.kstest(inside, lambda x: np.interp(x, edges, cdf)).pvalue > 1e-3
    wrong = np.concatenate([[0], np.cumsum(np.diff(edges) / 6)])
    assert stats.kstest(inside, lambda x: np.interp(x, edges, wrong)).pvalue < 1e-9  # the test can fail


def test_a_ray_through_nothing_is_sampled_evenly():
    edges = torch.linspace(2, 6, 63, dtype=torch.float64).expand(1, 63)
    found = importance(edges, torch.zeros(1, 62, dtype=torch.float64), 64)
    np.testing.assert_allclose(found[0], np.linspace(2, 6, 64), rtol=0, atol=1e-12)


def test_what_falls_into_an_empty_interval_stays_at_its_edge():
    edges = torch.arange(4, dtype=torch.float64).expand(1, 4)
    weights = torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64)  # the middle holds 0.5e-5 of the whole
    found = importance(edges, weights, 5)
    assert found[0].tolist() == pytest.approx([0, 0.5, 1, 2.5, 3], abs=2e-5)


# -- two networks ----------------------------------------------------------------------------------------------------


def port_like(seed=0, **changes):
    """Random networks of the port's kind, whose space is partly empty and partly coloured; float64."""
    torch.manual_seed(seed)
    nets = [MLP(3, 16, None, L_position=4, L_direction=2, first_relu=False, feature_relu=True) for _ in range(2)]
    for net in nets:
        for layer in net.layers().values():
            torch.nn.init.normal_(layer.weight, std=1.5 / math.sqrt(layer.in_features))
        torch.nn.init.constant_(net.density_head.bias, -0.3)
    given = dict(near=2.0, far=6.0, white=True, samples=(16, 24)) | changes
    return CoarseFine(*nets, **given).double()


def some_rays(R, seed=0, dtype=torch.float64):
    rng = generator(seed)
    origins, directions = torch.randn(2, R, 3, generator=rng, dtype=torch.float64).to(dtype)
    return Rays(origins, directions, torch.nn.functional.normalize(directions, dim=-1))


@pytest.mark.parametrize("changes", [dict(), dict(near=0.0, far=1.0, white=False, ndc=True, samples=(8, 5))])
def test_against_the_plain_renderer(changes, monkeypatch):
    monkeypatch.setattr(rendering, "INVISIBLE", 0)
    field, rays = port_like(seed=2, **changes), some_rays(50)
    with torch.no_grad():
        found = field.render(rays, both=True)
    colour, coarse, depth, opacity = naive_nerf.render(
        to_port(field.coarse), to_port(field.fine), *rays, field.near.item(), field.far.item(), bool(field.white),
        octaves=(4, 2), samples=field.samples,
    )  # fmt: skip
    seen = (opacity > 0.5).double().mean()
    assert colour.std() > 0.1 and 0.2 < seen < 0.99  # there is something to see, and something to see past
    for own, expected in zip(found, (colour, depth, opacity, coarse), strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-12)


def test_with_gradients_it_is_the_same_picture(monkeypatch):
    monkeypatch.setattr(rendering, "INVISIBLE", 0)
    field, rays = port_like(), some_rays(20)
    with torch.no_grad():
        without = field.render(rays, both=True)
    for own, expected in zip(field.render(rays, both=True), without, strict=True):
        torch.testing.assert_close(own.detach(), expected, rtol=0, atol=1e-10)


def test_what_is_not_seen_changes_a_pixel_by_less_than_its_weight():
    field, rays = port_like(), some_rays(200)
    exact = field.render(rays).colour.detach()
    with torch.no_grad():
        found = field.render(rays).colour
    assert 0 < (found - exact).abs().max() < sum(field.samples) * rendering.INVISIBLE


def batch(R=12):
    rays = some_rays(R)
    return RayBatch(*rays, torch.rand(R, 3, generator=generator(5), dtype=torch.float64))


def test_a_step_draws_what_belongs_to_it():
    field = port_like(noise=1.0)
    of = {(n, seed): field.training_step(batch(), Step(n, seed)).total.item() for n in (0, 1) for seed in (0, 1)}
    assert len(set(of.values())) == 4
    torch.manual_seed(99)  # no global random numbers
    assert field.training_step(batch(), Step(1, 0)).total.item() == of[1, 0]


def test_losses_of_a_step_are_mean_squared_errors_of_both_networks():
    field, given = port_like(), batch()
    losses = field.training_step(given, Step(3, 0))
    rng = generator(int(Step(3, 0).rng(rendering.STREAM).integers(2**63)))
    found = field.render(given.rays, rng, both=True)
    for name, colour in (("fine", found.colour), ("coarse", found.coarse)):
        pairs = zip(colour.flatten().tolist(), given.colours.flatten().tolist(), strict=True)
        expected = sum((a - b) ** 2 for a, b in pairs)
        assert losses.terms[name].item() == pytest.approx(expected / 36, rel=1e-12)
    assert losses.total.item() == pytest.approx(losses.terms["fine"].item() + losses.terms["coarse"].item())


def test_the_fine_loss_does_not_move_the_coarse_network():
    field = port_like(noise=0.5)
    field.training_step(batch(), Step(0, 0)).terms["fine"].backward()
    assert all(p.grad is None or not p.grad.any() for p in field.coarse.parameters())
    assert all(p.grad.any() for p in field.fine.parameters())


def test_gradients_of_a_step_against_finite_differences():
    field, given = port_like(samples=(4, 4), noise=0.3), batch(4)
    fine = list(field.fine.parameters())

    def loss(*_):
        return field.training_step(given, Step(0, 0)).terms["fine"]

    assert torch.autograd.gradcheck(loss, fine, eps=1e-7, atol=1e-5, fast_mode=True)


@pytest.mark.parametrize("white", [True, False])
def test_gradients_against_those_of_the_plain_renderer(white):
    field, given = port_like(seed=2, white=white), batch()
    found = field.render(given.rays, both=True)
    own = (found.colour - given.colours).square().mean() + (found.coarse - given.colours).square().mean()
    own.backward()
    states = [{name: value.requires_grad_() for name, value in to_port(net).items()} for net in field.children()]
    colour, coarse, _, _ = naive_nerf.render(*states, *given.rays, 2.0, 6.0, white, (4, 2), field.samples)
    ((colour - given.colours).square().mean() + (coarse - given.colours).square().mean()).backward()
    for state, net in zip(states, field.children(), strict=True):
        gradients = copy.deepcopy(net)
        for parameter, of in zip(gradients.parameters(), net.parameters(), strict=True):
            parameter.data = of.grad
        for name, value in to_port(gradients).items():
            assert value.any()
            torch.testing.assert_close(value, state[name].grad, rtol=1e-6, atol=1e-9)


def test_a_step_has_the_same_gradients_bit_for_bit_each_time():
    field, given = port_like(seed=2, noise=0.5).float(), RayBatch(*(value.float() for value in batch(200)))
    found = []
    for _ in range(2):
        field.zero_grad()
        field.training_step(given, Step(7, 1)).total.backward()
        found.append([p.grad.clone() for p in field.parameters()])
    assert all(map(torch.equal, *found))


def test_a_step_in_bfloat16():
    field, given = port_like(seed=2, noise=0.3).float(), RayBatch(*(value.float() for value in batch()))
    expected = field.training_step(given, Step(0, 0)).total
    with torch.autocast("cpu", torch.bfloat16):
        found = field.training_step(given, Step(0, 0)).total
    found.backward()
    assert found.dtype == torch.float32 and found.item() != expected.item()
    assert found.item() == pytest.approx(expected.item(), rel=0.05)
    assert all(p.grad.isfinite().all() for p in field.parameters())


def test_it_learns_a_ball():
    """A red ball of radius 1 before white, seen from all sides."""
    torch.manual_seed(0)
    field = CoarseFine(*(MLP(2, 32, None, 3, 1) for _ in range(2)), 1.5, 4.5, white=True, samples=(16, 16), noise=1)
    rng = generator()
    origins = 3 * torch.nn.functional.normalize(torch.randn(1024, 3, generator=rng), dim=-1)
    directions = torch.nn.functional.normalize(torch.randn(1024, 3, generator=rng) - origins, dim=-1)
    closest = origins - (origins * directions).sum(-1, keepdim=True) * directions
    colours = torch.where(closest.norm(dim=-1, keepdim=True) < 1, torch.tensor([1.0, 0, 0]), torch.ones(3))
    optimizer = torch.optim.Adam(field.parameters(), 1e-2)
    for number in range(60):
        part = slice(number % 4 * 256, number % 4 * 256 + 256)
        given = RayBatch(origins[part], directions[part], directions[part], colours[part])
        optimizer.zero_grad()
        field.training_step(given, Step(number, 0)).total.backward()
        optimizer.step()
    found = render_image(field.render, Rays(origins, directions, directions))
    error = (found.colour - colours).square().mean()
    assert error < 0.2 * (colours - colours.mean(0)).square().mean()
    hit = (found.opacity > 0.9) & (colours[:, 1] == 0)
    assert hit.float().mean() > 0.1
    depth = found.depth[hit] / found.opacity[hit]
    assert (depth - 2).median() < 1.2 and depth.min() > 1.5


def test_noise_only_where_it_is_asked_for_and_only_in_training():
    rays = some_rays(30)
    with torch.no_grad():
        for noise in (0.0, 2.0):
            field = port_like(noise=noise)
            a, b = (field.render(rays, generator(3)).colour for _ in range(2))
            assert torch.equal(a, b)
            same = torch.equal(a, port_like(noise=0.0).render(rays, generator(3)).colour)
            assert same == (noise == 0)
        assert torch.equal(port_like(noise=2.0).render(rays).colour, port_like().render(rays).colour)


def test_a_state_says_how_it_is_rendered():
    field, other = port_like(near=1.0, white=False, ndc=True), port_like(seed=1)
    other.load_state_dict(field.state_dict())
    rays = some_rays(9)
    assert torch.equal(other.render(rays).colour, field.render(rays).colour)
    assert other.ndc and not other.white


@pytest.mark.parametrize(
    ("changes", "problem"),
    [(dict(samples=(2, 8)), "too few"), (dict(samples=(8, 0)), "too few"), (dict(near=6.0), "hold no ray")],
)
def test_settings_that_render_nothing(changes, problem):
    with pytest.raises(ConfigError, match=problem):
        port_like(**changes)


# -- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 20, 100, None])
def test_chunks_change_nothing(chunk):
    field, rays = port_like(), some_rays(20)
    whole = field.render(rays)
    found = render_image(field.render, rays, chunk)
    for name in ("colour", "depth", "opacity"):
        own = getattr(found, name)
        assert not own.requires_grad
        torch.testing.assert_close(own, getattr(whole, name).detach(), rtol=0, atol=1e-5)
    assert found.coarse is None


def test_a_picture_of_both_networks_and_one_of_no_rays():
    field = port_like()
    both = render_image(lambda rays: field.render(rays, both=True), some_rays(5), chunk=2)
    assert both.coarse.shape == (5, 3)
    assert render_image(field.render, some_rays(0)).colour.shape == (0, 3)


def test_a_bar_is_shown_where_asked_for(capsys):
    field = port_like()
    render_image(field.render, some_rays(4), chunk=2)
    assert capsys.readouterr().err == ""
    render_image(field.render, some_rays(4), chunk=2, progress=True)
    assert "rendering" in capsys.readouterr().err


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_only_where_it_is_native(native, monkeypatch):
    monkeypatch.setattr("compress3d.engine.hardware.native_bfloat16", lambda device: native)
    field, rays = port_like(seed=2).float(), some_rays(20, dtype=torch.float32)
    exact, found = (render_image(field.render, rays, precision=name).colour for name in ("float32", "bfloat16"))
    assert torch.equal(found, exact) == (not native)
    assert found.dtype == torch.float32 and (found - exact).abs().mean() < 0.05


@pytest.mark.parametrize("chunk", [0, -3])
def test_a_chunk_of_nothing(chunk):
    with pytest.raises(ConfigError, match="renders nothing"):
        render_image(port_like().render, some_rays(4), chunk)


def test_rays_at_once_on_a_gpu_follow_its_free_memory(monkeypatch):
    memory = iter([0, 1 << 30, 1 << 33, 1 << 37])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (next(memory), 1 << 37))
    found = [rays_at_once(torch.device("cuda")) for _ in range(4)]
    assert found == sorted(found) and found[0] == rays_at_once(torch.device("cpu")) and found[1] < found[2]


# -- the port's trained networks -------------------------------------------------------------------------------------

SHARED = os.environ.get("COMPRESS3D_SHARED")
DATA = Path(SHARED or "") / "data"


def lego_rays():
    cameras = json.loads((DATA / "nerf_synthetic/lego/transforms_test.json").read_text())
    focal = 200 / math.tan(cameras["camera_angle_x"] / 2)
    rows, columns = torch.randint(400, (2, 1500), generator=generator()).float()
    views = torch.randint(len(cameras["frames"]), (1500,), generator=generator(1)).tolist()
    poses = torch.tensor([cameras["frames"][v]["transform_matrix"][:3] for v in views])
    return pixel_rays(rows, columns, poses, focal, (400, 400), 0.0)


def fern_rays():
    stored = np.load(DATA / "nerf_llff_data/fern/poses_bounds.npy")
    poses, focal, near = stored[:, :15].reshape(-1, 3, 5), stored[0, 14] / 8, stored[:, 15:].min()
    poses = np.stack([poses[..., 1], -poses[..., 0], poses[..., 2], poses[..., 3] / (0.75 * near)], -1)
    mean = poses.mean(0)
    z = mean[:, 2] / np.linalg.norm(mean[:, 2])
    x = np.cross(mean[:, 1], z)
    x /= np.linalg.norm(x)
    turn = np.stack([x, np.cross(z, x), z])
    poses = turn @ poses
    poses[..., 3] -= turn @ mean[:, 3]
    rng = generator()
    rows, columns = torch.randint(378, (1500,), generator=rng), torch.randint(504, (1500,), generator=rng)
    of = torch.tensor(poses, dtype=torch.float32)[torch.randint(len(poses), (1500,), generator=rng)]
    return to_ndc(pixel_rays(rows.float(), columns.float(), of, focal, (378, 504), 0.0), focal, (378, 504))


@pytest.mark.skipif(SHARED is None, reason="COMPRESS3D_SHARED names no folder with the port's networks")
@pytest.mark.parametrize(
    ("file", "rays", "octaves", "scene"),
    [
        ("lego-lowres/checkpoint199999.ckpt", lego_rays, (10, 4), dict(near=2.0, far=6.0, white=True)),
        ("fern-lowres/checkpoint249999.ckpt", fern_rays, (6, 4), dict(near=0.0, far=1.0, white=False)),
    ],
)
def test_the_ports_networks_render_as_by_the_port(file, rays, octaves, scene):
    path, rays = DATA / "nerf_weights" / file, rays()
    stored = torch.load(path, map_location="cpu", weights_only=True)
    states = [stored[f"model_{part}_state_dict"] for part in ("coarse", "fine")]
    expected = naive_nerf.render(*states, *rays, **scene, octaves=octaves)[0]
    found = render_image(load_port(path, **scene).render, rays).colour
    assert expected.std() > 0.1
    error = (found - expected).abs().amax(-1)
    assert (error > 1e-3).sum() <= 1  # where products round otherwise, it is 1 pixel in 20,000: see sample_weights
    assert error.square().mean().sqrt() < 1e-3  # 0.05 dB at 26 dB are 4e-3, were all errors of one direction
