"""Near duplicates, and a split that keeps them together.

The split is published as split.csv and wins over everything: networks were trained on its train side. `make_split`
made it from the voxels; `assign` also places models that a later version of a package may bring.
"""

from __future__ import annotations

import csv
import functools
import zlib
from dataclasses import dataclass
from importlib import resources

import numpy as np

SAME_SHAPE = 0.9  # IoU of 32^3 voxels above which two models of a class are one shape: 135 aircraft are 113 shapes
TEST_TENTHS = 2  # of ten hash values go to the test side
#: Names that the hash of a group was taken of when the split was drawn.
_DRAWN_AS = {"airplane": "plane", "loudspeaker": "speaker", "watercraft": "vessel"}


@dataclass(frozen=True)
class Place:
    """Where a model stands: its group of near duplicates, "train" or "test", and why not to use it (or "")."""

    category: str
    group: str
    split: str
    flags: str = ""


@functools.cache
def published_split() -> dict[str, Place]:
    """The published split (split.csv), by uid: 980 models, 198 of them for testing."""
    text = resources.files(__package__).joinpath("split.csv").read_text("utf-8")
    return {row.pop("uid"): Place(**row) for row in csv.DictReader(text.splitlines())}


def shape_groups(occupancy: np.ndarray, threshold: float = SAME_SHAPE) -> np.ndarray:
    """Groups of objects whose voxels nearly agree, directly or through others.

    Args:
        occupancy: bool (N, G, G, G).
        threshold: two objects are joined where intersection over union exceeds it.

    Returns:
        int (N,): group numbers, counted in the order in which groups first appear.
    """
    solid = occupancy.reshape(len(occupancy), -1).astype(np.float32)
    overlap = solid @ solid.T
    volume = solid.sum(1)
    same = overlap > threshold * np.maximum(volume[:, None] + volume[None] - overlap, 1)
    group = np.full(len(solid), -1)
    count = 0
    for start in range(len(solid)):
        if group[start] >= 0:
            continue
        waiting = [start]
        while waiting:
            member = waiting.pop()
            if group[member] < 0:
                group[member] = count
                waiting += np.flatnonzero(same[member] & (group < 0)).tolist()
        count += 1
    return group


def split_of(group: str) -> str:
    """Side of a group by the CRC-32 of its name: about one in five is "test"."""
    return "test" if zlib.crc32(group.encode()) % 10 < TEST_TENTHS else "train"


def make_split(categories: dict[str, str], shapes: dict[str, np.ndarray]) -> dict[str, Place]:
    """Draw a split from nothing but categories and voxels; this is how split.csv was made (flags were added later).

    Args:
        categories: by uid.
        shapes: occupancy bool (G, G, G) by uid; the order of the dictionary does not matter.
    """
    places = {}
    for category in sorted(set(categories.values())):
        uids = sorted((uid for uid in categories if categories[uid] == category), key=_folder)
        for uid, number in zip(uids, shape_groups(np.stack([shapes[uid] for uid in uids])), strict=True):
            group = f"{_DRAWN_AS.get(category, category)}{number}"
            places[uid] = Place(category, group, split_of(group))
    return places


def assign(categories: dict[str, str], shapes: dict[str, np.ndarray], published: dict[str, Place]) -> dict[str, Place]:
    """Places of all models: the published one, else that of a near duplicate that has one, else a new group's.

    A new model that resembles a test model goes to the test side, never to training.
    """
    places = {uid: published[uid] for uid in categories if uid in published}
    for category in {categories[uid] for uid in categories if uid not in published}:
        uids = sorted(uid for uid in categories if categories[uid] == category)
        numbers = shape_groups(np.stack([shapes[uid] for uid in uids]))
        for number in set(numbers.tolist()):
            members = [uid for uid, own in zip(uids, numbers, strict=True) if own == number]
            known = [(published[uid].split != "test", published[uid].group) for uid in members if uid in published]
            known.sort()  # a test group first
            group = known[0][1] if known else members[0]
            split = ("train" if known[0][0] else "test") if known else split_of(group)
            places |= {uid: Place(category, group, split) for uid in members if uid not in published}
    return places


def _folder(uid: str) -> str:
    """Path of a model when the split was drawn, whose order numbered the groups ("a-b/" stands before "a/")."""
    return uid.replace("__", "_").replace(".", "_") + "/"
