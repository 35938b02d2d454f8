"""Near duplicates, and a split that keeps them together."""

from __future__ import annotations

from collections.abc import Collection
from importlib import resources

import numpy as np

SAME_SHAPE = 0.93  # IoU of 32^3 voxels; the 135 aircraft are 117 shapes at this value
_ROWS = 256  # objects compared at once: 256 x 980 overlaps


def shape_groups(uids: list[str], occupancy: np.ndarray, threshold: float = SAME_SHAPE) -> dict[str, str]:
    """Groups of objects whose voxels nearly agree, directly or through others, mirrored or turned half round too.

    Args:
        uids: names of the objects; their order does not matter.
        occupancy: bool (N, G, G, G), indexed [x, y, z] with Y up.
        threshold: least intersection over union of two of a group.

    Returns:
        for every uid the smallest uid of its group.
    """
    solid = occupancy.reshape(len(uids), -1).astype(np.float32)
    volume = solid.sum(1)
    images = (occupancy, occupancy[:, ::-1], occupancy[:, :, :, ::-1], occupancy[:, ::-1, :, ::-1])
    parent = list(range(len(uids)))

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = member = parent[parent[member]]
        return member

    for image in images:
        other = image.reshape(len(uids), -1).astype(np.float32)
        for first in range(0, len(uids), _ROWS):
            overlap = solid[first : first + _ROWS] @ other.T
            union = volume[first : first + _ROWS, None] + volume[None] - overlap
            for a, b in zip(*np.nonzero(overlap >= threshold * np.maximum(union, 1)), strict=True):
                parent[root(first + a)] = root(b)
    smallest: dict[int, str] = {}
    for member, uid in enumerate(uids):
        smallest[root(member)] = min(uid, smallest.get(root(member), uid))
    return {uid: smallest[root(member)] for member, uid in enumerate(uids)}


def held_out() -> frozenset[str]:
    """Models that no published network was trained on (held_out.txt)."""
    lines = resources.files(__package__).joinpath("held_out.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def split_of_groups(groups: dict[str, str], test: Collection[str]) -> dict[str, str]:
    """ "test" for every object whose group holds one of `test`, "train" for the others: no group is on both sides."""
    wanted = {groups[uid] for uid in test if uid in groups}
    return {uid: "test" if group in wanted else "train" for uid, group in groups.items()}
