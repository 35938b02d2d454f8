"""Numbers that papers print, from `book/paper.yml`, where each is typed once with its place:

golts2021:
  table1:
    ours_60_epochs: {value: 0.66, std: 0.20, where: "Table 1"}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compress3d import paths
from compress3d.errors import DataError


def read_book_file(path: Path) -> Any:
    """Contents of a YAML file of the book; DataError where there is none."""
    import yaml

    if not path.is_file():
        raise DataError(path, "does not exist", "restore it from git")
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def paper(key: str, path: Path | None = None) -> dict[str, Any]:
    """An entry of `book/paper.yml` by its dotted key: at least `value` and `where`; DataError where it is missing.

    Example:
        >>> paper("golts2021.table1.ours_60_epochs")["value"]
        0.66
    """
    path = path or paths.book() / "paper.yml"
    node = read_book_file(path)
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            raise DataError(path, f"has no entry {key!r}", "look the key up in the file")
        node = node[part]
    return node
