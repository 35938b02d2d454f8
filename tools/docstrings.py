"""Sphinx extension: docstrings of the package as the API page shows them. `_config.yml` names it."""

from __future__ import annotations


def setup(app) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _fences, priority=400)  # before napoleon reads the sections
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}


def _fences(app, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = literal_blocks(lines)


def literal_blocks(lines: list[str]) -> list[str]:
    """Markdown's fences and tables, which our docstrings use, as reStructuredText's literal blocks.

    Example:
        >>> literal_blocks(["A way:", "```", "a -> b", "```", "Then."])
        ['A way:', '', '::', '', '    a -> b', '', 'Then.']
    """
    found: list[str] = []
    fenced = table = False
    for line in lines:
        fence, row = line.strip().startswith("```"), line.startswith("|") and not fenced
        if (fence and not fenced) or (row and not table):
            found += ["", "::", ""]
        elif fence or (table and not row):
            found.append("")
        fenced, table = fenced != fence, row
        if not fence:
            found.append(f"    {line}" if fenced or row else line)
    return found


def _skip(app, what: str, name: str, obj, skip: bool, options: object) -> bool | None:
    """What has no docstring, such as a layer in a network's attribute, is left out, and what stands elsewhere."""
    return True if obj.imported or not obj.docstring.strip() else None
