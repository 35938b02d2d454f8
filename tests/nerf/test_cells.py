"""Marching against a plain loop, packed compositing against the dense one, rendering against fine steps everywhere."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from compress3d.errors import DataError
from compress3d.nerf.cells import OccupiedCells, dilated, distortion, packed_weights, render_in_cells, sum_of_rays
from compress3d.nerf.rays import Rays, to_ndc
from compress3d.nerf.rendering import composite

BOUNDS = ((-1.0, -0.5, 0.0), (1.0, 0.7, 1.5))


def random_rays(count: int, inside: bool = False, seed: int = 0) -> Rays:
    """Rays towards the box, some past it, with directions of lengths 0.5 to 2; from inside it where asked."""
    rng = torch.Generator().manual_seed(seed)
    low, high = torch.tensor(BOUNDS, dtype=torch.float64)
    origins = torch.randn(count, 3, generator=rng, dtype=torch.float64)
    origins = (low + high) / 2 + 4 * F.normalize(origins, dim=-1)
    if inside:
        origins = low + (high - low) * torch.rand(count, 3, generator=rng, dtype=torch.float64)
    target = low + (high - low) * (torch.rand(count, 3, generator=rng, dtype=torch.float64) * 1.6 - 0.3)
    views = F.normalize(target - origins, dim=-1)
    return Rays(origins, views * (0.5 + 1.5 * torch.rand(count, 1, generator=rng, dtype=torch.float64)), views)


def random_cells(shape: tuple[int, int, int], share: float, seed: int = 0) -> OccupiedCells:
    occupied = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share
    return OccupiedCells(occupied, BOUNDS).double()


def marched(cells: OccupiedCells, rays: Rays, step: float, near: float, far: float, u: np.ndarray) -> list[list[float]]:
    """t of each ray's samples: one loop over rays, one over steps."""
    low, high = cells.bounds.double().numpy()
    shape, found = np.array(cells.occupied.shape), []
    for o, d, place in zip(rays.origins.numpy(), rays.directions.numpy(), u, strict=True):
        with np.errstate(divide="ignore"):
            a, b = (low - o) / d, (high - o) / d
        start, end = max(np.minimum(a, b).max(), near), min(np.maximum(a, b).min(), far)
        dt, samples, k = step / np.linalg.norm(d), [], 0
        while start + (k + place) * dt < end:
            t = start + (k + place) * dt
            cell = np.floor((o + t * d - low) / (high - low) * shape).astype(int).clip(0, shape - 1)
            if cells.occupied[tuple(cell)]:
                samples.append(t)
            k += 1
        found.append(samples)
    return found


@pytest.mark.parametrize("inside", (False, True))
@pytest.mark.parametrize(
    ("shape", "step", "share"),
    (((1, 1, 1), 0.3, 1.0), ((7, 5, 9), 0.11, 0.3), ((40, 24, 30), 0.045, 0.02), ((16, 9, 12), 0.4, 0.5),
     ((16, 9, 12), 0.003, 0.05)),
)  # fmt: skip
def test_samples_are_those_of_a_plain_loop(shape, step, share, inside):
    cells, rays = random_cells(shape, share), random_rays(60, inside)
    for near, far in ((0.0, math.inf), (3.5, 4.4), (0.2, 0.7)):
        samples = cells.march(rays, step, near, far)
        expected = marched(cells, rays, step, near, far, np.full(60, 0.5))
        assert samples.counts.tolist() == [len(found) for found in expected]
        np.testing.assert_allclose(samples.t.numpy(), np.concatenate(expected), atol=1e-9)
        assert samples.ray.tolist() == [ray for ray, found in enumerate(expected) for _ in found]
        at = rays.origins[samples.ray] + samples.t[:, None] * rays.directions[samples.ray]
        assert torch.equal(samples.points, at) or torch.allclose(samples.points, at, atol=1e-12)


def test_jitter_moves_all_samples_of_a_ray_by_one_share_of_a_step():
    cells, rays = random_cells((7, 5, 9), 0.4), random_rays(40)
    found = cells.march(rays, 0.1, rng=torch.Generator().manual_seed(4))
    u = torch.rand(40, generator=torch.Generator().manual_seed(4), dtype=torch.float64).numpy()
    expected = marched(cells, rays, 0.1, 0.0, math.inf, u)
    np.testing.assert_allclose(found.t.numpy(), np.concatenate(expected), atol=1e-9)
    again = cells.march(rays, 0.1, rng=torch.Generator().manual_seed(4))
    assert torch.equal(again.t, found.t) and not torch.equal(cells.march(rays, 0.1).t, found.t)


