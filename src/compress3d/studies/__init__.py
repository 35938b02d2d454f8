"""Measurements that no run makes by itself: each looks at several trained networks, and writes one results file.

```
studies/ -> results/<scale>/<study>.json -> figures/ -> book/
```
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from compress3d import results


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
        "device": "cpu",
        "minutes": (time.monotonic() - started) / 60,
        "versions": results.versions(),
    }
    run = {"id": f"{scale}/{name}", "model": name, "rate": None, "scale": scale, "seed": None, "tag": "study"}
    # no points: nothing here belongs on a curve of rates
    results.save(
        f"{scale}/{name}", {"run": run, "points": [], "networks": dict(networks), **parts, "provenance": provenance}
    )
    return results.load(f"{scale}/{name}")
