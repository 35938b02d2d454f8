"""The scoreboard as tables of the book: sentences in cells, which must fold where numbers must not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from compress3d.figures.tables import Table

if TYPE_CHECKING:
    from compress3d.claims import Row

FOLDED = '<td style="white-space: normal; vertical-align: top; min-width: 5rem"'


class Board(Table):
    """A table whose cells fold their text."""

    def html(self) -> str:
        """The table as `Table.html` makes it; styles stand in the cells, as the book's keep them on one line."""
        return super().html().replace("<td", FOLDED)


def board(rows: Iterable[Row]) -> Board:
    """Claims with their places, verdicts, numbers and rules."""
    columns = ["in the paper", "claim", "status", "our numbers", "rule"]
    return Board(columns, [[r.where, r.claim, r.verdict, r.evidence, r.rule or None] for r in rows])


def short_board(rows: Iterable[Row]) -> Board:
    """Claims by their ids, with verdicts and numbers; a row of dashes where there are none."""
    lines = [[r.id, r.verdict, r.evidence] for r in rows]
    return Board(["claim", "status", "our numbers"], lines or [[None, None, None]])
