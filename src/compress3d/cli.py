"""The command line: `compress3d data | train | evaluate | bench`. Every command calls one function of the package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from compress3d.errors import Compress3DError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
data = typer.Typer(no_args_is_help=True, help="Build and check stores of views and voxels.")
app.add_typer(data, name="data")


def main() -> None:
    """Entry point: errors meant for people are printed without a traceback, and end with status 1."""
    try:
        app()
    except Compress3DError as error:
        print(f"compress3d: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("compress3d: stopped; run the same command again to go on", file=sys.stderr)
        raise SystemExit(130) from None


def _store(name_or_path: str) -> Path:
    """A store by its name in the cache or by its folder."""
    from compress3d import paths

    return Path(name_or_path) if "/" in name_or_path else paths.cache() / name_or_path


@data.command("shapes")
def data_shapes(
    count: Annotated[int, typer.Option(help="Objects to make.")] = 3250,
    seed: Annotated[int, typer.Option(help="Object i of a category is a function of (category, i, seed).")] = 0,
    out: Annotated[str, typer.Option(help="Store: a name in the cache, or a folder.")] = "shapes",
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Make procedural objects of ShapeNet's 13 classes with exact solid occupancy. No download."""
    from compress3d.data.build import build

    print(build("shapes", _store(out), count=count, seed=seed, workers=workers))


@data.command("cad")
def data_cad(
    source: Annotated[list[Path], typer.Option(help="Folder of unpacked packages; may be given several times.")],
    out: Annotated[str, typer.Option(help="Store: a name in the cache, or a folder.")] = "cad",
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Read open CAD models: Sweet Home 3D furniture, FlightGear aircraft, TORCS cars."""
    from compress3d.data.build import build

    print(build("cad", _store(out), sources=source, workers=workers))


@data.command("shapenet")
def data_shapenet(
    source: Annotated[Path, typer.Option(help="Folder or archive with ShapeNetRendering and ShapeNetVox32.")],
    out: Annotated[str, typer.Option(help="Store: a name in the cache, or a folder.")] = "shapenet",
    split: Annotated[
        str | None,
        typer.Option(help="'sorted' (first 80 % of each class train), 'index' (index.csv) or an id-list file."),
    ] = None,
    category: Annotated[list[str] | None, typer.Option(help="Only this class; may be given several times.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many objects a class.")] = None,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Read ShapeNetRendering and ShapeNetVox32 exactly as they are distributed."""
    from compress3d.data.build import build

    chosen = split if split in (None, "sorted", "index") else Path(split)
    options = {"split": chosen, "categories": category or None, "limit": limit, "workers": workers}
    print(build("shapenet", _store(out), source=source, **options))


@data.command("smoke")
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


@app.command()
def train(
    run: Annotated[str, typer.Argument(help="Run id, such as demo/implicit-r384-s0; `compress3d runs` lists them.")],
    max_minutes: Annotated[float | None, typer.Option(help="Stop in good order after so many minutes.")] = None,
    device: Annotated[str | None, typer.Option(help="'cpu' or 'cuda'; a GPU where there is one.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that load batches.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads of torch on the CPU.")] = None,
) -> None:
    """Train a run, or go on with it; ships its weights when the last step is done."""
    from compress3d.evaluate import ship
    from compress3d.runs import find
    from compress3d.train import train as train_run

    if threads:
        import torch

        torch.set_num_threads(threads)
    found = find(run)
    trained = train_run(found, max_minutes=max_minutes, device=device, workers=workers)
    if trained.step < found.steps:
        print(f"{run}: at step {trained.step} of {found.steps}; run the same command again to go on")
    else:
        print(ship(found, trained))


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="Run id.")],
    store: Annotated[str, typer.Option(help="Store with a test split; the shipped set where left out.")] = "",
) -> None:
    """Evaluate a run's shipped weights on held-out objects and write results/<run>.json."""
    from compress3d.data.shapenet import open_test_set
    from compress3d.data.store import Store
    from compress3d.evaluate import evaluate as evaluate_run
    from compress3d.runs import find

    result = evaluate_run(find(run), Store.open(_store(store)) if store else open_test_set())
    for point in result["points"]:
        print(f"{run} {point['true_rate']:7.1f}:1 {point['accounting']:8s} mIoU {point['miou']:.4f}")


@app.command()
def floor(scale: Annotated[str, typer.Option(help="Whose training data and results.")] = "demo") -> None:
    """Score a constant mean shape per category, the floor of every table."""
    from compress3d.data.shapenet import open_test_set
    from compress3d.floor import evaluate_floor
    from compress3d.runs import find
    from compress3d.train import open_parts

    point = evaluate_floor(open_parts(find(f"{scale}/uncompressed-s0")), open_test_set(), scale)["points"][0]
    print(f"mean shape of the object's own category: mIoU {point['miou']:.4f}")


@app.command()
def choices(scale: Annotated[str, typer.Option(help="Scale of the runs.")] = "demo") -> None:
    """Train the short variants behind the training recipe and score them outside the test set."""
    from compress3d.choices import compare

    for row in compare(scale)["rows"]:
        print(f"{row['choice']:16s} {row['setting']:22s} mIoU {row['miou']:.3f}  loss {row['loss']:.4f}")


@app.command()
def runs() -> None:
    """List the table of runs."""
    from compress3d.runs import TABLE

    for run in TABLE.values():
        print(f"{run.id:32s} {run.steps} steps of {run.batch_size} objects")


@app.command()
def bench(
    out: Annotated[Path | None, typer.Option(help="Also write the figures to this JSON file.")] = None,
    quick: Annotated[bool, typer.Option(help="Fewer repetitions and no full-width network.")] = False,
) -> None:
    """Time what is slow, each against a plain reference in the same run."""
    from compress3d.bench import bench as run_bench

    run_bench(out, quick=quick)


if __name__ == "__main__":
    main()
