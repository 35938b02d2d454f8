"""Every claim of the paper, and what became of it: claims from `book/claims.yml`, verdicts by rule.

A claim there has either a check here, registered under its id, or a `why`: the reason that no run of ours can test it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compress3d import paths
from compress3d.claims import code, cost, pictures, shape, spread
from compress3d.claims.board import Board, board, short_board, waiting
from compress3d.claims.evidence import CHECKS, NOT_RUN, UNTESTABLE, VERDICTS, Evidence, Missing
from compress3d.errors import DataError

__all__ = [
    "SECTIONS",
    "VERDICTS",
    "Board",
    "Evidence",
    "Row",
    "board",
    "claims",
    "counts",
    "scoreboard",
    "section",
    "short_board",
    "waiting",
]
_REGISTERING = (code, cost, pictures, shape, spread)  # imported for their checks

SECTIONS = {
    "Abstract": "Abstract and introduction",
    "Sec. 1": "Abstract and introduction",
    "Sec. 3": "The three models (Sec. 3)",
    "Sec. 3.1": "The three models (Sec. 3)",
    "Sec. 3.2": "The three models (Sec. 3)",
    "Sec. 3.3": "The three models (Sec. 3)",
    "Sec. 3.4": "Practice (Sec. 3.4)",
    "Sec. 4.1": "Shapes against rate (Sec. 4.1)",
    "Sec. 4.2": "Spread and significance (Sec. 4.2)",
    "Sec. 4.3": "Low rates (Sec. 4.3)",
    "Sec. 4.4": "Run time (Sec. 4.4)",
    "Sec. 4.5": "Decoded pictures (Sec. 4.5)",
    "Sec. 5": "Discussion (Sec. 5)",
    "Appendix": "The small codec (Appendix)",
}


@dataclass(frozen=True)
class Row:
    """One line of the scoreboard.

    Attributes:
        id, where, claim: as in `book/claims.yml`.
        verdict: one of `VERDICTS`.
        evidence: our numbers in a sentence; the command to run, or the reason that nothing can be run.
        rule: what the verdict is decided by; empty where nothing is decided.
    """

    id: str
    where: str
    claim: str
    verdict: str
    evidence: str
    rule: str = ""


def claims(path: Path | None = None) -> list[dict]:
    """Entries of `book/claims.yml`: `id`, `where`, `claim`, and `why` where nothing of ours can test it.

    Raises:
        DataError: the file is missing.
    """
    import yaml

    path = path or paths.book() / "claims.yml"
    if not path.is_file():
        raise DataError(path, "does not exist", "restore it from git")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def section(where: str) -> str:
    """Heading under which a claim stands: that of the first place where the paper makes it."""
    return SECTIONS[where.split(",")[0].strip()]


def judged(entry: dict, evidence: Evidence) -> Row:
    """The row of one claim."""
    known = (entry["id"], entry["where"], entry["claim"])
    if "why" in entry:
        return Row(*known, UNTESTABLE, entry["why"])
    check = CHECKS[entry["id"]]
    rule = " ".join(inspect.getdoc(check).split())
    try:
        return Row(*known, *check(evidence), rule)
    except Missing as missing:
        return Row(*known, NOT_RUN, missing.remedy, rule)


def scoreboard(scale: str = "demo", evidence: Evidence | None = None) -> list[Row]:
    """Every claim with its verdict, in the paper's order.

    Args:
        scale: whose results decide.
        evidence: what to decide by; what lies under `results/` where None.
    """
    evidence = evidence or Evidence.load(scale)
    return [judged(entry, evidence) for entry in claims()]


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many claims have each verdict."""
    verdicts = [row.verdict for row in rows]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}
