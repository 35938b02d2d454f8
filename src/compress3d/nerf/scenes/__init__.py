"""Scenes: pictures with cameras, by name or from a folder."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compress3d import paths
from compress3d.errors import ConfigError, DataError
from compress3d.nerf.scenes.blender import read_blender
from compress3d.nerf.scenes.llff import POSES, read_llff
from compress3d.nerf.scenes.scene import Scene

__all__ = ["Scene", "find_scene", "known_scenes", "open_scene"]


def open_scene(name: str | Path, size: int | None = None, as_original: bool = False, **options: Any) -> Scene:
    """Open a scene; its folder's files say which layout it has.

    Args:
        name: of a scene that ships with the package; of one in `$COMPRESS3D_CACHE/scenes`; or a folder.
        size: longer side of the pictures in pixels, made by means over areas; as in the files if None.
        as_original: as the original's code (and the public port) reads them: rays through pixels' corners (`centre` 0),
            and in Blender's layout means of colour and alpha apart (`averaged` "rgba").
        options: of `compress3d.nerf.scenes.blender.read_blender` (testskip, white, averaged, near, far, ...) or of
            `compress3d.nerf.scenes.llff.read_llff` (hold_out); `centre` of both.

    Raises:
        DataError: there is no such scene, or a file is missing or broken; the message names the file.
        ConfigError: an option makes no sense.
    """
    folder = find_scene(name)
    blender = sorted(path.name for path in folder.glob("transforms*.json"))
    llff = (folder / POSES).exists()
    if blender and llff:
        problem = f"holds two layouts of scenes, {blender[0]} and {POSES}"
        raise DataError(folder, problem, "leave only the files of one, or name another folder")
    if llff:
        return read_llff(folder, size, **_known(read_llff, {"centre": 0.0} if as_original else {}, options))
    if blender:
        original = {"centre": 0.0, "averaged": "rgba"} if as_original else {}
        return read_blender(folder, size, **_known(read_blender, original, options))
    problem = f"holds no scene: neither transforms_train.json nor {POSES}"
    raise DataError(folder, problem, "name the folder in which one of them lies")


def find_scene(name: str | Path) -> Path:
    """The folder of a scene, by name or itself. DataError: there is none."""
    places = _places()
    text = str(name)
    candidates = [place / text for place in places] if isinstance(name, str) and Path(text).name == text != "" else []
    for folder in [*candidates, *([Path(text)] if text else [])]:
        if os.path.isdir(folder):  # unlike Path's, it says no to names that no disk can hold
            return folder
    if text and os.path.exists(text):
        raise DataError(text, "is a file, not the folder of a scene", "name the folder in which it lies")
    known = known_scenes()
    remedy = f"name a folder, or one of {', '.join(known)}" if known else f"name a folder, or put it into {places[1]}"
    raise DataError(text or "scene", "is no scene that is known", remedy)


def _known(reader: Callable[..., Scene], original: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Options with what `as_original` means. ConfigError: the reader knows one of them not."""
    names = list(inspect.signature(reader).parameters)[2:]
    for name in options:
        if name not in names:
            raise ConfigError(name, "is no option of scenes in this layout", f"give some of {', '.join(names)}")
    return original | options


def known_scenes() -> list[str]:
    """Names of the scenes that ship, and of those in `$COMPRESS3D_CACHE/scenes`."""
    entries = [entry for place in _places() if place.is_dir() for entry in place.iterdir()]
    return sorted({entry.name for entry in entries if _is_scene(entry)})


def _places() -> list[Path]:
    places = [paths.shipped_data() / "scenes", paths.cache() / "scenes"]
    return places + [places[1] / "nerf_synthetic", places[1] / "nerf_llff_data"]


def _is_scene(folder: Path) -> bool:
    return (folder / "transforms_train.json").is_file() or (folder / POSES).is_file()
