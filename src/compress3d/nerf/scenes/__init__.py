"""Scenes: pictures with cameras, by name or from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compress3d import paths
from compress3d.errors import DataError
from compress3d.nerf.scenes.blender import read_blender
from compress3d.nerf.scenes.llff import POSES, read_llff
from compress3d.nerf.scenes.scene import Scene

__all__ = ["AS_ORIGINAL", "Scene", "find_scene", "open_scene"]

#: What the original's code does with Blender scenes: rays through pixels' corners, means of colour and alpha apart.
AS_ORIGINAL = {"centre": 0.0, "averaged": "rgba"}


def open_scene(name: str | Path, size: int | None = None, **options: Any) -> Scene:
    """Open a scene; its folder's files say which layout it has.

    Args:
        name: of a scene that ships with the package; of one in `$COMPRESS3D_CACHE/scenes`; or a folder.
        size: longer side of the pictures in pixels, made by means over areas; as in the files if None.
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
        return read_llff(folder, size, **options)
    if blender:
        return read_blender(folder, size, **options)
    problem = f"holds no scene: neither transforms_train.json nor {POSES}"
    raise DataError(folder, problem, "name the folder in which one of them lies")


def find_scene(name: str | Path) -> Path:
    """The folder of a scene, by name or itself. DataError: there is none."""
    places = [paths.shipped_data() / "scenes", paths.cache() / "scenes"]
    places += [places[1] / "nerf_synthetic", places[1] / "nerf_llff_data"]
    text = str(name)
    if isinstance(name, str) and text and Path(text).name == text and "\0" not in text:
        for place in places:
            if (place / text).is_dir():
                return place / text
    folder = Path(text)
    if text and "\0" not in text:
        if folder.is_dir():
            return folder
        if folder.exists():
            raise DataError(folder, "is a file, not the folder of a scene", "name the folder in which it lies")
    known = sorted({entry.name for place in places if place.is_dir() for entry in place.iterdir() if _is_scene(entry)})
    remedy = f"name a folder, or one of {', '.join(known)}" if known else f"name a folder, or put it into {places[1]}"
    raise DataError(text or "scene", "is no scene that is known", remedy)


def _is_scene(folder: Path) -> bool:
    return (folder / "transforms_train.json").is_file() or (folder / POSES).is_file()
