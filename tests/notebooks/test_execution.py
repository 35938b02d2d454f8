"""Running notebooks: parameters, errors, time limits, clean files. Each kernel costs about a second."""

import nbformat
import nbval.kernel
import pytest

from compress3d.errors import ConfigError, DataError
from tools import notebooks
from tools.notebooks import NotebookError


def make(path, *sources, parameters="steps = 2\nscale = 'smoke'"):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A page")])
    cell = nbformat.v4.new_code_cell(parameters)
    cell.metadata["tags"] = ["parameters"]
    book.cells += [cell] + [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(book, path)
    return path


def test_parameters_are_read_as_plain_values(tmp_path):
    assert notebooks.parameters(make(tmp_path / "a.ipynb")) == {"steps": 2, "scale": "smoke"}


@pytest.mark.parametrize("cell, words", [("steps = 1 + f()", "computes"), ("import os\nsteps = 1", "more than assign")])
def test_parameters_cell_holds_nothing_else(tmp_path, cell, words):
    with pytest.raises(DataError, match=words):
        notebooks.parameters(make(tmp_path / "a.ipynb", parameters=cell))


def test_missing_parameters_cell(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "a.ipynb")
    with pytest.raises(DataError, match="0 cells tagged"):
        notebooks.parameters(tmp_path / "a.ipynb")


@pytest.mark.parametrize("content", [b"", b"{", b'{"cells": 3}', b"\xff\xfe"])
def test_broken_notebooks_are_named(tmp_path, content):
    (tmp_path / "a.ipynb").write_bytes(content)
    with pytest.raises(DataError, match="a.ipynb"):
        notebooks.read(tmp_path / "a.ipynb")


def test_unknown_parameter_is_an_error_before_anything_runs(tmp_path):
    source = make(tmp_path / "a.ipynb", "open('ran', 'w')")
    with pytest.raises(ConfigError, match="choose from steps, scale"):
        notebooks.execute(source, tmp_path / "out" / "a.ipynb", {"step": 3})
    with pytest.raises(ConfigError, match="unknown to all"):
        notebooks.execute_all([source], tmp_path / "out", {"step": 3})
    assert not (tmp_path / "ran").exists()


def test_values_are_used_and_the_page_shows_them_once(tmp_path):
    source = make(tmp_path / "a.ipynb", "print(steps, scale)")
    done = notebooks.execute_all([source], tmp_path / "out", {"steps": 7}, report=lambda *a, **k: None)
    book = notebooks.read(done[0].output)
    assert book.cells[-1].outputs[0].text == "7 smoke\n"
    assert sum("steps" in cell.source and "=" in cell.source for cell in book.cells) == 1


def test_written_file_is_clean_and_the_same_twice(tmp_path):
    source = make(tmp_path / "a.ipynb", "print(steps)")
    texts = []
    for name in ("one", "two"):
        notebooks.execute(source, tmp_path / name / "a.ipynb")
        texts.append((tmp_path / name / "a.ipynb").read_text())
    assert texts[0] == texts[1]
    assert "papermill" not in texts[0] and str(tmp_path) not in texts[0]
    assert texts[0].endswith("}\n")
    assert not list(tmp_path.rglob(".*.ipynb"))


def test_all_failing_notebooks_are_named_with_their_cell_and_the_others_run(tmp_path):
    sources = [
        make(tmp_path / "good.ipynb", "print(1)"),
        make(tmp_path / "bad.ipynb", "print(1)", "int('x')"),
        make(tmp_path / "slow.ipynb", "import time; time.sleep(600)"),
    ]
    with pytest.raises(NotebookError) as caught:
        notebooks.execute_all(sources, tmp_path / "out", cell_seconds=10, report=lambda *a, **k: None)
    text = str(caught.value)
    assert "2 of 3 notebooks" in text and "cell 3 raised ValueError" in text and "faster than 10 s" in text
    assert (tmp_path / "out" / "good.ipynb").is_file()
    assert not (tmp_path / "out" / "bad.ipynb").exists()  # no half-made page can slip into the book


ASKS = "import json, ipykernel\ninfo = json.loads(ipykernel.get_connection_info())\nprint(info['transport'])"


def test_no_kernel_waits_at_a_port(tmp_path):
    """Of two kernels that start at once, one found its port taken and died; nbval's kernels are of the same kind."""
    notebooks.execute(make(tmp_path / "a.ipynb", ASKS), tmp_path / "out" / "a.ipynb")
    assert notebooks.read(tmp_path / "out" / "a.ipynb").cells[-1].outputs[0].text == "ipc\n"
    one, two = nbval.kernel.KernelManager(), nbval.kernel.KernelManager()
    assert one.transport == "ipc" and one.ip != two.ip
