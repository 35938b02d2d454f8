"""Small scenes in both layouts, of random pictures, for tests of readers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.nerf.cameras import look_at, on_sphere


def blender(folder: Path, side: int = 16, views: tuple[int, int] = (4, 2), seed: int = 0) -> Path:
    """RGBA noise of `side` pixels, cameras 4 units away; black where alpha is 0, as Blender writes it."""
    rng = np.random.default_rng(seed)
    for part, count in zip(("train", "test"), views, strict=True):
        (folder / part).mkdir(parents=True, exist_ok=True)
        frames = []
        for number in range(count):
            pixels = rng.integers(0, 256, (side, side, 4), np.uint8)
            pixels[rng.random((side, side)) < 0.3] = 0
            Image.fromarray(pixels).save(folder / part / f"r_{number}.png")
            pose = look_at(on_sphere(*rng.uniform((0, 10), (360, 70)), 4.0))
            matrix = [*pose.tolist(), [0, 0, 0, 1]]
            frames.append({"file_path": f"./{part}/r_{number}", "rotation": 0.1, "transform_matrix": matrix})
        listing = {"camera_angle_x": 0.69, "frames": frames}
        (folder / f"transforms_{part}.json").write_text(json.dumps(listing))
    return folder


def llff(folder: Path, size: tuple[int, int] = (48, 64), count: int = 9, factor: int = 4, seed: int = 0) -> Path:
    """RGB noise in images_<factor>, cameras that all look along -z within some degrees; `size` is the full one."""
    rng = np.random.default_rng(seed)
    H, W = size
    pictures = folder / f"images_{factor}"
    pictures.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        pixels = rng.integers(0, 256, (H // factor, W // factor, 3), np.uint8)
        Image.fromarray(pixels).save(pictures / f"image{number:03d}.png")
        place = rng.normal(0, 0.5, 3) * [1, 1, 0.1]
        pose = look_at(place, place + [*rng.normal(0, 0.05, 2), -1], up=(0, 1, 0))
        axes = np.stack([-pose[:, 1], pose[:, 0], pose[:, 2], pose[:, 3]], 1)  # down, right, backwards, place
        rows.append(np.r_[np.c_[axes, [H, W, 0.8 * W]].ravel(), rng.uniform(2, 3), rng.uniform(10, 20)])
    np.save(folder / "poses_bounds.npy", np.array(rows))
    return folder
