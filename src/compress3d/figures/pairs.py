"""Differences between models on the same objects: what a curve's whiskers cannot say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from compress3d.errors import DataError
from compress3d.figures.tables import MISSING, Table, provenance
from compress3d.metrics import Difference

LOWER_IS_BETTER = ("image_loss",)
ACCOUNTINGS = ("bits", "floats", "payload")  # the kindest way of counting for a codec with headers


def by_model(results: Iterable[Mapping], label: Callable[[str], str]) -> dict[str, dict]:
    """Results under what `label` makes of their model's name; several runs of one model have their points joined."""
    found: dict[str, dict] = {}
    for result in results:
        name = label(result["experiment"]["model"]["name"])
        found.setdefault(name, {**result, "points": []})["points"].extend(result["points"])
    return found


def at_rates(
    results: Mapping[str, Mapping],
    key: str = "iou",
    everywhere: Collection[str] = (),
    accountings: Collection[str] = ACCOUNTINGS,
) -> dict[float, dict[str, Mapping]]:
    """Points that have `key`, under their nominal rate and the label of their results file; lowest rate first.

    Args:
        results: label -> contents of a results file. One point a label and rate: the first one.
        key: what a point must have, "iou" or "image_loss".
        everywhere: labels whose first point counts at every rate of the others, as of a model without a rate.
        accountings: ways of counting that are taken.
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
        key: "iou" (higher is better) or "image_loss" (lower is better).
        rows: some of the objects; all of them where None.
        everywhere: see `at_rates`.

    Raises:
        DataError: the results are of different objects, or `rows` is empty.
    """
    if len({tuple(result.get("test", {}).get("objects", ())) for result in results.values()}) > 1:
        raise DataError("results", "are of different objects", "evaluate every run on the same test set")
    if rows is not None and not len(rows):
        raise DataError("rows", "name no object", "choose a bin that holds some")
    chosen = slice(None) if rows is None else np.asarray(rows)
    found = []
    for rate, points in at_rates(results, key, everywhere).items():
        for first, second in combinations(points, 2):
            a, b = (np.array(points[label][key])[chosen] for label in (first, second))
            lower = key in LOWER_IS_BETTER
            found.append(Difference.of(a, b, first=first, second=second, rate=rate, lower_is_better=lower))
    return found


def difference_table(found: Sequence[Difference], caption: str = "", digits: int = 3) -> Table:
    """Differences as a table: rate, pair, difference, interval and the verdict by rule."""
    rows = [
        [f"{d.rate:g}:1", f"{d.first} minus {d.second}", f"{d.mean:+.{digits}f}",
         f"{d.low:+.{digits}f} to {d.high:+.{digits}f}", d.verdict]
        for d in found
    ]  # fmt: skip
    return Table(["rate", "pair", "difference", "95 % interval", "verdict"], rows, caption)


def command(run_id: str) -> str:
    """What a table says of a run without results: "not run yet: compress3d train demo/small-s0"."""
    return f"not run yet: compress3d train {run_id}"


def origins(run_ids: Sequence[str], found: Mapping[str, Mapping]) -> Table:
    """`tables.provenance` of a page's runs, in order, where those that are not `found` say which command makes them."""
    table = provenance({run_id: found[run_id] for run_id in run_ids if run_id in found})
    made = {row[0]: row for row in table.rows}
    blank = [MISSING] * (len(table.columns) - 2)
    return Table(table.columns, [made.get(run_id, [run_id, command(run_id), *blank]) for run_id in run_ids])
