"""The main paper's curves from results files: mIoU (Fig. 8, 9) and what is lost of the images (Fig. 10, 11)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import sqrt
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

from compress3d.errors import DataError
from compress3d.figures import curves
from compress3d.joint import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOSSES = {
    "compression_loss": "$L_{comp}$, mean over $N$ iterations",
    "l1": "mean absolute error of the picture",
    "psnr": "PSNR [dB]",
}
# Later curves lie on top: the magenta square last, as in the paper.
DRAWING_ORDER = ("jpeg2000", "original", "small", "sequential", "direct", "implicit", "uncompressed")


def curve_points(results: Iterable[Mapping], key: str = "miou") -> dict[tuple[str, str], list[Mapping]]:
    """Points of several results files, sorted by true rate, under (model, accounting).

    Points without `key` are left out: compression RNNs alone have images and no `miou`.

    Raises:
        DataError: no results file has such a point, or they are of different scales, which must not share an axis.

    Example:
        >>> from compress3d import results
        >>> found = curve_points(results.load_shown("demo").values())
        >>> [point["rate"] for point in found["implicit", "bits"]]
        [48, 96, 128, 192, 384, 480]
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


def _look(model: str, accounting: str, dark: bool) -> dict:
    """Line of one curve: the paper's colours; JPEG 2000's whole files dashed, the uncompressed network a square."""
    colour = style.colour(model, dark)
    if model == "uncompressed":
        return dict(color=colour, marker="s", markersize=8, linestyle="none")
    if accounting == "file":
        return dict(color=colour, marker="o", markersize=4, markerfacecolor="none", linestyle="--", linewidth=1.2)
    return dict(color=colour, marker="o", markersize=5, linestyle="-")


def _label(model: str, accounting: str) -> str:
    words = {"payload": ", payload bytes", "file": ", whole file", "floats": " (floats)" if model == "implicit" else ""}
    return style.label(model) + words.get(accounting, "")


def _iou_series(results: Iterable[Mapping], rows: Sequence[int] | None, dark: bool) -> list[curves.Series]:
    """mIoU over all objects, or over those in `rows`, with whiskers of one standard error."""

    def order(curve: tuple[str, str]) -> tuple[int, str]:
        model, accounting = curve
        return (DRAWING_ORDER.index(model) if model in DRAWING_ORDER else -1, accounting)

    def mean_and_error(point: Mapping) -> tuple[float, float]:
        if rows is None:
            return point["miou"], point["miou_std"] / sqrt(len(point["iou"]))
        iou = [point["iou"][row] for row in rows]
        return fmean(iou), pstdev(iou) / sqrt(len(iou))

    found, series = curve_points(results), []
    for curve in sorted(found, key=order):
        means, errors = zip(*map(mean_and_error, found[curve]), strict=True)
        rates = [point["true_rate"] for point in found[curve]]
        series.append(curves.Series(_label(*curve), rates, means, _look(*curve, dark), errors))
    return series


def rate_curve(
    results: Iterable[Mapping], floor: float | None = None, dark: bool = False, size: tuple[float, float] = (6.4, 3.9)
) -> Figure:
    """Fig. 8: mIoU on held-out objects against the compression rate, at the rate that was really reached.

    With whiskers of one standard error, and `floor`, mIoU of the constant mean shape, as a thin line. JPEG 2000 is
    solid by payload, dashed by whole files; the uncompressed network is a square at 12:1 (its float code).

    Raises:
        DataError: see `curve_points`.
    """
    level = None if floor is None else (style.label("mean"), floor)
    return curves.rate_curve(
        _iou_series(results, None, dark), "mIoU, 5 views", level, (0, None), "lower left", dark, size
    )


def bin_curve(results: Iterable[Mapping], rows: Sequence[int], dark: bool = False) -> Figure:
    """Fig. 9: mIoU over some of the held-out objects, with whiskers of one standard error.

    `rows` are the objects, such as one of `metrics.bins`.

    Raises:
        DataError: there is no object, the results are of different objects, or see `curve_points`.
    """
    found = list(results)
    if not len(rows):
        raise DataError("rows", "name no object", "choose a bin that holds some")
    voxels = [result for result in found if any("miou" in point for point in result["points"])]
    objects = {tuple(result.get("test", {}).get("objects", ())) for result in voxels}
    if len(objects) > 1:
        raise DataError("results", "are of different objects", "evaluate every run on the same test set")
    return curves.rate_curve(_iou_series(found, rows, dark), f"mIoU of {len(rows)} objects", dark=dark)


def loss_curve(
    results: Mapping[str, Mapping],
    key: str = "compression_loss",
    accountings: Collection[str] = ("bits", "floats", "payload"),
    dark: bool = False,
    size: tuple[float, float] = (6.4, 3.6),
) -> Figure:
    """Fig. 10 and 11: what is lost of the images against the compression rate that was really reached.

    Args:
        results: label -> contents of a results file of one scale. Labels are the caller's, so that runs of one model
            can be told apart; a run that was trained at one rate is dashed.
        key: "compression_loss" (L_comp of Eq. 14), "l1" or "psnr" (of the last iteration's image).
        accountings: ways of counting that are drawn; JPEG 2000's whole files, "file", are left out unless named.

    Raises:
        DataError: `key` is no loss of images, or see `curve_points`.
    """
    if key not in LOSSES:
        raise DataError(f"key {key!r}", "is no loss of images", f"choose one of {', '.join(LOSSES)}")
    curve_points(results.values(), key)  # for its errors
    found = []
    for label, result in results.items():
        if not any(key in point for point in result["points"]):
            continue
        drawn = {way: points for (_, way), points in curve_points([result], key).items() if way in accountings}
        for way, points in drawn.items():
            look = _look(result["experiment"]["model"]["name"], way, dark)
            if result["experiment"]["model"].get("rate") is not None:
                look |= dict(linestyle="--", markerfacecolor="none")
            rates, values = ([point[of] for point in points] for of in ("true_rate", key))
            found.append(curves.Series(label if len(drawn) == 1 else f"{label}, {way}", rates, values, look))
    if not found:
        raise DataError("results", f"hold no point counted in {', '.join(accountings)}", "name another accounting")
    limits = (None, None) if key == "psnr" else (0, 1.08 * max(value for of in found for value in of.y))
    return curves.rate_curve(found, LOSSES[key], limits=limits, dark=dark, size=size)
