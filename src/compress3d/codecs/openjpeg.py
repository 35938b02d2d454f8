"""Give glymur an OpenJPEG library, without root: the system's, else the one inside Pillow's wheel.

glymur's wheel brings no OpenJPEG: in a fresh environment it imports, reports version 0.0.0 and refuses to write. But it
depends on Pillow, whose wheels carry OpenJPEG 2.5, which needs libc and libm only.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

import PIL

from compress3d.errors import CodecError

_OLDEST = (2, 4)  # the oldest OpenJPEG that glymur writes with
_REMEDY = "install one of: `pip install pillow` (brings it), `conda install openjpeg`, `apt install libopenjp2-7`"
_PLACES = ("../pillow.libs/libopenjp2*.so*", ".dylibs/libopenjp2*.dylib", "../pillow.libs/*openjp2*.dll")


def pillow_library() -> Path | None:
    """The OpenJPEG that Pillow's wheel carries; None where Pillow was built against the system's."""
    home = Path(PIL.__file__).parent
    return next((found for place in _PLACES for found in sorted(home.glob(place))), None)


def load_glymur() -> ModuleType:
    """The module `glymur`, able to read and write JPEG 2000.

    An OpenJPEG that glymur finds by itself (a `glymurrc`, the system, conda) is left alone. Else glymur is imported
    with the library inside Pillow's wheel; the environment is as before when this returns.

    Raises:
        CodecError: glymur is not installed, or no OpenJPEG of version 2.4 or newer is found.
    """
    glymur = _import_glymur()
    if not _serves(glymur) and (library := pillow_library()) is not None:
        glymur = _import_with(library)
    if not _serves(glymur):
        raise CodecError("OpenJPEG", "is not found in version 2.4 or newer, which JPEG 2000 needs", _REMEDY)
    return glymur


def _import_glymur() -> ModuleType:
    try:
        return importlib.import_module("glymur")
    except ImportError as error:
        raise CodecError("glymur", f"cannot be imported ({error})", "pip install glymur") from error


def _serves(glymur: ModuleType) -> bool:
    return glymur.version.openjpeg_version_tuple >= _OLDEST


def _import_with(library: Path) -> ModuleType:
    """Import glymur anew, with `library` named in a configuration file that exists just as long."""
    # Setting the handle of an imported glymur corrupts memory: its C structures are laid out for the version it found.
    for name in [name for name in sys.modules if name.split(".")[0] == "glymur"]:
        del sys.modules[name]
    before = os.environ.get("XDG_CONFIG_HOME")
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "glymur" / "glymurrc"
        settings.parent.mkdir()
        settings.write_text(f"[library]\nopenjp2: {library}\n")
        os.environ["XDG_CONFIG_HOME"] = folder
        try:
            return _import_glymur()
        finally:
            if before is None:
                del os.environ["XDG_CONFIG_HOME"]
            else:
                os.environ["XDG_CONFIG_HOME"] = before


@cache
def require_pillow_jpeg2000() -> None:
    """CodecError where this Pillow was built without OpenJPEG."""
    from PIL import features

    if not features.check_codec("jpg_2000"):
        raise CodecError("Pillow", "was built without JPEG 2000", "pip install --force-reinstall pillow")
