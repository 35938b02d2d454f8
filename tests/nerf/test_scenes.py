"""Readers against plain transcriptions of the original's code, and hand values."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compress3d.nerf.scenes import find_scene, open_scene
from compress3d.nerf.scenes.pictures import area_mean, smaller
from tests.nerf.tiny_scenes import blender, llff

SHARED = Path(os.environ.get("COMPRESS3D_SHARED", "/nowhere")) / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="COMPRESS3D_SHARED names no folder with data/")


def plain_area_mean(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Every pixel's overlap with every area, one at a time."""
    (h, w, channels), (H, W) = picture.shape, shape
    factor = max(h, w) / max(H, W)
    top, left = (h - H * factor) / 2, (w - W * factor) / 2
    out = np.zeros((H, W, channels))
    for i in range(H):
        for j in range(W):
            total = 0.0
            y0, x0 = top + i * factor, left + j * factor
            for y in range(max(0, int(y0)), min(h, math.ceil(y0 + factor))):
                for x in range(max(0, int(x0)), min(w, math.ceil(x0 + factor))):
                    tall = min(y + 1, y0 + factor) - max(y, y0)
                    wide = min(x + 1, x0 + factor) - max(x, x0)
                    out[i, j] += tall * wide * picture[y, x]
                    total += tall * wide
            out[i, j] /= total
    return out


@pytest.mark.parametrize(
    ("shape", "size"), [((16, 16), 8), ((16, 16), 4), ((16, 12), 8), ((16, 16), 5), ((12, 16), 11), ((9, 13), 6)]
)
def test_means_over_areas(shape, size):
    picture = np.random.default_rng(size).random((*shape, 3))
    out = smaller(shape, size)
    assert max(out) == size
    np.testing.assert_allclose(area_mean(picture, out), plain_area_mean(picture, out), atol=1e-6)


def test_a_mean_keeps_the_middle_and_the_scale():
    """A picture whose values are its coordinates: areas lie where the smaller camera's pixels look.

    A part p of a pixel counts with the whole one's middle: off by p (1 - p) / 2 / 3.2^2 <= 0.0123.
    """
    h, w = 21, 32
    y, x = np.mgrid[:h, :w] + 0.5
    H, W = smaller((h, w), 10)
    assert (H, W) == (6, 10)  # 21 / 3.2 = 6.56
    mean = area_mean(np.stack([(y - h / 2) / 3.2, (x - w / 2) / 3.2], -1), (H, W))
    Y, X = np.mgrid[:H, :W] + 0.5
    np.testing.assert_allclose(mean, np.stack([Y - H / 2, X - W / 2], -1), atol=0.0123)


# -- Blender ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("averaged", ["rgba", "colours"])
@pytest.mark.parametrize("white", [True, False])
def test_blender(tmp_path, seed, averaged, white):
    """Half size, over the background, poses and focal length, one picture at a time."""
    folder = blender(tmp_path / "tiny", views=(3, 4), seed=seed)
    scene = open_scene(folder, size=8, averaged=averaged, white=white, testskip=3)
    expected, poses = [], []
    for part, skip in (("train", 1), ("test", 3)):
        for frame in json.loads((folder / f"transforms_{part}.json").read_text())["frames"][::skip]:
            rgba = np.asarray(Image.open(folder / (frame["file_path"] + ".png"))) / 255
            half = rgba.reshape(8, 2, 8, 2, 4).mean((1, 3))
            over = rgba[..., :3] * rgba[..., 3:] + white * (1 - rgba[..., 3:])
            after = half[..., :3] * half[..., 3:] + white * (1 - half[..., 3:])
            expected.append(after if averaged == "rgba" else over.reshape(8, 2, 8, 2, 3).mean((1, 3)))
            poses.append(np.array(frame["transform_matrix"])[:3])
    np.testing.assert_allclose(scene.images, expected, atol=1e-6)
    np.testing.assert_array_equal(scene.poses, poses)
    assert scene.images.dtype == np.float32 and scene.poses.dtype == np.float64
    assert scene.focal == pytest.approx(0.5 * 8 / np.tan(0.69 / 2))
    assert {part: rows.tolist() for part, rows in scene.split.items()} == {"train": [0, 1, 2], "test": [3, 4]}
    assert scene.names[0] == "train/r_0.png" and scene.names[-1] == "test/r_3.png" and scene.name == "tiny"
    assert (scene.near, scene.far, scene.ndc, scene.white) == (2, 6, False, white)
    np.testing.assert_allclose(scene.bounds, [[-1.3] * 3, [1.3] * 3], rtol=1e-6)


