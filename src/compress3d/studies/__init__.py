"""Measurements that no run makes by itself: each looks at several trained networks, and writes one results file.

```
studies/ -> results/<scale>/<study>.json -> figures/ -> book/
```
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from compress3d import results
from compress3d.engine.hardware import commit, describe


def save_study(name: str, scale: str, networks: Mapping[str, dict], started: float, **parts: object) -> dict:
    """Write `results/<scale>/<name>.json`, what a study found of each network, and return it.

    Args:
        name: of the study and of its command.
        scale: whose networks.
        networks: run id -> numbers.
        started: `time.monotonic()` at its beginning.
        parts: what else belongs to it, such as `test`, the objects.
    """
    provenance = {
        "commands": [f"compress3d {name} --scale {scale}"],
        **describe(torch.device("cpu")),
        "precision": "float32",
        "commit": commit(),
        "minutes": (time.monotonic() - started) / 60,
        "versions": results.versions(),
    }
    data = {"experiment": results.study_record(scale, name), "networks": dict(networks), **parts}
    # no points: nothing here belongs on a curve of rates
    results.save(f"{scale}/{name}", {**data, "points": [], "provenance": provenance})
    return results.load(f"{scale}/{name}")
