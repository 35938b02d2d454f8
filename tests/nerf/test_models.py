"""Training in cells: changes happen once and at their step, a resumed run is the run, and it learns a scene."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from compress3d.engine.experiment import OptimConfig
from compress3d.engine.step import Step
from compress3d.errors import ConfigError, DataError
from compress3d.nerf.cells import OccupiedCells
from compress3d.nerf.mlp import MLP
from compress3d.nerf.models import MLPScene, VoxelScene
from compress3d.nerf.rays import RayBatch

SCENE = SimpleNamespace(
    bounds=np.array([[-1, -1, -1], [1, 1, 1]], np.float32), near=1.0, far=6.0, white=True, ndc=False
)
PLAN = {"sizes": ((0, 9), (12, 17)), "prune": (6, 12, 18, 110), "trim": None, "compact": (0.01, 8)}


def ball_rays(step: int, count: int = 256) -> RayBatch:
    """Rays from all sides at a ball of radius 0.5 whose colour is its normal, on white."""
    rng = np.random.default_rng([7, step])
    origins = rng.normal(size=(count, 3))
    origins *= 3 / np.linalg.norm(origins, axis=1, keepdims=True)
    views = rng.uniform(-0.8, 0.8, (count, 3)) - origins
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    closest = -(origins * views).sum(1)
    under = 0.25 - ((origins + closest[:, None] * views) ** 2).sum(1)
    hit = origins + (closest - np.sqrt(under.clip(0)))[:, None] * views
    colours = np.where(under[:, None] > 0, hit + 0.5, 1.0)
    return RayBatch(*(torch.tensor(value, dtype=torch.float32) for value in (origins, 1.7 * views, views, colours)))


class Run:
    """Training as the engine does it: `begin`, new optimizers where it says so, one step of Adam."""

    def __init__(self, model: torch.nn.Module, rate: float = 0.1):
        self.model, self.rate, self.step = model, rate, 0
        self.renew()

    def renew(self) -> None:
        groups = (
            self.model.parameter_groups(OptimConfig(learning_rate=self.rate))
            if hasattr(self.model, "parameter_groups")
            else [{"params": list(self.model.parameters()), "peak": self.rate, "lr": 0.0}]
        )
        self.optimizer = torch.optim.Adam(groups, fused=True)

    def advance(self, to: int) -> None:
        while self.step < to:
            if self.model.begin(self.step):
                self.renew()
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"]
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.model.training_step(ball_rays(self.step), Step(self.step, 0))
            loss.total.backward()
            self.loss = float(loss.total.detach())
            self.optimizer.step()
            self.step += 1

    def state(self) -> dict:
        return copy.deepcopy(
            {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        )

    def resume(self, state: dict) -> None:
        """As the engine: the shapes of the last step first, then its values."""
        if self.model.begin(state["step"] - 1):
            self.renew()
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def voxel_run() -> Run:
    scene = VoxelScene(**PLAN)
    scene.set_scene(SCENE)
    return Run(scene)


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_stopped_anywhere_and_resumed_is_the_run():
    whole = voxel_run()
    states = []
    for step in range(1, 24):
        whole.advance(step)
        states.append(whole.state())
    assert [len(state["model"]["voxels.rows"]) for state in states][0] == 729
    assert len({len(state["model"]["voxels.rows"]) for state in states}) >= 3  # cells were given up, and added
    for state in states[4:7] + states[10:14] + states[16:20]:  # before and after each change, among others
        again = voxel_run()
        again.resume(state)
        again.advance(23)
        assert same(again.model.state_dict(), whole.model.state_dict()), state["step"]
        assert again.loss == whole.loss


def test_begin_makes_each_change_once_whatever_steps_it_is_called_with():
    steps = ([*range(20)], [5, 5, 6, 6, 6, 12, 12, 19], [19])
    for called in steps:
        scene = VoxelScene(**PLAN)
        changed = [step for step in called if scene.begin(step)]
        assert changed == sorted(
            set(called) & {6, 12, 18} | ({19} if max(called) == 19 and 18 not in called else set())
        )
        assert scene.voxels.index.shape == (17, 17, 17) and int(scene.done) == 4
        before = scene.voxels.rows
        assert not scene.begin(19) and not scene.begin(0) and scene.voxels.rows is before


def test_it_gives_up_empty_cells_and_keeps_what_is_seen():
    run = voxel_run()
    run.advance(120)
    field = run.model.voxels
    x, y, z = np.meshgrid(*[(np.arange(16) + 0.5) / 8 - 1] * 3, indexing="ij")
    distance, cells = np.sqrt(x**2 + y**2 + z**2), field.cells.numpy()
    assert cells[np.abs(distance - 0.5) < 0.05].all()
    assert not cells[distance > 1.1].any() and cells.mean() < 0.4
    batch = ball_rays(10_000, 2000)
    with torch.no_grad():
        error = F.mse_loss(run.model.render(batch.rays).colour, batch.colours).item()
    assert error < 10**-2.2, error  # 22 dB on a lattice of 17; all white gives 6
    assert not field.kept.all() and len(field.rows) == int(field.kept.sum())


def test_seen_is_the_largest_weight_of_a_cell_since_the_last_change():
    run = voxel_run()
    run.advance(8)
    expected = torch.zeros(run.model.voxels.cell_count)
    again = voxel_run()
    again.advance(6)
    again.model.begin(6)
    again.renew()

    def watch(samples, weights):
        for cell, weight in zip(again.model.voxels.cell_of(samples.points).tolist(), weights.tolist(), strict=True):
            if cell >= 0:
                expected[cell] = max(float(expected[cell]), weight)

    inner = again.model._watch
    again.model._watch = lambda samples, weights: (watch(samples, weights), inner(samples, weights))
    again.advance(8)
    assert expected.max() > 0.05 and torch.equal(again.model.seen, expected)
    assert torch.equal(run.model.seen, expected)
    run.advance(13)  # a change, then one step
    assert run.model.seen.shape == (run.model.voxels.cell_count,)


def test_a_loaded_model_renders_the_same_without_a_scene():
    run = voxel_run()
    run.advance(15)
    loaded = VoxelScene()
    loaded.load_state_dict(run.model.state_dict())
    network = MLPScene(MLP(2, 16, None), OccupiedCells.of_voxels(run.model.voxels), samples=40)
    network.set_scene(SCENE)
    other = MLPScene(MLP(2, 16, None), samples=40)
    other.load_state_dict(network.state_dict())
    rays = ball_rays(0).rays
    for one, two in ((run.model, loaded), (network, other)):
        one, two = one.render(rays), two.render(rays)
        assert 0 < one.opacity.max()
        for a, b in zip(one[:3], two[:3], strict=True):
            assert torch.equal(a, b)


def test_the_same_losses_for_a_seed_with_one_thread_and_with_two():
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            run = voxel_run()
            run.advance(9)
            found.append(run.state()["model"])
    finally:
        torch.set_num_threads(before)
    assert same(found[0], found[2])
    assert same(found[0], found[1])


def test_a_network_learns_in_the_cells_of_a_voxel_field():
    run = voxel_run()
    run.advance(60)
    torch.manual_seed(0)
    network = MLPScene(MLP(3, 32, None, L_position=4), samples=40)
    network.set_scene(SCENE)
    network.set_cells(run.model.cells)
    assert torch.equal(network.occupancy.occupied, run.model.voxels.cells)
    learning = Run(network, 5e-3)
    learning.advance(1)
    first = learning.loss
    learning.advance(150)
    batch = ball_rays(10_000, 2000)
    with torch.no_grad():
        error = F.mse_loss(network.render(batch.rays).colour, batch.colours).item()
    assert error < 10**-1.8 < first, (error, first)


def test_jitter_is_a_function_of_the_step():
    scene = voxel_run().model
    losses = [scene.training_step(ball_rays(0), Step(*step)).total.item() for step in ((0, 0), (0, 0), (1, 0), (0, 1))]
    assert losses[0] == losses[1] and len(set(losses)) == 3


def test_rays_of_a_batch_that_all_go_past_train_nothing_and_break_nothing():
    scene = voxel_run().model
    batch = ball_rays(0)
    scene.training_step(batch._replace(directions=-batch.directions), Step(0, 0)).total.backward()
    assert not scene.voxels.rows.grad.any()


def test_another_box_makes_other_cells():
    scene = VoxelScene(sizes=((0, 9),), prune=(), trim=None)
    scene.set_scene(SimpleNamespace(**{**vars(SCENE), "bounds": np.array([[0, 0, 0], [4, 2, 1]], np.float32)}))
    assert scene.voxels.index.shape == (9, 5, 3) and scene.cells.occupied.shape == (8, 4, 2)
    assert scene.seen.shape == (64,) and scene.step_length == pytest.approx(0.45)
    with pytest.raises(DataError, match="box"):
        scene.set_scene(SimpleNamespace(**{**vars(SCENE), "bounds": np.zeros((2, 3))}))


@pytest.mark.parametrize("sizes", ((), ((1, 9),), ((0, 9), (0, 17)), ((0, 9), (5, 17), (3, 20))))
def test_sizes_that_cannot_be(sizes):
    with pytest.raises(ConfigError, match="step 0"):
        VoxelScene(sizes=sizes)
