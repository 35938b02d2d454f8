"""Speed of the training data: views of a store through a DataLoader, against PNG files through Pillow."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

from compress3d.data.loader import CENTRE, CROP, ViewBatches
from compress3d.data.store import VIEWS, Store


def bench_loader(store: Store, num_workers: int = 1, seconds: float = 3.0) -> tuple[float, float]:
    """Milliseconds a view of 128 x 128 x 3: from PNG files with Pillow in one process, and from the loader.

    Args:
        store: any store; it is read warm (its first 64 objects, once before the clock starts).
        num_workers: DataLoader processes.
        seconds: length of each of the two measurements.
    """
    rows = np.arange(min(64, len(store)))
    batches = ViewBatches([(store, rows)], 32, (5, 5), CROP, steps=10**9, mirror=False)
    for step in range(-(-len(rows) * 5 // 32)):
        batches[step]
    loader = iter(DataLoader(batches, batch_size=None, num_workers=num_workers))
    for _ in range(4 * max(1, num_workers)):  # the workers have started, their queues are full
        next(loader)
    views, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        images = next(loader).images
        views += images.shape[0] * images.shape[1]
    ours = 1e3 * (time.perf_counter() - start) / views
    del loader
    return _pillow_milliseconds(store, rows[:8], seconds), ours


def _pillow_milliseconds(store: Store, rows: np.ndarray, seconds: float) -> float:
    """A view the usual way: open a PNG file, convert to RGB, crop, make an array."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for row in rows:
            for view in range(VIEWS):
                files.append(Path(folder) / f"{row}-{view}.png")
                Image.fromarray(np.dstack([store.rgb[row, view], store.alpha[row, view]])).save(files[-1])
        views, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            with Image.open(files[views % len(files)]) as image:
                np.asarray(image.convert("RGB").crop((CENTRE, CENTRE, CENTRE + CROP, CENTRE + CROP)))
            views += 1
        return 1e3 * (time.perf_counter() - start) / views
