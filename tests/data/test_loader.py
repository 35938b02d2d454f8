"""Minibatches: purity in (seed, step), epochs, crops, mirrors and means against plain references."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from compress3d.data.loader import ViewBatches, area_mean, composite, test_views, to_float
from compress3d.errors import DataError


def batches(store, rows=None, **options):
    options = {"batch_size": 4, "image_size": 128, "steps": 40, "seed": 3, "mirror": False, **options}
    return ViewBatches([(store, store.select() if rows is None else rows)], **options)


def equal(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def find_window(store, row: int, picture: np.ndarray) -> tuple[int, int, int]:
    """Brute force: the one view and offset whose 128 x 128 window is this picture."""
    hits = [
        (view, top, left)
        for view in range(24)
        for top in range(10)
        for left in range(10)
        if np.array_equal(store.rgb[row, view, top : top + 128, left : left + 128], picture)
    ]
    assert len(hits) == 1
    return hits[0]


def hwc(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 1, 3, 4, 2).numpy()


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("grid", [8, 16, 32])
def test_shapes_dtypes_and_memory(size, grid, store):
    batch = batches(store, image_size=size, grid=grid, views=(3, 3))[0]
    assert batch.images.shape == (4, 3, 3, size, size) and batch.images.dtype == torch.uint8
    assert batch.occupancy.shape == (4, grid, grid, grid) and batch.occupancy.dtype == torch.uint8
    assert batch.items.shape == (4, 2) and batch.items.dtype == torch.int64
    assert batch.images.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    floats = to_float(batch.images)
    assert floats.dtype == torch.float32 and floats.shape == batch.images.shape
    assert torch.equal((floats * 255).round().to(torch.uint8), batch.images) and floats.max() <= 1


@pytest.mark.parametrize("options", [{}, {"mirror": True, "image_size": 64}, {"background": "random"}])
def test_a_batch_is_a_function_of_seed_and_step(options, store):
    one, two = batches(store, **options), batches(store, **options)
    backwards = {step: two[step] for step in reversed(range(12))}
    assert all(equal(one[step], backwards[step]) for step in range(12))
    other = batches(store, **{**options, "seed": 4})
    assert not any(torch.equal(one[step].items, other[step].items) for step in range(3))


def test_workers_change_nothing(store):
    data = batches(store, steps=10, mirror=True, image_size=64)
    loaded = list(DataLoader(data, batch_size=None, num_workers=2))
    assert len(loaded) == 10 and all(equal(loaded[step], data[step]) for step in range(10))


@pytest.mark.parametrize("batch_size", [1, 4, 5, 12, 30])
def test_every_epoch_visits_every_item_once(batch_size, store):
    parts = [(store, store.select("train")), (store, store.select("test")), (store, store.select("test"))]
    data = ViewBatches(parts, batch_size, views=(1, 1), image_size=16, seed=1, steps=-(-42 // batch_size))
    order = torch.cat([data[step].items for step in range(len(data))]).tolist()[:42]
    everything = sorted([part, row] for part, (_, rows) in enumerate(parts) for row in rows)
    assert len(everything) == 14
    epochs = [order[:14], order[14:28], order[28:]]
    assert all(sorted(epoch) == everything for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_length_and_end(store):
    data = batches(store, steps=3)
    assert len(data) == 3 and len(list(data)) == 3
    with pytest.raises(IndexError):
        data[3]


def test_numbers_of_views(store):
    data = batches(store, views=(1, 5), steps=200, image_size=16, batch_size=1)
    counts = np.bincount([data[step].images.shape[1] for step in range(200)], minlength=7)
    assert counts[0] == counts[6] == 0
    assert all(20 <= count <= 60 for count in counts[1:6]), counts  # 40 +- 3.5 standard deviations


def test_crops_and_views_found_by_brute_force(store):
    data = batches(store, views=(5, 5), batch_size=6, steps=4)
    tops, lefts = [], []
    for step in range(4):
        batch = data[step]
        for (_, row), pictures, occupancy in zip(batch.items.tolist(), hwc(batch.images), batch.occupancy, strict=True):
            found = [find_window(store, row, picture) for picture in pictures]
            assert len({view for view, _, _ in found}) == 5, "views are drawn without replacement"
            tops += [top for _, top, _ in found]
            lefts += [left for _, _, left in found]
            assert np.array_equal(occupancy.numpy(), store.occupancy(row))
    assert set(tops) == set(lefts) == set(range(10)), "all offsets 0..9 occur, each view has its own"


def test_centre_crop(store):
    batch = batches(store, crop="centre", views=(2, 2))[0]
    for (_, row), pictures in zip(batch.items.tolist(), hwc(batch.images), strict=True):
        for picture in pictures:
            assert find_window(store, row, picture)[1:] == (4, 4)


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("grid", [16, 32])
def test_mirror_is_an_exact_flip(size, grid, store):
    plain, mirrored = (batches(store, image_size=size, grid=grid, mirror=flag, steps=30) for flag in (False, True))
    flips = 0
    for step in range(30):
        a, b = plain[step], mirrored[step]
        for number in range(4):
            if torch.equal(a.images[number], b.images[number]):
                assert torch.equal(a.occupancy[number], b.occupancy[number])
            else:
                flips += 1
                assert torch.equal(a.images[number].flip(-1), b.images[number])
                assert torch.equal(a.occupancy[number].flip(0), b.occupancy[number])
    assert 40 <= flips <= 80  # of 120, 60 +- 3.6 standard deviations


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 32, 64, 128])
@pytest.mark.parametrize("kind", ["random", "white"])
def test_area_mean_against_float64(size, kind):
    image = np.random.default_rng(size).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    if kind == "white":
        image[:] = 255
    factor = 128 // size
    exact = image.reshape(size, factor, size, factor, 3).astype(np.float64).mean(axis=(1, 3))
    assert np.array_equal(area_mean(image, size), np.floor(exact + 0.5).astype(np.uint8))


def test_small_grid_is_any(store):
    batch = batches(store, grid=16)[2]
    for (_, row), occupancy in zip(batch.items.tolist(), batch.occupancy.numpy(), strict=True):
        fine = store.occupancy(row)
        for x, y, z in np.random.default_rng(0).integers(0, 16, (200, 3)):
            assert occupancy[x, y, z] == fine[2 * x : 2 * x + 2, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2].any()


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (225, 240, 251)])
def test_composite_against_floats(colour, store):
    rgb, alpha = store.rgb[2, 5], store.alpha[2, 5]
    weight = alpha[..., None] / 255
    exact = rgb * weight + np.array(colour) * (1 - weight)
    assert np.abs(composite(rgb, alpha, np.array(colour)) - exact).max() <= 0.5 + 1e-9


def test_backgrounds(store):
    black, white, light = (
        batches(store, background=name, crop="centre", views=(1, 1))[0] for name in ("black", "white", "random")
    )
    for number, (_, row) in enumerate(black.items.tolist()):
        view, _, _ = find_window(store, row, hwc(black.images)[number, 0])
        empty = store.alpha[row, view, 4:132, 4:132] == 0
        assert (hwc(black.images)[number, 0][empty] == 0).all()
        assert (hwc(white.images)[number, 0][empty] == 255).all()
        colours = np.unique(hwc(light.images)[number, 0][empty], axis=0)
        assert len(colours) == 1 and colours.min() >= 225
        full = store.alpha[row, view, 4:132, 4:132] == 255
        assert np.array_equal(hwc(white.images)[number, 0][full], hwc(black.images)[number, 0][full])


def test_test_views_are_fixed_by_uid(store):
    rows = store.select()
    five = list(test_views(store, rows, views=5, image_size=128, batch_size=5))
    assert [len(batch.items) for batch in five] == [5, 5, 2]
    images, items = torch.cat([b.images for b in five]), torch.cat([b.items for b in five])
    assert items[:, 1].tolist() == rows.tolist()
    backwards = torch.cat([b.images for b in test_views(store, rows[::-1], views=5, image_size=128, batch_size=3)])
    assert torch.equal(images, backwards.flip(0)), "neither order nor batch size matters"
    two = torch.cat([b.images for b in test_views(store, rows, views=2, image_size=128)])
    assert torch.equal(two, images[:, :2]), "fewer views are the first of more"
    other = torch.cat([b.images for b in test_views(store, rows, views=5, image_size=128, seed=1)])
    assert not torch.equal(images, other)
    for row in (0, 7):
        found = [find_window(store, row, picture) for picture in hwc(images)[row]]
        assert len({view for view, _, _ in found}) == 5
        assert {(top, left) for _, top, left in found} == {(4, 4)}


@pytest.mark.parametrize(
    "options",
    [{"image_size": 100}, {"image_size": 0}, {"grid": 20}, {"views": (0, 5)}, {"views": (3, 2)}, {"views": (1, 25)},
     {"crop": "middle"}, {"background": "blue"}, {"rows": np.array([], np.int64)}],
)  # fmt: skip
def test_wrong_options_are_refused(options, store):
    with pytest.raises(ValueError):
        batches(store, **options)



# -- the choices of 3D-R2N2 --------------------------------------------------------------------------------------------


@pytest.fixture
def picture_folder(tmp_path):
    """Three plain pictures, one of them smaller than a crop, one in a folder below."""
    (tmp_path / "more").mkdir()
    for name, size, colour in (("a.png", (200, 150), 10), ("b.jpg", (90, 60), 60), ("more/c.bmp", (128, 128), 200)):
        Image.new("RGB", size, (colour,) * 3).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_options_leave_the_other_draws_alone(store):
    """A seed's objects, views, crops and mirrors are the same with and without the options that came later."""
    rows = np.arange(len(store))
    plain = ViewBatches([(store, rows)], 16, (2, 2), seed=4, steps=2)[1]
    light = ViewBatches([(store, rows)], 16, (2, 2), seed=4, steps=2, background="random")[1]
    flipped = ViewBatches([(store, rows)], 16, (2, 2), seed=4, steps=2, flip=True)[1]
    assert torch.equal(plain.occupancy, light.occupancy) and torch.equal(plain.occupancy, flipped.occupancy)
    same = (plain.images == flipped.images).flatten(2).all(dim=2)
    turned = (plain.images == flipped.images.flip(-1)).flatten(2).all(dim=2)
    assert (same | turned).all() and not same.all() and not turned.all()


