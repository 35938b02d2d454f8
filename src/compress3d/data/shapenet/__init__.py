"""ShapeNetRendering and ShapeNetVox32 exactly as distributed, from folders or from their archives.

    ShapeNetRendering/<synset>/<model>/rendering/{00..23}.png, rendering_metadata.txt, renderings.txt
    ShapeNetVox32/<synset>/<model>/model.binvox

Views are RGBA 137 x 137. A view's colours are kept where alpha is not zero and black elsewhere: that is what a loader
that drops the alpha channel sees. The same layout with class names instead of synsets, and with `index.csv` and
`credits.csv` beside, carries the real CAD models.
Source: Choy et al. 2016 (3D-R2N2), `cvgl.stanford.edu/data2/ShapeNetRendering.tgz` and `ShapeNetVox32.tgz`.

What the whole set costs: its store takes 1.807 MB an object whatever the pictures show, 79 GB for 43,783 objects,
several times the archives. That buys reading: 22,000 views a second from raw arrays against 1,800 from PNG. While it is
built from a compressed archive, a plain tar a little larger than that archive lies beside it, because a compressed one
can only be read from its beginning; the build counts it in the room that it asks for. A part of the set
(`categories=`, `limit=`) takes its share. `results/data/shapenet-scale.json` holds measured times and memory.

Of 43,784 objects that the published lists name, 43,783 have views: other readers of the data report that the folder of
02958343/f9c1d7748c15499c6f2bd1c4e9adb41 is empty.
"""

from compress3d.data.shapenet.build import build_shapenet
from compress3d.data.shapenet.decode import decode_metadata, decode_view, format_metadata
from compress3d.data.shapenet.layout import CATEGORIES, SYNSETS, category_name
from compress3d.data.shapenet.source import Item, find_items, read_item
from compress3d.data.shapenet.splits import read_split_file, sorted_split

__all__ = [
    "CATEGORIES",
    "SYNSETS",
    "Item",
    "build_shapenet",
    "category_name",
    "decode_metadata",
    "decode_view",
    "find_items",
    "format_metadata",
    "read_item",
    "read_split_file",
    "sorted_split",
]
