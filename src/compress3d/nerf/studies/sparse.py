"""Whether zeros make products faster: weights in compressed sparse rows times points, against dense weights."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch

from compress3d.engine.studies import save_study

SHAPES = (128, 256)  # square layers: of the public port's networks and of the original's
RATIOS = (0.3, 0.5, 0.7, 0.9, 0.95, 0.98)
POINTS = 8192  # of a product
ROUNDS = 9  # of each; medians of the quotients of neighbours, as a machine slows down and recovers


def run(scale: str = "demo") -> Iterator[str]:
    """Speed after pruning: products with sparse weights against dense ones, one thread (Isik 2021, Sec. 3)."""
    started, threads = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(1)
    found: dict[str, dict] = {}
    try:
        for size in SHAPES:
            rows = [{"ratio": ratio, "speedup": speedup(size, ratio)} for ratio in RATIOS]
            found[f"{size}x{size}"] = {"rows": rows, "points": POINTS}
            yield f"{size} x {size}: " + ", ".join(f"x {row['speedup']:.2f} at {row['ratio']:.0%}" for row in rows)
    finally:
        torch.set_num_threads(threads)
    save_study("sparse-speed", scale, found, started)


def speedup(size: int, ratio: float, points: int = POINTS, rounds: int = ROUNDS) -> float:
    """Time of a dense product over that of a sparse one with a share `ratio` of zeros."""
    rng = torch.Generator().manual_seed(0)
    dense = torch.randn(size, size, generator=rng)
    flat = dense.abs().flatten()
    dense[dense.abs() <= flat.kthvalue(max(1, round(ratio * len(flat)))).values] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "beta state"
        sparse, given = dense.to_sparse_csr(), torch.randn(size, points, generator=rng)
    both = [(_seconds(lambda: dense @ given), _seconds(lambda: sparse @ given)) for _ in range(rounds + 1)]
    return float(np.median([a / b for a, b in both[1:]]))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
