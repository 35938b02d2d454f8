"""ShapeNetRendering and ShapeNetVox32 exactly as distributed, from folders or from their archives.

    ShapeNetRendering/<synset>/<model>/rendering/{00..23}.png, rendering_metadata.txt, renderings.txt
    ShapeNetVox32/<synset>/<model>/model.binvox

Views are RGBA 137 x 137. A view's colours are kept where alpha is not zero and black elsewhere: that is what a loader
that drops the alpha channel sees. The same layout with class names instead of synsets, and with `index.csv` and
`credits.csv` beside, carries the real CAD models.
Source: Choy et al. 2016 (3D-R2N2), `cvgl.stanford.edu/data2/ShapeNetRendering.tgz` and `ShapeNetVox32.tgz`.

The store of the whole set takes 79 GB, 1.807 MB an object whatever the pictures show (see `data/store.py`). While it is
built from a compressed archive, a plain tar a little larger than that archive lies beside it, because a compressed one
can only be read from its beginning. `results/data/shapenet-scale.json` holds measured times and memory.

Of 43,784 objects that the published lists name, 43,783 have views: other readers of the data report that the folder of
02958343/f9c1d7748c15499c6f2bd1c4e9adb41 is empty.
"""

from compress3d.data.shapenet.build import build_shapenet
from compress3d.data.shapenet.layout import CATEGORIES, SYNSETS

__all__ = ["CATEGORIES", "SYNSETS", "build_shapenet"]
