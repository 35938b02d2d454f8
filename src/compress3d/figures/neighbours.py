"""Tables and figures of the chapter on the networks beside 3D-LSTM-3: Choy's five, and Pix2Vox-F.

Ours and published numbers never share a column: they are of other data, other splits and other averages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compress3d import metrics
from compress3d.engine.experiment import experiments
from compress3d.errors import DataError
from compress3d.figures import style
from compress3d.figures.tables import Table, paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Neighbour:
    """One of the networks that are compared.

    Attributes:
        model: of its run; 3D-LSTM-3 is called "uncompressed" in the table of runs.
        network: its name in `compress3d.r2n2.network.NETWORKS`; empty for Pix2Vox-F.
        published: key of its loss and IoU in `book/paper.yml`; empty where the slides do not have it.
        colour, dashed: of its curve; kernel 1 is dashed.
    """

    model: str
    network: str
    published: str
    colour: str
    dashed: bool = False


NEIGHBOURS = {
    "3D-LSTM-1": Neighbour("lstm-1", "lstm-1", "choy2016r2n2.lstm_1", "#d100d1", dashed=True),
    "3D-GRU-1": Neighbour("gru-1", "gru-1", "choy2016r2n2.gru_1", "#0e8a9c", dashed=True),
    "3D-LSTM-3": Neighbour("uncompressed", "lstm-3", "choy2016r2n2.lstm_3", "#d100d1"),
    "3D-GRU-3": Neighbour("gru-3", "gru-3", "choy2016r2n2.gru_3", "#0e8a9c"),
    "Res3D-GRU-3": Neighbour("res-gru-3", "res-gru-3", "choy2016r2n2.res3d_gru_3", "#c46a00"),
    "Pix2Vox-F": Neighbour("pix2vox-f", "", "", "#1f5fd0"),
}

# First minus second, and what sets them apart.
PAIRS = (
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
    found = [e for e in experiments(scale_name) if e.tag == str(e.optim.steps) and e.model.rate is None]
    return {name: e.id for name, of in NEIGHBOURS.items() for e in found if e.model.name == of.model and e.seed == 0}


def published_iou(name: str) -> float | None:
    """Published IoU with five views: from the slides, or for Pix2Vox-F from the literature's table by views."""
    if NEIGHBOURS[name].published:
        return paper(NEIGHBOURS[name].published)["value"]
    views = paper("literature_by_views.views")["value"]
    return paper("literature_by_views.pix2vox_f")["value"][views.index(5)]


def architectures(scale_name: str = "paper") -> Table:
    """What sets the networks apart, with parameters counted live (on PyTorch's meta device, without values)."""
    import torch

    from compress3d.baselines.pix2vox import Pix2Vox
    from compress3d.r2n2.network import NETWORKS, Reconstruction
    from compress3d.scales import scale

    def millions(module: torch.nn.Module) -> float:
        return sum(p.numel() for p in module.parameters()) / 1e6

    rows = []
    with torch.device("meta"):
        for name, of in NEIGHBOURS.items():
            if not of.network:
                model = Pix2Vox(scale(scale_name))
                rows.append([name, "none: merger", None, "VGG16-BN, transposed convolutions", millions(model),
                             None, None])  # fmt: skip
                continue
            network, model = NETWORKS[of.network], Reconstruction(scale(scale_name), of.network)
            maps = [m for n, m in model.recurrent.named_children() if n != "input_map"]
            rows.append([name, "GRU" if network.gru else "LSTM", f"{network.kernel}³",
                         "residual" if network.residual else "simple", millions(model),
                         millions(model.recurrent.input_map), sum(map(millions, maps))])  # fmt: skip
    columns = ["network", "recurrence", "kernel", "encoder and decoder", "parameters", "of them: code to units",
               "unit to unit"]  # fmt: skip
    return Table(columns, rows, f"{scale_name} scale, parameters in millions", digits=2)


