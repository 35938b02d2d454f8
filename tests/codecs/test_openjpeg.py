"""glymur finds an OpenJPEG on a machine without one, in Pillow's wheel, and says what to do where there is none."""

import os
import subprocess
import sys

import pytest

from compress3d.codecs import openjpeg
from compress3d.codecs.openjpeg import load_glymur, pillow_library
from compress3d.errors import CodecError

NO_SYSTEM_LIBRARY = """
import ctypes.util
find = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if "openjp2" in name else find(name)
"""


def run(code: str, folder) -> subprocess.CompletedProcess:
    """Run Python in an empty folder, where no glymurrc of the user is found."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", NO_SYSTEM_LIBRARY + code], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_glymur_can_write():
    assert load_glymur().version.openjpeg_version_tuple >= (2, 4)


@pytest.mark.skipif(pillow_library() is None, reason="Pillow was not installed from a wheel with OpenJPEG in it")
@pytest.mark.parametrize("before", ["", "import glymur; assert glymur.version.openjpeg_version == '0.0.0'"])
def test_pillows_library_serves_where_the_system_has_none(tmp_path, before):
    """Also when the user imported glymur first. No environment variable and no file is left behind."""
    code = f"""
{before}
import os, numpy as np
environment = dict(os.environ)
from compress3d.codecs.jpeg2000 import encode, decode
picture = np.full((32, 32, 3), 77, np.uint8)
print(abs(decode(encode(picture, 12)).astype(int) - 77).max(), dict(os.environ) == environment)
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    difference, unchanged = done.stdout.split()
    assert int(difference) <= 2
    assert unchanged == "True"
    assert list(tmp_path.iterdir()) == []
    assert done.stderr == ""


def test_missing_library_says_what_to_install(tmp_path):
    code = """
from compress3d.codecs import openjpeg
openjpeg.pillow_library = lambda: None
openjpeg.load_glymur()
"""
    done = run(code, tmp_path)
    assert done.returncode != 0
    for word in ("CodecError", "OpenJPEG", "pip install pillow", "conda install openjpeg", "apt install libopenjp2-7"):
        assert word in done.stderr


def test_broken_library_says_what_to_install(tmp_path):
    broken = tmp_path / "libopenjp2.so"
    broken.write_bytes(b"not a library")
    code = f"""
from pathlib import Path
from compress3d.codecs import openjpeg
openjpeg.pillow_library = lambda: Path({str(broken)!r})
openjpeg.load_glymur()
"""
    done = run(code, tmp_path)
    assert done.returncode != 0
    assert "CodecError" in done.stderr and "pip install pillow" in done.stderr


def test_missing_glymur_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "glymur", None)
    with pytest.raises(CodecError, match="pip install glymur"):
        load_glymur()


def test_pillow_without_jpeg2000_says_what_to_install(monkeypatch):
    from PIL import features

    monkeypatch.setattr(features, "check_codec", lambda name: False)
    openjpeg.require_pillow_jpeg2000.cache_clear()
    with pytest.raises(CodecError, match="force-reinstall pillow"):
        openjpeg.require_pillow_jpeg2000()
