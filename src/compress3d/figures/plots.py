"""Curves against the compression rate: mIoU (Fig. 8, 9), losses of pictures (Fig. 10, 11); and training runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import sqrt
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

from compress3d.errors import DataError
from compress3d.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TICKS = (6, 12, 24, 48, 96, 192, 384, 480)
LOSSES = {
    "compression_loss": "$L_{comp}$, mean over $N$ iterations",
    "l1": "mean absolute error of the picture",
    "psnr": "PSNR [dB]",
}


def series(results: Iterable[Mapping], key: str = "miou") -> dict[tuple[str, str], list[Mapping]]:
    """Points of several results files, sorted by true rate, under (model, accounting).

    Args:
        results: contents of results files (`results.load_all(scale).values()`).
        key: points without it are left out: compression RNNs alone have pictures and no `miou`.

    Raises:
        DataError: no results file has such a point, or they are of different scales, which must not share an axis.

    Example:
        >>> sorted(series(load_all("demo").values()))
        [('implicit', 'bits'), ('jpeg2000', 'file'), ('jpeg2000', 'payload'), ('uncompressed', 'floats')]
    """
    found: dict[tuple[str, str], list[Mapping]] = {}
    scales = set()
    for result in results:
        scales.add(result["experiment"]["scale"])
        for point in result["points"]:
            if key not in point or point["true_rate"] is None:  # the mean shape costs nothing and has no rate
                continue
            found.setdefault((result["experiment"]["model"]["name"], point.get("accounting", "bits")), []).append(point)
    if not found:
        raise DataError("results", "hold no evaluated run", "run `compress3d evaluate RUN`")
    if len(scales) > 1:
        raise DataError("results", f"mix the scales {', '.join(sorted(scales))}", "draw one figure a scale")
    for points in found.values():
        points.sort(key=lambda point: point["true_rate"])
    return found


def standard_error(point: Mapping) -> float:
    """Standard error of a point's mIoU: std / sqrt(objects)."""
    return point["miou_std"] / sqrt(max(1, len(point.get("iou", ()))))


def _look(model: str, accounting: str, dark: bool) -> dict:
    """Line style of one curve: the paper's colours, with the implicit model's black turned white on dark pages."""
    colour = style.colour(model)
    if dark:
        colour = {"implicit": "#f2f2f2", "jpeg2000": "#6ea1ff"}.get(model, colour)
    if model == "uncompressed":
        return dict(color=colour, marker="s", markersize=8, linestyle="none")
    if accounting == "file":
        return dict(color=colour, marker="o", markersize=4, markerfacecolor="none", linestyle="--", linewidth=1.2)
    return dict(color=colour, marker="o", markersize=5, linestyle="-")


def _label(model: str, accounting: str) -> str:
    words = {"payload": ", payload bytes", "file": ", whole file", "floats": " (floats)" if model == "implicit" else ""}
    return style.name(model) + words.get(accounting, "")


def rate_curve(
    results: Iterable[Mapping],
    floor: float | None = None,
    errors: bool = True,
    dark: bool = False,
    size: tuple[float, float] = (6.4, 3.9),
) -> Figure:
    """Fig. 8: mIoU on held-out objects against the compression rate, at the rate that was really reached.

    Args:
        results: contents of results files of one scale.
        floor: mIoU of the constant mean shape, drawn as a thin line.
        errors: whiskers of one standard error.
        dark: colours for a dark page.
        size: inches.

    Returns:
        matplotlib figure: uncompressed a magenta square at 12:1 (its float code), JPEG 2000 blue (payload solid,
        whole file dashed), sequential green, direct red, implicit black.

    Raises:
        DataError: see `series`.

    Example:
        >>> rate_curve(results.load_all("demo").values())
        >>> plt.show()
    """
    curves = series(results)
    reached = [point["true_rate"] for points in curves.values() for point in points]
    with _rate_axes(reached, "mIoU, 5 views", dark, size) as (figure, ax):
        for (model, accounting), points in sorted(curves.items(), key=_drawing_order):
            rates = [point["true_rate"] for point in points]
            values = [point["miou"] for point in points]
            whiskers = [standard_error(point) for point in points] if errors else None
            ax.errorbar(rates, values, yerr=whiskers, capsize=2, elinewidth=0.8, label=_label(model, accounting),
                        **_look(model, accounting, dark))  # fmt: skip
        if floor is not None:
            ax.axhline(floor, color=style.colour("mean"), linewidth=1, linestyle=":", label=style.name("mean"))
        ax.set_ylim(bottom=0)
    return figure


