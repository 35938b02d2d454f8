"""The voxel field against grid_sample and finite differences, and what changing its cells leaves alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from compress3d.errors import ConfigError, DataError
from compress3d.nerf.cells import OccupiedCells, render_in_cells
from compress3d.nerf.rays import Rays
from compress3d.nerf.voxels import EMPTY, VoxelField, lattice_shape

BOUNDS = ((-1.0, -0.5, 0.0), (1.0, 0.7, 3.0))


def random_field(size: int, seed: int = 0, share: float | None = None) -> VoxelField:
    """Random values in float64; about `share` of the cells kept, all of them where None."""
    rng = torch.Generator().manual_seed(seed)
    field = VoxelField(BOUNDS, size).double()
    field.rows.data = torch.randn(field.rows.shape, generator=rng, dtype=torch.float64)
    if share is not None:
        field.keep(torch.rand(field.cells.shape, generator=rng) < share)
    return field


def points_in_box(count: int, seed: int = 1) -> torch.Tensor:
    low, high = torch.tensor(BOUNDS, dtype=torch.float32).double()
    return low + (high - low) * torch.rand(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(field: VoxelField) -> torch.Tensor:
    """(1, 13, Z, Y, X): a volume of its values, as grid_sample wants it."""
    volume = torch.zeros(*field.index.shape, 13, dtype=torch.float64)
    volume[field.kept] = field.rows.detach()
    return volume.permute(3, 2, 1, 0)[None]


def sampled(field: VoxelField, points: torch.Tensor) -> torch.Tensor:
    """(P, 13) by torch's own interpolation of the dense volume."""
    low, high = field.bounds.double()
    at = (points - low) / (high - low) * 2 - 1
    found = F.grid_sample(dense(field), at[None, None, None], align_corners=True)
    return found[0, :, 0, 0].T


@pytest.mark.parametrize("size", (2, 5, 12, 33))
@pytest.mark.parametrize("share", (None, 0.3))
def test_values_are_those_of_a_dense_volume(size, share):
    field, points = random_field(size, share=share), points_in_box(500)
    raw, features = field.density(points)
    kept = field.cell_of(points) >= 0
    assert kept.all() if share is None else size < 12 or 0.1 < kept.double().mean() < 0.9
    expected = sampled(field, points)
    torch.testing.assert_close(raw[kept], expected[kept, 0], atol=1e-12, rtol=0)
    torch.testing.assert_close(features[kept], expected[kept, 1:], atol=1e-12, rtol=0)
    assert (raw[~kept] == EMPTY).all() and (field.activate(raw[~kept]) == 0).all()


def test_a_cell_is_kept_where_all_its_corners_are():
    field = random_field(9, share=0.4)
    kept, cells = field.kept.numpy(), field.cells.numpy()
    for x, y, z in np.ndindex(*cells.shape):
        assert cells[x, y, z] == kept[x : x + 2, y : y + 2, z : z + 2].all()
    numbers = field.cell_of((torch.tensor(np.argwhere(cells)) + 0.5) * _side(field) + field.bounds[0].double())
    assert numbers.tolist() == list(range(field.cell_count))


def _side(field: VoxelField) -> torch.Tensor:
    low, high = field.bounds.double()
    return (high - low) / (torch.tensor(field.index.shape) - 1)


def test_keep_leaves_values_of_kept_cells_alone_and_drops_points_of_no_kept_cell():
    field, points = random_field(12), points_in_box(400)
    before = field.density(points)
    chosen = torch.rand(field.cells.shape, generator=torch.Generator().manual_seed(5)) < 0.2
    number = field.cell_of(points).long()
    field.keep(chosen)
    after = field.density(points)
    inside = chosen.flatten()[number]
    assert 20 < int(inside.sum()) < 380 and (chosen <= field.cells).all()
    assert torch.equal(after[0][inside], before[0][inside]) and torch.equal(after[1][inside], before[1][inside])
    touched = np.zeros(field.index.shape, bool)
    for x, y, z in np.argwhere(chosen.numpy()):
        touched[x : x + 2, y : y + 2, z : z + 2] = True
    assert np.array_equal(field.kept.numpy(), touched)
    field.keep(torch.ones_like(chosen))  # what is gone does not come back
    assert np.array_equal(field.kept.numpy(), touched)


