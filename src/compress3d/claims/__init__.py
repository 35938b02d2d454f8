"""Every claim of the papers, and what became of it: claims from `book/claims.yml`, verdicts by rule, one for each.

A claim there has a check beside its system (`compress3d.<package>.claims`), or `needs`: what would have to be run, or
`why`: the reason that no run of ours can test it. Pages quote rows of the scoreboard and decide nothing themselves.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from compress3d import paths
from compress3d.claims.evidence import DOCUMENTS, Checks
from compress3d.claims.evidence import Evidence as Evidence
from compress3d.claims.rules import NOT_RUN, UNTESTABLE, VERDICTS, Missing
from compress3d.engine.experiment import modules
from compress3d.errors import ConfigError
from compress3d.figures.tables import Table
from compress3d.paper import read_book_file

FOLDED = '<td style="white-space: normal; vertical-align: top; min-width: 5rem"'


@dataclass(frozen=True)
class Row:
    """One line of the scoreboard, with document, id, place and claim of `book/claims.yml`; a table in a notebook.

    Attributes:
        verdict: one of `VERDICTS`.
        evidence: our numbers in a sentence; what to run, or the reason that nothing can be run.
        rule: what the verdict is decided by; empty where nothing is decided.
    """

    document: str
    id: str
    where: str
    claim: str
    verdict: str
    evidence: str
    rule: str = ""

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return board([self])._repr_mimebundle_()


class Board(Table):
    """A table of sentences, which must fold in their cells where numbers must not."""

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


def claims() -> dict[str, dict]:
    """`book/claims.yml`: document -> `sections` (heading -> places) and `claims` (`id`, `where`, `claim`, ...)."""
    return read_book_file(paths.book() / "claims.yml")


@cache
def checks() -> dict[str, Checks]:
    """Document -> its checks: those of every package that has a module or package `claims`."""
    modules("claims")
    return DOCUMENTS


def section(row: Row) -> str:
    """Heading under which a claim stands: that of the first place where the paper makes it."""
    first = row.where.split(",")[0].strip()
    return next(heading for heading, places in claims()[row.document]["sections"].items() if first in places)


def judged(document: str, entry: dict, evidence: Evidence | None = None, scale: str = "demo") -> Row:
    """The row of one entry of `claims`, by the given evidence, or by what lies under `results/`."""
    known = (document, entry["id"], entry["where"], entry["claim"])
    if "why" in entry:
        return Row(*known, UNTESTABLE, entry["why"])
    if "needs" in entry:
        return Row(*known, NOT_RUN, f"Needs {entry['needs']}")
    check = checks()[document][entry["id"]]
    rule = " ".join((inspect.getdoc(check) or "").split())
    try:
        return Row(*known, *check(evidence or checks()[document].evidence.load(scale)), rule)
    except Missing as missing:
        return Row(*known, NOT_RUN, missing.remedy, rule)


def scoreboard(scale: str = "demo", document: str = "golts2021", evidence: Evidence | None = None) -> list[Row]:
    """Every claim of a document with its verdict, in the paper's order; arguments as of `judged`."""
    evidence = evidence or checks()[document].evidence.load(scale)
    return [judged(document, entry, evidence) for entry in claims()[document]["claims"]]


def row(claim_id: str, scale: str = "demo") -> Row:
    """The scoreboard's row of one claim, as a page quotes it.

    Raises:
        ConfigError: no document has such a claim.

    Example:
        >>> row("joint-better-than-separate").verdict
        'not run'
    """
    for document, of in claims().items():
        for entry in of["claims"]:
            if entry["id"] == claim_id:
                return judged(document, entry, scale=scale)
    raise ConfigError(f"claim {claim_id!r}", "is unknown", "choose an id of book/claims.yml")


def quote(*claim_ids: str, scale: str = "demo") -> Board:
    """Rows of the scoreboard as a table, for the page that shows what they are about."""
    return board(row(claim_id, scale) for claim_id in claim_ids)


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many claims have each verdict."""
    verdicts = [row.verdict for row in rows]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}