def test_blender_with_fewer_frames_and_val(tmp_path):
    """A picture that no list names is not read; val is read when asked for."""
    folder = blender(tmp_path / "tiny")
    shutil.copy(folder / "transforms_test.json", folder / "transforms_val.json")
    (folder / "train/notes.png").write_text("no picture")
    listing = json.loads((folder / "transforms_train.json").read_text())
    listing["frames"] = listing["frames"][:3]
    (folder / "transforms_train.json").write_text(json.dumps(listing))
    assert len(open_scene(folder).images) == 5
    assert len(open_scene(folder, splits=("train", "val")).split["val"]) == 2


def test_written_paths(tmp_path):
    """With an ending, without, of Windows."""
    folder = blender(tmp_path / "tiny")
    listing = json.loads((folder / "transforms_train.json").read_text())
    for frame, path in zip(
        listing["frames"], ("train/r_0.png", ".\\train\\r_1", "./train/./r_2", "train/r_3"), strict=True
    ):
        frame["file_path"] = path
    before = open_scene(folder)
    (folder / "transforms_train.json").write_text("\ufeff" + json.dumps(listing), encoding="utf-8")
    np.testing.assert_array_equal(open_scene(folder).images, before.images)


def test_palettes_with_transparency_are_read_as_what_they_show(tmp_path):
    folder = blender(tmp_path / "tiny")
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[4:12, 4:12] = 200, 30, 10, 255
    image = Image.fromarray(pixels)
    image.save(folder / "train/r_0.png")
    before = open_scene(folder).images
    image.quantize(8).save(folder / "train/r_0.png")
    assert Image.open(folder / "train/r_0.png").mode == "P"
    np.testing.assert_array_equal(open_scene(folder).images, before)


def test_fingerprint(tmp_path):
    """The same files and options, the same sha256; another pixel, pose or option, another."""
    folder = blender(tmp_path / "tiny")
    first = open_scene(folder).sha256
    assert open_scene(folder).sha256 == first and len(first) == 64
    seen = {first, open_scene(folder, size=8).sha256, open_scene(folder, white=False).sha256}
    seen.add(open_scene(folder, testskip=2).sha256)
    pixels = np.array(Image.open(folder / "train/r_0.png"))
    pixels[3, 3] = 1, 2, 3, 255
    Image.fromarray(pixels).save(folder / "train/r_0.png")
    seen.add(open_scene(folder).sha256)
    listing = (folder / "transforms_test.json").read_text()
    listing = json.loads(listing)
    listing["frames"][0]["transform_matrix"][0][3] += 1e-9
    (folder / "transforms_test.json").write_text(json.dumps(listing))
    seen.add(open_scene(folder).sha256)
    assert len(seen) == 6


# -- LLFF ------------------------------------------------------------------------------------------------------------


