"""Speed of JPEG 2000: the package's codec in memory, against glymur on files in the system's temporary folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.codecs.jpeg2000 import RESOLUTIONS, decode, encode, encode_within, simulate
from compress3d.codecs.openjpeg import load_glymur
from compress3d.joint.timing import alternate


def bench_jpeg2000(
    sizes: tuple[int, ...] = (64, 128), rate: float = 48, pictures: int = 20
) -> list[tuple[str, float, float]]:
    """Milliseconds a picture: name, through files, ours; medians.

    Args:
        sizes: edges of the square test pictures.
        rate: compression rate c.
        pictures: how many smooth random pictures; the same for each way.

    Raises:
        CodecError: there is no glymur, or no OpenJPEG.
    """
    glymur = load_glymur()
    options = {"cratios": (rate,), "irreversible": True, "mct": True, "numres": RESOLUTIONS}
    rows = []
    for size in sizes:
        images = [_smooth_picture(size, seed=n) for n in range(pictures)]
        streams = [encode(image, rate) for image in images]
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{n}.j2k" for n in range(pictures)]

            def write(images=images, paths=paths) -> None:
                for image, path in zip(images, paths, strict=True):
                    glymur.Jp2k(path, data=image, **options)

            def read(paths=paths) -> None:
                for path in paths:
                    glymur.Jp2k(path)[:]

            def both(write=write, read=read) -> None:
                write()
                read()

            write()
            stack = np.stack(images)
            ours = {
                "encode": (write, lambda: [encode(image, rate) for image in images]),  # noqa: B023
                "decode": (read, lambda: [decode(stream) for stream in streams]),  # noqa: B023
                "largest payload within the budget": (write, lambda: [encode_within(i, rate) for i in images]),  # noqa: B023
                "there and back, payload": (both, lambda: simulate(stack, rate)),  # noqa: B023
                "there and back, file": (both, lambda: simulate(stack, rate, "file")),  # noqa: B023
            }
            calls = {"write": write, "read": read, "both": both} | {name: call for name, (_, call) in ours.items()}
            times = alternate(calls, repeats=3, label=f"JPEG 2000, {size} pixels")
        reference = {write: times["write"], read: times["read"], both: times["both"]}
        rows += [
            (f"JPEG 2000, {size} pixels, {name}", reference[way] / pictures, times[name] / pictures)
            for name, (way, _) in ours.items()
        ]
    return rows


def _smooth_picture(size: int, seed: int) -> np.ndarray:
    """Random colours on an 8 x 8 grid, bicubic between: uint8 `(size, size, 3)`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))
