"""`compress3d reconstruct`: from files named on the command line to files written, with every step said aloud."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from compress3d.engine.experiment import get_experiment
from compress3d.errors import DataError
from compress3d.metrics import THRESHOLD
from compress3d.photos import Photo, collect, prepare_all
from compress3d.photos.confidence import Assessment, assess
from compress3d.photos.outputs import check_names, write
from compress3d.photos.reconstruction import Reconstruction, best_run, check, reconstruct
from compress3d.scales import scale


def reconstruct_files(
    names: Sequence[str],
    out: Sequence[str],
    run_id: str = "",
    rate: float | None = None,
    background: str = "auto",
    threshold: float = THRESHOLD,
) -> tuple[Reconstruction, Assessment]:
    """Rebuild an object from photographs and write it; prints what was done to each photograph, and the verdict.

    Args:
        names, out: files to read and to write; see `photos.collect` and `outputs.write`.
        run_id: network; the best one that ships where empty.
        rate, threshold: see `reconstruction.reconstruct`.
        background: how it is found, one of `photos.METHODS`.

    Raises:
        DataError, ConfigError, CheckpointError: see the functions named above.
    """
    paths, files = check_names(out), collect(names)
    run = get_experiment(run_id) if run_id else best_run()
    check(run, rate, threshold)
    photos, left_out = prepare_all(files, scale(run.scale).image_size, background, run.data.background, _say)
    found = reconstruct(photos, run, rate, threshold)
    assessment = assess(found)
    missing = f", {len(left_out)} left out" if left_out else ""
    sent = f"{run.id} at {found.setting.rate:g}:1, {found.bytes_per_view:g} bytes a view"
    print(f"{len(photos)} views used{missing}; {sent}")
    occupied, voxels = int(found.occupancy.sum()), found.occupancy.size
    print(f"{occupied:,} of {voxels:,} voxels occupied (probability above {threshold:g})")
    bar = "" if assessment.threshold is None else f" ({assessment.threshold:.2f} is needed)"
    print(f"mean voxel confidence {assessment.confidence:.2f}{bar}")
    print(assessment.sentence)
    for path in paths:
        write(path, found, assessment)
        print(f"wrote {path} ({path.stat().st_size / 1000:,.0f} kB)")
    return found, assessment


def _say(outcome: Photo | DataError) -> None:
    if isinstance(outcome, DataError):
        print(f"left out: {outcome}", file=sys.stderr, flush=True)
        return
    print(outcome.line, flush=True)
    for warning in outcome.warnings:
        print(f"  warning: {warning}", flush=True)
