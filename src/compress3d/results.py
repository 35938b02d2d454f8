"""Results files: one JSON an experiment and test set, and a manifest. Figures, tables and claims read only these.

`results/<scale>/<name>.json` holds the settings of the experiment, points (each a setting, metrics and bytes), and
where the numbers come from. Keys are sorted and floats rounded to six digits, so that a repetition changes nothing.
Nothing here needs torch.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from compress3d import paths
from compress3d.errors import DataError
from compress3d.io import digest, write_atomically

SCHEMA = 2
DIGITS = 6
UNTRACKED = ("smoke", "on")  # folders of results that git ignores: those of tests, and of other test sets


class Point(dict):
    """One point of a results file: `setting`, `metrics` and `bytes_per_view`, looked up as one mapping.

    Example:
        >>> point = Point({"rate": 384.0, "accounting": "bits"}, {"miou": 0.5}, 32.0)
        >>> point["rate"], point["miou"], point["bytes_per_view"], "psnr" in point
        (384.0, 0.5, 32.0, False)
    """

    def __init__(self, setting: Mapping, metrics: Mapping, bytes_per_view: float | None = None):
        super().__init__({**setting, **metrics, "bytes_per_view": bytes_per_view})
        self.setting, self.metrics, self.bytes_per_view = dict(setting), dict(metrics), bytes_per_view


def rounded(value: Any) -> Any:
    """`value` with every float in it rounded to six digits."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Point):
        value = {"setting": value.setting, "metrics": value.metrics, "bytes_per_view": value.bytes_per_view}
    if isinstance(value, Mapping):
        return {key: rounded(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return value


def dumps(data: Mapping) -> str:
    """JSON text: sorted keys, one line an entry, a list without mappings in it on one line.

    Example:
        >>> print(dumps({"iou": [0.5, 0.25], "a": {"b": 1}}), end="")
        {
         "a": {
          "b": 1
         },
         "iou": [0.5, 0.25]
        }
    """
    return _text(rounded(data), "\n") + "\n"


def _text(value: Any, line: str) -> str:
    """JSON of `value`, whose lines begin with `line`."""
    inner = line + " "
    if isinstance(value, dict) and value:
        entries = (f"{json.dumps(key)}: {_text(value[key], inner)}" for key in sorted(value))
        return "{" + inner + ("," + inner).join(entries) + line + "}"
    if isinstance(value, list) and _holds_mapping(value):
        return "[" + inner + ("," + inner).join(_text(v, inner) for v in value) + line + "]"
    return json.dumps(value)


def _holds_mapping(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_mapping, value)))


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in ("compress3d", "torch", "numpy", "pillow", "glymur"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def study_record(scale: str, name: str, tag: str = "study", system: str | None = None) -> dict:
    """The entry `experiment` of results that no single training run makes."""
    model = {"name": name, "rate": None}
    return {"id": f"{scale}/{name}", "system": system, "scale": scale, "seed": None, "tag": tag, "model": model}


def path_of(experiment_id: str, store: str | None = None) -> Path:
    """Where results lie: on the experiment's own test set where `store` is None, else on the test split of `store`."""
    folder = paths.results() if store is None else paths.results() / "on" / store
    return folder / f"{experiment_id}.json"


def save(experiment_id: str, data: Mapping, store: str | None = None) -> Path:
    """Write results and bring the manifest up to date; arguments as of `path_of`."""
    path = path_of(experiment_id, store)
    write_atomically(path, dumps({"schema": SCHEMA, **data}).encode())
    save_manifest()
    return path


def load(experiment_id: str, store: str | None = None) -> dict:
    """Results of an experiment or a study; arguments as of `path_of`. Each of its `points` is a `Point`.

    Raises:
        DataError: there are none, or the file is damaged or of another schema.
    """
    path = path_of(experiment_id, store)
    if not path.is_file():
        raise DataError(path, "does not exist", f"run `compress3d evaluate {experiment_id}`")
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise DataError(path, f"is no JSON ({error})", "restore it from git or evaluate the run again") from error
    if data.get("schema") != SCHEMA:
        raise DataError(path, f"has schema {data.get('schema')}, expected {SCHEMA}", "evaluate the run again")
    data["points"] = [Point(**point) for point in data.get("points", [])]
    return data


def find(experiment_id: str) -> dict | None:
    """As `load`; None where that raises."""
    try:
        return load(experiment_id)
    except DataError:
        return None


def load_all(scale: str) -> dict[str, dict]:
    """Results of everything of a scale, by id."""
    ids = [f"{scale}/{path.stem}" for path in sorted((paths.results() / scale).glob("*.json"))]
    return {name: load(name) for name in ids}


def load_shown(scale: str) -> dict[str, dict]:
    """Results behind the figures and tables of a scale: seed 0, without baselines, studies and variants."""
    found = load_all(scale)
    return {name: r for name, r in found.items() if r["experiment"].get("seed") == 0 and not r["experiment"].get("tag")}


def save_manifest() -> Path:
    """sha256, command, seed, device and minutes of every results file that git keeps, in `results/manifest.json`."""
    entries = {}
    for path in sorted(paths.results().glob("*/*.json")):
        if path.parent.name in UNTRACKED:
            continue
        data = json.loads(path.read_text())
        entries[path.relative_to(paths.results()).as_posix()] = {
            "sha256": digest(path.read_bytes()),
            "seed": data.get("experiment", {}).get("seed"),
            **{key: data["provenance"].get(key) for key in ("commands", "device", "minutes", "versions")},
        }
    out = paths.results() / "manifest.json"
    text = dumps({"schema": SCHEMA, "files": entries}).encode()
    if entries and not (out.is_file() and out.read_bytes() == text):
        write_atomically(out, text)
    return out
