"""Minibatches from stores. Training batches are a pure function of (seed, step): a resumed run sees the same data.

Source of the choices: Golts' loader (random 128 crop of 137 per view, centre crop in test, 1 to 5 views a minibatch,
drawn without replacement from 24, black background) and 3D-R2N2's (mirror with probability 1/2, light background).
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from compress3d.data.pixels import BackgroundImages, area_mean, composite
from compress3d.data.store import GRID, SIDE, VIEWS, Store

CROP = 128
CENTRE = (SIDE - CROP) // 2  # 4: what torchvision's CenterCrop takes for 137 -> 128
BACKGROUNDS = ("black", "white", "random", "pictures")


class Batch(NamedTuple):
    """One minibatch."""

    images: torch.Tensor  # uint8 (B, V, 3, S, S), 0..255, in channels-last memory
    occupancy: torch.Tensor  # uint8 (B, G, G, G), 0 or 1, indexed [x, y, z]
    items: torch.Tensor  # int64 (B, 2): which part (store) and which row of it


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 `(B, V, 3, S, S)` in 0..255 to float32 in [0, 1], same memory layout."""
    return images.to(torch.float32).div_(255)


class ViewBatches(Dataset):
    """Training minibatches, one per step; use with `DataLoader(batches, batch_size=None)`.

    Args:
        parts: (store, rows) pairs; a store that stands here twice is seen twice as often.
        batch_size: objects in a minibatch, B.
        views: smallest and largest number of views; one V per minibatch, both ends included.
        image_size: S, a divisor of 128; the mean over squares of pixels, rounded.
        grid: G, a divisor of 32; a coarse voxel is occupied where any of its fine ones is.
        seed: with the step it decides everything.
        steps: length of the data set.
        mirror: with probability 1/2 an object's images are flipped left-right and its voxels along x. That is exact:
            the flipped images are those of the mirrored scene, seen by mirrored cameras.
        crop: "random" (each view its own offsets in 0..9) or "centre" (offset 4).
        background: "black": colours as stored, alpha ignored (Golts). "white", "random": composited over white, or over
            one light colour per object with channels in 225..255 (Choy). "pictures": over a crop of a picture of the
            folder `pictures`, drawn for each view.
        replacement: draw the views of an object with replacement (Choy) instead of without (Golts).
        flip: with probability 1/2 each view by itself is flipped left-right, the voxels stay (Choy). That is not what
            any camera sees of an object that is not its own mirror image.

    Every epoch (N consecutive objects, N the number of rows in all parts) visits each row exactly once, in the order of
    a permutation drawn by `rng([seed, epoch])`; a minibatch may hold the end of one and the beginning of the next.

    Example:
        >>> from compress3d.data.testset import open_test_set
        >>> store = open_test_set()
        >>> ViewBatches([(store, store.select("test"))], batch_size=4, views=(3, 3), steps=10)[0].images.shape
        torch.Size([4, 3, 3, 64, 64])
    """

    def __init__(
        self, parts: Sequence[tuple[Store, np.ndarray]], batch_size: int, views: tuple[int, int] = (1, 5),
        image_size: int = 64, grid: int = GRID, seed: int = 0, steps: int = 1, mirror: bool = True,
        crop: str = "random", background: str = "black", pictures: str | Path | None = None,
        replacement: bool = False, flip: bool = False,
    ):  # fmt: skip
        _check(image_size, grid, background)
        if not 1 <= views[0] <= views[1] <= VIEWS:
            raise ValueError(f"views must be 1 <= least <= most <= {VIEWS}, not {views}")
        if crop not in ("random", "centre"):
            raise ValueError(f"crop must be 'random' or 'centre', not {crop!r}")
        self.stores = [store for store, _ in parts]
        rows = [(number, row) for number, (_, rows) in enumerate(parts) for row in rows]
        self.items = np.array(rows, np.int64).reshape(-1, 2)  # part and row
        if not len(self.items):
            raise ValueError("the parts hold no object")
        self.batch_size, self.views, self.image_size, self.grid = batch_size, tuple(views), image_size, grid
        self.seed, self.steps, self.mirror, self.crop, self.background = seed, steps, mirror, crop, background
        self.replacement, self.flip = replacement, flip
        self.background_images = BackgroundImages(pictures) if background == "pictures" else None

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        if not 0 <= step < self.steps:
            raise IndexError(step)
        count = self.batch_size
        items = self.items[self._order(step * count, count)]
        # The middle 1 keeps this stream apart from the permutations' rng([seed, epoch]).
        rng = np.random.default_rng([self.seed, 1, step])
        number = int(rng.integers(self.views[0], self.views[1], endpoint=True))
        views = rng.random((count, VIEWS)).argsort(axis=1)[:, :number]
        offsets = rng.integers(0, SIDE - CROP, (count, number, 2), endpoint=True)
        mirrored = rng.random(count) < 0.5
        colours = rng.integers(225, 255, (count, 3), endpoint=True)
        if self.crop == "centre":
            offsets[:] = CENTRE
        if not self.mirror:
            mirrored[:] = False
        # Draws of the options below come last: without them a seed gives what it always gave.
        if self.replacement:
            views = rng.integers(0, VIEWS, views.shape)
        flips = np.repeat(mirrored[:, None], number, axis=1)
        if self.flip:
            flips ^= rng.random(flips.shape) < 0.5
        backgrounds = self._backgrounds(colours, number, rng)
        return _assemble(self.stores, items, views, offsets, flips, mirrored, backgrounds, self.image_size, self.grid)

    def _backgrounds(self, colours: np.ndarray, number: int, rng: np.random.Generator):
        """What fills the transparent part of each view: None, or (B, V) of colours (3,) or pictures (128, 128, 3)."""
        if self.background == "black":
            return None
        if self.background_images is not None:
            return [[self.background_images.crop(rng, CROP) for _ in range(number)] for _ in colours]
        fills = colours if self.background == "random" else np.full_like(colours, 255)
        return [[fill] * number for fill in fills]

    def _order(self, first: int, count: int) -> np.ndarray:
        """Positions `first .. first + count` of the endless row of permutations."""
        epochs, places = np.divmod(np.arange(first, first + count), len(self.items))
        orders = {epoch: _permutation(self.seed, epoch, len(self.items)) for epoch in np.unique(epochs).tolist()}
        return np.concatenate([order[places[epochs == epoch]] for epoch, order in orders.items()])


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, total: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(total)


