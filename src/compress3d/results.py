"""Results files: one JSON a run, and a manifest of all of them. Figures and tables read only these.

`results/<scale>/<run>.json` holds the run's settings, its points (one for each rate and way of counting bytes), and
where the numbers come from. Keys are sorted and floats rounded to six digits, so that a repeated run changes nothing.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from compress3d import paths
from compress3d.errors import DataError
from compress3d.io import digest, write_atomically

SCHEMA = 1
DIGITS = 6


def rounded(value):
    """`value` with every float in it rounded to six digits."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: rounded(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return value


def dumps(data: dict) -> str:
    """JSON text: sorted keys, one line an entry, short lists on a line."""
    return json.dumps(rounded(data), sort_keys=True, indent=1) + "\n"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in ("compress3d", "torch", "numpy", "pillow", "glymur"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def without_times(value):
    """`value` without every entry named minutes or evaluation_minutes: what repeated runs have in common."""
    if isinstance(value, dict):
        return {key: without_times(v) for key, v in value.items() if not key.endswith("minutes")}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def path_of(run_id: str) -> Path:
    """Where the results of `run_id` lie."""
    return paths.results() / f"{run_id}.json"


def save(run_id: str, data: dict) -> Path:
    """Write the results of a run and bring the manifest up to date."""
    path = path_of(run_id)
    write_atomically(path, dumps({"schema": SCHEMA, **data}).encode())
    save_manifest()
    return path


def load(run_id: str) -> dict:
    """Results of a run.

    Raises:
        DataError: there are none, or the file is damaged or of another schema.
    """
    path = path_of(run_id)
    if not path.is_file():
        raise DataError(path, "does not exist", f"run `compress3d evaluate {run_id}`")
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise DataError(path, f"is no JSON ({error})", "restore it from git or evaluate the run again") from error
    if data.get("schema") != SCHEMA:
        raise DataError(path, f"has schema {data.get('schema')}, expected {SCHEMA}", "evaluate the run again")
    return data


def load_all(scale: str) -> dict[str, dict]:
    """Results of every evaluated run of a scale, by run id."""
    folder = paths.results() / scale
    return {f"{scale}/{p.stem}": load(f"{scale}/{p.stem}") for p in sorted(folder.glob("*.json"))}


def load_shown(scale: str) -> dict[str, dict]:
    """Results behind the figures and tables of a scale: seed 0, without the floor and the variants of comparisons."""
    found = load_all(scale)
    return {run_id: r for run_id, r in found.items() if r["run"].get("seed") == 0 and not r["run"].get("tag")}


def save_manifest() -> Path:
    """sha256, command, seed, device and minutes of every results file, in `results/manifest.json`."""
    entries = {}
    for path in sorted(paths.results().glob("*/*.json")):
        data = json.loads(path.read_text())
        entries[path.relative_to(paths.results()).as_posix()] = {
            "sha256": digest(path.read_bytes()),
            "seed": data.get("run", {}).get("seed"),
            **{key: data["provenance"].get(key) for key in ("commands", "device", "minutes", "versions")},
        }
    out = paths.results() / "manifest.json"
    write_atomically(out, dumps({"schema": SCHEMA, "files": entries}).encode())
    return out
