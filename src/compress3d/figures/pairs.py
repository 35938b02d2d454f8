"""Differences between models on the same objects, and between seeds: what a curve's whiskers cannot say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import combinations, pairwise
from statistics import fmean, stdev, variance
from typing import NamedTuple

import numpy as np

from compress3d.errors import DataError
from compress3d.figures.tables import MISSING, Table, provenance
from compress3d.metrics import Difference

LOWER_IS_BETTER = ("picture_loss",)
ACCOUNTINGS = ("bits", "floats", "payload")  # the kindest way of counting for JPEG 2000


def at_rates(
    results: Mapping[str, Mapping],
    key: str = "iou",
    everywhere: Collection[str] = (),
    accountings: Collection[str] = ACCOUNTINGS,
) -> dict[float, dict[str, Mapping]]:
    """Points that have `key`, under their nominal rate and the label of their results file; lowest rate first.

    Args:
        results: label -> contents of a results file. One point a label and rate: the first one.
        key: what a point must have, "iou" or "picture_loss".
        everywhere: labels whose first point counts at every rate of the others, such as "uncompressed".
        accountings: ways of counting that are taken.

    Example:
        >>> sorted(at_rates({"implicit": results.load("demo/implicit-r384-s0")}))
        [384]
    """
    usable = {
        label: [p for p in result["points"] if key in p and p["rate"] is not None and p["accounting"] in accountings]
        for label, result in results.items()
    }
    rates = {round(p["rate"], 1) for label, points in usable.items() if label not in everywhere for p in points}
    found: dict[float, dict[str, Mapping]] = {rate: {} for rate in sorted(rates)}
    for label, points in usable.items():
        for point in points:
            for rate in found if label in everywhere else [round(point["rate"], 1)]:
                found[rate].setdefault(label, point)
    return found


def differences(
    results: Mapping[str, Mapping],
    key: str = "iou",
    rows: Sequence[int] | None = None,
    everywhere: Collection[str] = (),
) -> list[Difference]:
    """Every pair of models at every rate that both serve.

    Args:
        results: label -> contents of a results file, all of the same objects.
        key: "iou" (higher is better) or "picture_loss" (lower is better).
        rows: some of the objects; all of them where None.
        everywhere: see `at_rates`.

    Raises:
        DataError: the results are of different objects, or `rows` is empty.

    Example:
        >>> found = differences({"implicit": implicit, "JPEG 2000": jpeg2000})
        >>> found[0].verdict
        'no difference shown'
    """
    if len({tuple(result.get("test", {}).get("objects", ())) for result in results.values()}) > 1:
        raise DataError("results", "are of different objects", "evaluate every run on the same test set")
    if rows is not None and not len(rows):
        raise DataError("rows", "name no object", "choose a bin that holds some")
    found = []
    for rate, points in at_rates(results, key, everywhere).items():
        for first, second in combinations(points, 2):
            a, b = (np.array(points[label][key]) for label in (first, second))
            chosen = slice(None) if rows is None else np.asarray(rows)
            labels = {"first": first, "second": second, "rate": rate, "lower_is_better": key in LOWER_IS_BETTER}
            found.append(Difference.of(a[chosen], b[chosen], **labels))
    return found


def difference_table(found: Sequence[Difference], caption: str = "", digits: int = 3) -> Table:
    """Differences as a table: rate, pair, difference, interval and the verdict by rule."""
    rows = [
        [f"{d.rate:g}:1", f"{d.first} minus {d.second}", f"{d.mean:+.{digits}f}",
         f"{d.low:+.{digits}f} to {d.high:+.{digits}f}", d.verdict]
        for d in found
    ]  # fmt: skip
    return Table(["rate", "pair", "difference", "95 % interval", "verdict"], rows, caption)


class Spread(NamedTuple):
    """How far a curve moves when it is trained again, and along its rates.

    Attributes:
        over_seeds: pooled deviation of seeds at one rate; None where no rate has two.
        over_rates: deviation over the rates, of the first seed at each; None where there is one rate only.
        rises: neighbouring rates (lower, higher) where more compression gave more quality.
    """

    over_seeds: float | None
    over_rates: float | None
    rises: list[tuple[float, float]]


def spread(curve: Mapping[float, Sequence[float]]) -> Spread:
    """Spread over seeds against spread over rates.

    Args:
        curve: rate -> values of its seeds, the curve's own seed first.

    Example:
        >>> spread({48: [0.50, 0.54], 384: [0.52]})  # 0.04 / sqrt(2) and 0.02 / sqrt(2)
        Spread(over_seeds=0.0283, over_rates=0.0141, rises=[(48, 384)])
    """
    repeated = [variance(values) for values in curve.values() if len(values) > 1]
    firsts = {rate: curve[rate][0] for rate in sorted(curve) if len(curve[rate])}
    return Spread(
        fmean(repeated) ** 0.5 if repeated else None,
        stdev(firsts.values()) if len(firsts) > 1 else None,
        [(a, b) for a, b in pairwise(firsts) if firsts[b] > firsts[a]],
    )


def verdict(values: Sequence, holds: Callable[[Sequence], bool]) -> str:
    """ "yes" or "no" by a rule; "not run yet" where there are no values to judge.

    Example:
        >>> verdict([0.1, 0.2], lambda values: all(v > 0 for v in values))
        'yes'
    """
    return "not run yet" if not len(values) else "yes" if holds(values) else "no"


def command(run_id: str) -> str:
    """What a table says of a run without results: "not run yet: compress3d train demo/small-s0"."""
    return f"not run yet: compress3d train {run_id}"


def origins(run_ids: Sequence[str], found: Mapping[str, Mapping]) -> Table:
    """`tables.provenance` of a page's runs, where those without results say which command makes them.

    Args:
        run_ids: the page's runs, in order.
        found: run id -> contents of its results file, for those that have one.
    """
    table = provenance({run_id: found[run_id] for run_id in run_ids if run_id in found})
    made = {row[0]: row for row in table.rows}
    blank = [MISSING] * (len(table.columns) - 2)
    return Table(table.columns, [made.get(run_id, [run_id, command(run_id), *blank]) for run_id in run_ids])
