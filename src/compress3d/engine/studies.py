"""Studies: measurements that no training makes by itself, such as several trained networks on other views.

Each looks at networks of one scale and writes one results file. A package that has studies names them in a module
`compress3d.<package>.studies`: `STUDIES = {"views": views.run}`, where `run(scale, ...)` yields lines for a terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from compress3d import results
from compress3d.engine.experiment import modules
from compress3d.engine.hardware import commit, describe


@dataclass(frozen=True)
class Study:
    """A study that can be run by name."""

    name: str  # as in `compress3d study NAME`
    help: str  # one line: what it measures
    run: Callable[..., Iterator[str]]  # of the scale, and for some options by keyword: lines that say what was found


def studies() -> dict[str, Study]:
    """Every study of every package, by name.

    Raises:
        ValueError: two packages have a study of the same name.
    """
    found: dict[str, Study] = {}
    for module in modules("studies"):
        for name, run in getattr(module, "STUDIES", {}).items():  # this module itself has none
            if name in found:
                raise ValueError(f"two studies are called {name!r}, one of them in {module.__name__}")
            found[name] = Study(name, (run.__doc__ or "").strip().splitlines()[0], run)
    return found


def save_study(name: str, scale: str, networks: Mapping[str, dict], started: float, **parts: object) -> dict:
    """Write `results/<scale>/<name>.json`, what a study found of each network, and return it as read back.

    Args:
        name: of the study and of its command.
        scale: whose networks.
        networks: run id -> numbers.
        started: `time.monotonic()` at its beginning.
        parts: what else belongs to it, such as `test`, the objects.
    """
    provenance = {
        "commands": [f"compress3d study {name} --scale {scale}"],
        **describe(torch.device("cpu")),
        "commit": commit(),
        "minutes": (time.monotonic() - started) / 60,
        "versions": results.versions(),
    }
    found = {"experiment": results.study_record(scale, name), "networks": dict(networks), **parts}
    # no points: nothing here belongs on a curve of rates
    results.save(f"{scale}/{name}", {**found, "points": [], "provenance": provenance})
    return results.load(f"{scale}/{name}")
