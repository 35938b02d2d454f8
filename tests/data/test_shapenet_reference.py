"""The reader against readers written here from the format: plain loops for voxels and metadata, Pillow for views."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.fake_shapenet import FakeShapeNet
from compress3d.data.shapenet import build_shapenet
from tools.shapenet_files import encode_binvox

SYNSET = "02958343"


def runs_of(grid: np.ndarray, longest: int = 255) -> bytes:
    """Run-length pairs (value, count) of a grid [x, y, z], in the file's order: x outermost, then z, then y."""
    flat = [int(grid[x, y, z]) for x in range(32) for z in range(32) for y in range(32)]
    pairs, at = bytearray(), 0
    while at < len(flat):
        end = at
        while end < len(flat) and flat[end] == flat[at] and end - at < longest:
            end += 1
        pairs += bytes([flat[at], end - at])
        at = end
    return bytes(pairs)


def reference_voxels(data: bytes) -> np.ndarray:
    """What `lib/binvox_rw.py` of 3D-R2N2 does: read header lines up to "data", expand runs, swap the last two axes."""
    at = 0
    while True:
        line, at = data[at : data.index(b"\n", at)], data.index(b"\n", at) + 1
        if line.startswith(b"dim"):
            dims = [int(word) for word in line.split()[1:]]
        if line == b"data":
            break
    values = []
    for place in range(at, len(data), 2):
        values += [data[place]] * data[place + 1]
    return np.array(values).reshape(dims).astype(bool).swapaxes(1, 2)


HEADERS = {
    "as binvox writes it": "#binvox 1\ndim 32 32 32\ntranslate -0.5 -0.5 -0.5\nscale 1\ndata\n",
    "long numbers": "#binvox 1\ndim 32 32 32\ntranslate -0.0632459 -0.118291 -0.499999\nscale 1.00000001\ndata\n",
    "another order": "#binvox 1\nscale 41.133\ntranslate 0 0 0\ndim 32 32 32\ndata\n",
    "comments": "#binvox 1\n# written by hand\ndim 32 32 32\n#data\ntranslate 0 0 0\nscale 1\ndata\n",
    "no translate or scale": "#binvox 1\ndim 32 32 32\ndata\n",
    "exponents": "#binvox 1\ndim 32 32 32\ntranslate 1e-05 -2.5e-07 0\nscale 9.9e-01\ndata\n",
    "spaces": "#binvox 1 \ndim  32 32  32\ntranslate -0.5 -0.5 -0.5\nscale 1\ndata\n",
}


def grids(case: str, rng: np.random.Generator) -> np.ndarray:
    solid = np.zeros((32, 32, 32), bool)
    if case == "noise":
        return rng.random((32, 32, 32)) < rng.uniform(0.05, 0.5)
    if case == "one voxel":
        solid[tuple(rng.integers(0, 32, 3))] = True
    elif case == "full":
        solid[:] = True
    elif case == "first and last":
        solid[0, 0, 0] = solid[31, 31, 31] = True
    elif case == "runs of 255 and more":
        flat = np.zeros(32**3, bool)
        at = 0
        for length in (255, 255, 256, 510, 511, 1, 254, 2048):
            flat[at : at + length] = True
            at += 2 * length
        solid = flat.reshape(32, 32, 32).swapaxes(1, 2).copy()
    else:  # a box that is long in one direction tells every swap of axes
        low = rng.integers(0, 10, 3)
        solid[low[0] : low[0] + 20, low[1] : low[1] + 6, low[2] : low[2] + 2] = True
    return solid


CASES = ["noise", "one voxel", "full", "first and last", "runs of 255 and more", "box"]


@pytest.mark.parametrize("longest", [255, 100])
def test_voxels_pictures_and_cameras_equal_the_references(longest, tmp_path):
    """Objects of the distributed layout, each file read back with Pillow or plain loops, against the built store."""
    rng, made, written = np.random.default_rng(longest), FakeShapeNet(1), {}
    pictures = made.files(0, "ShapeNetRendering")
    for number, (case, header) in enumerate((case, header) for case in CASES for header in HEADERS):
        model = f"{rng.integers(0, 2**62):016x}{number:016x}"
        views = tmp_path / "in/ShapeNetRendering" / SYNSET / model / "rendering"
        voxels = tmp_path / "in/ShapeNetVox32" / SYNSET / model
        views.mkdir(parents=True)
        voxels.mkdir(parents=True)
        for name, data in pictures.items():
            (views / name).write_bytes(data)
        cameras = [
            f"{rng.uniform(0, 360):.10f} {rng.uniform(25, 30):.10f} 0 {rng.uniform(0.65, 0.95):.10f} 25\n"
            for _ in range(24)
        ]
        (views / "rendering_metadata.txt").write_text("".join(cameras))
        grid = grids(case, rng)
        (voxels / "model.binvox").write_bytes(HEADERS[header].encode() + runs_of(grid, longest))
        written[f"{SYNSET}/{model}"] = (grid, views, voxels)

    store = build_shapenet(tmp_path / "in", tmp_path / "out", workers=0)
    assert len(store) == len(written) == len(CASES) * len(HEADERS)
    for row, record in enumerate(store.objects):
        grid, views, voxels = written[record.uid]
        assert np.array_equal(store.occupancy(row), reference_voxels((voxels / "model.binvox").read_bytes()))
        assert np.array_equal(store.occupancy(row), grid)
        lines = (views / "rendering_metadata.txt").read_text().splitlines()
        for view, line in enumerate(lines):
            azimuth, elevation, rotation, ratio, field = (np.float32(float(word)) for word in line.split())
            assert store.cameras[row, view].tolist() == [azimuth, elevation, rotation, ratio, field]
        if row == 0:
            for view in range(24):
                with Image.open(views / f"{view:02d}.png") as image:
                    red, green, blue, alpha = (np.array(channel) for channel in image.split())
                assert np.array_equal(store.alpha[row, view], alpha)
                for channel, values in enumerate((red, green, blue)):
                    assert np.array_equal(store.rgb[row, view, ..., channel], np.where(alpha > 0, values, 0))
    assert len({record.uid for record in store.objects}) == len(written)


def test_encode_agrees_with_the_plain_loops():
    for case in CASES:
        grid = grids(case, np.random.default_rng(3))
        assert encode_binvox(grid).split(b"\ndata\n", 1)[1] == runs_of(grid)


def test_colours_under_zero_alpha_become_black(tools, tmp_path):
    """A PNG may hold colours where nothing is seen; a loader that drops alpha would show them."""
    tools.write_object(tmp_path / "in", SYNSET, "a", 0)
    picture = np.full((137, 137, 4), 200, np.uint8)
    picture[:70, :, 3] = 0
    picture[70:75, :, 3] = 1
    view = next(tmp_path.rglob("05.png"))
    view.write_bytes(tools.png_bytes(picture))
    store = build_shapenet(tmp_path / "in", tmp_path / "out", workers=0)
    assert not store.rgb[0, 5, :70].any() and (store.rgb[0, 5, 70:] == 200).all()
    assert (store.alpha[0, 5, 70:75] == 1).all()
