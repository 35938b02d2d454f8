"""Runs the book's notebooks through papermill: unknown parameter = error, time limit, clean metadata.

python -m tools.notebooks run                     execute all of book/ into _build/executed
python -m tools.notebooks write                   ... and put the outputs back into book/ (what git keeps)
python -m tools.notebooks write book/results      ... of one folder or notebook
python -m tools.notebooks run -p scale=smoke      ... with other values in their parameters cells
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress3d import paths
from compress3d.errors import Compress3DError, ConfigError, DataError
from compress3d.figures.display import BOOK_VARIABLE
from compress3d.io import write_atomically

CELL_SECONDS = 600  # a cell that runs longer than this is stuck; the slowest page trains for about a minute
JOBS = 2
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}


class NotebookError(Compress3DError):
    """A notebook's cell raised an error, or ran too long."""


@dataclass(frozen=True)
class Execution:
    """One executed notebook: where it came from, where its outputs lie, how long it took; `error` is empty if well."""

    source: Path
    output: Path
    seconds: float
    error: str = ""


def find(folder: Path | None = None) -> list[Path]:
    """Every notebook below `folder` (default: book/), sorted; or the one notebook that `folder` is.

    Raises:
        DataError: there is no such folder.
    """
    folder = folder or paths.book()
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise DataError(folder, "does not exist", "name a folder or a notebook of the book")
    return sorted(p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def read(path: Path):
    """The notebook at `path` (nbformat 4).

    Raises:
        DataError: the file is missing, empty or no notebook.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError as error:
        raise DataError(path, "does not exist", "name a notebook of the book") from error
    except Exception as error:  # nbformat raises many kinds: JSON, schema, version
        raise DataError(path, f"is no notebook ({type(error).__name__})", "restore it from git") from error


def tags(cell) -> list[str]:
    """Tags of a cell."""
    return list(cell.get("metadata", {}).get("tags", []))


def parameters(path: Path) -> dict[str, Any]:
    """Names and default values in the parameters cell: plain assignments of literals.

    Raises:
        DataError: there is no parameters cell, or it holds anything but assignments.

    Example:
        >>> parameters(paths.book() / "experiments/training.ipynb")
        {'scale': 'smoke', 'steps': 60, 'seed': 0}
    """
    import ast

    cells = [cell for cell in read(path).cells if "parameters" in tags(cell)]
    if len(cells) != 1:
        raise DataError(path, f"has {len(cells)} cells tagged `parameters`", "tag exactly one code cell")
    found = {}
    for statement in ast.parse(cells[0].source).body:
        simple = isinstance(statement, ast.Assign) and len(statement.targets) == 1
        if not simple or not isinstance(statement.targets[0], ast.Name):
            raise DataError(path, "has more than assignments in its parameters cell", "move the rest to another cell")
        try:
            found[statement.targets[0].id] = ast.literal_eval(statement.value)
        except ValueError as error:
            raise DataError(path, f"computes parameter {statement.targets[0].id!r}", "give a plain value") from error
    return found


def clean(notebook) -> None:
    """Drop from an executed notebook all that changes from run to run and says nothing to a reader.

    Papermill's and Jupyter's records (times, paths, versions) go; tags stay, and so does MyST's cell metadata.
    """
    import nbformat

    kept = {k: v for k, v in notebook.metadata.items() if k in ("mystnb", "title")}
    notebook.metadata = nbformat.from_dict({**kept, "kernelspec": KERNEL, "language_info": LANGUAGE})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"  # random ids would change at each conversion
        metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb")}
        if not metadata.get("tags", True):
            del metadata["tags"]
        cell.metadata = nbformat.from_dict(metadata)
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output["metadata"] = nbformat.from_dict({})
    notebook.nbformat, notebook.nbformat_minor = 4, 5


def write(notebook, path: Path) -> None:
    """Write a notebook atomically, with a line feed at the end."""
    import nbformat

    write_atomically(path, (nbformat.writes(notebook).rstrip("\n") + "\n").encode())


def execute(
    source: Path, output: Path, values: Mapping[str, Any] | None = None, cell_seconds: int = CELL_SECONDS
) -> Execution:
    """Execute one notebook in a fresh kernel.

    Args:
        source: notebook of the book.
        output: executed copy, written only when every cell succeeded.
        values: replaces values of its parameters cell.
        cell_seconds: time limit of a cell.

    Raises:
        ConfigError: the parameters cell has no such name.
        NotebookError: a cell raised an error or ran too long; the message holds the cell and the traceback.
    """
    import nbformat
    import papermill
    from jupyter_client.manager import AsyncKernelManager
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    values = dict(values or {})
    known = parameters(source)
    for name in values:
        if name not in known:
            raise ConfigError(f"parameter {name!r}", f"is unknown to {source.name}", f"choose from {', '.join(known)}")
    started = time.monotonic()
    output.parent.mkdir(parents=True, exist_ok=True)
    raw = output.with_name(f".raw-{output.name}")
    try:
        papermill.execute_notebook(
            str(source), str(raw), parameters=values, kernel_name=KERNEL["name"], language="python",
            cwd=str(source.parent), progress_bar=False, log_output=False, start_timeout=180,
            execution_timeout=cell_seconds, kernel_manager_class=through_files(AsyncKernelManager),
        )  # fmt: skip
        notebook = nbformat.read(raw, as_version=4)
        if values:  # the page shows the values that were used, once
            notebook.cells = [cell for cell in notebook.cells if "parameters" not in tags(cell)]
        clean(notebook)
        write(notebook, output)
    except PapermillExecutionError as error:
        trace = without_colours("\n".join(error.traceback))
        problem = f"cell {error.cell_index} raised {error.ename}: {error.evalue}\n{error.source}\n{trace}\n"
        raise NotebookError(source, problem, "mend the cell, or the function that it calls") from None
    except (CellTimeoutError, DeadKernelError) as error:
        problem = f"stopped: {str(error).splitlines()[0]}"
        raise NotebookError(
            source, problem, f"make it faster than {cell_seconds} s a cell, or give it memory"
        ) from None
    finally:
        raw.unlink(missing_ok=True)
    return Execution(source, output, time.monotonic() - started)


def through_files(manager: type) -> type:
    """A kernel manager whose kernels talk through socket files instead of ports.

    A port is drawn some time before the kernel takes it: of two kernels that start at once one may find it taken, and
    die ("Address already in use").
    """

    class Manager(manager):
        def _transport_default(self) -> str:
            return "ipc"

        def _ip_default(self) -> str:  # the beginning of five paths, which may have 107 letters
            return str(Path(tempfile.gettempdir()) / f"kernel-{uuid.uuid4().hex[:12]}")

    return Manager


def without_colours(text: str) -> str:
    """`text` without the terminal's colour codes."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _execute_or_report(job: tuple) -> Execution:
    source, output, values, cell_seconds = job
    try:
        return execute(source, output, values, cell_seconds)
    except Compress3DError as error:
        return Execution(source, output, 0.0, str(error))
    except Exception as error:  # one page's surprise must not hide the others
        return Execution(source, output, 0.0, f"{source}: {type(error).__name__}: {error}")


def kernel_environment() -> dict[str, str]:
    """Environment of the kernels: one thread each, because two notebooks run at a time; figures as fragments."""
    one = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**one, BOOK_VARIABLE: "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # fmt: skip


def _prepare(log: Path) -> None:
    """Set up a process whose kernels inherit its environment and its standard error.

    Kernels chatter there ("running over TCP without encryption", "KeyboardInterrupt caught"); errors of cells come
    by another way.
    """
    os.environ.update(kernel_environment())
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def execute_all(
    sources: Sequence[Path],
    folder: Path,
    values: Mapping[str, Any] | None = None,
    jobs: int = JOBS,
    cell_seconds: int = CELL_SECONDS,
    report=print,
) -> list[Execution]:
    """Execute notebooks, `jobs` at a time, into `folder` (same sub-folders as below book/).

    All of them are tried, so that one run names every broken page.

    Args:
        values: for those notebooks whose parameters cell has the name; a name that no notebook has is an error.

    Raises:
        ConfigError: a value whose name no notebook knows.
        NotebookError: at least one notebook failed; the message lists each of them.
    """
    values = dict(values or {})
    known = {source: parameters(source) for source in sources}
    for name in values:
        if not any(name in names for names in known.values()):
            choice = ", ".join(sorted({n for names in known.values() for n in names}))
            raise ConfigError(f"parameter {name!r}", "is unknown to all notebooks", f"choose from {choice}")
    tasks = [
        (source, folder / _below_book(source), {k: v for k, v in values.items() if k in known[source]}, cell_seconds)
        for source in sources
    ]
    done = []
    folder.mkdir(parents=True, exist_ok=True)
    workers = max(1, min(jobs, len(tasks)))
    with ProcessPoolExecutor(workers, initializer=_prepare, initargs=(folder / "kernels.log",)) as pool:
        for execution in pool.map(_execute_or_report, tasks):
            mark = "FAILED" if execution.error else f"{execution.seconds:5.1f} s"
            report(f"  {mark}  {_below_book(execution.source)}", flush=True)
            done.append(execution)
    failed = [execution for execution in done if execution.error]
    if failed:
        texts = "\n\n".join(execution.error for execution in failed)
        remedy = "mend them one by one with `python -m tools.notebooks run NOTEBOOK`"
        raise NotebookError(f"{len(failed)} of {len(done)} notebooks", f"failed:\n{texts}\n", remedy)
    return done


def _below_book(source: Path) -> Path:
    source, book = source.resolve(), paths.book().resolve()
    return source.relative_to(book) if source.is_relative_to(book) else Path(source.name)


def _value(text: str) -> tuple[str, Any]:
    import ast

    name, _, value = text.partition("=")
    if not name or not value:
        raise ConfigError(f"-p {text}", "is no NAME=VALUE", "write for example -p steps=100")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "write"], help="run: into _build/executed; write: back into book/")
    parser.add_argument("where", nargs="*", type=Path, help="folders or notebooks (default: all of book/)")
    parser.add_argument("-p", dest="values", action="append", default=[], metavar="NAME=VALUE", help="a parameter")
    parser.add_argument("--jobs", type=int, default=JOBS, help="notebooks at a time")
    parser.add_argument("--seconds", type=int, default=CELL_SECONDS, help="time limit of a cell")
    chosen = parser.parse_intermixed_args(arguments)  # plain parsing refuses a page behind -p NAME=VALUE
    try:
        values = dict(_value(text) for text in chosen.values)
        if values and chosen.what == "write":
            raise ConfigError("write", "takes no parameters", "git keeps the outputs of the default values")
        sources = [path for where in chosen.where or [None] for path in find(where)]
        target = paths.root() / "_build" / "executed"
        for execution in execute_all(sources, target, values, chosen.jobs, chosen.seconds):
            if chosen.what == "write":
                write(read(execution.output), execution.source)
    except Compress3DError as error:
        print(f"compress3d: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