def sides(size: int, poolings: int = 6, padded: bool = True) -> list[int]:
    """Cells a side after each max pooling of 2 x 2, padded with one cell or not.

    Example:
        >>> sides(127)
        [127, 64, 33, 17, 9, 5, 3]
    """
    found = [size]
    for _ in range(poolings):
        found.append((found[-1] + 2 * padded) // 2)
    return found


# -- IoU and differences -----------------------------------------------------------------------------------------------


def training_ids(scale_name: str) -> dict[str, list[str]]:
    """Network -> its runs of `run_ids`, one a seed from 0 on.

    Example:
        >>> training_ids("demo")["3D-GRU-3"][:2]
        ['demo/gru-3-1200-s0', 'demo/gru-3-1200-s1']
    """
    return {name: [f"{i.removesuffix('-s0')}-s{seed}" for seed in SEEDS] for name, i in run_ids(scale_name).items()}


def trainings(scale_name: str, found: Mapping[str, Mapping]) -> dict[str, list[Mapping]]:
    """Network -> results of its trainings, as far as they are in `found`."""
    return {name: [found[i] for i in ids if i in found] for name, ids in training_ids(scale_name).items()}


def scores(scale_name: str, found: Mapping[str, Mapping]) -> Table:
    """Loss and IoU with five views: ours and the published in columns of their own; a dash for what is not run yet."""
    rows, every = [], trainings(scale_name, found)
    for name, ours in every.items():
        points = [result["points"][0] for result in ours]
        loss, miou = ([point[key] for point in points] for key in ("loss", "miou"))
        key = NEIGHBOURS[name].published
        printed = paper(key) if key else {"value": published_iou(name)}
        means = [float(np.mean(values)) if values else None for values in (loss, miou)]
        each = ", ".join(f"{value:.3f}" for value in miou) if len(miou) > 1 else None
        place = "slides" if key else "README, best threshold"
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
    """Network -> IoU of each test object after so many views, mean over trainings; `study` is views.json."""
    found = {
        name: [point["iou"] for of in ours for point in of["counts"] if point["views"] == views]
        for name, ours in trainings(scale_name, study["networks"]).items()
    }
    return {name: np.mean(rows, axis=0) for name, rows in found.items() if rows}


def verdict(low: float, high: float, each: Iterable[float] = ()) -> str:
    """A published order, judged by the interval of our difference, and by its sign in each training.

    Example:
        >>> verdict(0.01, 0.03), verdict(-0.01, 0.03), verdict(-0.03, -0.01), verdict(0.01, 0.03, [0.05, -0.01])
        ('reproduced', 'undecided', 'contradicted', 'undecided')
    """
    each = list(each)
    if low > 0 and all(d > 0 for d in each):
        return "reproduced"
    return "contradicted" if high < 0 and all(d < 0 for d in each) else "undecided"


def differences(iou: Mapping[str, np.ndarray], caption: str = "") -> Table:
    """Every pair of `PAIRS` on the same objects: published difference, ours with its interval, and the verdict by rule.

    Ours is the mean over trainings; the interval is over objects, and knows nothing of the luck of a training, so each
    training's difference stands beside it.

    Args:
        iou: network -> IoU (S, N) of S trainings and N objects, the same objects in the same order.
        caption: one line above the table.

    Raises:
        DataError: the networks have different numbers of objects.
    """
    if len({values.shape[-1] for values in iou.values()}) > 1:
        raise DataError("IoU", "is of different objects", "evaluate every network on the same test set")
    rows = []
    for first, second, change in PAIRS:
        printed = published_iou(first) - published_iou(second)
        row = [change, f"{first} − {second}", f"{printed:+.3f}"]
        if first in iou and second in iou:
            a, b = iou[first], iou[second]
            mean, low, high = metrics.paired_interval(a.mean(axis=0), b.mean(axis=0))
            same = min(len(a), len(b))
            each = (a[:same] - b[:same]).mean(axis=1)
            told = ", ".join(f"{d:+.3f}" for d in each) if same > 1 else None
            rows.append([*row, f"{mean:+.3f}", verdict(low, high, each), f"{low:+.3f} to {high:+.3f}", told])
        else:
            rows.append([*row, None, "not run yet", None, None])
    columns = ["what changes", "difference of IoU", "published", "ours", "verdict", "95 % interval", "each training"]
    return Table(columns, rows, caption)


def with_and_without_memory(one: Mapping[str, Sequence[float]], five: Mapping[str, Sequence[float]]) -> Table:
    """Each pair of `PAIRS` from one view, where the kernel plays no part, from five, and what four more views change.

    Args:
        one: network -> IoU of each object from one view, mean over trainings.
        five: the same from five views.
    """

    def interval(first: np.ndarray, second: np.ndarray) -> str:
        return "{:+.3f} ({:+.3f} to {:+.3f})".format(*metrics.paired_interval(first, second))

    rows = []
    for first, second, _ in PAIRS:
        if not {first, second} <= one.keys() & five.keys():
            rows.append([f"{first} − {second}", None, None, None])
            continue
        gaps = [np.array(iou[first]) - np.array(iou[second]) for iou in (one, five)]
        rows.append([f"{first} − {second}", *(interval(gap, np.zeros_like(gap)) for gap in gaps),
                     interval(gaps[1], gaps[0])])  # fmt: skip
    columns = ["difference of IoU", "one view", "five views", "five minus one"]
    return Table(columns, rows, "mean and 95 % interval over the same objects")


def original(scale_name: str, found: Mapping[str, Mapping]) -> Table:
    """3D-GRU-3 with the original's upsampling and pooling beside the main paper's, on the same objects."""
    usual = run_ids(scale_name).get("3D-GRU-3", "")
    other = usual.replace("-s0", "-original-s0")
    rows, points = [], {i: found[i]["points"][0] for i in (usual, other) if i in found}
    for run_id, layers in ((usual, "copies, 2 × 2 cells"), (other, "zeros, 3 × 3 cells")):
        row = [layers, *(points.get(run_id, {}).get(key) for key in ("loss", "miou"))]
        if run_id == other and len(points) == 2:
            mean, low, high = metrics.paired_interval(points[other]["iou"], points[usual]["iou"])
            rows.append([*row, f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"])
        else:
            rows.append([*row, None if run_id in points else f"not run yet: compress3d train {run_id}"])
    return Table(["upsampling and last map", "loss", "IoU", "difference (95 %)"], rows, f"3D-GRU-3, {scale_name} scale")


# -- views and their order ---------------------------------------------------------------------------------------------


def views_plot(study: Mapping, scale_name: str, size: tuple[float, float] = (7.4, 3.6)) -> Figure:
    """mIoU against the number of views: ours, and in a panel of its own with its own axis the published curves.

    Args:
        study: contents of `results/<scale>/views.json`.
        scale_name: whose runs are drawn.
        size: inches.
    """
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


def _look(name: str) -> dict:
    """Line style of a network."""
    of = NEIGHBOURS[name]
    face = "none" if of.dashed else of.colour
    return dict(color=of.colour, linestyle="--" if of.dashed else "-", marker="o", markersize=4, markerfacecolor=face,
                linewidth=1.5)  # fmt: skip


def _view_axis(ax: Axes) -> None:
    """Numbers of views on a logarithmic axis, those of the training shaded."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ax.axvspan(TRAINED_VIEWS[0] * 0.93, TRAINED_VIEWS[1] * 1.07, color="#88888826", linewidth=0)
    ax.set_xscale("log")
    ticks = (1, 2, 3, 5, 8, 12, 24)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels(map(str, ticks))
    ax.set_xlim(0.93, 26)
    ax.set_xlabel("views (shaded: in training)")
    ax.margins(y=0.12)


def gain_table(study: Mapping, scale_name: str) -> Table:
    """What views bring: within the training range, and beyond it, with paired intervals over the objects."""
    rows = []
    for name, run_id in run_ids(scale_name).items():
        points = {p["views"]: p["iou"] for p in study["networks"].get(run_id, {"counts": []})["counts"]}
        row: list = [name]
        for many, few in ((5, 1), (12, 5), (24, 12)):
            if many in points and few in points:
                mean, low, high = metrics.paired_interval(points[many], points[few])
                row += [f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"]
            else:
                row += [None]
        rows.append(row)
    return Table(["network", "5 views − 1", "12 − 5", "24 − 12"], rows, "gain in mIoU with its 95 % interval")


def order_table(study: Mapping, scale_name: str) -> Table:
    """How much the order of the same views moves the result, of every network that has been scored."""
    rows = []
    for name, run_id in run_ids(scale_name).items():
        order = study["networks"].get(run_id, {}).get("order")
        if order is None:
            rows.append([name, None, None, None, None])
            continue
        rows.append([name, min(order["miou"]), max(order["miou"]), order["spread"], order["largest"]])
    columns = ["network", "mIoU, worst order", "best order", "deviation of one object", "largest difference"]
    return Table(columns, rows, f"{scale_name} scale: the same five views in other orders")


# -- categories --------------------------------------------------------------------------------------------------------

OURS_BY_CATEGORY = ("3D-LSTM-3", "Res3D-GRU-3", "Pix2Vox-F")


def categories(study: Mapping, scale_name: str, names: Sequence[str] = OURS_BY_CATEGORY) -> Table:
    """IoU from a single view, class by class: ours, published on ShapeNet, and published on photographs of PASCAL 3D.

    Classes that are not ShapeNet's stand in the means of ours only.
    """
    ids = run_ids(scale_name)
    networks = study["networks"]
    ours = {n: networks[ids[n]]["counts"][0] for n in names if n in ids and ids[n] in networks}
    tested = list(study["test"]["categories"])
    r2n2, pix2vox = (paper(f"xie2019pix2vox.{key}") for key in ("r2n2_by_category", "pix2vox_f_by_category"))
    kar, res = (paper(f"choy2016pascal.{key}") for key in ("kar", "res3d_gru_3"))

    def value(entries: Mapping, key: str | None) -> float | None:
        found = entries[key]["value"] if key in entries else None
        return found[0] if isinstance(found, list) else found

    def row(label: str, category: str | None, pascal: str | None) -> list:
        mine = [ours[n]["by_category"].get(category) if n in ours else None for n in names]
        return [label, tested.count(category) or None, *mine, value(r2n2, category), value(pix2vox, category),
                value(kar, pascal), value(res, pascal)]  # fmt: skip

    rows = [row(c, c, PASCAL.get(c)) for c in (*r2n2, "bike")]
    rows += [row(p, None, p) for p in kar if p not in (*PASCAL.values(), "mean")]
    weights = {c: entry["value"] for c, entry in paper("xie2019pix2vox.test_objects").items()}
    means = [weighted_mean({c: value(of, c) for c in of}, weights) for of in (r2n2, pix2vox)]
    rows.append(["mean of all", len(tested), *(ours[n]["miou"] if n in ours else None for n in names), *means,
                 value(kar, "mean"), value(res, "mean")])  # fmt: skip
    columns = ["class", "our objects", *(f"ours: {n}" for n in names), "ShapeNet: 3D-R2N2", "ShapeNet: Pix2Vox-F",
               "PASCAL 3D: Kar et al.", "PASCAL 3D: Res3D-GRU-3"]  # fmt: skip
    return Table(columns, rows, f"IoU from one view; ours at {scale_name} scale on CAD objects; three test sets, "
                 "three averages: compare within a group of columns only")  # fmt: skip


def weighted_mean(values: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Mean of class values, each counted as often as the class has objects.

    Example:
        >>> weighted_mean({"car": 0.75, "lamp": 0.25}, {"car": 3, "lamp": 1})
        0.625
    """
    keys = list(values)
    return float(np.average([values[k] for k in keys], weights=[weights[k] for k in keys]))


# -- textures ----------------------------------------------------------------------------------------------------------


def textures_table(study: Mapping, scale_name: str) -> Table:
    """Plain, coloured and textured objects: mIoU, the paired difference textured minus plain, and what it shows."""
    rows = []
    for name, run_id in run_ids(scale_name).items():
        dresses = study["networks"].get(run_id, {}).get("dresses")
        if dresses is None:
            rows.append([name, None, None, None, None, None])
            continue
        mean, low, high = metrics.paired_interval(dresses["textured"]["iou"], dresses["plain"]["iou"])
        shown = "texture helps" if low > 0 else "texture hurts" if high < 0 else "no difference shown"
        mious = [dresses[dress]["miou"] for dress in ("plain", "coloured", "textured")]
        rows.append([name, *mious, f"{mean:+.3f} ({low:+.3f} to {high:+.3f})", shown])
    columns = ["network", "plain", "coloured", "textured", "textured − plain (95 %)", "verdict"]
    caption = (f"mIoU of {study['test']['objects']} procedural objects that no network has seen, "
               f"{study['test']['views']} views, {scale_name} scale")  # fmt: skip
    return Table(columns, rows, caption)


def wardrobe(dresses: Mapping[str, np.ndarray], cell: float = 1.35) -> Figure:
    """A row of pictures a dress: the same objects from the same cameras.

    Args:
        dresses: name -> uint8 (N, S, S, 3).
        cell: side of a picture, inches.
    """
    import matplotlib.pyplot as plt

    columns = len(next(iter(dresses.values())))
    with style.plot_style():
        figure, axes = plt.subplots(
            len(dresses), columns, figsize=(columns * cell + 0.5, len(dresses) * cell), squeeze=False
        )
        for row, (name, pictures) in zip(axes, dresses.items(), strict=True):
            for ax, picture in zip(row, pictures, strict=True):
                ax.imshow(picture, interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
            row[0].set_ylabel(name, color="#888888")
        figure.tight_layout(pad=0.3)
    return figure
