"""Scenes in the engine: minibatches, a training of each kind to its results file, retraining, and the commands."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from compress3d import paths, results
from compress3d.cli import app
from compress3d.engine.evaluate import evaluate, ship
from compress3d.engine.experiment import experiments, get_experiment
from compress3d.engine.train import train
from compress3d.engine.weights import load_model, weights_path
from compress3d.errors import CheckpointError, ConfigError, DataError
from compress3d.metrics import psnr
from compress3d.nerf.cells import dilated
from compress3d.nerf.data import RayBatches, SceneData, rendered_view, view_scores
from compress3d.nerf.experiments import SOLID
from compress3d.nerf.packing import unpack
from compress3d.nerf.prune import named_layers, survivors
from compress3d.nerf.retraining import Criterion, load_network, retraining
from compress3d.nerf.scenes import open_scene
from compress3d.nerf.use import linked_scene

VOXELS, MLP, ORIGINAL = "smoke/voxels-s0", "smoke/mlp-2x32-s0", "smoke/nerf-2x16-s0"


@pytest.fixture(scope="module")
def scene():
    return open_scene("terrace", 32)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A repository of its own in which the smoke runs of scenes are trained, shipped and evaluated."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "data").symlink_to(paths.root() / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPRESS3D_ROOT", str(folder))
        patch.setenv("COMPRESS3D_RUNS", str(folder / "runs"))
        patch.setenv("COMPRESS3D_CACHE", str(folder / "cache"))
        for name in (VOXELS, MLP, ORIGINAL):
            run = get_experiment(name)
            ship(run, train(run, num_workers=0))
            evaluate(run)
        yield folder


# -- minibatches -------------------------------------------------------------------------------------------------------


def test_rays_of_a_minibatch_are_those_of_their_pixels(scene):
    batch = RayBatches(scene, 50, steps=9, seed=3)[4]
    H, W = scene.size
    chosen = np.random.default_rng([3, 4, 20]).integers(0, len(scene.split["train"]) * H * W, 50)
    for number, place in enumerate(chosen):
        view = scene.split["train"][place // (H * W)]
        row, column = torch.tensor([place % (H * W) // W]), torch.tensor([place % W])
        expected = scene.rays(int(view), row, column)
        for got, value in zip(batch.rays, expected, strict=True):
            torch.testing.assert_close(got[number], value[0])
        assert batch.colours[number].tolist() == scene.images[view, int(row), int(column)].tolist()


def test_minibatches_are_a_function_of_seed_and_step(scene):
    one, again, other = (RayBatches(scene, 8, 5, seed)[2] for seed in (0, 0, 1))
    assert torch.equal(one.colours, again.colours) and not torch.equal(one.origins, other.origins)
    assert not torch.equal(one.origins, RayBatches(scene, 8, 5, 0)[3].origins)
    with pytest.raises(IndexError):
        RayBatches(scene, 8, 5, 0)[5]


def test_original_takes_one_view_and_its_middle_at_first(scene):
    batches = RayBatches(scene, 400, 40, 0, one_view=True, cropped_steps=20)
    widest = {}
    for step in range(40):
        batch = batches[step]
        assert len(batch.origins.unique(dim=0)) == 1
        middle = scene.poses[np.abs(scene.poses[:, :, 3] - batch.origins[0].numpy()).sum(1).argmin(), :, 2]
        slant = (batch.views @ torch.tensor(-middle, dtype=torch.float32)).min()
        widest.setdefault(step < 20, []).append(float(slant))
    assert min(widest[True]) > max(0.94, min(widest[False])) and min(widest[False]) < 0.93


# -- trainings ---------------------------------------------------------------------------------------------------------


def test_experiments_of_scenes_are_in_the_table():
    found = [e for e in experiments() if isinstance(e.data, SceneData)]
    assert {e.id.split("/")[1].split("-")[0] for e in found} == {"voxels", "mlp", "nerf"}
    assert {e.scale for e in found} == {"smoke", "demo", "paper"}
    lego = get_experiment("demo/mlp-4x128@lego-s2")
    assert lego.data.name == "lego" and lego.seed == 2 and lego.data.size == 100 and not lego.operating_points()
    with pytest.raises(ConfigError, match="is not served"):
        lego.operating_point(384)
    with pytest.raises(ConfigError, match="terrace, lego, fern"):
        get_experiment("demo/mlp-4x128@nowhere-s0")


@pytest.mark.parametrize("run", [VOXELS, MLP, ORIGINAL])
def test_results_are_those_of_the_shipped_weights(home, scene, run):
    point = results.load(run)["points"][0]
    model = load_model(get_experiment(run))
    again = view_scores(model, scene)
    assert point["psnr"] == pytest.approx(again["psnr"], abs=1e-5)
    view = int(scene.split["test"][0])
    shown = rendered_view(model, scene, view).colour.view(32, 32, 3)
    assert point["psnrs"][0] == pytest.approx(float(psnr(scene.images[view], shown)), abs=1e-5)
    assert ("coarse_mse" in point) == (run == ORIGINAL)
    if run == ORIGINAL:
        assert point["loss"] == pytest.approx(point["mse"] + point["coarse_mse"], abs=2e-6)
    test = results.load(run)["test"]
    assert test["objects"] == [scene.names[view] for view in scene.split["test"]] and test["sha256"] == scene.sha256


def test_a_hundred_steps_learn_the_scene(home):
    """White alone has 10 dB."""
    voxels, mlp = (results.load(run)["points"][0]["psnr"] for run in (VOXELS, MLP))
    assert voxels > 17 and mlp > 13


@pytest.mark.parametrize("stops", [(30,), (40, 60, 99)])
def test_a_voxel_field_resumes_where_it_grows_or_gives_up_cells(home, tmp_path, stops):
    run = get_experiment(VOXELS)
    whole, data = load_model(run), run.data.open(run)
    from compress3d.engine.distributed import ProcessGroup
    from compress3d.engine.train import Trainer

    batches = run.data.batches(run, data)
    for stop in stops:
        trainer = Trainer(run, tmp_path, ProcessGroup.init("cpu"))
        if not trainer.start():
            run.model.start(trainer, data)
        while trainer.step < stop:
            trainer.record(trainer.advance(batches[trainer.step]), 25)
        trainer.save()
    resumed = train(run, tmp_path, data, num_workers=0)
    assert torch.equal(resumed.model.voxels.rows.half().float(), whole.voxels.rows)
    assert torch.equal(resumed.model.voxels.index, whole.voxels.index)


def test_a_network_learns_in_the_cells_of_the_voxel_field(home):
    voxels, mlp = (load_model(get_experiment(run)) for run in (VOXELS, MLP))
    expected = dilated(voxels.voxels.opacity() > SOLID, 1)
    voxels.voxels.keep(expected)
    assert torch.equal(mlp.cells.occupied, voxels.cells.occupied) and 0 < mlp.cells.share < 0.9


def test_a_network_without_its_voxel_field_names_the_command(home, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "weights", lambda: tmp_path)
    with pytest.raises(CheckpointError, match="smoke/voxels-s0"):
        train(get_experiment(MLP), tmp_path / "run", num_workers=0)


# -- retraining --------------------------------------------------------------------------------------------------------


def test_retraining_keeps_masks_and_goes_on_with_the_last_learning_rate(home):
    base, run = get_experiment(MLP), retraining(MLP, 0.6, steps=4)
    assert run.optim.learning_rate * run.optim.factor(0, 1) == pytest.approx(base.optim.learning_rate * 0.1)
    before = survivors(run.build())
    trained = train(run, num_workers=0)
    assert survivors(trained.model) == before
    total = sum(of for _, of in before.values())
    assert sum(alive for alive, _ in before.values()) == total - round(0.6 * total)
    start = named_layers(run.build())
    moved = [not torch.equal(layer.acting_weight, start[name].acting_weight) for name, layer in named_layers(trained.model).items()]  # fmt: skip  # noqa: E501
    assert all(moved)


def test_moments_of_the_first_training_are_taken_where_asked(home):
    from dataclasses import replace

    from compress3d.engine.checkpoint import load_checkpoint
    from compress3d.engine.distributed import ProcessGroup
    from compress3d.engine.train import Trainer

    for fresh in (True, False):
        run = retraining(MLP, 0.5, steps=3)
        run = replace(run, model=replace(run.model, fresh=fresh))
        trainer = Trainer(run, home / "runs" / f"moments-{fresh}", ProcessGroup.init("cpu"))
        run.model.start(trainer, None)
        state = trainer.optimizers[""].state_dict()["state"]
        assert bool(state) is not fresh
    expected = load_checkpoint(home / "runs" / MLP)["optimizers"][""]["state"]
    assert torch.equal(state[0]["exp_avg"], expected[0]["exp_avg"])


def test_criteria_have_folders_of_their_own():
    of = [Criterion(), Criterion("lamp"), Criterion(scope="layer"), Criterion(spare=("*density_head",))]
    ids = [retraining(MLP, 0.5, criterion).id for criterion in of] + [
        retraining(MLP, 0.3).id,
        retraining(ORIGINAL, 0.5).id,
    ]
    assert len(set(ids)) == len(ids) and all("*" not in name for name in ids)


# -- commands ----------------------------------------------------------------------------------------------------------


def said(*words):
    done = CliRunner().invoke(app, ["nerf", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("run", [VOXELS, MLP, ORIGINAL])
def test_pack_render_mesh_and_unpack(home, tmp_path, run):
    packed, picture, turn = tmp_path / "scene.c3n", tmp_path / "view.png", tmp_path / "turn.webp"
    assert "x smaller" in said("pack", run, "--out", packed)
    said("render", packed, "--out", picture, "--scene", "terrace", "--size", 24)
    assert Image.open(picture).size == (24, 24)
    said("render", run, "--out", turn, "--frames", 3, "--size", 16, "--depth")
    assert Image.open(turn).n_frames >= 1
    weights = tmp_path / "scene.safetensors"
    said("unpack", packed, "--out", weights)
    from safetensors.torch import load_file

    state = unpack(packed.read_bytes()).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in load_file(weights).items())


def test_prune_writes_a_file_with_what_is_left(home, tmp_path):
    out = tmp_path / "pruned.c3n"
    text = said("prune", MLP, "--ratio", 0.8, "--out", out, "--retrain", 2, "--spare", "*density_head")
    assert "100%" in next(line for line in text.splitlines() if "density_head" in line)
    left = survivors(unpack(out.read_bytes()))
    spared = {name for name in left if name.endswith("density_head")}
    total = sum(of for name, (_, of) in left.items() if name not in spared)
    assert sum(alive for name, (alive, _) in left.items() if name not in spared) == total - round(0.8 * total)


def test_train_a_scene_of_ones_own_from_its_folder(home, tmp_path):
    said("scene", tmp_path / "My Room", "--size", 32)
    text = said("train", tmp_path / "My Room", "--model", "voxels", "--scale", "smoke")
    assert "smoke/voxels@my-room-s0" in text and "dB on held-out views" in text
    assert weights_path(get_experiment("smoke/voxels@my-room-s0")).is_file()
    (tmp_path / "other" / "My Room").mkdir(parents=True)
    (tmp_path / "other" / "My Room" / "transforms_train.json").write_text(json.dumps({}))
    with pytest.raises(DataError, match="another scene"):
        linked_scene(str(tmp_path / "other" / "My Room"))


@pytest.mark.parametrize(
    "words, problem",
    [
        (("pack", "smoke/nothing-s0", "--out", "a.c3n"), "does not exist"),
        (("pack", VOXELS, "--out", "a.c3n", "--bits", "64"), "64 bits"),
        (("render", "gone.c3n", "--out", "a.png"), "does not exist"),
        (("render", MLP, "--out", "a.bmp"), "no picture file"),
        (("render", MLP, "--out", "a.png", "--view", "99"), "does not exist"),
        (("prune", VOXELS, "--ratio", "0.5", "--out", "a.c3n"), "voxel field"),
        (("prune", MLP, "--ratio", "1.5", "--out", "a.c3n"), "no share"),
    ],
)
def test_what_cannot_be_done_says_so(home, tmp_path, monkeypatch, words, problem):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["nerf", *words])
    assert done.exit_code and problem in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_the_ports_networks_are_asked_for_where_they_are_not(home):
    with pytest.raises(ConfigError, match="nerf_weights"):
        load_network("port/lego")
