"""ShapeNetRendering and ShapeNetVox32 exactly as distributed, from folders or from their archives.

    ShapeNetRendering/<synset>/<model>/rendering/{00..23}.png, rendering_metadata.txt, renderings.txt
    ShapeNetVox32/<synset>/<model>/model.binvox

Views are RGBA 137 x 137; colours are black where alpha is zero. The same layout with class names instead of synsets,
and with `index.csv` and `credits.csv` beside, carries the real CAD models.
Source: Choy et al. 2016 (3D-R2N2), `cvgl.stanford.edu/data2/ShapeNetRendering.tgz` and `ShapeNetVox32.tgz`.

The store of the whole set takes 79 GB; while it is built from a compressed archive, a plain tar lies beside it. Of
43,784 objects that the published lists name, 43,783 have views (02958343/f9c1d7748c15499c6f2bd1c4e9adb41 is empty).
"""

from compress3d.data.shapenet.build import build_shapenet
from compress3d.data.shapenet.layout import CATEGORIES, SYNSETS

__all__ = ["CATEGORIES", "SYNSETS", "build_shapenet"]
