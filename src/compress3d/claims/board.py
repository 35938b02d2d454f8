"""The scoreboard as tables of the book: sentences in cells, which must fold where numbers must not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from compress3d.figures.tables import Table

FOLDED = '<td style="white-space: normal; vertical-align: top; min-width: 5rem"'


class Judged(Protocol):
    """What a line of the scoreboard is made of, see `compress3d.claims.Row`."""

    id: str
    where: str
    claim: str
    verdict: str
    evidence: str
    rule: str


class Board(Table):
    """A table whose cells fold their text."""

    def html(self) -> str:
        """The table as `Table.html` makes it; styles stand in the cells, as the book's keep them on one line."""
        return super().html().replace("<td", FOLDED)


def board(rows: Iterable[Judged]) -> Board:
    """Claims with their places, verdicts, numbers and rules."""
    columns = ["in the paper", "claim", "status", "our numbers", "rule"]
    return Board(columns, [[r.where, r.claim, r.verdict, r.evidence, r.rule or None] for r in rows])


def short_board(rows: Iterable[Judged]) -> Board:
    """Claims by their ids, with verdicts and numbers; a row of dashes where there are none."""
    lines = [[r.id, r.verdict, r.evidence] for r in rows]
    return Board(["claim", "status", "our numbers"], lines or [[None, None, None]])


def waiting(rows: Iterable[Judged]) -> Board:
    """What is missing first, and the ids of the claims that wait for it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.evidence, []).append(row.id)
    lines = [[remedy, ", ".join(ids)] for remedy, ids in found.items()]
    return Board(["what is missing first", "claims that wait for it"], lines or [[None, None]])
