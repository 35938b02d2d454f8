"""The page of the package: what it lists exists, and nothing public of the small packages is left out."""

import importlib
import pkgutil
import re

import compress3d
from compress3d import paths
from tools.docstrings import literal_blocks

PAGE = (paths.book() / "use/api.md").read_text()
MODULES = re.findall(r"autoapimodule:: (\S+)", PAGE)


def test_what_the_page_lists_exists():
    assert MODULES and len(MODULES) == len(set(MODULES))
    for name in MODULES:
        assert importlib.import_module(name).__doc__, name
        assert f"### `{name}`" in PAGE
    functions = re.findall(r"autoapifunction:: compress3d\.(\w+)", PAGE)
    assert set(functions) == set(compress3d.__all__) - {"__version__"}


def test_no_layer_loss_or_metric_is_left_out():
    for package in ("layers", "metrics"):
        path = importlib.import_module(f"compress3d.{package}").__path__
        known = {f"compress3d.{package}.{module.name}" for module in pkgutil.iter_modules(path)}
        assert known <= set(MODULES)
    assert "compress3d.losses" in MODULES


def test_fences_and_tables_become_literal_blocks():
    lines = ["Way:", "```", "a | b", "| c", "```", "Table:", "| a | b |", "|---|---|", "End."]
    expected = """Way:

::

    a | b
    | c

Table:

::

    | a | b |
    |---|---|

End."""
    assert "\n".join(literal_blocks(lines)) == expected
