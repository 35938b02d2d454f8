"""A made-up data set of any size in exactly ShapeNet's layout: for tests, and for measurements at full size.

Each object is one of the shipped CAD models with every view plain, mirrored, with red and blue exchanged, or both: 4^24
ways. Its voxels are turned over and moved, its cameras drawn anew. A image is compressed once for all objects that
use it, so that 5,000 objects take a minute.
"""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.data.camera import sample_cameras
from compress3d.data.shapenet.layout import (
    CAMERA_FILE,
    FILES,
    RENDERING,
    SYNSETS,
    VIEW_FILES,
    VOXEL_FILE,
    Key,
    folder_in,
)
from compress3d.data.store import VIEWS
from compress3d.data.testset import open_test_set
from tools.shapenet_files import encode_binvox, format_metadata


class FakeShapeNet:
    """Objects 0 to `count` - 1, the synsets in turn, model names of 32 hexadecimal digits in no order.

    Example:
        >>> FakeShapeNet(26, seed=1).write_archives("in")     # doctest: +SKIP
    """

    def __init__(self, count: int, seed: int = 0):
        self.count, self.seed = count, seed
        self._models = open_test_set()
        self._images: dict[tuple[int, int, int], bytes] = {}

    def key(self, number: int) -> Key:
        """Synset and model name of one object."""
        return list(SYNSETS)[number % len(SYNSETS)], self._digest(number).hex()[:32]

    def views(self, number: int) -> np.ndarray:
        """What the pictures of one object hold: uint8 `(24, 137, 137, 4)`, black where alpha is 0."""
        return np.stack([self._view(*self._image_of(number, view)) for view in range(VIEWS)])

    def occupancy(self, number: int) -> np.ndarray:
        """What the voxel file of one object holds: bool `(32, 32, 32)`, indexed `[x, y, z]`."""
        digest = self._digest(number)
        turned = self._models.occupancy(number % len(self._models))[
            :: 1 - digest[6] % 2 * 2, :, :: 1 - digest[7] % 2 * 2
        ]
        return np.roll(turned, (digest[8] % 5 - 2, digest[9] % 5 - 2), axis=(0, 2))

    def cameras(self, number: int) -> np.ndarray:
        """What the metadata file of one object holds: float32 `(24, 5)`."""
        return sample_cameras(np.random.default_rng(list(self._digest(number))), VIEWS).astype(np.float32)

    def files(self, number: int, half: str) -> dict[str, bytes]:
        """The files of one object in ShapeNetRendering or ShapeNetVox32, by name."""
        if half != RENDERING:
            return {VOXEL_FILE: encode_binvox(self.occupancy(number), translate=(-0.5, -0.5, -0.5))}
        found = {name: self._png(*self._image_of(number, view)) for view, name in enumerate(VIEW_FILES)}
        found[CAMERA_FILE] = format_metadata(self.cameras(number)).encode()
        found["renderings.txt"] = "".join(f"{name}\n" for name in VIEW_FILES).encode()
        return found

    def write_folders(self, top: str | Path) -> None:
        """Write both halves as folders below `top`."""
        for half in FILES:
            for name, data in self._members(half):
                path = Path(top, name)
                if data is None:
                    path.mkdir(parents=True, exist_ok=True)
                else:
                    path.write_bytes(data)

    def write_archives(self, top: str | Path, prefix: str = "") -> None:
        """Write both halves as .tgz below `top`; `prefix` stands before every name, such as "./"."""
        Path(top).mkdir(parents=True, exist_ok=True)
        for half in FILES:
            with tarfile.open(Path(top, f"{half}.tgz"), "w:gz", compresslevel=1) as tar:
                for name, data in self._members(half):
                    member = tarfile.TarInfo(prefix + name)
                    if data is None:
                        member.type, member.mode = tarfile.DIRTYPE, 0o755
                        tar.addfile(member)
                    else:
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))

    def _members(self, half: str) -> Iterator[tuple[str, bytes | None]]:
        """Folders (no bytes) and files of one half, a folder before what it holds, files in the disorder of a disk."""
        yield half, None
        for synset in SYNSETS:
            numbers = [number for number in range(self.count) if self.key(number)[0] == synset]
            if numbers:
                yield f"{half}/{synset}", None
            for number in numbers:
                folder = f"{half}/{folder_in(half, self.key(number))}"
                model = f"{half}/{'/'.join(self.key(number))}"
                yield model, None
                if folder != model:
                    yield folder, None
                files = list(self.files(number, half).items())
                random.Random(number).shuffle(files)
                for name, data in files:
                    yield f"{folder}/{name}", data

    def _digest(self, number: int) -> bytes:
        return hashlib.sha256(f"{self.seed}/{number}".encode()).digest()

    def _image_of(self, number: int, view: int) -> tuple[int, int, int]:
        """Model, view and variant (0 to 3): two bits of the digest a view."""
        return number % len(self._models), view, int.from_bytes(self._digest(number)[:6], "big") >> 2 * view & 3

    def _view(self, model: int, view: int, variant: int) -> np.ndarray:
        rgb, alpha = self._models.rgb[model, view], self._models.alpha[model, view]
        rgba = np.concatenate([rgb[..., ::-1] if variant & 1 else rgb, alpha[..., None]], axis=-1)
        return np.ascontiguousarray(rgba[:, ::-1] if variant & 2 else rgba)

    def _png(self, *image: int) -> bytes:
        if image not in self._images:
            file = io.BytesIO()
            Image.fromarray(self._view(*image)).save(file, "PNG", compress_level=1)
            self._images[image] = file.getvalue()
        return self._images[image]
