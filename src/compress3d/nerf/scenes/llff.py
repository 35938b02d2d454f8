"""Forward-facing scenes in the layout of LLFF: poses_bounds.npy of COLMAP's cameras, and pictures in images_N.

```
fern/poses_bounds.npy           (N, 17): 3 x 5 matrix, then the nearest and farthest depth seen
fern/images, images_4, ...      N pictures in the order of their names, 1/N of the full size
```
The matrix has the axes down, right and backwards of a camera, its place, and height, width and focal length in pixels.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from compress3d.data.reading import SUFFIXES
from compress3d.errors import ConfigError, DataError
from compress3d.nerf.cameras import mean_pose
from compress3d.nerf.scenes.pictures import area_mean, check_size_wanted, planar, read_all
from compress3d.nerf.scenes.poses import check_rotation
from compress3d.nerf.scenes.scene import Fingerprint, Scene

POSES = "poses_bounds.npy"
NEAREST = 0.75  # scenes are scaled so that the nearest depth is 1 / 0.75: the near plane of NDC, at 1, lies before it
_AGAIN = "make it again with LLFF's imgs2poses.py, from the pictures in this folder"


def read_llff(folder: str | Path, size: int | None = None, hold_out: int = 8, centre: float = 0.5) -> Scene:
    """Read a forward-facing scene in LLFF's layout; rays are in normalised device coordinates (NDC).

    Args:
        size: longer side of the pictures in pixels, by means over areas of the smallest pictures that hold as many; the
            smallest pictures themselves if None.
        hold_out: every such view, from the first, is for testing.

    Raises:
        DataError: a file is missing or broken, counts differ, a pose is no rotation, cameras do not all look one way.
        ConfigError: an argument makes no sense.
    """
    folder = Path(folder)
    check_size_wanted(size)
    if isinstance(hold_out, bool) or not isinstance(hold_out, int) or hold_out < 2:
        raise ConfigError("hold_out", f"{hold_out!r} leaves no view for training", "give a whole number from 2 on")
    listing = folder / POSES
    raw = read_poses_bounds(listing)
    count, (height, width, focal) = len(raw), raw[0, :15].reshape(3, 5)[:, 4]
    if count < 3:
        raise DataError(listing, f"holds cameras of {count} pictures: too few", "take at least 3 pictures of a scene")
    pictures, factor = _choose(folder, max(height, width), size)
    paths = _pictures(pictures)
    if len(paths) != count:
        remedy = f"let {pictures.name} hold just the pictures that the poses were made from, or make the poses again"
        raise DataError(listing, f"holds cameras of {count} pictures, {pictures.name} has {len(paths)}", remedy)
    with np.errstate(all="ignore"):  # of absurd numbers, which are refused by name below
        poses, depths = normalised(raw, paths, listing)
    _check_forward(poses, (width / 2 / focal, height / 2 / focal), paths, listing)

    fingerprint = Fingerprint()
    fingerprint.add("llff", size, hold_out, raw)

    def convert(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return area_mean(planar(pixels), shape)

    images, _ = read_all(paths, False, size, convert, fingerprint, expected=(height / factor, width / factor))
    views = np.arange(count)
    held_out = views % hold_out == 0
    return Scene(
        name=folder.resolve().name, sha256=fingerprint.hexdigest(), images=images, poses=poses,
        names=tuple(path.relative_to(folder).as_posix() for path in paths),
        focal=float(focal) * max(images.shape[1:3]) / max(height, width), near=0.0, far=1.0,
        split={"train": views[~held_out], "test": views[held_out]},
        ndc=True, white=False, bounds=np.array([[-1.0] * 3, [1.0] * 3], np.float32), depths=depths, centre=centre,
    )  # fmt: skip


def read_poses_bounds(listing: str | Path) -> np.ndarray:
    """The table (N, 17) of poses_bounds.npy, float64.

    Raises:
        DataError: it is missing, no array file, of another width or type, empty, holds NaN or infinity, cameras of
            different size or focal length, or depths that are not 0 < near < far.
    """
    listing = Path(listing)
    if not listing.is_file():
        raise DataError(listing, "is missing", _AGAIN)
    try:
        # Mapped: a header that claims more than the file holds is refused before anything is allocated.
        table = np.load(listing, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy: OSError, ValueError, EOFError, SyntaxError, TokenError ...
        raise DataError(listing, f"is no sound .npy file ({str(error).splitlines()[0][:120]})", _AGAIN) from None
    if not isinstance(table, np.ndarray):
        table.close()
        raise DataError(listing, "is an archive of arrays (.npz), not one array", _AGAIN)
    if table.dtype.kind != "f":
        raise DataError(listing, f"holds {table.dtype}, not floating point numbers", _AGAIN)
    if table.ndim != 2 or table.shape[1] != 17:
        raise DataError(listing, f"has the shape {table.shape}, not (pictures, 17)", _AGAIN)
    if not len(table):
        raise DataError(listing, "holds no cameras", _AGAIN)
    table = np.array(table, np.float64)
    for row, values in enumerate(table):
        if not np.isfinite(values).all():
            raise DataError(listing, f"holds NaN or infinity in row {row}", _AGAIN)
    camera = table[:, [4, 9, 14]]
    if (camera < 1).any() or (camera > 1e6).any():
        row = int(np.flatnonzero((camera < 1).any(1) | (camera > 1e6).any(1))[0])
        H, W, f = camera[row]
        raise DataError(listing, f"row {row} has {W:g} x {H:g} pixels and the focal length {f:g}", _AGAIN)
    other = np.flatnonzero((np.abs(camera / camera[0] - 1) > 1e-3).any(1))
    if len(other):
        seen, first = camera[other[0]].tolist(), camera[0].tolist()
        problem = f"row {other[0]} has height, width and focal length {seen}, the first {first}"
        raise DataError(listing, problem, "take all pictures with one camera and zoom, and let COLMAP share intrinsics")
    wrong = np.flatnonzero(~((table[:, 15] > 0) & (table[:, 15] < table[:, 16])))
    if len(wrong):
        near, far = table[wrong[0], 15:]
        raise DataError(listing, f"row {wrong[0]} has the depths {near:g} to {far:g}, not 0 < near < far", _AGAIN)
    return table


def normalised(raw: np.ndarray, paths: list[Path], listing: Path) -> tuple[np.ndarray, tuple[float, float]]:
    """Poses, float64 (N, 3, 4), with axes right, up, backwards, scaled and recentred; nearest and farthest depth.

    As the original's load_llff.py does it: 1 / (0.75 nearest depth) is the unit, the mean pose the origin.
    """
    matrices = raw[:, :15].reshape(-1, 3, 5)
    poses = np.concatenate([matrices[:, :, 1:2], -matrices[:, :, :1], matrices[:, :, 2:4]], 2)
    for path, pose in zip(paths, poses, strict=True):
        check_rotation(pose[:, :3], listing, f"the row of {path.name}")
    scale = 1 / (NEAREST * raw[:, 15:].min())
    poses[:, :, 3] *= scale
    middle = mean_pose(poses)
    poses[:, :, 3] -= middle[:, 3]
    return middle[:, :3].T @ poses, (float(raw[:, 15:].min() * scale), float(raw[:, 15:].max() * scale))


def _check_forward(poses: np.ndarray, tangents: tuple[float, float], paths: list[Path], listing: Path) -> None:
    """DataError: a pixel of a view looks sideways or backwards, where NDC has no place for it."""
    x, y = tangents
    corners = np.array([[sx * x, sy * y, -1.0] for sx in (-1, 1) for sy in (-1, 1)])
    if not np.isfinite(poses).all():
        raise DataError(listing, "has cameras that are no numbers once they are scaled and centred", _AGAIN)
    for path, pose in zip(paths, poses, strict=True):
        if not ((pose[2, :3] @ corners.T) < -1e-2).all():
            problem = f"the camera of {path.name} looks away from where the others look"
            raise DataError(listing, problem, "leave it out: a forward-facing scene is seen from one side (NDC)")
    if not np.abs(poses[:, :, 3]).max() < 1e4:
        problem = "has cameras more than 10,000 times as far apart as the nearest thing that they see"
        raise DataError(listing, problem, _AGAIN)
    if np.ptp(poses[:, :, 3], axis=0).max() < 1e-6:
        problem = "has all its cameras in one place: no depth can be learned from them"
        raise DataError(listing, problem, "take pictures from different places")


def _choose(folder: Path, full: float, size: int | None) -> tuple[Path, int]:
    """The folder of the smallest pictures whose longer side has `size` pixels, and by what they were made smaller."""
    found = {1: folder / "images"} if (folder / "images").is_dir() else {}
    for path in folder.iterdir():
        if (match := re.fullmatch(r"images_([1-9]\d{0,3})", path.name)) and path.is_dir():
            found[int(match[1])] = path
    if not found:
        remedy = "get the scene again, with its pictures in images_8 (or images, images_4 ...)"
        raise DataError(folder, "holds no folder of pictures (images, images_8 ...)", remedy)
    enough = [factor for factor in found if size is None or full / factor > size - 0.5]
    factor = max(enough) if enough else min(found)
    return found[factor], factor


def _pictures(folder: Path) -> list[Path]:
    """Picture files in the order of their names as COLMAP sorts them: IMG_10 before IMG_2."""
    paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    if not paths:
        raise DataError(folder, "holds no pictures", "get the scene again")
    return sorted(paths)
