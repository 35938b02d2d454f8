"""Own photographs as a network wants them: any file, any size, with or without alpha, background removed, framed.

```
file -> decode (8 bit, sRGB, upright) -> background (what is object?) -> frame (as large as in training) -> (S, S, 3)
```
"""

from compress3d.data.reading import collect
from compress3d.photos.background import METHODS
from compress3d.photos.photo import Photo, photo_tensor, prepare, prepare_all

__all__ = ["METHODS", "Photo", "collect", "photo_tensor", "prepare", "prepare_all"]