def test_faces_of_the_box_belong_to_it_and_what_is_outside_is_empty():
    for dtype in (torch.float32, torch.float64):
        field = random_field(7).to(dtype)
        corners = torch.cartesian_prod(*field.bounds.T)
        assert (field.cell_of(corners) >= 0).all()
        expected = [field.rows[field.index[x, y, z], 0].item() for x in (0, -1) for y in (0, -1) for z in (0, -1)]
        found, _ = field.density(corners)
        assert torch.allclose(found, torch.tensor(expected, dtype=dtype), atol=1e-5)
        for axis in range(3):
            for away in (-1e-3, 1e-3, -1e4, 1e4):
                outside = field.bounds.mean(0, keepdim=True).repeat(1, 1)
                outside[0, axis] = field.bounds[int(away > 0), axis] + away
                assert field.density(outside)[0].item() == EMPTY


@pytest.mark.parametrize(("before", "after"), ((5, 9), (9, 17), (7, 12), (12, 7), (2, 3)))
def test_a_finer_lattice_of_a_linear_function_is_exact(before, after):
    # Trilinear interpolation reproduces linear functions, on any lattice.
    field, slope = VoxelField(BOUNDS, before).double(), torch.randn(3, 13, generator=torch.Generator().manual_seed(3))

    def linear(points):
        return points @ slope.double() + 0.5

    field.rows.data = linear(torch.tensor(np.argwhere(field.kept.numpy())) * _side(field) + field.bounds[0])
    field.resize(after)
    assert field.index.shape == lattice_shape(torch.tensor(BOUNDS), after)
    points = points_in_box(200)
    torch.testing.assert_close(field.density(points)[1], linear(points)[:, 1:], atol=1e-9, rtol=0)


@pytest.mark.parametrize(("before", "after"), ((9, 17), (9, 14), (14, 9), (10, 10), (6, 31)))
def test_a_finer_lattice_keeps_exactly_the_cells_that_touch_a_kept_one(before, after):
    field = random_field(before, share=0.15)
    old, shape = field.cells.numpy(), np.array(lattice_shape(torch.tensor(BOUNDS), after)) - 1
    field.resize(after)
    expected = np.zeros(shape, bool)
    for cell in np.ndindex(*shape):  # overlap of open intervals, in whole numbers
        reach = [
            range(i * o // n, -(-(i + 1) * o // n)) for i, o, n in zip(cell, old.shape, shape.tolist(), strict=True)
        ]
        expected[cell] = old[np.ix_(*reach)].any()
    kept = field.cells.numpy()
    assert kept[expected].all()
    corners = np.zeros(shape + 1, bool)
    for x, y, z in np.argwhere(expected):
        corners[x : x + 2, y : y + 2, z : z + 2] = True
    assert np.array_equal(field.kept.numpy(), corners)
    assert field.rows.isfinite().all()


def test_gradients_against_finite_differences():
    field = random_field(5, share=0.6)
    rng = torch.Generator().manual_seed(2)
    origins = torch.tensor([[0.1, 0.0, -2.0]], dtype=torch.float64).repeat(6, 1)
    directions = torch.randn(6, 3, generator=rng, dtype=torch.float64) * 0.1 + torch.tensor([0.0, 0.0, 1.0])
    rays = Rays(origins, directions, F.normalize(directions, dim=-1))
    cells, weights = OccupiedCells.of_voxels(field), torch.randn(6, 4, generator=rng, dtype=torch.float64)

    def loss() -> torch.Tensor:
        found = render_in_cells(field, cells, rays, step=0.05)
        return (torch.cat([found.colour, found.opacity[:, None]], 1) * weights).sum()

    loss().backward()
    grad, epsilon = field.rows.grad.clone(), 1e-6
    assert (grad.abs().sum(1) > 0).sum() > 20
    for row in range(0, len(field.rows), 3):
        for column in (0, 1, 2, 5, 9, 12):
            value = field.rows.data[row, column].item()
            ends = []
            for sign in (1, -1):
                field.rows.data[row, column] = value + sign * epsilon
                with torch.enable_grad():  # without gradients faint samples would have no colour
                    ends.append(loss().item())
            field.rows.data[row, column] = value
            numeric = (ends[0] - ends[1]) / (2 * epsilon)
            assert abs(numeric - grad[row, column].item()) < 1e-8


def test_the_gradient_is_the_same_sum_every_time_and_that_of_torch():
    field, points = random_field(9, share=0.7), points_in_box(3000)
    field.float()
    points, grads = points.float(), []
    for threads in (1, 2, 1):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            field.rows.grad = None
            raw, features = field.density(points)
            (raw.sin().sum() + features.square().sum()).backward()
        finally:
            torch.set_num_threads(before)
        grads.append(field.rows.grad.clone())
    assert torch.equal(grads[0], grads[1]) and torch.equal(grads[0], grads[2])
    rows, weights, inside = field._around(points)
    table = field.rows.detach().clone().requires_grad_()
    values = (table[rows.long()] * weights.unsqueeze(-1)).sum(1)
    (torch.where(inside, values[:, 0], EMPTY).sin().sum() + values[:, 1:].square().sum()).backward()
    torch.testing.assert_close(grads[0], table.grad, atol=2e-4, rtol=1e-4)


def test_autocast_changes_nothing():
    field, points = random_field(9, share=0.5).float(), points_in_box(50).float()
    raw, features = field.density(points)
    with torch.autocast("cpu", torch.bfloat16):
        found = field.density(points)
        (found[0].sum() + found[1].sum()).backward()
    assert torch.equal(found[0], raw) and torch.equal(found[1], features) and field.rows.grad.dtype == torch.float32


def test_colour_is_linear_in_the_direction_before_the_sigmoid():
    field = random_field(3)
    features = torch.arange(24, dtype=torch.float64).view(2, 12) / 10
    views = torch.tensor([[0.0, 0.0, 1.0], [0.6, -0.8, 0.0]], dtype=torch.float64)
    found = field.colour(features, views, torch.tensor([1, 0]))
    first = [c / 10 + 0.6 * (c + 3) / 10 - 0.8 * (c + 6) / 10 for c in range(3)]
    second = [(12 + c) / 10 + (21 + c) / 10 for c in range(3)]
    expected = 1 / (1 + np.exp(-np.array([first, second])))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-14)
    assert torch.equal(field.colour(features, views, 1), field.colour(features, views, torch.tensor([0, 1])))


