"""The commands of scenes as networks, `compress3d nerf`: each imports what it needs only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "nerf"
app = typer.Typer(no_args_is_help=True, help="Scenes as networks: train, prune, render, mesh and pack radiance fields.")

Model = Annotated[str, typer.Argument(help="Run id, such as demo/mlp-4x128-s0, or a packed file, .c3n.")]
SceneName = Annotated[str, typer.Argument(help="Name of a scene, or its folder.")]
Minutes = Annotated[float | None, typer.Option(help="Stop in good order after so many minutes.")]
Device = Annotated[str | None, typer.Option(help="'cpu' or 'cuda'; a GPU where there is one.")]
Threads = Annotated[int | None, typer.Option(help="Threads of torch on the CPU.")]


@app.command()
def scene(
    out: Annotated[Path, typer.Argument(help="Folder to make.")] = Path("terrace"),
    seed: Annotated[int, typer.Option(help="Of places, planks and cameras.")] = 0,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 200,
) -> None:
    """Make the project's own scene again, in Blender's layout: 40 training views and 10 held out."""
    from compress3d.nerf.scenes.own import make_scene

    print(make_scene(out, seed, size))


@app.command()
def train(
    scene: SceneName,
    model: Annotated[str, typer.Option(help="'voxels', 'mlp-4x128', 'mlp-8x256', 'nerf-4x128', ...")] = "mlp-4x128",
    scale: Annotated[str, typer.Option(help="'smoke' (32 pixels), 'demo' (100) or 'paper' (400).")] = "demo",
    seed: Annotated[int, typer.Option(help="Of weights and rays.")] = 0,
    max_minutes: Minutes = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Train a field of a scene, or go on with it; ahead of a network the voxel field whose cells it needs."""
    from compress3d.nerf.use import train_scene

    for line in train_scene(scene, model, scale, seed, max_minutes, device, threads):
        print(line)


@app.command()
def prune(
    model: Model,
    ratio: Annotated[float, typer.Option(help="Share of the weights that go, 0 to 1.")],
    out: Annotated[Path, typer.Option(help="Packed file to write, .c3n.")],
    retrain: Annotated[int, typer.Option(help="Steps of training afterwards, with the masks kept.")] = 0,
    score: Annotated[str, typer.Option(help="'magnitude' or 'lamp'.")] = "magnitude",
    scope: Annotated[str, typer.Option(help="One threshold for 'global', each 'network' or each 'layer'.")] = "global",
    spare: Annotated[list[str] | None, typer.Option(help="Pattern of layers kept whole; may be repeated.")] = None,
    biases: Annotated[bool, typer.Option(help="Prune biases, too.")] = False,
    bits: Annotated[int, typer.Option(help="Of each weight in the file.")] = 8,
) -> None:
    """Prune a trained network by magnitude, retrain it if asked, and pack it."""
    from compress3d.nerf.use import prune_network

    for line in prune_network(model, ratio, out, retrain, score, scope, tuple(spare or ()), biases, bits):
        print(line)


@app.command()
def render(
    model: Model,
    out: Annotated[Path, typer.Option(help="File to write: .gif or .webp (a path of cameras), .png (one view).")],
    scene: Annotated[str, typer.Option(help="Scene whose cameras are taken; the run's own where left out.")] = "",
    view: Annotated[int, typer.Option(help="Held-out view of a .png.")] = 0,
    frames: Annotated[int, typer.Option(help="Of a path of cameras.")] = 40,
    size: Annotated[int | None, typer.Option(help="Longer side, pixels; the run's own where left out.")] = None,
    depth: Annotated[bool, typer.Option(help="Depth instead of colour.")] = False,
    device: Device = None,
) -> None:
    """Render a held-out view, or a turn of the camera, in colour or as depth."""
    from compress3d.nerf.use import render_file

    print(render_file(model, out, scene, view, frames, size, depth, device))


@app.command()
def mesh(
    model: Model,
    out: Annotated[Path, typer.Option(help="File to write, .glb.")],
    size: Annotated[int, typer.Option(help="Lattice points on the longest side.")] = 128,
) -> None:
    """Write the surface of a field as a coloured mesh."""
    from compress3d.nerf.use import mesh_file

    print(mesh_file(model, out, size))


@app.command()
def pack(
    model: Model,
    out: Annotated[Path, typer.Option(help="File to write, .c3n.")],
    bits: Annotated[int, typer.Option(help="Of each weight or value: 32, 16, or 4 to 8.")] = 8,
) -> None:
    """Write a field as a small file."""
    from compress3d.nerf.use import pack_file

    for line in pack_file(model, out, bits):
        print(line)


@app.command()
def unpack(
    file: Annotated[Path, typer.Argument(help="Packed file, .c3n.")],
    out: Annotated[Path, typer.Option(help="Weights to write, .safetensors.")],
) -> None:
    """Read a packed file, say what it holds, and write its weights in float32."""
    from compress3d.nerf.use import unpack_file

    for line in unpack_file(file, out):
        print(line)
