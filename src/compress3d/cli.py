"""The command line, `compress3d`: every command calls one function of the package, and imports it only then."""

from __future__ import annotations

import json
import sys
from inspect import signature
from pathlib import Path
from typing import Annotated

import typer

from compress3d import paths
from compress3d.engine.experiment import modules
from compress3d.errors import Compress3DError, ConfigError

TRAIN, MEASURE, USE = "Train and evaluate", "Measure", "Use"  # groups of commands
VARIABLES = "Environment: " + "; ".join(f"{name}: {what}" for name, what in paths.VARIABLES.items()) + "."

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, epilog=VARIABLES)
data = typer.Typer(no_args_is_help=True, help="Build and check stores of views and voxels.")
app.add_typer(data, name="data", rich_help_panel=USE)
for _system in modules("cli"):  # of systems that have commands of their own
    app.add_typer(_system.app, name=_system.NAME, rich_help_panel=USE)
data_build = typer.Typer(no_args_is_help=True, help="Build a store, or go on with an interrupted build.")
data.add_typer(data_build, name="build")


def _version(asked: bool) -> None:
    if asked:
        from compress3d import __version__

        print(f"compress3d {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Images compressed for 3D reconstruction: train, evaluate, and rebuild objects from photos."""


def main() -> None:
    """Entry point: errors meant for people are printed without a traceback, and end with status 1."""
    try:
        app()
    except Compress3DError as error:
        print(f"compress3d: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except SystemExit as ended:
        if ended.code == 130:  # what typer makes of Ctrl-C
            print("compress3d: stopped; run the same command again to go on", file=sys.stderr)
        raise


def _store(name_or_path: str) -> Path:
    """A store by its name in the cache or by its folder."""
    return Path(name_or_path) if "/" in name_or_path else paths.cache() / name_or_path


# Options that several commands have.
Out = Annotated[str, typer.Option(help="Store: a name in the cache, or a folder.")]
Workers = Annotated[int, typer.Option(help="Processes.")]
Minutes = Annotated[float | None, typer.Option(help="Stop in good order after so many minutes.")]
Device = Annotated[str | None, typer.Option(help="'cpu' or 'cuda'; a GPU where there is one.")]
Threads = Annotated[int | None, typer.Option(help="Threads of torch on the CPU.")]
Only = Annotated[str, typer.Option(help="Shell pattern of runs, such as '*-s0'.")]
Data = Annotated[str, typer.Option(help="Data instead of the scale's own: 'shapenet' or 'shapenet-ids'.")]


@data_build.command("shapes")
def data_shapes(
    count: Annotated[int, typer.Option(help="Objects to make.")] = 3250,
    seed: Annotated[int, typer.Option(help="Object i of a category is a function of (category, i, seed).")] = 0,
    out: Out = "shapes",
    workers: Workers = 2,
) -> None:
    """Make procedural objects of ShapeNet's 13 classes with exact solid occupancy. No download."""
    from compress3d.data.build import build

    print(build("shapes", _store(out), count=count, seed=seed, workers=workers))


@data_build.command("cad")
def data_cad(
    source: Annotated[list[Path], typer.Option(help="Folder of unpacked packages; may be given several times.")],
    out: Out = "cad",
    workers: Workers = 2,
) -> None:
    """Read open CAD models: Sweet Home 3D furniture, FlightGear aircraft, TORCS cars."""
    from compress3d.data.build import build

    print(build("cad", _store(out), sources=source, workers=workers))


@data_build.command("shapenet")
def data_shapenet(
    source: Annotated[Path, typer.Option(help="Folder of ShapeNetRendering and ShapeNetVox32, as folders or as .tgz.")],
    out: Out = "shapenet",
    split: Annotated[
        str | None,
        typer.Option(help="'sorted' (first 80 % of each class train), 'index' (index.csv) or an id-list file."),
    ] = None,
    category: Annotated[list[str] | None, typer.Option(help="Only this class; may be given several times.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many objects a class.")] = None,
    workers: Workers = 2,
) -> None:
    """Read ShapeNetRendering and ShapeNetVox32 as they are distributed: the whole set takes 79 GB; or a part."""
    from compress3d.data.build import build

    chosen = split if split in (None, "sorted", "index") else Path(split)
    options = {"split": chosen, "categories": category or None, "limit": limit, "workers": workers}
    print(build("shapenet", _store(out), source=source, report=lambda line: print(line, flush=True), **options))


@data_build.command("smoke")
def data_smoke() -> None:
    """Make the few dozen procedural objects of the smoke scale."""
    from compress3d.data.build import smoke_store

    print(smoke_store())


@data.command("verify")
def data_verify(store: Annotated[str, typer.Argument(help="A name in the cache, or a folder.")]) -> None:
    """Read a whole store and compare its checksums."""
    from compress3d.data.store import Store

    opened = Store.open(_store(store))
    opened.verify()
    print(opened)


def _set_threads(threads: int | None) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


@app.command(rich_help_panel=TRAIN)
def train(
    run: Annotated[str, typer.Argument(help="Run id; `compress3d runs` lists them.")],
    max_minutes: Minutes = None,
    device: Device = None,
    workers: Annotated[int, typer.Option(help="Processes that load batches.")] = 1,
    threads: Threads = None,
) -> None:
    """Train a run, or go on with it; ships its weights when the last step is done."""
    from compress3d.engine.distributed import destroy_process_group
    from compress3d.engine.evaluate import ship
    from compress3d.engine.experiment import get_experiment
    from compress3d.engine.train import train as train_run

    _set_threads(threads)
    found = get_experiment(run)
    trained = train_run(found, max_minutes=max_minutes, device=device, num_workers=workers)
    destroy_process_group()
    if not trained.group.is_main_process:
        return  # under torchrun the main process ships for all
    if trained.step < found.optim.steps:
        print(f"{run}: at step {trained.step} of {found.optim.steps}; run the same command again to go on")
    else:
        print(ship(found, trained))


@app.command(rich_help_panel=TRAIN)
def evaluate(
    run: Annotated[str, typer.Argument(help="Run id.")],
    store: Annotated[str, typer.Option(help="Store with a test split; the run's own test set where left out.")] = "",
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Evaluate a run's shipped weights on held-out objects and write results/<run>.json, another store's beside."""
    from compress3d.data.store import Store
    from compress3d.engine.evaluate import evaluate as evaluate_run
    from compress3d.engine.experiment import get_experiment

    _set_threads(threads)
    opened = Store.open(_store(store)) if store else None
    result, path, written = evaluate_run(get_experiment(run), opened, device=device)
    print(path if written else f"{path}: has these numbers already, not written")
    names = {"miou": "mIoU", "compression_loss": "L_comp", "psnr": "PSNR"}
    for point in result["points"]:
        values = "  ".join(f"{label} {point[key]:.4f}" for key, label in names.items() if key in point)
        sent = f"{point['true_rate']:7.1f}:1 {point['accounting']:8s} " if "true_rate" in point else ""
        print(f"{run} {sent}{values}")


@app.command(rich_help_panel=TRAIN)
def sweep(
    scale: Annotated[str, typer.Option(help="'smoke', 'demo' or 'paper'.")] = "demo",
    jobs: Annotated[int, typer.Option(help="Runs at once; they share the cores.")] = 1,
    max_minutes: Minutes = None,
    only: Only = "*",
    threads: Annotated[
        int | None, typer.Option(help="Threads of each run; the cores shared evenly where left out.")
    ] = None,
    device: Device = None,
    data: Data = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what every run still needs.")] = False,
) -> None:
    """Train and evaluate every run that has no results yet, in order of worth; the same call goes on after a kill."""
    from compress3d.engine.experiment import experiments
    from compress3d.engine.sweep import status
    from compress3d.engine.sweep import sweep as run_sweep

    if dry_run:
        for row in status(experiments(scale, only, data)):
            spent = "" if row["minutes"] is None else f"{row['minutes']:6.1f} min on {row['device']}"
            print(f"{row['id']:40s} {row['state']:9s} step {row['reached']:6d} of {row['steps']:6d} {spent}")
        return
    outcomes = run_sweep(scale, jobs, max_minutes, only, device, threads, data)
    for outcome in outcomes:
        print(f"{outcome.run_id:40s} {outcome.ended} {outcome.message}")
    print(f"{sum(outcome.ended == 'done' for outcome in outcomes)} of {len(outcomes)} runs finished")
    if any(outcome.ended == "failed" for outcome in outcomes):
        raise typer.Exit(1)


@app.command(rich_help_panel=MEASURE)
def study(
    name: Annotated[str, typer.Argument(help="Which one; the list of them where left out.")] = "",
    scale: Annotated[str, typer.Option(help="Whose networks; the study's own where left out.")] = "",
    device: Annotated[str, typer.Option(help="'cpu' or 'cuda', for studies that take one.")] = "",
) -> None:
    """Measure several trained networks at once (views, textures, timing, ...); writes results/<scale>/<name>.json."""
    from compress3d.engine.studies import studies

    found = studies()
    if not name:
        for known in found.values():
            print(f"{known.name:12s} {known.help}")
        return
    if name not in found:
        raise ConfigError(f"study {name!r}", "does not exist", f"choose one of {', '.join(found)}")
    options = {option: value for option, value in {"scale": scale, "device": device}.items() if value}
    if not set(options) <= set(signature(found[name].run).parameters):
        raise ConfigError(f"study {name!r}", "takes no --device", "leave it out")
    for line in found[name].run(**options):
        print(line)


@app.command(rich_help_panel=TRAIN)
def runs(
    scale: Annotated[str | None, typer.Option(help="Only runs of this scale.")] = None,
    only: Only = "*",
    data: Data = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Every field, and the stores a run needs, for a program.")
    ] = False,
) -> None:
    """List the table of runs."""
    from compress3d.engine.experiment import experiments

    found = experiments(scale, only, data)
    if as_json:
        print(json.dumps([{**experiment.describe(), "stores": experiment.data.stores} for experiment in found]))
        return
    for experiment in found:
        print(f"{experiment.id:40s} {experiment.optim.steps} steps of {experiment.optim.batch_size} objects")


@app.command(rich_help_panel=USE)
def reconstruct(
    photos: Annotated[list[str], typer.Argument(help="Pictures of one object: files, folders, patterns.")],
    out: Annotated[list[str], typer.Option(help="File to write: .glb, .obj, .npz or .html; may be repeated.")],
    run: Annotated[str, typer.Option(help="Run id; the network with the highest mIoU where left out.")] = "",
    rate: Annotated[float | None, typer.Option(help="Compression rate, for runs that serve several.")] = None,
    background: Annotated[
        str,
        typer.Option(help="'auto': alpha, else a plain border, or kept; 'alpha', 'border', 'black', 'white', 'keep'."),
    ] = "auto",
    threshold: Annotated[float, typer.Option(help="A voxel is occupied above this probability.")] = 0.4,
) -> None:
    """Rebuild an object from your own photographs, and say what was done to each and whether to trust the result."""
    from compress3d.photos.command import reconstruct_files

    reconstruct_files(photos, out, run, rate, background, threshold)


if __name__ == "__main__":
    main()
