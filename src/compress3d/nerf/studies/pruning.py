"""Tables 1 and 2 of Isik 2021: networks of scenes pruned, retrained, and scored on held-out views.

Every network is scored on the same random pixels of its held-out views, so PSNR is that of their mean error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from compress3d import paths
from compress3d.engine.experiment import Experiment
from compress3d.engine.step import Step
from compress3d.engine.studies import save_study
from compress3d.engine.train import train
from compress3d.errors import Compress3DError
from compress3d.losses import photometric_loss
from compress3d.metrics import psnr
from compress3d.nerf.data import rendered
from compress3d.nerf.packing import naive_bytes, pack, unpack
from compress3d.nerf.prune import prune
from compress3d.nerf.rays import RayBatch, Rays
from compress3d.nerf.retraining import PORT, STEPS, Criterion, load_network, retraining, weights_of
from compress3d.nerf.scenes import Scene

RATIOS = (0.3, 0.5, 0.7, 0.9, 0.95, 0.98)  # the first four are the paper's
HEADS = ("*density_head", "*colour_head")
OTHERS = {
    "per network": Criterion(scope="network"),
    "per layer": Criterion(scope="layer"),
    "heads spared": Criterion(spare=HEADS),
    "heads and directions spared": Criterion(spare=(*HEADS, "*direction")),
    "LAMP": Criterion(score="lamp"),
    "squared gradient": Criterion(score="gradient"),
    "biases too": Criterion(biases=True),
}
"""Other ways to choose what goes; not retrained."""
PIXELS = {"demo": 20_000, "port": 4_000}  # scored, of all held-out views; the port's render 1,600 a second
GRADIENT_BATCHES = 20
BITS = (32, 16, 8, 6, 5)


class Pixels:
    """Random pixels of a scene's held-out views.

    Attributes:
        rays: (N,), colours: (N, 3).
    """

    def __init__(self, scene: Scene, count: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        H, W = scene.size
        views = scene.split["test"]
        share = -(-count // len(views))
        rays, colours = [], []
        for view in views:
            chosen = torch.from_numpy(rng.choice(H * W, min(share, H * W), replace=False))
            rays.append(scene.rays(int(view), chosen // W, chosen % W))
            colours.append(scene.colours(int(view))[chosen])
        self.rays = Rays(*(torch.cat(values) for values in zip(*rays, strict=True)))
        self.colours = torch.cat(colours)

    def scores(self, model: nn.Module) -> dict:
        """`psnr` of the mean squared error, `mse`, mean `opacity`; with a coarse network `loss`, the sum of errors."""
        found = rendered(model, self.rays)
        mse = float(photometric_loss(found.colour, self.colours))
        decibels = float(psnr(self.colours[None], found.colour[None]))  # as of one picture of these pixels
        values = {"psnr": decibels, "mse": mse, "opacity": float(found.opacity.mean())}
        if found.coarse is not None:
            values["loss"] = mse + float(photometric_loss(found.coarse, self.colours))
        return values


def run(scale: str = "demo") -> Iterator[str]:
    """Networks of scenes pruned and retrained: quality, survivors and bytes (Isik 2021, Tables 1 and 2)."""
    started = time.monotonic()
    found: dict[str, dict] = {}
    for name in networks(scale):
        found[name] = {"rows": []}
        yield from _study(name, found[name])
    save_study("pruning", scale, found, started, retraining_steps=STEPS)


def networks(scale: str) -> list[str]:
    """Ids of trained networks that are here: of the table, on every scene, and the public port's."""
    files = sorted((paths.weights() / scale).glob("*.safetensors"))
    ids = [f"{scale}/{path.stem}" for path in files if path.stem.startswith(("mlp-", "nerf-"))]
    for name in PORT:
        try:
            load_network(name)
        except Compress3DError:
            continue
        ids.append(name)
    return ids


def _study(name: str, found: dict) -> Iterator[str]:
    """Fill in the rows of one network; see `run`."""
    experiment = retraining(name, 0.0)
    scene = experiment.data.open(experiment)
    pixels = Pixels(scene, PIXELS["port" if name in PORT else "demo"])
    model = load_network(name)
    rows = found["rows"]
    raw = {"raw": 4 * sum(p.numel() for p in model.parameters()), "zstd": naive_bytes(model)}
    rows.append({"ratio": 0.0, "criterion": "global", "retrained": False, "bytes": packed_bytes(model) | raw})
    rows[0] |= pixels.scores(model)
    rows[0] |= {f"psnr_{bits}": pixels.scores(read_back(model, bits))["psnr"] for bits in (8, 6, 5)}
    yield f"{name}: {rows[0]['psnr']:.2f} dB"
    for ratio in RATIOS:
        for label, criterion in {"global": Criterion(), **OTHERS}.items():
            model = load_network(name)
            if criterion.score == "gradient":
                add_gradients(model, experiment, scene)
            kept = prune(model, ratio, **criterion.__dict__)
            row = {"ratio": ratio, "criterion": label, "retrained": False, **pixels.scores(model)}
            if label == "global":
                row["survivors"] = {layer: alive / total for layer, (alive, total) in kept.items()}
                row["bytes"] = packed_bytes(model)
            rows.append(row)
        run = retraining(name, ratio, steps=STEPS)
        trained = train(run, sources=scene, num_workers=0)
        again = {"ratio": ratio, "criterion": "global", "retrained": True, "steps": run.optim.steps}
        again["bytes"] = packed_bytes(trained.model)
        rows.append(again | pixels.scores(trained.model.eval()) | {"minutes": trained.minutes})
        shown = ", ".join(f"{r['psnr']:.2f}" for r in rows[-len(OTHERS) - 2 :])
        yield f"{name} at {ratio:.0%}: {shown} dB"
    found |= {"weights": weights_of(model), "scene": scene.name, "sha256": scene.sha256, "size": list(scene.size)}
    found |= {"views": len(scene.split["test"]), "pixels": len(pixels.colours)}


def packed_bytes(model: nn.Module) -> dict[str, int]:
    """Bits a weight -> bytes of the file."""
    return {str(bits): len(pack(model, bits)) for bits in BITS}


def read_back(model: nn.Module, bits: int) -> nn.Module:
    """What a file of so many bits holds."""
    return unpack(pack(model, bits))


def add_gradients(model: nn.Module, experiment: Experiment, scene: Scene) -> None:
    """Gradients of the training error, added up over a few minibatches, in `.grad` of the parameters."""
    batches = experiment.data.batches(experiment, scene)
    for number in range(GRADIENT_BATCHES):
        batch: RayBatch = batches[number]
        model.training_step(batch, Step(number, experiment.seed)).total.backward()  # type: ignore[operator]
