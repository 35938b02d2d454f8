"""Curves of numbers: quality against compression rate, loss against step; and bars of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compress3d.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATE_TICKS = (6, 12, 24, 48, 96, 192, 384, 480)


@dataclass(frozen=True)
class Series:
    """One line of a figure."""

    label: str  # in the legend
    x: Sequence[float]
    y: Sequence[float]
    look: Mapping[str, Any]  # matplotlib's properties of the line, such as `color`, `linestyle` and `marker`
    errors: Sequence[float] | None = None  # half the length of each point's whisker


def rate_curve(
    series: Sequence[Series],
    ylabel: str,
    level: tuple[str, float] | None = None,
    limits: tuple[float | None, float | None] = (None, None),
    corner: str = "best",
    dark: bool = False,
    size: tuple[float, float] = (6.4, 3.9),
) -> Figure:
    """Curves against the compression rate, on a logarithmic axis.

    Args:
        series: the curves, their `x` the rates that were really reached; later ones lie on top and stand higher in the
            legend.
        ylabel: of the quality.
        level: label and height of a thin line through the whole figure, such as a baseline without a rate.
        limits: ends of the y axis; left to matplotlib where None.
        corner: place of the legend.
        dark: colours of text and axes for a dark page.
        size: inches.

    Example:
        >>> figure = rate_curve([Series("ours", [48, 384], [0.5, 0.4], {"color": "#111111"})], "mIoU")
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = min(min(of.x) for of in series), max(max(of.x) for of in series)
    with style.plot_style():
        figure, ax = plt.subplots(figsize=size)
        ax.set_xscale("log")
        ax.set_xlim(low / 1.2, high * 1.2)
        ax.xaxis.set_major_locator(FixedLocator([tick for tick in RATE_TICKS if low <= tick * 1.01]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.tick_params(axis="x", labelsize=8)
        ax.set_xlabel("compression rate (raw bits : bits sent)")
        ax.set_ylabel(ylabel)
        for of in series:
            if of.errors is None:
                ax.plot(of.x, of.y, label=of.label, **of.look)
            else:
                ax.errorbar(of.x, of.y, yerr=of.errors, capsize=2, elinewidth=0.8, label=of.label, **of.look)
        if level is not None:
            ax.axhline(level[1], color=style.GREY, linewidth=1, linestyle=":", label=level[0])
        ax.set_ylim(*limits)
        legend = ax.legend(loc=corner, fontsize=8.5, reverse=True)  # type: ignore[call-overload]  # any corner's name
        ink = style.ink(dark)  # of everything that is not data
        ax.tick_params(colors=ink, which="both")
        for part in (ax.xaxis.label, ax.yaxis.label, *ax.spines.values(), *legend.get_texts()):
            part.set_color(ink)
        figure.tight_layout()
    return figure


def training_curves(
    histories: Mapping[str, Sequence[tuple[int, float]]],
    colours: Mapping[str, str] | None = None,
    size: tuple[float, float] = (6.4, 3.2),
) -> Figure:
    """Loss against step, one line a run.

    Args:
        histories: name -> (step, mean loss since the entry before), as in `provenance.training.history`: what was
            minimized, L_3D for models with voxels alone and the sum of Eq. 16 for those with decoded images too.
        colours: name -> line colour.
        size: inches.
    """
    import matplotlib.pyplot as plt

    with style.plot_style():
        figure, ax = plt.subplots(figsize=size)
        # the legend in the order in which the lines end; after ten colours they come again, dashed
        for n, (name, history) in enumerate(sorted(histories.items(), key=lambda entry: -entry[1][-1][1])):
            steps, losses = zip(*history, strict=True)
            colour, dash = (colours or {}).get(name, f"C{n % 10}"), "-" if n < 10 else "--"
            ax.plot(steps, losses, label=name, linewidth=1.4, color=colour, linestyle=dash)
        ax.set_xlabel("step")
        ax.set_ylabel("total loss, as minimized")
        ax.set_yscale("log")
        legend = ax.legend(fontsize=8.5, loc="center left" if len(histories) > 3 else "best")
        if len(histories) > 3:
            legend.set_bbox_to_anchor((1.01, 0.5), ax.transAxes)
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

    first = next(iter(values.values()))
    categories = sorted(first, key=lambda category: -first[category])
    width = 0.8 / len(values)
    with style.plot_style():
        figure, ax = plt.subplots(figsize=size)
        for n, (method, reached) in enumerate(values.items()):
            places = [place + (n - (len(values) - 1) / 2) * width for place in range(len(categories))]
            heights = [reached.get(category, 0.0) for category in categories]
            ax.bar(places, heights, width * 0.92, label=method, color=(colours or {}).get(method))
        ax.set_xticks(range(len(categories)), categories, rotation=40, ha="right", fontsize=8)
        ax.set_ylabel("mIoU")
        ax.grid(axis="x", visible=False)
        ax.legend(fontsize=8.5)
        figure.tight_layout()
    return figure
