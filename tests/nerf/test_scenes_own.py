"""The package's own scene: it ships, fits, and is made again."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from compress3d import paths
from compress3d.errors import ConfigError, DataError
from compress3d.nerf.scenes import open_scene
from compress3d.nerf.scenes.own import ANGLE, CREDITS, MODELS, NAME, OBJECTS, make_scene, read_models, spread, terrace

SHIPPED = paths.shipped_data() / "scenes" / NAME


@pytest.mark.parametrize("size", [100, 200])
def test_it_ships(size):
    scene = open_scene(NAME, size=size)
    assert scene.images.shape == (50, size, size, 3) and scene.size == (size, size)
    assert len(scene.split["train"]) == 40 and len(scene.split["test"]) == 10
    assert scene.focal == pytest.approx(size / 2 / np.tan(ANGLE / 2))
    shown = (scene.images < 1).any(-1).mean((1, 2))
    assert shown.min() > 0.1 and shown.max() < 0.6
    border = np.concatenate([scene.images[:, [0, -1]].reshape(-1, 3), scene.images[:, :, [0, -1]].reshape(-1, 3)])
    assert (border == 1).all(1).mean() > 0.99  # nothing worth speaking of is cut off
    used = scene.images[(scene.images < 0.99).any(-1)]
    assert np.ptp(used, axis=1).mean() > 0.15  # it has colour


def test_it_is_small_and_credits_are_whole():
    files = [file for file in SHIPPED.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 3e6
    with open(SHIPPED / CREDITS, newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(OBJECTS)
    assert all(
        row["licence"] == "CC0-1.0" and row["creator"] and row["url"].startswith("https://") for row in rows.values()
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_mesh_fits_the_box_and_things_stand_apart(seed):
    pytest.importorskip("embreex")
    low, high = terrace(np.random.default_rng(seed), SHIPPED / MODELS).bounds
    assert (low > -1.3).all() and (high < 1.3).all()


def test_made_again(tmp_path):
    """The shipped pictures, of the same seed: all but a few pixels, where processors round rays at edges otherwise."""
    pytest.importorskip("embreex")
    make_scene(tmp_path / "again", seed=0, size=50, train=40, test=10)
    made, shipped = open_scene(tmp_path / "again"), open_scene(NAME, size=50)
    np.testing.assert_allclose(made.poses, shipped.poses, atol=1e-8)
    assert np.abs(made.images - shipped.images).mean() < 0.01
    twice = open_scene(make_scene(tmp_path / "twice", seed=0, size=50))
    assert twice.sha256 == made.sha256
    other = open_scene(make_scene(tmp_path / "other", seed=1, size=50, train=5, test=2))
    assert other.images.shape == (7, 50, 50, 3) and other.sha256 != made.sha256


@pytest.mark.parametrize("count", [1, 10, 40])
def test_cameras_are_spread(count):
    """Over the whole hemisphere, none near another: 40 of them are at least 8 degrees apart."""
    poses = spread(np.random.default_rng(count), count)
    backward = poses[:, :, 2]
    np.testing.assert_allclose(poses[:, :, 3], 4 * backward, atol=1e-12)
    assert (backward[:, 2] > np.sin(np.radians(7.9))).all()
    cosines = backward @ backward.T - 2 * np.eye(count)
    assert np.degrees(np.arccos(cosines.max())) > 8
    if count == 40:
        assert (np.histogram(np.arctan2(backward[:, 1], backward[:, 0]), 4, (-np.pi, np.pi))[0] >= 6).all()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"seed": -1}, "seed"),
        ({"size": 2}, "size"),
        ({"train": 1}, "train"),
        ({"test": 0}, "test"),
        ({"size": 1e3}, "size"),
    ],
)
def test_numbers_that_make_no_scene(options, name, tmp_path):
    with pytest.raises(ConfigError, match=f"^{name}"):
        make_scene(tmp_path, **options)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "other"])
def test_broken_models(damage, tmp_path):
    file = tmp_path / MODELS
    shutil.copy(SHIPPED / MODELS, file)
    data = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "other":
        np.savez(file, a=np.zeros(3))
    else:
        changed = {"empty": b"", "cut": data[: len(data) // 2], "flipped": data[:9000] + b"\0" * 99 + data[9099:]}
        file.write_bytes(changed[damage])
    with pytest.raises(DataError, match="models.npz: is (missing|broken).*git checkout"):
        read_models(file)


def test_pictures_are_rgba_with_clear_background():
    for name in ("train/r_0.png", "test/r_9.png"):
        with Image.open(SHIPPED / name) as image:
            assert image.mode == "RGBA" and image.size == (200, 200)
            pixels = np.asarray(image)
        assert (pixels[pixels[..., 3] == 0] == 0).all() and (pixels[..., 3] == 255).mean() > 0.1