def test_views_with_replacement_repeat(store):
    """24 of 24 views: each once without replacement; with it, 24 (1 - 23^24 / 24^24) = 15.4 different ones."""
    rows = np.arange(len(store))
    different = {}
    for replacement in (False, True):
        batch = ViewBatches(
            [(store, rows)], 8, (24, 24), 32, steps=1, mirror=False, crop="centre", replacement=replacement
        )[0]
        views = [len({v.numpy().tobytes() for v in item}) for item in batch.images]
        different[replacement] = np.mean(views)
    assert different[True] < 18 < different[False]


def test_pictures_stand_behind_the_object(store, picture_folder):
    rows = np.arange(len(store))
    arguments = dict(batch_size=4, views=(2, 2), image_size=128, seed=1, steps=3, mirror=False, crop="centre")
    black = [ViewBatches([(store, rows)], **arguments)[n] for n in range(3)]
    behind = ViewBatches([(store, rows)], **arguments, background="pictures", pictures=picture_folder)
    grounds = set()
    for n in range(3):
        got = behind[n]
        assert torch.equal(got.images, behind[n].images), "a batch is a function of seed and step"
        for b, (_, row) in enumerate(got.items.tolist()):
            alphas = store.alpha[row][:, 4:132, 4:132]
            for v in range(2):
                clear = got.images[b, v].permute(1, 2, 0).numpy()
                dark = black[n].images[b, v].permute(1, 2, 0).numpy()
                view = next(i for i in range(24) if np.array_equal(store.rgb[row][i][4:132, 4:132], dark))
                assert np.array_equal(clear[alphas[view] == 255], dark[alphas[view] == 255])
                (ground,) = np.unique(clear[alphas[view] == 0])
                grounds.add(int(ground))
    assert grounds == {10, 60, 200}


def test_a_folder_without_pictures_is_refused(store, tmp_path):
    for folder in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataError, match="name a folder of pictures"):
            ViewBatches([(store, np.arange(2))], 2, background="pictures", pictures=folder)
    (tmp_path / "x.png").write_bytes(b"not a picture")
    batches = ViewBatches([(store, np.arange(2))], 2, background="pictures", pictures=tmp_path)
    with pytest.raises(DataError, match="x.png: is no picture"):
        batches[0]


@pytest.mark.parametrize("side", [1, 7, 32])
def test_composite_over_a_picture_equals_the_formula(side):
    rng = np.random.default_rng(side)
    alpha = rng.choice([0, 1, 127, 254, 255], (side, side)).astype(np.uint8)
    rgb = rng.integers(0, 256, (side, side, 3), dtype=np.uint8) * (alpha > 0)[..., None]
    ground = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    share = alpha[..., None] / 255
    expected = np.floor(rgb * share + ground * (1 - share) + 0.5)
    got = composite(rgb, alpha, ground)
    assert np.abs(got - expected).max() <= 1 and (got == expected).mean() > 0.99
    assert np.array_equal(got[alpha == 0], ground[alpha == 0]) and np.array_equal(got[alpha == 255], rgb[alpha == 255])