class TestViews(Dataset):
    """Test minibatches over the rows `indices`, in their order: centre crop, views by `test_view_order`.

    So every model sees the same views, and fewer views of an object are the first of its more. The last minibatch may
    be smaller. Pages call it `test_views`. Arguments as in `ViewBatches`; light backgrounds are 240.
    """

    __test__ = False  # pytest would collect it

    def __init__(
        self, store: Store, indices: np.ndarray, views: int = 5, image_size: int = 64, seed: int = 0,
        background: str = "black", batch_size: int = 16, grid: int = GRID,
    ):  # fmt: skip
        _check(image_size, grid, background)
        if not 1 <= views <= VIEWS:
            raise ValueError(f"views must be in 1..{VIEWS}, not {views}")
        self.store, self.indices = store, np.asarray(indices, np.int64)
        self.views, self.image_size, self.seed, self.background = views, image_size, seed, background
        self.batch_size, self.grid = batch_size, grid

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __getitem__(self, number: int) -> Batch:
        if not 0 <= number < len(self):
            raise IndexError(number)
        rows = self.indices[number * self.batch_size : (number + 1) * self.batch_size]
        views = np.stack([test_view_order(self.store.objects[row].uid, self.seed)[: self.views] for row in rows])
        # 240: the light colour that 3D-R2N2 fixes in test
        fill = np.full(3, 255 if self.background == "white" else 240)
        backgrounds = None if self.background == "black" else [[fill] * self.views for _ in rows]
        offsets = np.full((*views.shape, 2), CENTRE)
        items = np.stack([np.zeros_like(rows), rows], axis=1)
        flips = np.zeros(views.shape, bool)
        mirrored, stores = flips[:, 0], [self.store]
        return _assemble(stores, items, views, offsets, flips, mirrored, backgrounds, self.image_size, self.grid)


def test_view_order(uid: str, seed: int = 0) -> np.ndarray:
    """The order in which an object's 24 views are taken in tests, by `rng([seed, crc32(uid)])`."""
    return np.random.default_rng([seed, zlib.crc32(uid.encode())]).permutation(VIEWS)


test_views = TestViews


def _check(image_size: int, grid: int, background: str) -> None:
    if image_size < 1 or CROP % image_size:
        raise ValueError(f"image_size must divide {CROP}, not {image_size}")
    if grid < 1 or GRID % grid:
        raise ValueError(f"grid must divide {GRID}, not {grid}")
    if background not in BACKGROUNDS:
        raise ValueError(f"background must be one of {BACKGROUNDS}, not {background!r}")


def _assemble(stores, items, views, offsets, flips, mirrored, backgrounds, image_size, grid) -> Batch:
    """Read the drawn crops: items `(B, 2)`, views and flips `(B, V)`, offsets `(B, V, 2)`, mirrored (voxels) `(B,)`."""
    count, number = views.shape
    images = _empty((count, number, image_size, image_size, 3))
    target = images.numpy()
    occupancy = np.empty((count, GRID, GRID, GRID), np.uint8)
    for b, (part, row) in enumerate(items.tolist()):
        rgb, alpha, solid = stores[part].rgb[row], stores[part].alpha[row], stores[part].occupancy(row)
        for v, (view, (top, left)) in enumerate(zip(views[b], offsets[b], strict=True)):
            window = slice(top, top + CROP), slice(left, left + CROP)
            image = rgb[view][window]
            if backgrounds is not None:
                image = composite(image, alpha[view][window], backgrounds[b][v])
            if image_size != CROP:
                image = area_mean(image, image_size)
            if flips[b, v]:
                for channel in range(3):  # a plane at a time: 14 us, against 55 us pixel by pixel
                    target[b, v, :, :, channel] = image[:, ::-1, channel]
            else:
                target[b, v] = image
        occupancy[b] = solid[::-1] if mirrored[b] else solid
    if grid != GRID:
        step = GRID // grid
        occupancy = occupancy.reshape(count, grid, step, grid, step, grid, step).max(axis=(2, 4, 6))
    return Batch(images.permute(0, 1, 4, 2, 3), torch.from_numpy(occupancy), torch.from_numpy(items))


def _empty(shape: tuple[int, ...]) -> torch.Tensor:
    """An uint8 tensor; inside a DataLoader worker it lies in shared memory at once, which saves a copy of the batch."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    storage = torch.UntypedStorage._new_shared(int(np.prod(shape)))
    return torch.empty(0, dtype=torch.uint8).set_(storage, 0, shape)  # type: ignore[call-overload]
