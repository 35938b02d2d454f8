"""Give glymur an OpenJPEG library, without root: the system's, else the one inside Pillow's wheel.

glymur's wheel brings no OpenJPEG: in a fresh environment it imports, reports version 0.0.0 and refuses to write. But it
depends on Pillow, whose wheels carry OpenJPEG 2.5, which needs libc and libm only.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from types import ModuleType

import PIL

from compress3d.errors import CodecError

_OLDEST = (2, 4)  # the oldest OpenJPEG that glymur writes with
_REMEDY = "install one of: `pip install pillow` (its wheel brings it), `conda install openjpeg`, `apt install libopenjp2-7`"
_PLACES = ("../pillow.libs/libopenjp2*.so*", ".dylibs/libopenjp2*.dylib", "../pillow.libs/*openjp2*.dll")


def pillow_library() -> Path | None:
    """The OpenJPEG that Pillow's wheel carries; None where Pillow was built against the system's."""
    home = Path(PIL.__file__).parent
    return next((found for place in _PLACES for found in sorted(home.glob(place))), None)


def load_glymur() -> ModuleType:
    """The module `glymur`, able to read and write JPEG 2000.

    An OpenJPEG that glymur finds by itself (a `glymurrc`, the system, conda) is left alone. Else the library inside
    Pillow's wheel is attached to the imported module: no environment variable or configuration file changes.

    Raises:
        CodecError: glymur is not installed, or no OpenJPEG of version 2.4 or newer is found.

    Example:
        >>> load_glymur().version.openjpeg_version >= "2.4"
        True
    """
    try:
        import glymur
    except ImportError as error:
        raise CodecError("glymur", f"cannot be imported ({error})", "pip install glymur") from error
    if glymur.version.openjpeg_version_tuple < _OLDEST:
        _attach(glymur, pillow_library())
    if glymur.version.openjpeg_version_tuple < _OLDEST:
        raise CodecError("OpenJPEG", "is not found in version 2.4 or newer, which JPEG 2000 needs", _REMEDY)
    return glymur


def _attach(glymur: ModuleType, library: Path | None) -> None:
    """Point glymur's one handle at `library`, and let its recorded version follow."""
    if library is None:
        return
    try:
        glymur.lib.openjp2.OPENJP2 = ctypes.CDLL(str(library))
    except OSError as error:
        raise CodecError(library, f"cannot be loaded ({error})", _REMEDY) from error
    glymur.version.openjpeg_version = glymur.lib.openjp2.version()
    glymur.version.openjpeg_version_tuple = tuple(int(part) for part in glymur.version.openjpeg_version.split("."))


@cache
def require_pillow_jpeg2000() -> None:
    """Make sure that Pillow can do JPEG 2000 in memory.

    Raises:
        CodecError: this Pillow was built without OpenJPEG.
    """
    from PIL import features

    if not features.check_codec("jpg_2000"):
        raise CodecError("Pillow", "was built without JPEG 2000", "pip install --force-reinstall pillow")