@pytest.mark.parametrize(("mine", "other"), (((4, None), (9, 0.3)), ((9, 0.3), (4, None)), ((9, 0.3), (9, 0.6))))
def test_a_state_of_any_size_loads_into_the_same_parameter(mine, other):
    field, source = random_field(mine[0], share=mine[1]).float(), random_field(other[0], 7, other[1]).float()
    parameter = field.rows
    field.load_state_dict(source.state_dict())
    assert field.rows is parameter and set(source.state_dict()) == {"rows", "index", "bounds"}
    points = points_in_box(100).float()
    for a, b in zip(field.density(points), source.density(points), strict=True):
        assert torch.equal(a, b)


def test_a_state_whose_rows_do_not_fit_its_grid_is_refused():
    state = random_field(5, share=0.5).state_dict()
    state["rows"] = state["rows"][:-1]
    with pytest.raises(RuntimeError, match="size mismatch for rows"):
        VoxelField(BOUNDS, 4).double().load_state_dict(state)


def test_from_rows_gives_the_same_field_and_refuses_what_does_not_fit():
    field, points = random_field(9, share=0.3), points_in_box(100)
    for index in (field.index, field.kept):
        same = VoxelField.from_rows(field.rows.detach(), index, field.bounds)
        assert torch.equal(same.density(points)[0], field.density(points)[0])
    rows, index = field.rows.detach(), field.index
    for bad_rows, bad_index in ((rows[1:], index), (rows[:, 1:], index), (rows, index[0]), (rows.flip(0), -index)):
        with pytest.raises(DataError, match="index grid"):
            VoxelField.from_rows(bad_rows, bad_index, field.bounds)


def test_a_field_that_keeps_nothing_is_empty_and_differentiable():
    field, points = random_field(5), points_in_box(10)
    field.keep(torch.zeros_like(field.cells))
    raw, features = field.density(points)
    assert (raw == EMPTY).all() and features.shape == (10, 12) and len(field.rows) == 0
    (raw.sum() + features.sum()).backward()
    assert field.opacity().sum() == 0
    field.resize(9)
    assert len(field.rows) == 0


def test_opacity_of_a_cell_by_hand():
    field = VoxelField(((0, 0, 0), (2, 2, 2)), 3)
    field.rows.data[:, 0] = -1e3
    field.rows.data[field.index[0, 0, 0], 0] = 0.0  # sigma = 50 log 2; edge 1
    expected = torch.zeros(2, 2, 2)
    expected[0, 0, 0] = 1 - 2.0**-50
    torch.testing.assert_close(field.opacity(), expected)


def test_boxes_and_sizes_that_cannot_be():
    for bounds in (((0, 0, 0), (1, 1, 0)), ((0, 0), (1, 1)), ((0, 0, 0), (1, float("nan"), 1))):
        with pytest.raises(DataError, match="box"):
            VoxelField(bounds)
    with pytest.raises(ConfigError, match="no cell"):
        VoxelField(BOUNDS, 1)
    assert VoxelField(((0, 0, 0), (1, 10, 0.01)), 21).index.shape == (3, 21, 2)
