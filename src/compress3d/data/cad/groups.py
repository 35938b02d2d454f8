"""Near duplicates, and a split that keeps them together.

The published one (split.csv, drawn by `tools/draw_cad_split.py`) wins over everything: networks were trained on it.
`assign` also places models that a later version of a package brings.
"""

from __future__ import annotations

import csv
import functools
import zlib
from dataclasses import dataclass
from importlib import resources

import numpy as np
from scipy.sparse.csgraph import connected_components

SAME_SHAPE = 0.9  # IoU of 32^3 voxels above which two models of a class are one shape: 135 aircraft are 113 shapes
TEST_TENTHS = 2  # of ten hash values go to the test side


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
    """Group numbers (N,) of objects (N, G, G, G) whose voxels nearly agree, directly or through others.

    Two are joined where intersection over union exceeds `threshold`. Numbers count in the order of appearance.
    """
    solid = occupancy.reshape(len(occupancy), -1).astype(np.float32)
    overlap = solid @ solid.T
    volume = solid.sum(1)
    same = overlap > threshold * np.maximum(volume[:, None] + volume[None] - overlap, 1)
    return connected_components(same, directed=False)[1]


def split_of(group: str) -> str:
    """Side of a group by the CRC-32 of its name: about one in five is "test"."""
    return "test" if zlib.crc32(group.encode()) % 10 < TEST_TENTHS else "train"


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
            known = sorted((published[uid].split, published[uid].group) for uid in members if uid in published)
            split, group = known[0] if known else (split_of(members[0]), members[0])  # "test" sorts before "train"
            places |= {uid: Place(category, group, split) for uid in members if uid not in published}
    return places
