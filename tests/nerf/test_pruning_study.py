"""The study behind Tables 1 and 2, on networks that were trained for a moment; and products with zeros."""

import pytest
import torch

from compress3d import paths, results
from compress3d.engine.evaluate import ship
from compress3d.engine.experiment import get_experiment
from compress3d.engine.train import train
from compress3d.nerf.packing import pack
from compress3d.nerf.retraining import load_network
from compress3d.nerf.scenes import open_scene
from compress3d.nerf.studies import pruning, sparse


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    (folder / "data").symlink_to(paths.root() / "data")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ROOT": folder, "RUNS": folder / "runs", "CACHE": folder / "cache"}.items():
            patch.setenv(f"COMPRESS3D_{name}", str(value))
        patch.setattr(pruning, "RATIOS", (0.5, 0.9))
        patch.setattr(pruning, "GRADIENT_BATCHES", 2)
        patch.setattr(pruning, "STEPS", 30)
        for name in ("smoke/voxels-s0", "smoke/mlp-2x32-s0", "smoke/nerf-2x16-s0"):
            run = get_experiment(name)
            ship(run, train(run, num_workers=0))
        lines = list(pruning.run("smoke"))
        assert len(lines) == 6 and all("dB" in line for line in lines)
        yield results.load("smoke/pruning")["networks"]


def test_every_network_has_every_row(found):
    assert list(found) == ["smoke/mlp-2x32-s0", "smoke/nerf-2x16-s0"]
    for of in found.values():
        keys = [(row["ratio"], row["criterion"], row["retrained"]) for row in of["rows"]]
        labels = ["global", *pruning.OTHERS]
        expected = [(0.0, "global", False)]
        for ratio in (0.5, 0.9):
            expected += [(ratio, label, False) for label in labels] + [(ratio, "global", True)]
        assert keys == expected
        assert of["pixels"] == 10 * 1024 and of["scene"] == "terrace"  # all that ten views of 32 pixels have


def test_rows_are_those_of_the_networks(found):
    network, scene = load_network("smoke/mlp-2x32-s0"), open_scene("terrace", 32)
    pixels = pruning.Pixels(scene, 10**6)
    first, *others = found["smoke/mlp-2x32-s0"]["rows"]
    assert first["psnr"] == pytest.approx(pixels.scores(network)["psnr"], abs=1e-5)
    assert first["bytes"]["8"] == len(pack(network, 8)) and first["bytes"]["raw"] > first["bytes"]["8"]
    by = {(row["ratio"], row["criterion"], row["retrained"]): row for row in others}
    assert by[0.9, "global", True]["psnr"] > by[0.9, "global", False]["psnr"]
    kept = by[0.5, "global", False]["survivors"]
    assert set(kept) == {f"mlp.{name}" for name in network.mlp.layers()} and 0 < min(kept.values()) < max(kept.values())
    assert "loss" in found["smoke/nerf-2x16-s0"]["rows"][0] and "loss" not in first


def test_pixels_are_a_function_of_the_seed_and_in_their_places():
    scene = open_scene("terrace", 32)
    one, two, other = pruning.Pixels(scene, 50), pruning.Pixels(scene, 50), pruning.Pixels(scene, 50, seed=1)
    assert torch.equal(one.rays.views, two.rays.views) and not torch.equal(one.rays.views, other.rays.views)
    view = int(scene.split["test"][0])
    places = (scene.rays(view).views[:, None] == one.rays.views[:5]).all(-1).float().argmax(0)
    assert torch.equal(scene.colours(view)[places], one.colours[:5])


@pytest.mark.parametrize("ratio", [0.3, 0.98])
def test_products_with_zeros_are_timed(ratio):
    assert sparse.speedup(32, ratio, points=16, rounds=2) > 0
