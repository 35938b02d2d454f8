"""One photograph as a network wants it: decoded, its background removed, framed as in training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from compress3d.data.reading import decode
from compress3d.errors import ConfigError, DataError
from compress3d.photos import frame
from compress3d.photos.background import METHODS, segment

SMALL_OBJECT, LARGE_OBJECT = 0.05, 0.95  # of the picture: below few pixels are left, above nothing was recognised


@dataclass(frozen=True)
class Photo:
    """A photograph as the network sees it, and what was done to it."""

    path: Path
    image: np.ndarray  # uint8 (S, S, 3)
    size: tuple[int, int]  # this and the next four as in `reading.Decoded`
    mode: str
    format: str
    orientation: int
    notes: tuple[str, ...]
    method: str  # what became of the background, in words
    share: float  # of the photograph that was kept as object, in [0, 1]
    crop: tuple[int, int, int, int]  # left, top, right, bottom in the upright photograph, or beyond it
    warnings: tuple[str, ...] = ()  # what makes the result doubtful

    @property
    def line(self) -> str:
        """All of it in one line, without the warnings."""
        what = f"{self.path.name}: {self.size[0]}x{self.size[1]} {self.mode} {self.format}"
        kept = f"{self.method}, object {self.share:.0%} of the picture" if self.share < 1 else self.method
        done = [*self.notes, kept, "crop {},{} to {},{}".format(*self.crop)]
        return f"{what}; {', '.join(done)}"


def prepare(path: str | Path, image_size: int, method: str = "auto", background: str = "black") -> Photo:
    """Read one photograph, any picture file, and frame its object.

    Args:
        path, method: see `reading.decode`, and `background.segment` for how the background is found.
        image_size: S, side of the pictures that the network sees.
        background: what the network was trained on, "black", "white" or "random" (light grey); it replaces the other.

    Raises:
        DataError: the file cannot be read, or nothing is left of it without its background.
        ConfigError: there is no such background method.
    """
    if method not in METHODS:
        raise ConfigError(f"background {method!r}", "does not exist", f"choose one of {', '.join(METHODS)}")
    read = decode(path)
    found = segment(read.pixels, method)
    box = frame.bounding_box(found.alpha)
    if box is None:
        problem = f"has nothing left after its background was taken away ({found.method})"
        raise DataError(path, problem, "use --background keep, or a background of another colour than the object")
    height, width = found.alpha.shape
    crop = frame.square(box) if found.segmented else frame.square((0, 0, width, height), fill=1, below=0)
    image = frame.resample(read.pixels, found.alpha, crop, image_size, frame.BACKGROUND_GREY[background])
    (wide, high), (left, top, side) = read.factor, crop
    doubts, seen, share = list(found.warnings), side * max(wide, high), float((found.alpha > 127).mean())
    if seen < image_size:
        doubts.append(f"what the network sees is {seen:.0f} pixels wide in the file, its input {image_size}: enlarged")
    if found.segmented:
        edges = zip(("left", "upper", "right", "lower"), box, (0, 0, width, height), strict=True)
        if cut := [name for name, here, end in edges if here == end]:
            doubts.append(f"the object touches the {' and '.join(cut)} edge: it may be cut off")
        if share < SMALL_OBJECT:
            doubts.append(f"the object covers {share:.1%} of the picture: go nearer")
        if share > LARGE_OBJECT:
            doubts.append(f"the object covers {share:.0%} of the picture: no background was recognised")
    in_file = round(left * wide), round(top * high), round((left + side) * wide), round((top + side) * high)
    return Photo(
        Path(path), image, read.size, read.mode, read.format, read.orientation, read.notes, found.method, share,
        in_file, tuple(doubts),
    )  # fmt: skip


def prepare_all(
    paths: Iterable[str | Path],
    image_size: int,
    method: str = "auto",
    background: str = "black",
    done: Callable[[Photo | DataError], None] = lambda outcome: None,
) -> tuple[list[Photo], list[DataError]]:
    """Read photographs one after the other; a broken one is left out, never replaced by zeros.

    Args:
        paths, image_size, method, background: see `prepare`.
        done: called with each photograph, or the reason why there is none, as soon as it is known.

    Returns:
        Photographs in their order, and the errors of those left out.

    Raises:
        DataError: none is left; with a single path its own error.
        ConfigError: there is no such background method.
    """
    photos, errors = [], []
    for path in paths:
        try:
            photos.append(prepare(path, image_size, method, background))
            done(photos[-1])
        except DataError as error:
            errors.append(error)
            done(error)
    if not photos:
        if len(errors) == 1:
            raise errors[0]
        raise DataError("photos", f"none of {len(errors)} could be used", "mend what is said above of each of them")
    return photos, errors


def photo_tensor(photos: Iterable[Photo]) -> torch.Tensor:
    """The images of photographs as one object's views, uint8 (1, V, 3, S, S)."""
    images = np.stack([photo.image for photo in photos])
    return torch.from_numpy(images).permute(0, 3, 1, 2)[None].contiguous()
