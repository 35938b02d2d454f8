"""One exception family for everything a person can mend: it says which file, what is wrong, what to do.

Example:
    >>> raise DataError("a.binvox", "holds 812 of 32768 voxels", "download it again")
    Traceback (most recent call last):
    compress3d.errors.DataError: a.binvox: holds 812 of 32768 voxels. What to do: download it again.
"""

from __future__ import annotations

from pathlib import Path


class Compress3DError(Exception):
    """Base of all errors meant for people; the command line prints it without a traceback."""

    def __init__(self, where: str | Path, problem: str, remedy: str):
        self.where, self.problem, self.remedy = str(where), problem.rstrip("."), remedy.rstrip(".")
        super().__init__(f"{self.where}: {self.problem}. What to do: {self.remedy}.")

    def __reduce__(self):  # crosses process boundaries: DataLoader workers, process pools
        return type(self), (self.where, self.problem, self.remedy)


class DataError(Compress3DError):
    """An image, voxel file, model file, archive or store is missing, broken, empty, truncated or of a wrong size."""


class CheckpointError(Compress3DError):
    """A checkpoint or weight file is missing, broken, or belongs to another run."""


class CodecError(Compress3DError):
    """A codestream cannot be written or read, or the OpenJPEG library is missing."""


class ConfigError(Compress3DError):
    """A run, rate, scale or parameter that does not exist or cannot be reached."""


class TrainingError(Compress3DError):
    """Training cannot go on: the loss is not finite, or the time box is smaller than one step."""