def bin_curve(
    results: Iterable[Mapping],
    rows: Sequence[int],
    dark: bool = False,
    size: tuple[float, float] = (6.4, 3.9),
) -> Figure:
    """Fig. 9: mIoU over some of the held-out objects, with whiskers of one standard error.

    Args:
        results: contents of results files of one scale, all of the same objects.
        rows: the objects, such as one of `metrics.bins`.
        dark: colours for a dark page.
        size: inches.

    Raises:
        DataError: there is no object, the results are of different objects, or see `series`.

    Example:
        >>> found = results.load_shown("demo")
        >>> iou = found["demo/uncompressed-s0"]["points"][0]["iou"]
        >>> bin_curve(found.values(), metrics.bins(iou)[4])
    """
    found = list(results)
    if not len(rows):
        raise DataError("rows", "name no object", "choose a bin that holds some")
    voxels = [result for result in found if any("miou" in point for point in result["points"])]
    objects = {tuple(result.get("test", {}).get("objects", ())) for result in voxels}
    if len(objects) > 1:
        raise DataError("results", "are of different objects", "evaluate every run on the same test set")
    curves = series(found)
    reached = [point["true_rate"] for points in curves.values() for point in points]
    with _rate_axes(reached, f"mIoU of {len(rows)} objects", dark, size, corner="best") as (figure, ax):
        for (model, accounting), points in sorted(curves.items(), key=_drawing_order):
            values = [[point["iou"][row] for row in rows] for point in points]
            whiskers = [pstdev(iou) / sqrt(len(iou)) for iou in values]
            ax.errorbar([point["true_rate"] for point in points], [fmean(iou) for iou in values], yerr=whiskers,
                        capsize=2, elinewidth=0.8, label=_label(model, accounting),
                        **_look(model, accounting, dark))  # fmt: skip
    return figure


def loss_curve(
    results: Mapping[str, Mapping],
    key: str = "compression_loss",
    accountings: Collection[str] = ("bits", "floats", "payload"),
    dark: bool = False,
    size: tuple[float, float] = (6.4, 3.6),
) -> Figure:
    """Fig. 10 and 11: what is lost of the pictures against the compression rate that was really reached.

    Args:
        results: label -> contents of a results file of one scale. Labels are the caller's, so that runs of one model
            can be told apart; a run that was trained at one rate is dashed.
        key: "compression_loss" (L_comp of Eq. 14), "l1" or "psnr" (of the last iteration's picture).
        accountings: ways of counting that are drawn; JPEG 2000's whole files, "file", are left out unless named.
        dark: colours for a dark page.
        size: inches.

    Raises:
        DataError: `key` is no loss of pictures, or see `series`.

    Example:
        >>> loss_curve({"random N": load("demo/small-600-s0"), "constant N": load("demo/small-r48-600-s0")})
    """
    if key not in LOSSES:
        raise DataError(f"key {key!r}", "is no loss of pictures", f"choose one of {', '.join(LOSSES)}")
    series(results.values(), key)  # for its errors
    curves = []
    for label, result in results.items():
        found = series([result], key) if any(key in point for point in result["points"]) else {}
        drawn = {way: points for (_, way), points in found.items() if way in accountings}
        curves += [
            (label if len(drawn) == 1 else f"{label}, {way}", result["experiment"]["model"], drawn[way])
            for way in drawn
        ]
    if not curves:
        raise DataError("results", f"hold no point counted in {', '.join(accountings)}", "name another accounting")
    reached = [point["true_rate"] for _, _, points in curves for point in points]
    with _rate_axes(reached, LOSSES[key], dark, size, corner="best") as (figure, ax):
        for label, model, points in curves:
            look = _look(model["name"], points[0].get("accounting", "bits"), dark)
            if model.get("rate") is not None:
                look |= dict(linestyle="--", markerfacecolor="none")
            ax.plot([point["true_rate"] for point in points], [point[key] for point in points], label=label, **look)
        if key != "psnr":
            ax.set_ylim(0, 1.08 * max(point[key] for _, _, points in curves for point in points))
    return figure


