"""The scoreboard: rules by hand, a document of its own, and pages that quote it and decide nothing themselves."""

import ast
import subprocess
import sys

import pytest

from compress3d import claims, paths
from compress3d.claims.evidence import DOCUMENTS, Checks, Evidence
from compress3d.claims.rules import (
    CONTRADICTED,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    UNTESTABLE,
    VERDICTS,
    Missing,
    judge,
    judge_parts,
)
from compress3d.errors import ConfigError
from compress3d.metrics import Difference
from tools import notebooks

ENTRIES = [(document, entry) for document, of in claims.claims().items() for entry in of["claims"]]


def test_every_claim_has_either_a_check_or_a_reason():
    for document, of in claims.claims().items():
        checked = {entry["id"] for entry in of["claims"] if not entry.keys() & {"why", "needs"}}
        assert checked == set(claims.checks()[document])
    ids = [entry["id"] for _, entry in ENTRIES]
    assert len(ids) == len(set(ids))  # over all documents, as pages quote a claim by its id
    for document, entry in ENTRIES:
        assert {"id", "where", "claim"} <= entry.keys() <= {"id", "where", "claim", "why", "needs"}
        row = claims.Row(document, entry["id"], entry["where"], "", "", "")
        assert claims.section(row) in claims.claims()[document]["sections"]


def test_the_rules_by_hand():
    sure, unsure, against = (
        Difference(*ends) for ends in ((0.02, 0.01, 0.03), (0.02, -0.01, 0.05), (-0.02, -0.03, -0.01))
    )
    assert judge([sure, sure]) == REPRODUCED
    assert judge([sure, against]) == judge([unsure, unsure]) == PARTLY
    assert judge([unsure, against]) == judge([against]) == CONTRADICTED
    assert [judge_parts(parts) for parts in ([1, 1], [0, 1], [0, 0])] == [REPRODUCED, PARTLY, CONTRADICTED]


@pytest.fixture
def example():
    """A document of three claims, one of them with a check."""
    claim = Checks("example1999")

    @claim("is-better")
    def is_better(evidence):
        """Above 0.5."""
        value = evidence.results("run-s0")["value"]
        return (REPRODUCED if value > 0.5 else CONTRADICTED), f"value {value}"

    yield claim
    del DOCUMENTS["example1999"]


@pytest.mark.parametrize(
    "entry, found, verdict, evidence, rule",
    [
        ({"why": "no data"}, {}, UNTESTABLE, "no data", ""),
        ({"needs": "a run"}, {}, NOT_RUN, "Needs a run", ""),
        ({}, {}, NOT_RUN, "run compress3d sweep --scale demo --only run-s0", "Above 0.5."),
        ({}, {"demo/run-s0": {"value": 0.6}}, REPRODUCED, "value 0.6", "Above 0.5."),
        ({}, {"demo/run-s0": {"value": 0.4}}, CONTRADICTED, "value 0.4", "Above 0.5."),
    ],
)
def test_rows_of_a_document(example, entry, found, verdict, evidence, rule):
    known = {"id": "is-better", "where": "Sec. 1", "claim": "It is better."}
    row = claims.judged("example1999", known | entry, Evidence("demo", found))
    assert (row.verdict, row.evidence, row.rule) == (verdict, evidence, rule)
    assert f'class="status status-{verdict.replace(" ", "-")}"' in claims.board([row]).html()


def test_one_check_a_claim(example):
    with pytest.raises(ValueError, match="two checks"):
        example("is-better")(lambda evidence: None)
    with pytest.raises(Missing, match="run it"):
        Evidence("demo", {}).results("x", "run it")
    with pytest.raises(ConfigError, match="unknown"):
        claims.row("no-such-claim")


def test_boards_fold_and_count():
    rows = [claims.Row("d", "a", "Sec. 1", "c", v, "e") for v in (PARTLY, PARTLY, NOT_RUN)]
    assert claims.counts(rows) == {REPRODUCED: 0, PARTLY: 2, CONTRADICTED: 0, NOT_RUN: 1, UNTESTABLE: 0}
    assert "white-space: normal" in claims.board(rows).html()
    assert claims.short_board([]).rows == [["–"] * 3]


def test_the_engine_of_claims_loads_no_torch():
    code = "import sys, compress3d.claims, compress3d.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# -- pages -------------------------------------------------------------------------------------------------------------

PAGES = sorted(paths.book().rglob("*.ipynb"))
RESULT_PAGES = [page for page in PAGES if page.parent.name == "results"]
SCOREBOARD = paths.book() / "verdict" / "claims.ipynb"


def code_cells(page):
    """Code cells of a page, as syntax trees with their stored text outputs."""
    for cell in notebooks.read(page).cells:
        if cell.cell_type == "code":
            texts = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            yield ast.parse(cell.source), "\n".join("".join(text) for text in texts)


def quoted(tree):
    """Ids of claims that a cell quotes."""
    for node in ast.walk(tree):
        called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
        if called in ("row", "quote") and getattr(node.func.value, "id", "") == "claims":
            yield from (argument.value for argument in node.args)


@pytest.fixture(scope="module")
def board():
    """The scoreboard's rows as they are now, by id."""
    return {row.id: row for document in claims.claims() for row in claims.scoreboard(document=document)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_the_scoreboards_rows_as_they_are(page, board):
    for tree, text in code_cells(page):
        for claim_id in quoted(tree):
            row = board[claim_id]
            lines = [line for line in text.splitlines() if row.claim in line]
            assert len(lines) == 1 and row.evidence in lines[0], claim_id
            assert lines[0].split(row.claim)[1].split("  ")[1].strip() == row.verdict or row.verdict in lines[0], (
                claim_id
            )


def test_the_scoreboards_page_shows_every_claim_once(board):
    text = "\n".join(text for _, text in code_cells(SCOREBOARD))
    for row in board.values():
        assert sum(row.claim in line and row.verdict in line for line in text.splitlines()) == 1, row.id


@pytest.mark.parametrize("page", RESULT_PAGES, ids=lambda page: page.stem)
def test_a_page_of_results_holds_no_rule_of_its_own(page):
    """No cell chooses between words of a verdict: that is the scoreboard's."""
    words = {*VERDICTS, "yes", "no", "holds", "at least as much"}
    for tree, _ in code_cells(page):
        found = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not found & words, found & words


@pytest.mark.parametrize("page", RESULT_PAGES, ids=lambda page: page.stem)
def test_a_page_of_results_quotes_the_scoreboard(page):
    assert any(quoted_id for tree, _ in code_cells(page) for quoted_id in quoted(tree)) or page.stem == "table2"
