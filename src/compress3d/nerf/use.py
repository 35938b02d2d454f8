"""What the commands of `compress3d nerf` do."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from compress3d import paths
from compress3d.engine.evaluate import evaluate, ship
from compress3d.engine.experiment import get_experiment
from compress3d.engine.hardware import choose_device
from compress3d.engine.train import train
from compress3d.engine.weights import weights_path
from compress3d.errors import ConfigError, DataError
from compress3d.io import write_atomically
from compress3d.nerf.cameras import camera_path
from compress3d.nerf.data import OWN, rendered_view
from compress3d.nerf.experiments import MLPConfig, voxel_experiment
from compress3d.nerf.figures import colour_and_depth
from compress3d.nerf.packing import PACKED, naive_bytes, pack
from compress3d.nerf.prune import prune
from compress3d.nerf.retraining import Criterion, load_network, retraining
from compress3d.nerf.scenes import Scene, find_scene, open_scene
from compress3d.nerf.scenes.blender import BOUNDS

BOX = torch.tensor([[-BOUNDS] * 3, [BOUNDS] * 3])  # the original's networks know no box


def linked_scene(name: str) -> str:
    """The name of a scene; one in a folder elsewhere is linked into `$COMPRESS3D_CACHE/scenes` first.

    Raises:
        DataError: there is no such scene, or another one has its name.
    """
    folder = find_scene(name)
    if "/" not in name and not Path(name).is_dir():
        return name
    short = re.sub("[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "scene"
    link = paths.cache() / "scenes" / short
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder.resolve(), target_is_directory=True)
    if link.resolve() != folder.resolve():
        raise DataError(folder, f"has the name of another scene, {link.resolve()}", "rename the folder")
    return short


def train_scene(
    scene: str, model: str, scale: str, seed: int, max_minutes: float | None, device: str | None, threads: int | None
) -> Iterator[str]:
    """Train a field, and ahead of it the voxel field that it needs; says what came out."""
    if threads:
        torch.set_num_threads(threads)
    name = linked_scene(scene)
    experiment = get_experiment(f"{scale}/{model}{'' if name == OWN else f'@{name}'}-s{seed}")
    needed = [experiment]
    if isinstance(experiment.model, MLPConfig):
        needed.insert(0, voxel_experiment(experiment))
    for each in needed:
        if each is not experiment and weights_path(each).is_file():
            continue
        trained = train(each, max_minutes=max_minutes, device=device)
        if trained.step < each.optim.steps:
            yield f"{each.id}: at step {trained.step} of {each.optim.steps}; run the same command again to go on"
            return
        yield str(ship(each, trained))
        point = evaluate(each, device=device).results["points"][0]
        yield f"{each.id}: {point['psnr']:.2f} dB on held-out views, {trained.minutes:.1f} minutes"


def prune_network(
    run: str, ratio: float, out: Path, steps: int, score: str, scope: str, spare: tuple[str, ...], biases: bool,
    bits: int,
) -> Iterator[str]:  # fmt: skip
    """Prune, retrain and pack a network; says what is left of each layer and what the file weighs."""
    criterion = Criterion(score, scope, spare, biases)
    if score == "gradient":
        raise ConfigError("score 'gradient'", "needs gradients of a scene", "take 'magnitude' or 'lamp' here")
    model = load_network(run)
    for layer, (kept, total) in prune(model, ratio, **criterion.__dict__).items():
        yield f"{layer:28s} {kept:8d} of {total:8d} weights, {kept / total:.0%}"
    if steps:
        if run.endswith(PACKED):
            raise ConfigError(run, "does not say what it was trained on", "name a run to retrain")
        model = train(retraining(run, ratio, criterion, steps)).model.eval()
    yield from _write_packed(model, out, bits, run)


def pack_file(run: str, out: Path, bits: int) -> Iterator[str]:
    """Pack a field; says what the file weighs."""
    yield from _write_packed(load_network(run), out, bits, run)


def _write_packed(model: nn.Module, out: Path, bits: int, name: str) -> Iterator[str]:
    data = pack(model, bits, name)
    write_atomically(out, data)
    raw = 4 * sum(p.numel() for p in model.parameters())
    yield f"{out}: {len(data):,} bytes, {raw / len(data):.1f} x smaller than float32 ({raw:,})"
    yield f"zstd of the same float32: {naive_bytes(model):,} bytes"


def unpack_file(file: Path, out: Path) -> Iterator[str]:
    """Read a packed file and write its weights."""
    from safetensors.torch import save

    model = load_network(str(file))
    write_atomically(out, save({name: value.contiguous() for name, value in model.state_dict().items()}))
    yield f"{out}: {type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters"


def render_file(
    run: str, out: Path, scene: str, view: int, frames: int, size: int | None, depth: bool, device: str | None
) -> Path:
    """Render one held-out view or a path of cameras into a picture file."""
    from PIL import Image

    model = load_network(run).to(choose_device(device))
    found = _scene_of(run, scene, size)
    if out.suffix == ".png":
        held_out = found.split["test"]
        if not 0 <= view < len(held_out):
            raise ConfigError(f"view {view}", "does not exist", f"choose one of 0 to {len(held_out) - 1}")
        pictures = [_picture(model, found, int(held_out[view]), depth)]
    elif out.suffix in (".gif", ".webp"):
        pictures = [_picture(model, found, pose, depth) for pose in camera_path(found, frames)]
    else:
        raise ConfigError(out, "is no picture file that is written here", "name a .png, .gif or .webp")
    first, *others = map(Image.fromarray, pictures)
    data = io.BytesIO()
    more = {"save_all": True, "append_images": others, "duration": 80, "loop": 0} if others else {}
    first.save(data, out.suffix[1:], **more)
    write_atomically(out, data.getvalue())
    return out


def _scene_of(run: str, scene: str, size: int | None) -> Scene:
    if scene:
        return open_scene(scene, size)
    if run.endswith(PACKED):
        raise ConfigError(run, "knows no cameras", "name a scene with --scene")
    data = retraining(run, 0.0).data
    return open_scene(data.name, size or getattr(data, "size", None))


def _picture(model: nn.Module, scene: Scene, view: int | np.ndarray, depth: bool) -> np.ndarray:
    """What a camera sees, uint8 (H, W, 3), or its depth, near bright, (H, W)."""
    shown = rendered_view(model, scene, view)
    if not depth:
        return (shown.colour.view(*scene.size, 3).clamp(0, 1) * 255).round().byte().numpy()
    _, close = colour_and_depth(shown, scene.size, scene.near, scene.far)
    return (close * 255).round().astype(np.uint8)


def mesh_file(run: str, out: Path, size: int) -> Path:
    """Write the surface of a field."""
    from compress3d.nerf.mesh import extract_mesh, mesh_bytes

    model = load_network(run)
    if bool(model.ndc):
        raise ConfigError(run, "is forward-facing: NDC has no mesh", "take a scene that is seen from all around")
    original = hasattr(model, "coarse")
    field = model.fine if original else model.field
    box = BOX if original else model.cells.bounds  # type: ignore[union-attr]
    write_atomically(out, mesh_bytes(extract_mesh(field, box, size)))  # type: ignore[arg-type]
    return out