@contextmanager
def _rate_axes(
    reached: Collection[float], ylabel: str, dark: bool, size: tuple[float, float], corner: str = "lower left"
) -> Iterator[tuple[Figure, Axes]]:
    """A figure whose x axis is the compression rate, for the body to draw in; finished behind it."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    with style.plot_style():
        figure, ax = plt.subplots(figsize=size)
        ax.set_xscale("log")
        ax.set_xlim(min(reached) / 1.2, max(reached) * 1.2)
        ax.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if min(reached) <= tick * 1.01]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.tick_params(axis="x", labelsize=8)
        ax.set_xlabel("compression rate (raw bits : bits sent)")
        ax.set_ylabel(ylabel)
        yield figure, ax
        legend = ax.legend(loc=corner, fontsize=8.5, reverse=True)
        _ink(ax, "#d8d8d8" if dark else "#333333", legend)
        figure.tight_layout()


def _drawing_order(item) -> tuple:
    """Later curves lie on top: the magenta square last, as in the paper."""
    order = ("mean", "jpeg2000", "original", "small", "sequential", "direct", "implicit", "uncompressed")
    (model, accounting), _ = item
    return (order.index(model) if model in order else -1, accounting)


def _ink(ax, ink: str, legend=None) -> None:
    """Colour of everything that is not data."""
    ax.tick_params(colors=ink, which="both")
    ax.xaxis.label.set_color(ink)
    ax.yaxis.label.set_color(ink)
    for spine in ax.spines.values():
        spine.set_color(ink)
    for text in legend.get_texts() if legend else ():
        text.set_color(ink)


def training_curves(
    histories: Mapping[str, Sequence[tuple[int, float]]],
    colours: Mapping[str, str] | None = None,
    size: tuple[float, float] = (6.4, 3.2),
) -> Figure:
    """Loss against step, one line a run.

    Args:
        histories: name -> (step, mean L_3D since the entry before), as in `provenance.training.history`.
        colours: name -> line colour.
        size: inches.

    Example:
        >>> training_curves({"implicit 384:1": result["provenance"]["training"]["history"]})
    """
    import matplotlib.pyplot as plt

    with style.plot_style():
        figure, ax = plt.subplots(figsize=size)
        for name, history in histories.items():
            steps, losses = zip(*history, strict=True)
            ax.plot(steps, losses, label=name, color=(colours or {}).get(name), linewidth=1.4)
        ax.set_xlabel("step")
        ax.set_ylabel("loss $L_{3D}$ (mean over voxels)")
        ax.set_yscale("log")
        ax.legend(fontsize=8.5)
        figure.tight_layout()
    return figure


def category_bars(
    values: Mapping[str, Mapping[str, float]],
    colours: Mapping[str, str] | None = None,
    size: tuple[float, float] = (6.4, 3.2),
) -> Figure:
    """Grouped bars: mIoU of each category for several methods.

    Args:
        values: method -> category -> mIoU (a point's `by_category`); categories are sorted by the first method.
        colours: method -> colour.
        size: inches.
    """
    import matplotlib.pyplot as plt

    methods = list(values)
    first = values[methods[0]]
    categories = sorted(first, key=lambda category: -first[category])
    width = 0.8 / len(methods)
    with style.plot_style():
        figure, ax = plt.subplots(figsize=size)
        for n, method in enumerate(methods):
            places = [place + (n - (len(methods) - 1) / 2) * width for place in range(len(categories))]
            heights = [values[method].get(category, 0.0) for category in categories]
            ax.bar(places, heights, width * 0.92, label=method, color=(colours or {}).get(method))
        ax.set_xticks(range(len(categories)), categories, rotation=40, ha="right", fontsize=8)
        ax.set_ylabel("mIoU")
        ax.grid(axis="x", visible=False)
        ax.legend(fontsize=8.5)
        figure.tight_layout()
    return figure
