"""The first page's picture and its turning object, made from results files and shipped weights.

python -m tools.headline      write the README's two pictures, book/assets/headline*.png, and its table of results
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from compress3d import paths, results
from compress3d.errors import Compress3DError, DataError
from compress3d.figures.display import Shown
from compress3d.figures.style import plot_style
from compress3d.figures.viewer import Shape, viewer
from compress3d.joint import figures, style
from compress3d.scales import scale

SCALE = "demo"  # the scale whose weights ship: anyone can make this page again
RATE = 384
SEEDS = (0, 1, 2)  # of the implicit network, which is the one that was trained more than once
CATEGORY = "sofa"  # a class whose mean IoU is near that of the whole test set, and that everybody recognises
QUANTILE = 0.75  # the object shown is reconstructed better than three quarters of its class, and the page says so
CHAIR = "BlendSwap-CC-BY__armchair1"  # chosen by hand: the best of the test set's chairs, as the README says
WAITING = "The results are not there yet: train and evaluate the runs, then build the book again."


def write(assets: Path) -> bool:
    """Write the headline's files into a folder: `headline-light.svg`, `headline-dark.svg`, `headline-object.html`.

    Args:
        assets: folder of the staged book.

    Returns:
        True when they show results; False when they are placeholders that say that there are none yet.

    Raises:
        DataError: there is a manifest of results, yet a run that the headline needs is missing.
    """
    assets.mkdir(parents=True, exist_ok=True)
    found = results.load_all(SCALE)
    if not found and not (paths.results() / "manifest.json").is_file():
        for name in ("headline-light.svg", "headline-dark.svg"):
            (assets / name).write_text(_placeholder(), encoding="utf-8")
        (assets / "headline-object.html").write_text(f'<p class="figure-words">{html.escape(WAITING)}</p>\n')
        return False
    names = ("uncompressed-s0", "jpeg2000-s0", f"implicit-r{RATE}-s0", "sequential-s0", "direct-s0")
    needed = [f"{SCALE}/{name}" for name in names]
    for run_id in needed:
        if run_id not in found:
            raise DataError(
                results.path_of(run_id), "is missing beside other results", f"run `compress3d evaluate {run_id}`"
            )
    for name, dark in (("headline-light.svg", False), ("headline-dark.svg", True)):
        _save(figures.rate_curve(results.load_shown(SCALE).values(), dark=dark), assets / name)
    (assets / "headline-object.html").write_text(turning_object(found).html() + "\n", encoding="utf-8")
    return True


def write_picture(path: Path) -> None:
    """The README's picture: the rate curve on white, as PNG.

    Raises:
        DataError: there are no results.
    """
    figure = figures.rate_curve(results.load_shown(SCALE).values())
    figure.savefig(path, dpi=150, facecolor="white", metadata={"Software": None})


def write_chair(path: Path) -> None:
    """The README's first picture: five renders of `CHAIR`, what the network sees of them, and the voxels.

    Raises:
        CheckpointError: the shipped weights are missing or damaged.
    """
    import tempfile

    import matplotlib.pyplot as plt
    from PIL import Image, ImageOps

    from compress3d import metrics, photos
    from compress3d.data.testset import open_test_set
    from compress3d.engine.experiment import get_experiment
    from compress3d.figures.voxels import draw_voxels
    from compress3d.photos import synthetic
    from compress3d.photos.reconstruction import reconstruct

    store, run = open_test_set(), get_experiment(f"{SCALE}/implicit-r{RATE}-s0")
    row = store.row(CHAIR)
    with tempfile.TemporaryDirectory() as folder:
        files = synthetic.photographs(store, row, Path(folder))
        ready, _ = photos.prepare_all(files, scale(SCALE).image_size, background=run.data.background)
        shown = [ImageOps.exif_transpose(Image.open(file)).convert("RGBA") for file in files]
    found = reconstruct(ready, run)
    with plot_style():
        figure = plt.figure(figsize=(9, 2.9))
        grid = figure.add_gridspec(2, 9, wspace=0.08, hspace=0.2, left=0.01, right=0.99, top=0.93, bottom=0.01)
        for column, (file, photo) in enumerate(zip(shown, ready, strict=True)):
            for line, picture in enumerate((file, photo.image)):
                ax = figure.add_subplot(grid[line, column])
                ax.imshow(picture, interpolation="nearest" if line else None)
                ax.axis("off")
        sent = f"as the network sees them: {found.bytes_per_view:g} bytes of each are sent"
        figure.text(0.01, 0.95, "five renders, saved as people save photos", fontsize=9)
        figure.text(0.01, 0.43, sent, fontsize=9)
        iou = metrics.iou(found.probability[None], store.occupancy(row)[None])[0]
        rebuilt = {f"rebuilt: IoU {iou:.2f}": found.occupancy, "the object": store.occupancy(row)}
        for n, (title, occupancy) in enumerate(rebuilt.items()):
            ax = figure.add_subplot(grid[:, 5 + 2 * n : 7 + 2 * n])
            draw_voxels(ax, occupancy, style.body_colour("implicit" if n == 0 else "truth"))
            ax.set_title(title, fontsize=9)
    figure.savefig(path, dpi=150, facecolor="white", metadata={"Software": None})


def results_table() -> str:
    """The README's table of results, as Markdown: every model at 384:1 and what it is measured against.

    A model that was trained several times has the mean over its trainings, never the best of them. The last column is
    that mean over the mean of the uncompressed network, with the 95 % interval over the objects of the test set.

    Raises:
        DataError: a run is missing.
    """
    from compress3d.metrics import ratio_interval

    implicit = [f"implicit-r{RATE}-s{seed}" for seed in SEEDS]
    rows = [
        ("uncompressed (float code)", ["uncompressed-s0"], None, None),
        ("implicit", implicit, None, None),
        ("direct", ["direct-s0"], RATE, None),
        ("sequential", ["sequential-s0"], RATE, None),
        ("JPEG 2000, payload bytes only", ["jpeg2000-s0"], RATE, "payload"),
        ("JPEG 2000, whole files (none fits: nothing arrives)", ["jpeg2000-s0"], RATE, "file"),
        ("mean shape of the object's class (floor)", ["mean-shape"], None, None),
    ]
    lines = [
        "| held-out human-made models, `demo` scale | rate | seeds | mIoU | of uncompressed, 95 % interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    free = None
    for title, names, rate, accounting in rows:
        points = [_point(name, rate, accounting) for name in names]
        iou = np.mean([point["iou"] for point in points], axis=0)
        free = iou if free is None else free
        share, low, high = (f"{100 * value:.0f}" for value in ratio_interval(iou, free))
        kept = "–" if free is iou else f"{share} % ({low} to {high} %)"
        sent = f"{points[0]['rate']:g}:1" if points[0]["rate"] else "–"
        seeds = "–" if names == ["mean-shape"] else str(len(names))
        lines.append(f"| {title} | {sent} | {seeds} | {np.mean([p['miou'] for p in points]):.3f} | {kept} |")
    return "\n".join(lines)


def _point(name: str, rate: int | None, accounting: str | None):
    points = results.load(f"{SCALE}/{name}")["points"]
    return next(p for p in points if rate in (None, p["rate"]) and accounting in (None, p["accounting"]))


def write_readme(path: Path) -> None:
    """Put `results_table` between the README's marks, so that no number there is typed.

    Raises:
        DataError: the marks are missing.
    """
    text = path.read_text(encoding="utf-8")
    start, end = "<!-- results: make headline -->", "<!-- end of results -->"
    if start not in text or end not in text:
        raise DataError(path, "lacks the marks around its table of results", f"put {start} and {end} around it")
    table = f"{start}\n{results_table()}\n{end}"
    path.write_text(re.sub(f"{start}.*?{end}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def _save(figure, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def chosen_object(found: Mapping[str, Mapping]) -> int:
    """Which test object turns on the first page, by rule: the sofa at the upper quartile of IoU at 384:1."""
    result = found[f"{SCALE}/implicit-r{RATE}-s0"]
    values = np.array(result["points"][0]["iou"])
    members = np.flatnonzero(np.array(result["test"]["categories"]) == CATEGORY)
    ranked = members[np.argsort(values[members], kind="stable")]
    return int(ranked[int(QUANTILE * (len(ranked) - 1))])


def turning_object(found: Mapping[str, Mapping]) -> Shown:
    """The chosen object: ground truth, uncompressed, implicit and JPEG 2000 at 384:1, from the shipped weights.

    Raises:
        CheckpointError: weights are missing or damaged.
        DataError: the test set is missing, or is not the one that the results were made with.
    """
    from compress3d import metrics
    from compress3d.data.testset import open_test_set
    from compress3d.engine.evaluate import held_out, reconstruct
    from compress3d.engine.experiment import get_experiment

    test = found[f"{SCALE}/implicit-r{RATE}-s0"]["test"]
    store, uid = open_test_set(), test["objects"][chosen_object(found)]
    index = next((i for i, record in enumerate(store.objects) if record.uid == uid), None)
    if index is None:
        raise DataError(store.path, f"has no object {uid!r}, which the results speak of", "evaluate the runs again")
    record = store.objects[index]

    row = np.array([index])
    images, truth = held_out(get_experiment(f"{SCALE}/uncompressed-s0"), store, row)
    pictures = images[0].permute(0, 2, 3, 1).numpy()
    grids, notes = {"ground truth": truth[0]}, {}
    seen = {
        "uncompressed": ("uncompressed-s0", None),
        f"implicit {RATE}:1": (f"implicit-r{RATE}-s0", None),
        f"direct {RATE}:1": ("direct-s0", RATE),
        f"sequential {RATE}:1": ("sequential-s0", RATE),
        f"JPEG 2000 {RATE}:1": ("jpeg2000-s0", RATE),
    }
    for title, (run, rate) in seen.items():
        probability = reconstruct(get_experiment(f"{SCALE}/{run}"), store, row, rate)
        grids[title] = probability[0] > metrics.THRESHOLD
        notes[title] = f"IoU {metrics.iou(probability, truth)[0]:.2f}"
    credit = f"model by {record.creator}, {record.licence}" if record.creator else ""
    shape = Shape(f"{record.category}: {record.title}" if record.title else record.category, grids, list(pictures),
                  notes, credit)  # fmt: skip
    return viewer([shape], style.body_colours(grids), turn=True, chosen=f"implicit {RATE}:1")


def _placeholder() -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 120" width="640" height="120" role="img">'
        '<rect x="2" y="2" width="636" height="116" rx="8" fill="none" stroke="#8a8a8a" stroke-dasharray="8 6"/>'
        '<text x="320" y="64" text-anchor="middle" font-family="sans-serif" font-size="15" fill="#8a8a8a">'
        f"{WAITING}</text>"
        "</svg>\n"
    )


def main() -> None:
    """Command line; see the top of this file."""
    try:
        assets = paths.book() / "assets"
        write_chair(assets / "headline-photographs.png")
        write_picture(assets / "headline.png")
        write_readme(paths.root() / "README.md")
        print(assets)
    except Compress3DError as error:
        print(f"compress3d: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
