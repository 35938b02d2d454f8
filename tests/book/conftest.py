"""A small book of two pages, built by the same code as the real one, and the real one where it has been built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import chromium  # noqa: E402

PAGE = """# A page

$$ c = \\\\frac{24 H W}{8 B} $$ (eq-rate)

Rate {eq}`eq-rate` is defined by {cite:t}`golts2021`.

$$ \\mathrm{IoU} = \\frac{\\sum \\mathbb{1}(\\mathbf{p} > \\tau)\\,\\mathbb{1}(\\tilde{\\mathbf{p}})}
  {\\sum \\mathbb{1}(\\mathbb{1}(\\mathbf{p} > \\tau) + \\mathbb{1}(\\tilde{\\mathbf{p}}))} + 32^{3^{3D}} \\tag{17} $$

> \\begin{equation}
> L = \\begin{cases} L_{\\mathrm{comp}} & i < V \\\\ L_{\\mathrm{comp}} + L_{3D} & i = V. \\end{cases} \\tag{16}
> \\end{equation}

$$ x^{3D} \\in \\{0, 1\\}^{32^3} $$
"""
SET_UP = """import numpy as np
from compress3d.figures import display, voxels, viewer, tables
grid = np.zeros((side, side, side), bool)
grid[4:12, 6:8, 4:12] = grid[4:12, 8:15, 10:12] = True"""
FIGURE = 'display.show(voxels.voxel_figure(grid, "#c03030"), words="A red chair.")'
VIEWER = """views = [np.full((16, 16, 3), shade, np.uint8) for shade in (40, 120, 200)]
shapes = [viewer.Shape(name, {"ground truth": grid, "half": grid & (np.arange(side) < 11)}, views)
          for name in ("chair", "same chair")]
viewer.viewer(shapes, {"ground truth": "#30a040"}, turn=True)"""
TABLE = 'tables.Table(["rate", "mIoU"], [[48, 0.5], [384, 0.4871]], "demo scale")'


def _notebook(path: Path) -> None:
    import nbformat

    code = nbformat.v4.new_code_cell
    cells = [nbformat.v4.new_markdown_cell(PAGE.replace("\\\\", "\\")), code("side = 16")]
    cells[1].metadata["tags"] = ["parameters"]
    cells += [code(source) for source in (SET_UP, FIGURE, VIEWER, TABLE)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@pytest.fixture(scope="session")
def mini_book(tmp_path_factory) -> Path:
    """Folder with the HTML of two pages: a notebook with figure, viewer, table and mathematics; the references."""
    import shutil

    from compress3d import paths
    from tools import book_build, notebooks

    root = tmp_path_factory.mktemp("mini")
    book = root / "book"
    shutil.copytree(paths.book() / "assets", book / "assets")
    for name in ("references.bib", "references.md"):
        shutil.copy(paths.book() / name, book)
    (book / "index.md").write_text("# Mini\n\nSee [the page](page.ipynb).\n")
    _notebook(book / "page.ipynb")
    toc = root / "_toc.yml"
    toc.write_text("format: jb-book\nroot: index\nchapters:\n- file: page\n- file: references\n")
    executed = notebooks.execute_all([book / "page.ipynb"], root / "executed", report=lambda *a, **k: None)
    book_build.stage(book, root / "stage", executed)
    return book_build.render(root / "stage", paths.root() / "_config.yml", toc, root / "pages").parent


@pytest.fixture(scope="session")
def real_book() -> Path:
    """The HTML of the whole book, if `make book` or `make pages` has built it."""
    from compress3d import paths

    html = paths.root() / "_build/html"
    if not (html / "index.html").is_file():
        pytest.skip("the whole book is not built here (make book); the two-page book stands in for it")
    return html


@pytest.fixture(scope="session")
def browser():
    """A running Chromium. Skips where there is none, and says how to change that."""
    if chromium.find() is None:
        pytest.skip("no Chromium on PATH: install it (Debian: apt-get install chromium) or set $CHROMIUM")
    with chromium.Browser() as running:
        yield running
