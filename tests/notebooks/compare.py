"""How nbval compares a cell that shows what a network computed: arrays and numbers with a tolerance, words exactly.

Processors round differently, so a probability at the threshold falls on one side here and on the other there. Cells
tagged `network-output` are compared by `difference`; all other cells are compared by nbval, as text.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tests.run_lengths import from_run_lengths

TAG = "network-output"
VOXELS = 0.02  # share of the voxels that are filled in one grid or the other; two objects differ in a third and more
FEW_VOXELS = 4  # ... and what is always allowed: some reconstructions have hardly any voxel
GREY_LEVELS = 0.5  # mean difference of two images in 8 bits; views of two objects differ by 5 and more
RELATIVE = 0.01  # of a printed number; at least one unit in its last place

NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]\d\d)?%?(?!\w)")
PAYLOAD = re.compile(r'<script type="application/json">(.*?)</script>', re.S)
FRAGMENT_ID = re.compile(r'id="fig-[0-9a-f]+"')  # a hash of the payload


def difference(stored: str, fresh: str, sanitize: Callable[[str], str] = str) -> str | None:
    """What is wrong with a fresh text or HTML output, or None if nothing is.

    Args:
        sanitize: takes out of the words what changes from run to run; never asked about the arrays of a figure.
    """
    stored, fresh = (FRAGMENT_ID.sub("", text) for text in (stored, fresh))
    parts = PAYLOAD.split(stored), PAYLOAD.split(fresh)
    if len(parts[0]) != len(parts[1]):
        return f"{len(parts[0]) // 2} figures are stored, {len(parts[1]) // 2} were drawn"
    for n, (old, new) in enumerate(zip(*parts, strict=True)):
        found = _payloads(json.loads(old), json.loads(new)) if n % 2 else _texts(sanitize(old), sanitize(new))
        if found:
            return found
    return None


def _texts(stored: str, fresh: str) -> str | None:
    if NUMBER.split(stored) != NUMBER.split(fresh):
        return f"words: {stored[:300]!r} is stored, {fresh[:300]!r} was printed"
    for old, new in zip(NUMBER.findall(stored), NUMBER.findall(fresh), strict=True):
        if abs(_value(old) - _value(new)) > 1.001 * _allowed(old):
            return f"numbers: {old} is stored, {new} was printed"
    return None


def _value(number: str) -> float:
    return float(number.rstrip("%").replace(",", ""))


def _allowed(number: str) -> float:
    """Small whole numbers are counts, rates or names: they are exact."""
    mantissa, _, power = number.rstrip("%").partition("e")
    decimals = len(mantissa.partition(".")[2])
    if not decimals and not power and not number.endswith("%") and abs(_value(number)) < 100:
        return 0.0
    return max(10.0 ** (int(power or 0) - decimals), RELATIVE * abs(_value(number)))


def _payloads(stored, fresh, at: str = "figure", side=None) -> str | None:
    if type(stored) is not type(fresh):
        return f"{at}: {type(stored).__name__} is stored, {type(fresh).__name__} was drawn"
    if isinstance(stored, Mapping):
        if stored.keys() != fresh.keys():
            return f"{at}: other entries"
        side = stored.get("side", side)
        pairs: Iterable = ((f"{at}.{key}", stored[key], fresh[key]) for key in stored)
    elif isinstance(stored, list):
        if len(stored) != len(fresh):
            return f"{at}: {len(stored)} entries are stored, {len(fresh)} were drawn"
        pairs = ((f"{at}[{n}]", *pair) for n, pair in enumerate(zip(stored, fresh, strict=True)))
    elif isinstance(stored, str):
        return _strings(stored, fresh, at, side)
    else:
        return None if np.isclose(stored, fresh, rtol=1e-6) else f"{at}: {stored} is stored, {fresh} was drawn"
    return next((found for name, old, new in pairs if (found := _payloads(old, new, name, side))), None)


def _strings(stored: str, fresh: str, at: str, side) -> str | None:
    if ".grids[" in at:
        old, new = (from_run_lengths(base64.b64decode(text), side) for text in (stored, fresh))
        differ, either = int((old ^ new).sum()), int((old | new).sum())
        wrong = differ > max(FEW_VOXELS, VOXELS * either)
        return f"{at}: {differ} of {either} voxels differ" if wrong else None
    if stored.startswith("data:image/"):
        if not fresh.startswith("data:image/"):
            return f"{at}: an image is stored, none was drawn"
        old, new = _image(stored), _image(fresh)
        if old.shape != new.shape:
            return f"{at}: an image of {old.shape} is stored, {new.shape} was drawn"
        mean = np.abs(old - new).mean()
        return f"{at}: images differ by {mean:.2f} grey levels" if mean > GREY_LEVELS else None
    found = _texts(stored, fresh)
    return found and f"{at}: {found}"


def _image(url: str) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"), float)


def texts(outputs) -> dict[str, str]:
    """What a reader of a cell's outputs sees as text: name of a stream or MIME type -> all of it, in order."""
    found: dict[str, str] = {}
    for output in outputs:
        entries = {output["name"]: output["text"]} if output["output_type"] == "stream" else output.get("data", {})
        for kind, text in entries.items():
            if kind in ("stdout", "stderr", "text/html", "text/plain"):
                found[kind] = found.get(kind, "") + text
    return found


def compare_outputs(cell, test, ref, skip_compare=None) -> bool:
    """In place of nbval's method of the same name: True if the outputs agree."""
    fresh, stored = texts(test), texts(ref)
    wrong = [f"{sorted(stored)} are stored, {sorted(fresh)} were made"] if stored.keys() != fresh.keys() else []
    for kind in stored if not wrong else ():
        found = difference(stored[kind], fresh[kind], cell.sanitize)
        wrong += [f"{kind}: {found}"] if found else []
    cell.comparison_traceback = wrong
    return not wrong


def pytest_itemcollected(item) -> None:
    """Tagged cells of notebooks are compared with a tolerance."""
    cell = getattr(item, "cell", None)
    if cell is not None and TAG in cell.get("metadata", {}).get("tags", []):
        item.compare_outputs = functools.partial(compare_outputs, item)
