"""Small synthetic objects, and their files as ShapeNet distributes them."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from compress3d.data.shapenet.source import Item, locate, record_of
from compress3d.data.store import ObjectRecord, Store, StoreWriter
from tools.shapenet_files import encode_binvox, format_metadata


def make_object(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views uint8 (24, 137, 137, 4) of random coloured boxes, a random occupancy and random cameras."""
    rng = np.random.default_rng(seed)
    rgba = np.zeros((24, 137, 137, 4), np.uint8)
    for view in range(24):
        top, left = rng.integers(0, 60, 2)
        rgba[view, top : top + 70, left : left + 70] = rng.integers(1, 256, (70, 70, 4))
    occupancy = rng.random((32, 32, 32)) < 0.2
    cameras = np.stack(
        [rng.uniform(0, 360, 24), rng.uniform(25, 30, 24), np.zeros(24), rng.uniform(0.65, 0.95, 24), np.full(24, 25)],
        axis=1,
    ).astype(np.float32)
    return rgba, occupancy, cameras


def png_bytes(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def write_object(top: Path, synset: str, model: str, seed: int) -> None:
    """Write one object in the layout of ShapeNetRendering and ShapeNetVox32."""
    rgba, occupancy, cameras = make_object(seed)
    views, voxels = top / "ShapeNetRendering" / synset / model / "rendering", top / "ShapeNetVox32" / synset / model
    views.mkdir(parents=True)
    voxels.mkdir(parents=True)
    for view, picture in enumerate(rgba):
        (views / f"{view:02d}.png").write_bytes(png_bytes(picture))
    (views / "rendering_metadata.txt").write_text(format_metadata(cameras))
    (views / "renderings.txt").write_text("".join(f"{view:02d}.png\n" for view in range(24)))
    (voxels / "model.binvox").write_bytes(encode_binvox(occupancy))


def write_store(path: Path, count: int, seed: int = 0) -> Store:
    """A store of `count` objects, every fifth in the test split, chairs and tables by turns."""
    writer = StoreWriter.open(path, source="synthetic", parameters={"seed": seed})
    for number in range(count):
        record = ObjectRecord(
            f"object-{number:03d}",
            ("chair", "table")[number % 2],
            "synthetic",
            split="test" if number % 5 == 4 else "train",
        )
        writer.add(record, *make_object(seed + number))
    return writer.finish()


def find_items(source: str | Path, unpack_to: str | Path | None = None) -> tuple[list[Item], dict[str, str]]:
    """All objects of a source in ShapeNet's layout, without a split, and its text tables; archives unpacked beside."""
    found = locate(source)
    found.list_folders()
    for archive in found.archives:
        found.list_archive(archive, Path(unpack_to) if unpack_to else archive.parent)
    return [found.item(key, record_of(key)) for key in found.keys()], found.tables
