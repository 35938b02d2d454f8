"""Scenes in the layout of Blender's NeRF scenes: transforms_train.json, transforms_test.json, RGBA pictures.

```
lego/transforms_train.json    {"camera_angle_x": 0.69, "frames": [{"file_path": "./train/r_0",
lego/train/r_0.png                                                 "transform_matrix": 4 x 4}, ...]}
```
"""

from __future__ import annotations

import json
import math
import os
import posixpath
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from compress3d.data.reading import SUFFIXES
from compress3d.errors import ConfigError, DataError
from compress3d.nerf.scenes.pictures import area_mean, check_size_wanted, planar, read_all
from compress3d.nerf.scenes.poses import check_rotation, check_sees
from compress3d.nerf.scenes.scene import Fingerprint, Scene

BOUNDS = 1.3  # half the side of the box that holds lego and most of the eight scenes
MOST_FRAMES, MOST_BYTES = 100_000, 200_000_000  # of a list
_AGAIN = "get the scene again, or write this file again"
_LENS = ("k1", "k2", "k3", "k4", "p1", "p2")


def read_blender(
    folder: str | Path,
    size: int | None = None,
    testskip: int = 1,
    splits: tuple[str, ...] = ("train", "test"),
    white: bool = True,
    averaged: Literal["colours", "rgba"] = "colours",
    centre: float = 0.5,
    near: float = 2.0,
    far: float = 6.0,
    bounds: np.ndarray | None = None,
) -> Scene:
    """Read a scene in Blender's layout.

    Args:
        size: longer side of the pictures in pixels, by means over areas; as in the files if None.
        testskip: take every such frame of test and val.
        splits: which of "train", "val" and "test" are read.
        white: background, else black.
        averaged: what means are taken of where pictures are made smaller: "colours" over the background, as a camera
            with larger pixels would see them; or "rgba", colour and alpha apart and composited afterwards, as the
            original's code does: black where alpha is 0 then darkens the outline.
        near, far: between which depths the scene lies.
        bounds: (2, 3), a box that holds it; [-1.3, 1.3]^3 if None.

    Raises:
        DataError: a file is missing or broken, a camera is none, or does not see the scene; the message names the file.
        ConfigError: an argument makes no sense.
    """
    folder = Path(folder)
    check_size_wanted(size)
    box = _checked(testskip, splits, averaged, near, far, bounds)
    fingerprint = Fingerprint()
    fingerprint.add("blender", size, white, averaged, near, far, box)
    angles: dict[str, float] = {}
    paths: list[Path] = []
    poses: list[np.ndarray] = []
    split: dict[str, np.ndarray] = {}
    owner: dict[Path, str] = {}
    for part in splits:
        listing = folder / f"transforms_{part}.json"
        angles[part], frames = read_transforms(listing)
        kept = frames if part == "train" else frames[::testskip]
        split[part] = np.arange(len(paths), len(paths) + len(kept))
        for path, pose in kept:
            if path in owner:
                raise DataError(listing, f"lists {path.name} that {owner[path]} lists too", "list each picture once")
            owner[path] = listing.name
            paths.append(path)
            poses.append(pose)
        if abs(angles[part] - angles[splits[0]]) > 1e-6:
            problem = f"has camera_angle_x {angles[part]:g}, transforms_{splits[0]}.json {angles[splits[0]]:g}"
            raise DataError(listing, problem, "a scene has one camera: write the same angle into both")
        for (path, pose), row in zip(kept, split[part], strict=True):
            half = math.atan(math.sqrt(2) * math.tan(angles[part] / 2))  # to the corner of a square picture
            check_sees(pose, box, near, far, half, listing, f"frame {_short(folder, path)}")
            fingerprint.add(part, int(row), pose)
    cameras = np.stack(poses)
    if "train" in split:
        _check_apart(cameras[split["train"]], folder / "transforms_train.json")

    def convert(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        rgba = planar(pixels)
        return over(area_mean(rgba, shape), white) if averaged == "rgba" else area_mean(over(rgba, white), shape)

    fingerprint.add(angles[splits[0]])
    images, original = read_all(paths, True, size, convert, fingerprint)
    focal = original[1] / 2 / math.tan(angles[splits[0]] / 2) * max(images.shape[1:3]) / max(original)
    return Scene(
        name=folder.resolve().name, sha256=fingerprint.hexdigest(), images=images, poses=cameras,
        names=tuple(_short(folder, path) for path in paths), focal=focal, near=near, far=far, split=split,
        ndc=False, white=white, bounds=box, depths=(near, far), centre=centre,
    )  # fmt: skip


def over(rgba: np.ndarray, white: bool) -> np.ndarray:
    """Straight alpha over white or black: float (..., 4) in [0, 1] -> (..., 3)."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    return rgb * alpha + (1 - alpha) if white else rgb * alpha


def read_transforms(listing: str | Path) -> tuple[float, list[tuple[Path, np.ndarray]]]:
    """The opening angle in radians, and picture file and pose (3, 4) of every frame of one transforms_*.json.

    Raises:
        DataError: missing, no JSON, a key is missing or has a wrong type, a number is not finite, a pose is no
            rotation, a picture is listed twice, is missing, or lies outside the scene's folder.
    """
    listing = Path(listing)
    content = _parse(listing)
    for key in ("camera_angle_x", "frames"):
        if key not in content:
            raise DataError(listing, f"has no `{key}`", _AGAIN)
    angle = _number(content["camera_angle_x"], listing, "`camera_angle_x`")
    if not 0.01 <= angle <= 3.0:
        problem = f"has camera_angle_x {angle:g}; an opening angle lies between 0.01 and 3 (0.6 and 172 degrees)"
        raise DataError(listing, problem, "write the horizontal angle of view, in radians")
    if any(_number(content.get(key, 0.0), listing, f"`{key}`") for key in _LENS):
        raise DataError(listing, "describes a lens that distorts (k1, k2, p1 ...)", "undistort the pictures first")
    frames = content["frames"]
    if not isinstance(frames, list) or not frames:
        raise DataError(listing, "lists no frames" if frames == [] else "has `frames` that are no list", _AGAIN)
    if len(frames) > MOST_FRAMES:
        raise DataError(listing, f"lists {len(frames)} frames, more than {MOST_FRAMES}", _AGAIN)
    found: dict[Path, np.ndarray] = {}
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise DataError(listing, f"frame {number} is no object", _AGAIN)
        path = _picture(frame.get("file_path"), listing, number)
        whose = f"frame {number} ({frame['file_path']})"
        if path in found:
            raise DataError(listing, f"{whose} is listed twice", "list each picture once")
        found[path] = _pose(frame.get("transform_matrix"), listing, whose)
    for number, path in enumerate(found):
        if not os.path.isfile(path):
            problem = f"is missing; {listing.name} lists it as frame {number}"
            raise DataError(path, problem, "get the scene again, or take this frame out of the list")
    return angle, list(found.items())


def _parse(listing: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    if not listing.is_file():
        raise DataError(listing, "is missing", _other_layout(listing))
    if listing.stat().st_size > MOST_BYTES:
        raise DataError(listing, f"has {listing.stat().st_size / 1e6:.0f} MB, too many for a list of cameras", _AGAIN)
    try:
        text = listing.read_bytes().decode("utf-8-sig")
        content = json.loads(text, object_pairs_hook=_once)
    except OSError as error:
        raise DataError(listing, f"cannot be read ({error.strerror})", "check its permissions") from None
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise DataError(listing, f"is no sound JSON ({error})", _AGAIN) from None
    if not isinstance(content, dict):
        raise DataError(listing, "holds no JSON object", _AGAIN)
    return content


def _other_layout(listing: Path) -> str:
    if (listing.parent / "transforms.json").is_file():
        return "split the frames of transforms.json into transforms_train.json and transforms_test.json"
    if listing.name != "transforms_train.json" and (listing.parent / "transforms_train.json").is_file():
        return f"get the scene again, or move some frames of transforms_train.json into {listing.name}: views held out"
    return "get the scene again, or name another folder"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key `{key[:40]}` stands twice in one object")
        found[key] = value
    return found


def _number(value: object, listing: Path, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(listing, f"{what} is {_shown(value)}, not a number", _AGAIN)
    if not (isinstance(value, int) and abs(value) > 1e300) and math.isfinite(value):
        return float(value)
    raise DataError(listing, f"{what} is {_shown(value)}, not a finite number", _AGAIN)


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) > 1e300:  # Python refuses to print an integer of 4,301 digits
        return "an enormous number"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _picture(name: object, listing: Path, number: int) -> Path:
    """The file of a frame, below the scene's folder."""
    if not isinstance(name, str) or not name.strip():
        raise DataError(listing, f"frame {number} has no `file_path`", _AGAIN)
    plain = posixpath.normpath(name.replace("\\", "/"))
    if plain.startswith(("/", "..")) or plain == "." or re.match(r"[A-Za-z]:", plain) or "\0" in plain:
        problem = f"frame {number} has the file_path {_shown(name)}, which lies outside the scene's folder"
        raise DataError(listing, problem, "move the picture into the folder and write its path from there")
    suffix = "" if Path(plain).suffix.lower() in SUFFIXES else ".png"
    if max(len(part.encode(errors="replace")) for part in plain.split("/")) > 250 or len(plain) > 2000:
        raise DataError(listing, f"frame {number} has a file_path of {len(plain)} characters", _AGAIN)
    return listing.parent / (plain + suffix)


def _pose(matrix: object, listing: Path, whose: str) -> np.ndarray:
    """A camera-to-world matrix, float64 (3, 4)."""
    if not isinstance(matrix, list):
        raise DataError(listing, f"{whose} has no `transform_matrix`", _AGAIN)
    if len(matrix) not in (3, 4) or not all(isinstance(row, list) and len(row) == 4 for row in matrix):
        raise DataError(listing, f"{whose} has a transform_matrix that is not 4 x 4", _AGAIN)
    values = np.array([[_number(value, listing, f"{whose}: transform_matrix") for value in row] for row in matrix])
    if len(values) == 4 and not np.abs(values[3] - [0, 0, 0, 1]).max() < 1e-6:
        raise DataError(listing, f"{whose} has a transform_matrix whose last row is not 0 0 0 1", _AGAIN)
    check_rotation(values[:3, :3], listing, whose)
    return values[:3]


def _check_apart(poses: np.ndarray, listing: Path) -> None:
    places = poses[:, :, 3]
    if len(places) > 1 and np.ptp(places, axis=0).max() < 1e-6:
        problem = "has all its cameras in one place: no depth can be learned from them"
        raise DataError(listing, problem, "write the poses of cameras around the scene")


def _checked(testskip, splits, averaged, near, far, bounds) -> np.ndarray:
    """The box of the scene; ConfigError: an argument makes no sense."""
    if isinstance(testskip, bool) or not isinstance(testskip, int) or testskip < 1:
        raise ConfigError("testskip", f"{testskip!r} is no step", "give a whole number from 1 on")
    if not splits or set(splits) - {"train", "val", "test"} or len(set(splits)) < len(splits):
        raise ConfigError("splits", f"{splits!r} are not known", 'give some of "train", "val", "test"')
    if averaged not in ("colours", "rgba"):
        raise ConfigError("averaged", f"{averaged!r} is not known", 'give "colours" or "rgba"')
    if not (math.isfinite(near) and math.isfinite(far) and 0 <= near < far):
        raise ConfigError("near, far", f"{near:g} and {far:g} are no depths", "give 0 <= near < far")
    if bounds is None:
        bounds = np.array([[-BOUNDS] * 3, [BOUNDS] * 3])
    box = np.asarray(bounds, np.float32)
    if box.shape != (2, 3) or not np.isfinite(box).all() or not (box[0] < box[1]).all():
        raise ConfigError("bounds", "are no box", "give two corners (2, 3), the lower one first")
    return box


def _short(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
