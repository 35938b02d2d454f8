"""Does texture disturb the reconstruction, as the slides of 3D-R2N2 say? The same objects in three appearances.

Procedural objects that no network has seen (another seed), rendered plain (one grey), coloured (as those of the
training data) and strongly textured (noise in full contrast and all hues on every surface).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from compress3d import metrics
from compress3d.data.camera import sample_cameras
from compress3d.data.loader import CENTRE, CROP
from compress3d.data.mesh import Material, Mesh
from compress3d.data.pixels import area_mean
from compress3d.data.render import Renderer
from compress3d.data.shapenet import CATEGORIES
from compress3d.data.shapes import make
from compress3d.engine.evaluate import load_model, probabilities
from compress3d.engine.studies import save_study
from compress3d.errors import ConfigError
from compress3d.r2n2.studies.views import networks
from compress3d.scales import scale as sizes

APPEARANCES = ("plain", "coloured", "textured")
SEED = 1  # the training objects have seed 0
OBJECTS = 52  # four of each class
VIEWS = 5
GREY = (0.6, 0.6, 0.6)
# Of a texture's side: texels, and squares of one colour. The mapping repeats the texture over an object.
TEXELS, SQUARES = 64, 16


def with_appearance(mesh: Mesh, name: str, rng: np.random.Generator) -> Mesh:
    """The mesh in another appearance; the surface is the same. ConfigError is raised where there is no such one."""
    if name == "coloured":
        return mesh
    if name == "plain":
        return replace(mesh, materials=[Material(GREY)] * len(mesh.materials), textures=[])
    if name == "textured":
        cells = rng.integers(0, 256, (len(mesh.materials), SQUARES, SQUARES, 3), dtype=np.uint8)
        textures = [np.kron(c, np.ones((TEXELS // SQUARES, TEXELS // SQUARES, 1), np.uint8)) for c in cells]
        materials = [Material((1.0, 1.0, 1.0), texture=n) for n in range(len(textures))]
        return replace(mesh, materials=materials, textures=textures)
    raise ConfigError(f"appearance {name!r}", "does not exist", f"choose one of {', '.join(APPEARANCES)}")


def render(name: str, count: int = OBJECTS, image_size: int = 64) -> tuple[torch.Tensor, np.ndarray, list[str]]:
    """Views uint8 (N, 5, 3, S, S) on black, occupancy bool (N, 32, 32, 32) and categories, in one appearance."""
    views, truth, categories = [], [], []
    for number in range(count):
        category = CATEGORIES[number % len(CATEGORIES)]
        shape = make(category, number // len(CATEGORIES), SEED)
        rng = np.random.default_rng([SEED, number])
        cameras = sample_cameras(rng, VIEWS)  # drawn first: the same in every appearance
        renderer = Renderer(with_appearance(shape.mesh, name, rng))
        for camera in cameras:
            rgba = renderer(camera)
            colours = np.where(rgba[..., 3:] > 0, rgba[..., :3], 0)[CENTRE : CENTRE + CROP, CENTRE : CENTRE + CROP]
            views.append(colours if image_size == CROP else area_mean(np.ascontiguousarray(colours), image_size))
        truth.append(shape.occupancy())
        categories.append(category)
    images = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).unflatten(0, (count, VIEWS))
    return images, np.stack(truth).astype(bool), categories


def score(scale: str = "demo", count: int = OBJECTS) -> dict:
    """Score every network in every appearance; writes `results/<scale>/textures.json`.

    Each network has, for each appearance (key `appearances`), `metrics.summary`; and for plain and textured the paired
    difference of IoU to coloured with its 95 % interval over the same objects.
    """
    started, trained, size = time.monotonic(), networks(scale), sizes(scale)
    if size.grid != 32:
        raise ConfigError(f"scale {scale}", "has another grid than the objects", "choose demo or paper")
    rendered = {name: render(name, count, size.image_size) for name in APPEARANCES}
    found: dict[str, dict] = {}
    for network in trained:
        model = load_model(network)
        scores = {
            name: metrics.summary(probabilities(model, images, None), truth, categories)
            for name, (images, truth, categories) in rendered.items()
        }
        usual = scores["coloured"]["iou"]
        differences = {name: metrics.paired_interval(scores[name]["iou"], usual) for name in ("plain", "textured")}
        found[network.id] = {"appearances": scores, "differences": differences}
    test = {"store": "shapes", "objects": count, "views": VIEWS, "threshold": metrics.THRESHOLD}
    return save_study("textures", scale, found, started, test=test)


def run(scale: str = "demo") -> Iterator[str]:
    """Score every trained reconstruction network on the same objects plain, coloured and strongly textured."""
    for run_id, found in score(scale)["networks"].items():
        yield f"{run_id:32s} " + "  ".join(
            f"{name} {point['miou']:.3f}" for name, point in found["appearances"].items()
        )
