"""Curves: mIoU against the compression rate (Fig. 8), and losses of training runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING

from compress3d.errors import DataError
from compress3d.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TICKS = (6, 12, 24, 48, 96, 192, 384, 480)


def series(results: Iterable[Mapping]) -> dict[tuple[str, str], list[Mapping]]:
    """Points of several results files, sorted by true rate, under (model, accounting).

    Args:
        results: contents of results files (`results.load_all(scale).values()`).

    Raises:
        DataError: there is no results file, or they are of different scales, which must not share an axis.

    Example:
        >>> sorted(series(load_all("demo").values()))
        [('implicit', 'bits'), ('jpeg2000', 'file'), ('jpeg2000', 'payload'), ('uncompressed', 'floats')]
    """
    found: dict[tuple[str, str], list[Mapping]] = {}
    scales = set()
    for result in results:
        scales.add(result["run"]["scale"])
        for point in result["points"]:
            found.setdefault((result["run"]["model"], point.get("accounting", "bits")), []).append(point)
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
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    curves = series(results)
    ink = "#d8d8d8" if dark else "#333333"
    with style.plot_style():
        figure, ax = plt.subplots(figsize=size)
        for (model, accounting), points in sorted(curves.items(), key=_drawing_order):
            rates = [point["true_rate"] for point in points]
            values = [point["miou"] for point in points]
            whiskers = [standard_error(point) for point in points] if errors else None
            ax.errorbar(rates, values, yerr=whiskers, capsize=2, elinewidth=0.8, label=_label(model, accounting),
                        **_look(model, accounting, dark))  # fmt: skip
        if floor is not None:
            ax.axhline(floor, color=style.colour("mean"), linewidth=1, linestyle=":", label=style.name("mean"))
        reached = [point["true_rate"] for points in curves.values() for point in points]
        ax.set_xscale("log")
        ax.set_xlim(min(reached) / 1.2, max(reached) * 1.2)
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if min(reached) <= tick * 1.01]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.tick_params(axis="x", labelsize=8)
        ax.set_xlabel("compression rate (raw bits : bits sent)")
        ax.set_ylabel("mIoU, 5 views")
        legend = ax.legend(loc="lower left", fontsize=8.5, reverse=True)
        _ink(ax, ink, legend)
        figure.tight_layout()
    return figure


def _drawing_order(item) -> tuple:
    """Later curves lie on top: the magenta square last, as in the paper."""
    order = ("mean", "jpeg2000", "sequential", "direct", "implicit", "uncompressed")
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
