"""Tables of the book: paper | ours | difference | status, and plain ones. Numbers come from files, never typed here."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compress3d.errors import DataError
from compress3d.paper import paper as paper  # pages take it from here

MISSING = "–"


@dataclass(frozen=True)
class Quantity:
    """One row of a comparison."""

    name: str  # what is measured
    paper: float | None  # None where the paper prints none
    ours: float | None  # None where there is none yet
    where: str = ""  # table, figure or section of the paper
    digits: int = 2  # decimals shown
    note: str = ""  # a few words more

    @property
    def status(self) -> str:
        """ "not run", "ours only" or "other data": what became of a claim is the scoreboard's to say."""
        return "not run" if self.ours is None else "ours only" if self.paper is None else "other data"

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        return None if self.paper is None or self.ours is None else self.ours - self.paper


class Table:
    """Rows under named columns; shows itself as HTML in a notebook and as aligned text when printed.

    Args:
        columns: headings.
        rows, digits: texts or numbers; floats are shown with so many decimals, None as a dash.
        caption: one line above, which says scale, data and device of the numbers.

    Raises:
        DataError: a row has another number of cells than there are columns.

    Example:
        >>> print(Table(["rate", "mIoU"], [[48, 0.5], [384, 0.4871]], digits=3))
        rate   mIoU
          48  0.500
         384  0.487
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "", digits: int = 3):
        self.columns, self.caption = [str(column) for column in columns], caption
        self.rows = [[_cell(value, digits) for value in row] for row in rows]
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                problem = f"has {len(row)} cells for {len(self.columns)} columns"
                raise DataError(f"table row {number}", problem, "give every column a value, None for a dash")
        self._numeric = [
            bool(self.rows) and all(_is_number(row[c]) for row in self.rows) for c in range(len(self.columns))
        ]

    def __str__(self) -> str:
        columns = []
        for numeric, cells in zip(self._numeric, zip(self.columns, *self.rows, strict=True), strict=True):
            adjust, width = (str.rjust if numeric else str.ljust), max(map(len, cells))
            columns.append([adjust(cell, width) for cell in cells])
        lines = ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
        return "\n".join(([self.caption] if self.caption else []) + lines)

    def html(self) -> str:
        """The table in a box of its own that scrolls sideways on a phone, so that the page does not."""
        head = "".join(f"<th{_side(n)}>{html.escape(c)}</th>" for c, n in zip(self.columns, self._numeric, strict=True))
        body = "".join(
            "<tr>" + "".join(self._data(c, cell) for c, cell in enumerate(row)) + "</tr>" for row in self.rows
        )
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        return (
            f'<div class="table-box"><table class="numbers">{caption}'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _data(self, column: int, cell: str) -> str:
        kind = f' class="status status-{cell.replace(" ", "-")}"' if self.columns[column] == "status" else ""
        return f"<td{kind or _side(self._numeric[column])}>{html.escape(cell)}</td>"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": str(self)}


def _side(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == MISSING
    return True


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return MISSING if value is None else str(value)


def comparison(quantities: Sequence[Quantity], caption: str = "") -> Table:
    """paper | ours | difference | status, one quantity a row.

    Example:
        >>> print(comparison([Quantity("mIoU, held-out set", 0.66, 0.51, "Table 1")]))
        quantity            paper  ours  difference  status      in the paper
        mIoU, held-out set   0.66  0.51       -0.15  other data  Table 1
    """
    rows = []
    for q in quantities:
        shown = [None if v is None else f"{v:.{q.digits}f}" for v in (q.paper, q.ours)]
        gap = None if q.difference is None else f"{q.difference:+.{q.digits}f}"
        rows.append([q.name, *shown, gap, q.status, q.where, q.note])
    columns = ["quantity", "paper", "ours", "difference", "status", "in the paper", "note"]
    if not any(q.note for q in quantities):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table(columns, rows, caption)


def rates_table(results: Mapping[str, Mapping], caption: str = "") -> Table:
    """Every point with voxels: model, rate asked and reached, bytes, and all the averages of IoU.

    Args:
        results: run id -> contents, as `results.load_all(scale)` gives them.
        caption: says scale, data and device.
    """
    rows = [
        [
            result["experiment"]["model"]["name"], p["accounting"], f"{p['rate']:g}", f"{p['true_rate']:.1f}",
            f"{p['bytes_per_view']:.0f}", p["miou"], p["miou_std"], p["miou_category"], p["miou_pooled6"],
            *(p["thresholds"].get(t) for t in ("0.2", "0.3", "0.5")),
        ]
        for result in results.values() for p in result["points"] if "miou" in p
    ]  # fmt: skip
    rows.sort(key=lambda row: (row[0], row[1], float(row[3])))
    columns = ["model", "counted", "rate", "reached", "bytes", "mIoU", "std", "by class", "pooled 6",
               "τ 0.2", "τ 0.3", "τ 0.5"]  # fmt: skip
    return Table(columns, rows, caption)


def provenance(results: Mapping[str, Mapping]) -> Table:
    """Where the numbers of a page come from: run, scale, device, minutes, steps, data, weights."""
    rows = []
    for run_id, result in results.items():
        origin, test = result["provenance"], result["test"]
        rows.append([
            run_id, origin["device"], f"{origin['minutes']:.0f}", result["experiment"].get("optim", {}).get("steps"),
            f"{test['store']} ({len(test['objects'])} objects)",
            str(origin.get("weights_sha256", ""))[:12], origin["versions"].get("torch", ""),
        ])  # fmt: skip
    return Table(["run", "device", "minutes", "steps", "test data", "weights sha256", "torch"], rows)