def bmild(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Poses (N, 3, 4), bounds (N, 2) and full focal length by the steps of load_llff.py, written with loops."""
    poses, bounds = [], table[:, 15:].copy()
    scale = 1 / (bounds.min() * 0.75)
    for row in table:
        matrix = row[:15].reshape(3, 5)
        poses.append(np.stack([matrix[:, 1], -matrix[:, 0], matrix[:, 2], matrix[:, 3] * scale], 1))

    def normalize(x):
        return x / np.sqrt(sum(value * value for value in x))

    backward = normalize(sum(p[:, 2] for p in poses))
    right = normalize(np.cross(sum(p[:, 1] for p in poses), backward))
    up = normalize(np.cross(backward, right))
    average = np.eye(4)
    average[:3] = np.stack([right, up, backward, sum(p[:, 3] for p in poses) / len(poses)], 1)
    recentred = [np.linalg.inv(average) @ np.vstack([p, [0, 0, 0, 1]]) for p in poses]
    return np.array(recentred)[:, :3], bounds * scale, float(table[0, 14])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hold_out", [8, 3])
def test_llff(tmp_path, seed, hold_out):
    folder = llff(tmp_path / "tiny", count=10, seed=seed)
    scene = open_scene(folder, hold_out=hold_out)
    poses, bounds, focal = bmild(np.load(folder / "poses_bounds.npy"))
    np.testing.assert_allclose(scene.poses, poses, atol=1e-12)
    assert scene.depths == pytest.approx((bounds.min(), bounds.max())) and scene.depths[0] == pytest.approx(1 / 0.75)
    assert scene.focal == pytest.approx(focal / 4)
    pictures = [np.asarray(Image.open(path)) / 255 for path in sorted((folder / "images_4").iterdir())]
    np.testing.assert_allclose(scene.images, pictures, atol=1e-6)
    assert scene.split["test"].tolist() == list(range(0, 10, hold_out))
    assert sorted([*scene.split["train"], *scene.split["test"]]) == list(range(10))
    assert (scene.near, scene.far, scene.ndc) == (0, 1, True)
    np.testing.assert_array_equal(scene.bounds, [[-1] * 3, [1] * 3])


def test_llff_takes_the_smallest_pictures_that_are_large_enough(tmp_path):
    """images_2 and images_4 of 64 x 48; images_2 is all 0.5, images_4 all 0.25."""
    folder = llff(tmp_path / "tiny")
    for factor, value in ((2, 128), (4, 64)):
        (folder / f"images_{factor}").mkdir(exist_ok=True)
        for number in range(9):
            image = Image.fromarray(np.full((48 // factor, 64 // factor, 3), value, np.uint8))
            image.save(folder / f"images_{factor}" / f"image{number:03d}.png")
    for size, shape, value in (
        (None, (12, 16), 64),
        (16, (12, 16), 64),
        (17, (12, 17), 128),
        (32, (24, 32), 128),
        (8, (6, 8), 64),
    ):
        scene = open_scene(folder, size=size)
        assert scene.size == shape
        np.testing.assert_allclose(scene.images, value / 255, atol=1e-6)
        assert scene.focal == pytest.approx(0.8 * 64 * shape[1] / 64)


# -- rays ------------------------------------------------------------------------------------------------------------


def plain_rays(scene, view: int, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions, pixel by pixel, as get_rays and ndc_rays of the original."""
    (H, W), pose, f = scene.size, scene.poses[view], scene.focal
    origins, directions = [], []
    for row in range(H):
        for column in range(W):
            local = [(column + centre - W / 2) / f, -(row + centre - H / 2) / f, -1]
            d, o = pose[:, :3] @ local, pose[:, 3]
            if scene.ndc:
                o = o + -(1 + o[2]) / d[2] * d
                d = np.array(
                    [-f / (W / 2) * (d[0] / d[2] - o[0] / o[2]), -f / (H / 2) * (d[1] / d[2] - o[1] / o[2]), -2 / o[2]]
                )
                o = np.array([-f / (W / 2) * o[0] / o[2], -f / (H / 2) * o[1] / o[2], 1 + 2 / o[2]])
            origins.append(o)
            directions.append(d)
    return np.array(origins), np.array(directions)


@pytest.mark.parametrize("layout", [blender, llff])
@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_rays(tmp_path, layout, centre):
    scene = open_scene(layout(tmp_path / "tiny"), centre=centre)
    rays = scene.rays(1)
    origins, directions = plain_rays(scene, 1, centre)
    np.testing.assert_allclose(rays.origins, origins, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rays.directions, directions, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rays.views.norm(dim=-1), 1, rtol=1e-6)
    rows, columns = torch.tensor([3, 0, 7]), torch.tensor([2, 9, 0])
    some = scene.rays(1, rows, columns)
    for few, all_ in zip(some, rays, strict=True):
        assert torch.equal(few, all_[rows * scene.size[1] + columns])
    for by_pose, by_row in zip(scene.rays(scene.poses[1]), rays, strict=True):
        assert torch.equal(by_pose, by_row)
    assert all(value.dtype == torch.float32 for value in rays)
    other = scene.rays(1, centre=0.25)
    assert not torch.equal(other.directions, rays.directions)


@pytest.mark.parametrize("layout", [blender, llff])
def test_training_rays_are_those_of_the_training_views(tmp_path, layout):
    scene = open_scene(layout(tmp_path / "tiny"))
    H, W = scene.size
    assert scene.training_pixels == len(scene.split["train"]) * H * W
    batch = scene.training_rays(torch.arange(scene.training_pixels))
    for number, view in enumerate(scene.split["train"]):
        part = slice(number * H * W, (number + 1) * H * W)
        assert torch.equal(batch.colours[part], scene.colours(int(view)))
        for mine, whole in zip(batch.rays, scene.rays(int(view)), strict=True):
            torch.testing.assert_close(mine[part], whole, rtol=1e-6, atol=1e-6)
    chosen = torch.tensor([5, scene.training_pixels - 1, 5])
    for few, whole in zip(scene.training_rays(chosen), batch, strict=True):
        assert torch.equal(few, whole[chosen])
    with pytest.raises(IndexError):
        scene.training_rays(torch.tensor([scene.training_pixels]))


# -- names, and the real scenes --------------------------------------------------------------------------------------


def test_scenes_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESS3D_CACHE", str(tmp_path / "cache"))
    for name in ("scenes/one", "scenes/nerf_synthetic/two", "scenes/nerf_llff_data/three"):
        (llff if "llff" in name else blender)(tmp_path / "cache" / name)
    for name, part in (("one", "scenes"), ("two", "nerf_synthetic"), ("three", "nerf_llff_data")):
        assert find_scene(name) == next((tmp_path / "cache").rglob(f"{part}/{name}"))
        assert open_scene(name).name == name
    monkeypatch.chdir(tmp_path / "cache/scenes")
    assert open_scene("nerf_synthetic/two").name == "two" and open_scene(tmp_path / "cache/scenes/one").name == "one"


@needs_shared
def test_lego_as_the_original_reads_it():
    """Half size by means of 2 x 2 RGBA pixels, then over white: cv2's INTER_AREA, which gave 1.8e-7 less at most."""
    scene = open_scene(SHARED / "nerf_synthetic/lego", size=400, testskip=12, as_original=True)
    assert scene.size == (400, 400) and scene.centre == 0.0 and len(scene.split["train"]) == 100
    assert scene.focal == pytest.approx(555.5555155968841)
    for view in (0, 57, 101):
        rgba = np.asarray(Image.open(SHARED / "nerf_synthetic/lego" / scene.names[view]), np.float64) / 255
        half = rgba.reshape(400, 2, 400, 2, 4).mean((1, 3))
        assert np.abs(half[..., :3] * half[..., 3:] + 1 - half[..., 3:] - scene.images[view]).max() < 1e-6


@needs_shared
def test_fern_as_the_original_reads_it():
    folder = SHARED / "nerf_llff_data/fern"
    scene = open_scene(folder, as_original=True)
    assert scene.centre == 0.0
    poses, bounds, focal = bmild(np.load(folder / "poses_bounds.npy"))
    assert scene.size == (378, 504) and scene.focal == pytest.approx(focal / 8)
    assert scene.split["test"].tolist() == [0, 8, 16]
    np.testing.assert_allclose(scene.poses, poses, atol=1e-12)
    np.testing.assert_allclose(scene.depths, (bounds.min(), bounds.max()))
