"""Tables and figures that compare related networks: Choy's five and Pix2Vox-F.

Ours and published numbers never share a column: they are of other data, other splits and other averages. `found` are
results by run id, `study` the contents of `results/<scale>/views.json` or `textures.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from compress3d.baselines.pix2vox import Pix2Vox
from compress3d.claims.rules import judge_trainings
from compress3d.engine.experiment import experiments
from compress3d.engine.weights import parameter_count
from compress3d.errors import DataError
from compress3d.figures import style
from compress3d.figures.tables import Table, paper
from compress3d.metrics import Difference
from compress3d.r2n2.network import NETWORKS, Reconstruction
from compress3d.scales import scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Model of its run, and colour of its curve.
RELATED_NETWORKS = {
    "3D-LSTM-1": ("lstm-1", "#d100d1"),
    "3D-GRU-1": ("gru-1", "#0e8a9c"),
    "3D-LSTM-3": ("uncompressed", "#d100d1"),
    "3D-GRU-3": ("gru-3", "#0e8a9c"),
    "Res3D-GRU-3": ("res-gru-3", "#c46a00"),
    "Pix2Vox-F": ("pix2vox-f", "#1f5fd0"),
}

# First minus second, and what sets them apart.
COMPARISONS = (
    ("3D-GRU-3", "3D-LSTM-3", "GRU instead of LSTM"),
    ("3D-GRU-3", "3D-GRU-1", "kernel 3 instead of 1, GRU"),
    ("3D-LSTM-3", "3D-LSTM-1", "kernel 3 instead of 1, LSTM"),
    ("Res3D-GRU-3", "3D-GRU-3", "residual encoder and decoder"),
    ("Pix2Vox-F", "Res3D-GRU-3", "a merger instead of a recurrence"),
)

# Classes of PASCAL 3D under the names of ShapeNet's or ours; the other three have no partner.
PASCAL = {"airplane": "aeroplane", "bike": "bicycle", "watercraft": "boat", "car": "car", "chair": "chair",
          "sofa": "sofa", "display": "tvmonitor"}  # fmt: skip
TRAINED_VIEWS = (1, 5)
SEEDS = (0, 1, 2)


def run_ids(scale_name: str) -> dict[str, str]:
    """Network -> run, all trained alike: those with the schedule of Table 1's short runs.

    Example:
        >>> run_ids("demo")["3D-LSTM-3"]
        'demo/uncompressed-1200-s0'
    """
    alike = [e for e in experiments(scale_name) if e.tag == str(e.optim.steps) and e.model.rate is None and e.seed == 0]
    return {name: e.id for name, (model, _) in RELATED_NETWORKS.items() for e in alike if e.model.name == model}


def published(name: str) -> dict[str, Any]:
    """Published `value` of IoU with five views and `loss`: from the slides; of Pix2Vox-F the IoU alone."""
    if name == "Pix2Vox-F":
        views = paper("literature_by_views.views")["value"]
        return {"value": paper("literature_by_views.pix2vox_f")["value"][views.index(5)]}
    return paper("choy2016.variants." + name.lower().removeprefix("3d-").replace("-", "_"))


def architectures(scale_name: str = "paper") -> Table:
    """What sets the networks apart, with parameters counted live (on PyTorch's meta device, without values)."""

    def millions(module: torch.nn.Module) -> float:
        return parameter_count(module) / 1e6

    rows: list[list] = []
    with torch.device("meta"):
        for key, network in NETWORKS.items():
            model = Reconstruction(scale(scale_name), key)
            units = model.recurrent
            rows.append([network.name, "GRU" if network.gru else "LSTM", f"{network.kernel}³",
                         "residual" if network.residual else "simple", millions(model),
                         millions(units.input_map), millions(units) - millions(units.input_map)])  # fmt: skip
        merged = millions(Pix2Vox(scale(scale_name)))
    rows.append(["Pix2Vox-F", "none: merger", None, "VGG16-BN, transposed convolutions", merged, None, None])
    columns = ["network", "recurrence", "kernel", "encoder and decoder", "parameters", "of them: code to units",
               "unit to unit"]  # fmt: skip
    return Table(columns, rows, f"{scale_name} scale, parameters in millions", digits=2)


def sides(size: int, padded: bool = True) -> list[int]:
    """Cells a side after each of six max poolings of 2 x 2, padded with one cell or not.

    Example:
        >>> sides(127)
        [127, 64, 33, 17, 9, 5, 3]
    """
    found = [size]
    for _ in range(6):
        found.append((found[-1] + 2 * padded) // 2)
    return found


# -- IoU and differences -----------------------------------------------------------------------------------------------


def trainings(scale_name: str, found: Mapping[str, Mapping]) -> dict[str, list[Mapping]]:
    """Network -> results of its runs as of `run_ids`, one a seed, as far as they are in `found`."""
    ids = {name: [f"{i.removesuffix('-s0')}-s{seed}" for seed in SEEDS] for name, i in run_ids(scale_name).items()}
    return {name: [found[i] for i in seeds if i in found] for name, seeds in ids.items()}


def scores(scale_name: str, found: Mapping[str, Mapping]) -> Table:
    """Loss and IoU with five views: ours and the published in columns of their own; a dash for what is not run yet."""
    rows, every = [], trainings(scale_name, found)
    for name, ours in every.items():
        loss, miou = ([result["points"][0][key] for result in ours] for key in ("loss", "miou"))
        means = [float(np.mean(values)) if values else None for values in (loss, miou)]
        each = ", ".join(f"{value:.3f}" for value in miou) if len(miou) > 1 else None
        printed = published(name)
        place = "slides" if "loss" in printed else "README, best threshold"
        rows.append([name, *means, each, printed.get("loss"), printed["value"], place])
    columns = ["network", "ours: loss", "ours: IoU", "each training", "published: loss", "published: IoU", "where"]
    objects = {len(result["test"]["objects"]) for ours in every.values() for result in ours}
    caption = (f"5 views. Ours: {scale_name} scale, mean over {'/'.join(map(str, objects)) or 'no'} real CAD objects, "
               "threshold 0.4. Published: ShapeNet, other objects, other sizes")  # fmt: skip
    return Table(columns, rows, caption)


def iou_of_results(scale_name: str, found: Mapping[str, Mapping]) -> dict[str, np.ndarray]:
    """Network -> IoU of each training and test object with five views, (S, N), of the networks that have results."""
    every = trainings(scale_name, found)
    return {name: np.array([r["points"][0]["iou"] for r in ours]) for name, ours in every.items() if ours}


def iou_at(scale_name: str, study: Mapping, views: int) -> dict[str, np.ndarray]:
    """Network -> IoU of each test object after so many views, mean over trainings."""
    found = {
        name: [point["iou"] for of in ours for point in of["counts"] if point["views"] == views]
        for name, ours in trainings(scale_name, study["networks"]).items()
    }
    return {name: np.mean(rows, axis=0) for name, rows in found.items() if rows}


def differences(iou: Mapping[str, np.ndarray], caption: str = "") -> Table:
    """Every pair of `COMPARISONS`: published difference, ours with its interval, and the verdict.

    `iou` is (S, N) for each network, of S trainings and the same N objects. Ours is the mean over trainings; the
    interval is over objects, and knows nothing of the luck of a training, so each one's difference stands beside it.

    Raises:
        DataError: the networks have different numbers of objects.
    """
    if len({values.shape[-1] for values in iou.values()}) > 1:
        raise DataError("IoU", "is of different objects", "evaluate every network on the same test set")
    rows: list[list] = []
    for first, second, change in COMPARISONS:
        printed = published(first)["value"] - published(second)["value"]
        rows.append([change, f"{first} − {second}", f"{printed:+.3f}", None, "not run yet", None, None])
        if first in iou and second in iou:
            a, b = iou[first], iou[second]
            ours = Difference.of(a.mean(axis=0), b.mean(axis=0))
            each = [float((x - y).mean()) for x, y in zip(a, b, strict=False)]
            apart = ", ".join(f"{d:+.3f}" for d in each) if len(each) > 1 else None
            verdict, interval = judge_trainings(ours, each), f"{ours.low:+.3f} to {ours.high:+.3f}"
            rows[-1][3:] = [f"{ours.mean:+.3f}", verdict, interval, apart]
    columns = ["what changes", "difference of IoU", "published", "ours", "verdict", "95 % interval", "each training"]
    return Table(columns, rows, caption)


def with_and_without_memory(one: Mapping[str, Sequence[float]], five: Mapping[str, Sequence[float]]) -> Table:
    """Each pair of `COMPARISONS` from one view, where the kernel plays no part, from five, and what four change."""
    rows = []
    for first, second, _ in COMPARISONS:
        cells: list[str | None] = [None] * 3
        if {first, second} <= one.keys() & five.keys():
            few, many = (np.array(iou[first]) - np.array(iou[second]) for iou in (one, five))
            cells = [str(Difference.of(a, b)) for a, b in ((few, 0 * few), (many, 0 * many), (many, few))]
        rows.append([f"{first} − {second}", *cells])
    columns = ["difference of IoU", "one view", "five views", "five minus one"]
    return Table(columns, rows, "mean and 95 % interval over the same objects")


def original(scale_name: str, found: Mapping[str, Mapping]) -> Table:
    """3D-GRU-3 with the original's upsampling and pooling beside the main paper's, on the same objects."""
    usual = run_ids(scale_name).get("3D-GRU-3", "")
    other = usual.replace("-s0", "-original-s0")
    rows, points = [], {i: found[i]["points"][0] for i in (usual, other) if i in found}
    for run_id, layers in ((usual, "copies, 2 × 2 cells"), (other, "zeros, 3 × 3 cells")):
        last = None if run_id in points else f"not run yet: compress3d train {run_id}"
        if run_id == other and len(points) == 2:
            last = str(Difference.of(points[other]["iou"], points[usual]["iou"]))
        rows.append([layers, *(points.get(run_id, {}).get(key) for key in ("loss", "miou")), last])
    return Table(["upsampling and last map", "loss", "IoU", "difference (95 %)"], rows, f"3D-GRU-3, {scale_name} scale")


# -- views and their order ---------------------------------------------------------------------------------------------


def _studied(study: Mapping, scale_name: str, key: str, columns: Sequence[str], cells: Callable, caption: str) -> Table:
    """A row a network: what `cells` makes of the part `key` of its study, dashes where it has not been scored."""
    rows = []
    for name, run_id in run_ids(scale_name).items():
        part = study["networks"].get(run_id, {}).get(key)
        rows.append([name, *([None] * len(columns) if part is None else cells(part))])
    return Table(["network", *columns], rows, caption)


def views_plot(study: Mapping, scale_name: str, size: tuple[float, float] = (7.4, 3.6)) -> Figure:
    """mIoU against the number of views: ours, and in a panel of its own with its own axis the published curves."""
    import matplotlib.pyplot as plt

    networks = study["networks"]
    with style.plot_style():
        figure, (ax, small) = plt.subplots(1, 2, figsize=size, width_ratios=(5, 3))
        for name, run_id in run_ids(scale_name).items():
            if run_id in networks:
                points = networks[run_id]["counts"]
                ax.plot([p["views"] for p in points], [p["miou"] for p in points], label=name, **_look(name))
        ax.set_title(f"ours, {scale_name} scale")
        ax.set_ylabel("mIoU")
        views = paper("literature_by_views.views")["value"]
        for name, key in (("3D-R2N2", "r2n2"), ("Pix2Vox-F", "pix2vox_f")):
            look = _look("Res3D-GRU-3" if key == "r2n2" else name) | dict(linewidth=1.1, markersize=3)
            small.plot(views, paper(f"literature_by_views.{key}")["value"], label=name, **look)
        small.set_title("published (another axis)")
        for panel in (ax, small):
            _view_axis(panel)
            panel.legend(fontsize=8, loc="lower right")
        figure.tight_layout()
    return figure


def _look(name: str) -> dict[str, Any]:
    """Line style of a network; kernel 1 is dashed."""
    colour, dashed = RELATED_NETWORKS[name][1], name.endswith("-1")
    return dict(color=colour, linestyle="--" if dashed else "-", marker="o", markersize=4,
                markerfacecolor="none" if dashed else colour, linewidth=1.5)  # fmt: skip


def _view_axis(ax: Axes) -> None:
    """Numbers of views on a logarithmic axis, those of the training shaded."""
    from matplotlib.ticker import NullLocator

    ax.axvspan(TRAINED_VIEWS[0] * 0.93, TRAINED_VIEWS[1] * 1.07, color="#88888826", linewidth=0)
    ax.set_xscale("log")
    ticks = (1, 2, 3, 5, 8, 12, 24)
    ax.set_xticks(ticks, map(str, ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlim=(0.93, 26), xlabel="views (shaded: in training)")
    ax.margins(y=0.12)


def gain_table(study: Mapping, scale_name: str) -> Table:
    """What views bring: within the training range, and beyond it, with paired intervals over the objects."""

    def gains(counts: list[dict]) -> list[str | None]:
        iou = {point["views"]: point["iou"] for point in counts}
        steps = ((5, 1), (12, 5), (24, 12))
        return [str(Difference.of(iou[many], iou[few])) if {many, few} <= iou.keys() else None for many, few in steps]

    columns = ["5 views − 1", "12 − 5", "24 − 12"]
    return _studied(study, scale_name, "counts", columns, gains, "gain in mIoU with its 95 % interval")


def order_table(study: Mapping, scale_name: str) -> Table:
    """How much the order of the same views moves the result, of every network that has been scored."""
    columns = ["mIoU, worst order", "best order", "deviation of one object", "largest difference"]
    caption = f"{scale_name} scale: the same five views in other orders"

    def spread(order: dict) -> list[float]:
        return [min(order["miou"]), max(order["miou"]), order["spread"], order["largest"]]

    return _studied(study, scale_name, "order", columns, spread, caption)


# -- categories --------------------------------------------------------------------------------------------------------

OURS_BY_CATEGORY = ("3D-LSTM-3", "Res3D-GRU-3", "Pix2Vox-F")


def categories(study: Mapping, scale_name: str) -> Table:
    """IoU from a single view, class by class: ours, published on ShapeNet, and published on photographs of PASCAL 3D.

    Classes that are not ShapeNet's stand in the means of ours only.
    """
    ids, networks, names = run_ids(scale_name), study["networks"], OURS_BY_CATEGORY
    ours = {n: networks[ids[n]]["counts"][0] for n in names if n in ids and ids[n] in networks}
    tested = list(study["test"]["categories"])

    def printed(key: str) -> dict[str, float]:
        """Class -> IoU; that of one view where the paper prints several."""
        return {category: np.ravel(entry["value"])[0] for category, entry in paper(key).items()}

    shapenet = [printed(f"xie2019.{key}") for key in ("r2n2_by_category", "pix2vox_f_by_category")]
    pascal = [printed(f"choy2016.{key}") for key in ("pascal_kar", "pascal_res3d_gru_3")]

    def row(label: str, category: str, photographed: str) -> list:
        mine = [ours[n]["by_category"].get(category) if n in ours else None for n in names]
        theirs = [*(of.get(category) for of in shapenet), *(of.get(photographed) for of in pascal)]
        return [label, tested.count(category) or None, *mine, *theirs]

    rows = [row(c, c, PASCAL.get(c, "")) for c in (*shapenet[0], "bike")]
    rows += [row(p, "", p) for p in pascal[0] if p not in (*PASCAL.values(), "mean")]
    objects = {c: entry["value"] for c, entry in paper("xie2019.test_objects").items()}
    means = [float(np.average(list(of.values()), weights=[objects[c] for c in of])) for of in shapenet]
    rows.append(["mean of all", len(tested), *(ours[n]["miou"] if n in ours else None for n in names), *means,
                 *(of["mean"] for of in pascal)])  # fmt: skip
    columns = ["class", "our objects", *(f"ours: {n}" for n in names), "ShapeNet: 3D-R2N2", "ShapeNet: Pix2Vox-F",
               "PASCAL 3D: Kar et al.", "PASCAL 3D: Res3D-GRU-3"]  # fmt: skip
    return Table(columns, rows, f"IoU from one view; ours at {scale_name} scale on CAD objects; three test sets, "
                 "three averages: compare within a group of columns only")  # fmt: skip


# -- textures ----------------------------------------------------------------------------------------------------------


def textures_table(study: Mapping, scale_name: str) -> Table:
    """Plain, coloured and textured objects: mIoU, the paired difference textured minus plain, and what it shows."""

    def change(scored: dict) -> list:
        found = Difference.of(scored["textured"]["iou"], scored["plain"]["iou"])
        shown = {1: "texture helps", -1: "texture hurts", 0: "no difference shown"}[found.sign]
        return [*(scored[name]["miou"] for name in ("plain", "coloured", "textured")), str(found), shown]

    columns = ["plain", "coloured", "textured", "textured − plain (95 %)", "verdict"]
    caption = (f"mIoU of {study['test']['objects']} procedural objects that no network has seen, "
               f"{study['test']['views']} views, {scale_name} scale")  # fmt: skip
    return _studied(study, scale_name, "appearances", columns, change, caption)


def appearance_grid(images: Mapping[str, np.ndarray], cell: float = 1.35) -> Figure:
    """A row of images, uint8 (N, S, S, 3), for each appearance: the same objects from the same cameras."""
    import matplotlib.pyplot as plt

    columns = len(next(iter(images.values())))
    size = (columns * cell + 0.5, len(images) * cell)
    with style.plot_style():
        figure, axes = plt.subplots(len(images), columns, figsize=size, squeeze=False)
        for row, (name, shown) in zip(axes, images.items(), strict=True):
            for ax, pixels in zip(row, shown, strict=True):
                ax.imshow(pixels, interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
            row[0].set_ylabel(name, color="#888888")
        figure.tight_layout(pad=0.3)
    return figure
