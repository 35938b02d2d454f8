"""What git keeps of each notebook: executed in order, thin, clean, and of a page's size."""

import re

import pytest

from compress3d import paths
from tools import notebooks

NOTEBOOKS = notebooks.find(paths.book())
CELL_LINES, BYTES = 15, 600_000
ABSOLUTE = re.compile(r"(?<![\w./:\"'=-])/(?:home|root|tmp|work|usr|opt|mnt|Users|var|content)/[\w.-]+")


def named(path):
    return path.relative_to(paths.book()).with_suffix("").as_posix()


@pytest.fixture(params=NOTEBOOKS, ids=named)
def path(request):
    return request.param


def code_cells(path):
    return [cell for cell in notebooks.read(path).cells if cell.cell_type == "code"]


def test_there_is_something_to_check():
    assert NOTEBOOKS, "book/ holds no notebook"


def test_every_code_cell_was_executed_in_order(path):
    """nbval compares nothing in a cell that was never executed: a cleaned notebook would pass it."""
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), f"execute it again: make notebooks ({path.name}: {counts})"


def test_it_has_a_parameters_cell_of_plain_values(path):
    assert notebooks.parameters(path)
    assert "parameters" in notebooks.tags(code_cells(path)[0]), "the first code cell is the one to change"


IMPORT = re.compile(r"^(from \S+ )?import (\([^)]*\)|[^\n]*)$", re.M)


def test_no_cell_hides_logic(path):
    """Imports are no logic: they do not count."""
    for number, cell in enumerate(code_cells(path)):
        lines = IMPORT.sub("", cell.source).strip().splitlines()
        assert len(lines) <= CELL_LINES, f"code cell {number} has {len(lines)} lines: move logic to the package"


def test_no_output_is_an_error_or_names_this_machine(path):
    for number, cell in enumerate(code_cells(path)):
        assert not ABSOLUTE.search(cell.source), f"code cell {number}"
        for output in cell.outputs:
            assert output.output_type != "error", f"code cell {number}: {output.get('ename')}"
            texts = [output.get("text", "")] + [t for k, t in output.get("data", {}).items() if k == "text/plain"]
            for text in texts:
                hit = ABSOLUTE.search(str(text))
                assert not hit, f"code cell {number} prints {hit[0] if hit else ''}"


def test_metadata_is_clean(path):
    notebook = notebooks.read(path)
    before = notebook.copy()
    notebooks.clean(notebook)
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "mystnb", "title"}
    assert notebooks.read(path).metadata == notebook.metadata, "write it with `make notebooks`"
    for cell in before.cells:
        assert set(cell.metadata) <= {"tags", "mystnb"}


def test_it_is_of_a_pages_size(path):
    assert path.stat().st_size <= BYTES, f"{path.stat().st_size} bytes"
    assert b"\r\n" not in path.read_bytes()


def test_prose_has_a_title_first(path):
    first = notebooks.read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
