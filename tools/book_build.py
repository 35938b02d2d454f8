"""Builds the book: execute the notebooks, stage the pages, draw the headline, run Jupyter Book. No network.

python -m tools.book_build                 all of it; prints where index.html lies
python -m tools.book_build --no-execute    with the outputs that git keeps
python -m tools.book_build --partial       chapters that are not written yet are empty pages (a list says which)
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import compress3d
from compress3d import paths
from compress3d.errors import Compress3DError, DataError
from tools import headline, notebooks


class BuildError(Compress3DError):
    """A page, a figure or a tool that the book needs is missing, or Jupyter Book reports a warning."""


def toc_entries(toc: Path) -> list[str]:
    """Every page that a table of contents names, without endings, root first.

    Raises:
        DataError: the file is missing or is no table of contents.
    """
    import yaml

    if not toc.is_file():
        raise DataError(toc, "does not exist", "restore it from git")
    tree = yaml.safe_load(toc.read_text(encoding="utf-8"))
    if not isinstance(tree, dict) or "root" not in tree:
        raise DataError(toc, "has no `root`", "restore it from git")
    found = [tree["root"]]

    def walk(node) -> None:
        for part in node.get("parts", []):
            walk(part)
        for entry in [*node.get("chapters", []), *node.get("sections", [])]:
            found.append(entry["file"])
            walk(entry)

    walk(tree)
    return found


def missing_pages(toc: Path, book: Path) -> list[str]:
    """Pages that the table of contents names and `book` does not have."""
    return [e for e in toc_entries(toc) if not any((book / f"{e}{end}").is_file() for end in (".md", ".ipynb"))]


def stage(book: Path, out: Path, executed: Iterable[notebooks.Execution] = ()) -> None:
    """Copy the pages to `out`, with executed notebooks in place of those of git, and the scripts that pages load.

    The package lies in `_package`, for the API page. Nothing big is kept in git: MathJax comes from the package
    django-static-mathjax (files only), plotly.js out of plotly itself, so that its version is always the one that wrote
    the figures.

    Args:
        book: sources of the book.
        out: folder; made anew.
        executed: what `notebooks.execute_all` returned; for other notebooks the outputs that git keeps are shown.

    Raises:
        BuildError: MathJax or plotly is not installed.
    """
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(book, out, ignore=shutil.ignore_patterns(".ipynb_checkpoints", ".raw-*", "__pycache__"))
    for execution in executed:
        shutil.copy(execution.output, out / execution.source.relative_to(book))
    try:
        import mathjax
        import plotly
    except ImportError as error:
        raise BuildError(error.name or "a package", "is not installed", "run `make book`") from error
    assets = out / "assets"
    es5, copied = Path(mathjax.__file__).parent / "static/mathjax/es5", assets / "mathjax/es5"
    copied.mkdir(parents=True)
    shutil.copy(es5 / "tex-mml-chtml.js", copied)
    shutil.copytree(es5 / "output/chtml/fonts/woff-v2", copied / "output/chtml/fonts/woff-v2")
    shutil.copy(Path(plotly.__file__).parent / "package_data/plotly.min.js", assets)
    ignored = shutil.ignore_patterns("__pycache__", "_shipped")
    shutil.copytree(Path(compress3d.__file__).parent, out / "_package/compress3d", ignore=ignored)  # for the API page


def render(staged: Path, config: Path, toc: Path, out: Path) -> Path:
    """Run Jupyter Book over the staged pages, warnings as errors.

    Args:
        staged: folder of `stage`.
        config: `_config.yml`.
        toc: `_toc.yml`.
        out: Jupyter Book writes to `out/_build/html`, and its words go to `out/jupyter-book.log`.

    Returns:
        Path of index.html.

    Raises:
        BuildError: it reports a warning or an error.
    """
    program = Path(sys.executable).parent / "jupyter-book"  # `python -m jupyter_book` does not exist
    if not program.is_file():
        raise BuildError(program, "does not exist", "run `make book`")
    shutil.rmtree(out / "_build", ignore_errors=True)
    # Absolute paths: Jupyter Book looks for the toc in the working folder, Sphinx below the pages.
    command = [str(program), "build", "-W", "--keep-going", "--all", str(staged.resolve())]
    command += ["--config", str(config.resolve()), "--toc", str(toc.resolve()), "--path-output", str(out.resolve())]
    ran = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    words = notebooks.without_colours(ran.stdout)
    log = out / "jupyter-book.log"
    out.mkdir(parents=True, exist_ok=True)
    log.write_text(words, encoding="utf-8")
    if ran.returncode:
        told = [line for line in words.splitlines() if "WARNING" in line or "ERROR" in line]
        lines = told or words.splitlines()[-15:]
        raise BuildError(
            "Jupyter Book", "stopped:\n" + "\n".join(lines), f"mend the pages named above; all of it is in {log}"
        )
    return out / "_build/html/index.html"


def build(execute: bool = True, partial: bool = False, jobs: int = notebooks.JOBS, out: Path | None = None) -> Path:
    """Build the whole book.

    Args:
        execute: run the notebooks first; else use the outputs that git keeps.
        partial: make empty pages of those that do not exist yet, instead of stopping.
        jobs: notebooks at a time.
        out: folder for everything that is made; default `_build/` in the repository.

    Returns:
        Path of index.html: `_build/html/index.html`.

    Raises:
        BuildError: pages are missing, or Jupyter Book reports a warning.
        NotebookError: a notebook failed.
        DataError: results exist, but a figure cannot be made from them.
    """
    root, book = paths.root(), paths.book()
    out = out or root / "_build"
    out.mkdir(parents=True, exist_ok=True)
    config, toc = root / "_config.yml", root / "_toc.yml"
    missing = missing_pages(toc, book)
    if missing and not partial:
        raise BuildError(toc, f"names pages that do not exist: {', '.join(missing)}", "write them, or leave them out")
    if missing:
        print(f"EMPTY PAGES, not written yet: {', '.join(missing)}")
    executed = []
    if execute:
        named = set(toc_entries(toc))
        sources = [p for p in notebooks.find(book) if p.relative_to(book).with_suffix("").as_posix() in named]
        print(f"executing {len(sources)} notebooks, {jobs} at a time", flush=True)
        started = time.monotonic()
        executed = notebooks.execute_all(sources, out / "executed", jobs=jobs)
        print(f"executed in {time.monotonic() - started:.0f} s", flush=True)
    stage(book, out / "stage", executed)
    for entry in missing:
        page = out / "stage" / f"{entry}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"# {entry}\n\nThis page is not written yet.\n", encoding="utf-8")
    headline.write(out / "stage" / "assets")
    started = time.monotonic()
    index = render(out / "stage", config, toc, out / "pages")
    shutil.rmtree(out / "html", ignore_errors=True)
    os.replace(index.parent, out / "html")
    print(f"pages built in {time.monotonic() - started:.0f} s")
    return out / "html" / "index.html"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(prog="python -m tools.book_build", description=__doc__.splitlines()[0])
    parser.add_argument("--no-execute", action="store_true", help="use the outputs that git keeps")
    parser.add_argument("--partial", action="store_true", help="make empty pages of chapters that are not written yet")
    parser.add_argument("--jobs", type=int, default=notebooks.JOBS, help="notebooks at a time")
    chosen = parser.parse_args(arguments)
    try:
        index = build(not chosen.no_execute, chosen.partial, chosen.jobs)
    except Compress3DError as error:
        print(f"compress3d: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    line = f"  The book is built. Open {index}"
    print("=" * (len(line) + 2), line, "=" * (len(line) + 2), sep="\n")


if __name__ == "__main__":
    main()
