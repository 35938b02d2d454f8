"""How the published split of the CAD models was drawn (flags were added later)."""

from __future__ import annotations

import numpy as np

from compress3d.data.cad.groups import Place, shape_groups, split_of

#: Names that the hash of a group was taken of when the split was drawn.
_DRAWN_AS = {"airplane": "plane", "loudspeaker": "speaker", "watercraft": "vessel"}


def make_split(categories: dict[str, str], shapes: dict[str, np.ndarray]) -> dict[str, Place]:
    """Draw a split from nothing but categories and voxels.

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


def _folder(uid: str) -> str:
    """Path of a model when the split was drawn, whose order numbered the groups ("a-b/" stands before "a/")."""
    return uid.replace("__", "_").replace(".", "_") + "/"