def test_rays_along_axes_through_cell_faces_and_past_the_box():
    cells = OccupiedCells(torch.ones(4, 4, 4, dtype=torch.bool), ((0, 0, 0), (1, 1, 1)))
    origins = torch.tensor([[-1.0, 0.5, 0.5], [-1, 2, 0.5], [2, 0.5, 0.25], [-1, 0.5, 0.5], [0.5, 0.5, -3]])
    directions = torch.tensor([[1.0, 0, 0], [1, 0, 0], [-1, 0, 0], [-1, 0, 0], [0, 0, 2]])
    samples = cells.march(Rays(origins, directions, F.normalize(directions, dim=-1)), 0.25)
    assert samples.counts.tolist() == [4, 0, 4, 0, 4]
    assert samples.t.tolist() == [1.125, 1.375, 1.625, 1.875] * 2 + [1.5625, 1.6875, 1.8125, 1.9375]


@pytest.mark.parametrize("share", (0.0, 1.0))
def test_nothing_to_see_is_background_with_gradients(share):
    class Fog(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.raw = torch.nn.Parameter(torch.tensor(1.0))

        def density(self, points):
            return self.raw.expand(len(points)), points

        def activate(self, raw):
            return raw

        def colour(self, features, views, ray):
            return features * 0 + 0.25

    field, cells, rays = Fog(), random_cells((3, 3, 3), share), random_rays(5)
    if share:  # all rays go past the box
        rays = rays._replace(directions=-rays.directions)
    for white in (True, False, torch.tensor(True)):
        found = render_in_cells(field, cells, rays, 0.1, white=white)
        assert (found.colour == float(white)).all() and not found.opacity.any() and not found.depth.any()
        found.colour.sum().backward()
        assert field.raw.grad.item() == 0
    none = render_in_cells(field, cells, rays.part(slice(0)), 0.1)
    assert none.colour.shape == (0, 3) and none.opacity.shape == (0,)


class Ball(torch.nn.Module):
    """Density that falls off smoothly to 0 at a radius; colour of place and direction."""

    radius, centre = 0.4, torch.tensor([0.1, 0.1, 0.7], dtype=torch.float64)

    def density(self, points):
        distance = (points - self.centre.to(points.dtype)).norm(dim=-1)
        return 20 * (1 - (distance / self.radius) ** 2).clamp(min=0) ** 2, points

    def activate(self, raw):
        return raw

    def colour(self, features, views, ray):
        ray = torch.arange(len(views)).repeat_interleave(ray) if isinstance(ray, int) else ray
        return torch.sigmoid(3 * features + views[ray])


@pytest.mark.parametrize("inside", (False, True))
def test_rendering_in_cells_is_fine_rendering_everywhere(inside):
    field, rays = Ball(), random_rays(160, inside, seed=3)
    cells = OccupiedCells.of_field(field, BOUNDS, size=20, threshold=1e-6).double()
    assert 0.02 < cells.share < 0.3
    t = torch.linspace(0, 9, 9001, dtype=torch.float64)[1:].expand(160, -1)  # steps of at most 0.002
    points = (rays.origins[:, None] + t[..., None] * rays.directions[:, None]).flatten(0, 1)
    sigma = field.density(points)[0].view(t.shape)
    rgb = field.colour(points, rays.views, t.shape[1]).view(160, -1, 3)
    expected = composite(sigma, rgb, t, rays.directions.norm(dim=-1), white=True)
    assert (expected.opacity > 0.5).sum() > 5
    errors = []
    for step in (0.02, 0.01, 0.005):
        with torch.no_grad():
            found = render_in_cells(field, cells, rays, step, dark=0.0, faint=0.0)
        errors.append(float((found.colour - expected.colour).abs().max()))
        torch.testing.assert_close(found.opacity, expected.opacity, atol=4 * step, rtol=0)
    assert errors[2] < 0.01
    with torch.no_grad():
        full = render_in_cells(field, cells, rays, 0.01, dark=0.0, faint=0.0)
        quick = render_in_cells(field, cells, rays, 0.01)
    assert 0 < (full.colour - quick.colour).abs().max() < 2e-3
    assert torch.equal(full.opacity, quick.opacity) or torch.allclose(full.opacity, quick.opacity, atol=1.1e-3)


@pytest.mark.parametrize("wave", (1, 3, 8, 1000))
def test_early_stop_takes_the_same_picture_with_fewer_samples(wave):
    class Counting(Ball):
        asked = 0

        def density(self, points):
            self.asked += len(points)
            raw, features = super().density(points)
            return 10 * raw, features

    field, rays, cells = Counting(), random_rays(200, seed=3), random_cells((7, 5, 9), 0.8)
    with torch.no_grad():
        full, asked = render_in_cells(field, cells, rays, 0.01, dark=0.0, faint=0.0), field.asked
        same = render_in_cells(field, cells, rays, 0.01, dark=0.0, faint=0.0, wave=wave)
        assert field.asked == 2 * asked
        quick = render_in_cells(field, cells, rays, 0.01, dark=1e-3, faint=0.0, wave=wave)
    for a, b in zip(full[:3], same[:3], strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)
    torch.testing.assert_close(full.colour, quick.colour, atol=2e-3, rtol=0)
    assert field.asked - 2 * asked <= asked and (wave > 8 or field.asked - 2 * asked < 0.97 * asked)
    with torch.no_grad():
        none = render_in_cells(field, random_cells((2, 2, 2), 0.0), rays, 0.1, wave=wave)
    assert (none.colour == 1).all()


def test_a_forward_facing_scene_in_its_ndc_box():
    # In NDC the box is [-1, 1]^3 and t runs from 0 to 1; a wall at NDC z = 0.5.
    class Wall(torch.nn.Module):
        def density(self, points):
            return 1e3 * (points[:, 2] > 0.5).double(), points

        def activate(self, raw):
            return raw

        def colour(self, features, views, ray):
            return (features + 1) / 2

    rng = torch.Generator().manual_seed(1)
    origins = torch.rand(20, 3, generator=rng, dtype=torch.float64) * 0.1
    directions = torch.rand(20, 3, generator=rng, dtype=torch.float64) * 0.6 - 0.3
    directions[:, 2] = -1
    rays = to_ndc(Rays(origins, directions, F.normalize(directions, dim=-1)), 100.0, (100, 100))
    cells = OccupiedCells.of_field(Wall(), ((-1,) * 3, (1,) * 3), size=40).double()
    assert 0.25 < cells.share < 0.35
    found = render_in_cells(Wall(), cells, rays, 2e-3, 0.0, 1.0, white=False)
    t = (0.5 - rays.origins[:, 2]) / rays.directions[:, 2]
    hit = rays.origins + t[:, None] * rays.directions
    inside = (hit.abs() < 0.98).all(-1)
    assert inside.sum() > 10
    torch.testing.assert_close(found.depth[inside], t[inside], atol=4e-3, rtol=0)
    torch.testing.assert_close(found.colour[inside], (hit[inside] + 1) / 2, atol=5e-3, rtol=0)


def test_packed_weights_are_those_of_each_ray_alone():
    cells, rays = random_cells((7, 5, 9), 0.4), random_rays(50)
    samples = cells.march(rays, 0.05)
    depths = torch.rand(len(samples.t), generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    depths[::7] = 0
    weights, light = packed_weights(depths, samples)
    start = 0
    for count in samples.counts.tolist():
        through = 1.0
        for n in range(start, start + count):
            assert light[n].item() == pytest.approx(through, rel=1e-9, abs=1e-12)
            assert weights[n].item() == pytest.approx(through * (1 - math.exp(-depths[n])), rel=1e-9, abs=1e-12)
            through *= math.exp(-depths[n])
        start += count
    sums = sum_of_rays(weights[:, None], samples.counts)[:, 0]
    expected = [float(part.sum()) for part in weights.split(samples.counts.tolist())]
    np.testing.assert_allclose(sums.numpy(), expected, rtol=1e-12)


def test_distortion_is_the_sum_over_pairs():
    cells, rays = random_cells((7, 5, 9), 0.4), random_rays(50)
    samples = cells.march(rays, 0.05)
    weights = torch.rand(len(samples.t), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lengths = rays.directions.norm(dim=-1)
    expected, start = [], 0
    for ray, count in enumerate(samples.counts.tolist()):
        part = range(start, start + count)
        pairs = [weights[i] * weights[j] * (samples.t[i] - samples.t[j]).abs() for i in part for j in part]
        expected.append(float(sum(pairs)) * lengths[ray].item())
        start += count
    assert max(expected) > 1
    np.testing.assert_allclose(distortion(weights, samples, lengths).numpy(), expected, atol=1e-9)


def test_what_a_watcher_is_shown():
    seen = []
    cells, rays = random_cells((7, 5, 9), 0.5), random_rays(20)
    found = render_in_cells(Ball(), cells, rays, 0.05, watch=lambda samples, weights: seen.append((samples, weights)))
    ((samples, weights),) = seen
    assert torch.equal(sum_of_rays(weights[:, None], samples.counts)[:, 0], found.opacity)


@pytest.mark.parametrize("reach", (0, 1, 3))
def test_dilated_against_a_loop(reach):
    cells = torch.rand(6, 5, 7, generator=torch.Generator().manual_seed(reach)) < 0.03
    expected = np.zeros(cells.shape, bool)
    for x, y, z in np.argwhere(cells.numpy()):
        expected[
            max(0, x - reach) : x + reach + 1, max(0, y - reach) : y + reach + 1, max(0, z - reach) : z + reach + 1
        ] = 1
    assert np.array_equal(dilated(cells, reach).numpy(), expected)


def test_a_state_of_any_size_loads():
    source, other = random_cells((7, 5, 9), 0.3).float(), OccupiedCells()
    other.march(random_rays(3), 0.1)  # tables of the old cells are forgotten
    other.load_state_dict(source.state_dict())
    rays = Rays(*(value.float() for value in random_rays(20)))
    assert torch.equal(other.march(rays, 0.1).t, source.march(rays, 0.1).t)


def test_a_box_that_is_none():
    with pytest.raises(DataError, match="box"):
        OccupiedCells(torch.ones(2, 2, 2, dtype=torch.bool), ((0, 0, 0), (1, -1, 1)))
