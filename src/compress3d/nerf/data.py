"""Scenes as training data: rays of random pixels in training, whole held-out views in the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from compress3d.data.store import Store
from compress3d.engine.distributed import ProcessGroup, ShardedBatches
from compress3d.engine.experiment import DataConfig, Experiment, Measured
from compress3d.metrics import psnr
from compress3d.nerf.rays import RayBatch, Rays
from compress3d.nerf.rendering import Rendered, render_image
from compress3d.nerf.scenes import Scene, known_scenes, open_scene

OWN, PUBLISHED = "terrace", ("lego", "fern")
SIZES = {"smoke": 32, "demo": 100, "paper": 400}  # longer side of the pictures, pixels
STREAM = 20  # of a step's random numbers: pixels
CELL_RAYS = 2500  # rendered together on a CPU in occupied cells: about 10 points each


class RayBatches(Dataset):
    """Minibatches of rays, indexed by step: pixels of all training views, or of one view as the original takes them.

    Args:
        scene: whose training views.
        rays: R, of a minibatch.
        steps, seed: length of the training; with the step it decides which pixels.
        one_view: all rays of a minibatch from one view, the original's `no_batching`.
        cropped_steps: so many steps at first see the middle half of the view alone (only with `one_view`).
    """

    def __init__(
        self, scene: Scene, rays: int, steps: int, seed: int, one_view: bool = False, cropped_steps: int = 0
    ):  # fmt: skip
        self.scene, self.rays, self.steps, self.seed = scene, rays, steps, seed
        self.one_view, self.cropped_steps = one_view, cropped_steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> RayBatch:
        if not 0 <= step < self.steps:
            raise IndexError(step)
        rng = np.random.default_rng([self.seed, step, STREAM])
        if not self.one_view:
            chosen = rng.integers(0, self.scene.training_pixels, self.rays)
            return self.scene.training_rays(torch.from_numpy(chosen))
        H, W = self.scene.size
        view = rng.integers(len(self.scene.split["train"]))
        margin = 4 if step < self.cropped_steps else H  # a quarter of each side, or nothing
        rows = rng.integers(H // margin, H - H // margin, self.rays)
        columns = rng.integers(W // margin, W - W // margin, self.rays)
        return self.scene.training_rays(torch.from_numpy((view * H + rows) * W + columns))


@dataclass(frozen=True)
class SceneData(DataConfig):
    """Views of one scene."""

    name: str = OWN
    size: int | None = None  # longer side of the pictures, pixels; as in the files where None
    as_original: bool = False  # rays through the corners of pixels, see `open_scene`
    one_view: bool = False  # rays of a minibatch come from one view
    cropped_steps: int = 0  # see `RayBatches`
    background = "white"

    def usual(self, scale: str) -> str:
        return OWN

    def presets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((OWN, *PUBLISHED, *known_scenes())))

    def on(self, name: str) -> SceneData:
        return replace(self, name=name)

    def open(self, experiment: Experiment) -> Scene:
        return open_scene(self.name, self.size, self.as_original)

    def record(self, opened: Scene) -> dict:
        views = len(opened.split["train"])
        return {"objects": views, "rows": opened.training_pixels, "stores": {opened.name: opened.sha256}}

    def batches(self, experiment: Experiment, opened: Scene, group: ProcessGroup | None = None) -> Dataset:
        optim = experiment.optim
        found: Dataset = RayBatches(
            opened, optim.batch_size, optim.steps, experiment.seed, self.one_view, self.cropped_steps
        )
        return found if group is None or group.size == 1 else ShardedBatches(found, optim.batch_size, group)

    def measure(
        self, experiment: Experiment, model: nn.Module, store: Store | None = None, rows: Sequence[int] | None = None
    ) -> Measured:
        """See `DataConfig.measure`: one point, from every held-out view."""
        scene = self.open(experiment)
        test = {
            "store": scene.name,
            "sha256": scene.sha256,
            "objects": [scene.names[view] for view in scene.split["test"]],
            "size": list(scene.size),
        }
        return Measured(test, [{"setting": {}, "metrics": view_scores(model, scene)}])


def view_scores(model: nn.Module, scene: Scene, views: Sequence[int] | None = None) -> dict:
    """Held-out views, or those named, against a model's renderings.

    Returns:
        `psnr` (dB, mean over views, in 8 bit), `mse` (mean over views), `psnrs` and `mses` of each; of a model with a
        coarse network also `coarse_mse`, and `loss`, their sum, as the original's code logs it.
    """
    found: dict[str, list[float]] = {"psnrs": [], "mses": [], "coarse": []}
    for view in scene.split["test"] if views is None else views:
        shown = rendered_view(model, scene, int(view))
        truth = scene.colours(int(view))
        H, W = scene.size
        found["psnrs"].append(float(psnr(truth.view(H, W, 3), shown.colour.view(H, W, 3))))
        found["mses"].append(float((truth - shown.colour).square().mean()))
        if shown.coarse is not None:
            found["coarse"].append(float((truth - shown.coarse).square().mean()))
    values: dict = {"psnr": float(np.mean(found["psnrs"])), "mse": float(np.mean(found["mses"]))}
    if coarse := found.pop("coarse"):
        values |= {"coarse_mse": float(np.mean(coarse)), "loss": values["mse"] + float(np.mean(coarse))}
    return values | found


def rendered_view(model: nn.Module, scene: Scene, view: int | np.ndarray) -> Rendered:
    """A view, or what a camera (3, 4) sees, on the model's device; the result is on the CPU."""
    return rendered(model, scene.rays(view))


def rendered(model: nn.Module, rays: Rays) -> Rendered:
    """What rays see, on the model's device; the result is on the CPU. With a coarse network also what that one sees."""
    device = next(model.parameters()).device
    has_coarse = hasattr(model, "coarse")
    render: Callable[[Rays], Rendered] = partial(model.render, both=True) if has_coarse else model.render  # type: ignore
    chunk = None if has_coarse or device.type == "cuda" else CELL_RAYS
    colour, depth, opacity, coarse = render_image(render, Rays(*(value.to(device) for value in rays)), chunk)
    return Rendered(colour.cpu(), depth.cpu(), opacity.cpu(), None if coarse is None else coarse.cpu())
