"""Mean voxel confidence against IoU, of objects framed well and in ways that go wrong: what `confidence` judges by."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from PIL import Image

from compress3d import metrics, results
from compress3d.data.loader import test_view_order
from compress3d.data.store import Store
from compress3d.data.testset import open_test_set
from compress3d.engine.evaluate import VIEWS, held_out, output
from compress3d.engine.experiment import Experiment
from compress3d.engine.studies import save_study
from compress3d.engine.weights import load_model
from compress3d.photos import frame, synthetic
from compress3d.photos.confidence import mean_confidence
from compress3d.photos.reconstruction import best_run, with_voxels
from compress3d.scales import scale

FRAMED, ONE, MIXED, SIDE, ROOM = "five views", "one view", "views of five objects", "lying on its side", "in a room"
FITTED = (FRAMED, ONE, MIXED, SIDE)  # a room shows in the images, not in the confidence


def views_of_case(run: Experiment, store: Store, rows: np.ndarray, case: str) -> torch.Tensor:
    """Views of test objects as a photographer could have made them, for the network of `run`: uint8 (N, V, 3, S, S).

    Args:
        store, rows: the objects.
        case: "five views" and "one view" are framed from the outline as `compress3d reconstruct` does; in "views of
            five objects" four of five show others; "lying on its side" turns all by 90 degrees; "in a room" keeps a
            crowded background.
    """
    size, background = scale(run.scale).image_size, frame.BACKGROUND_GREY[run.data.background]
    objects = []
    for number, row in enumerate(rows):
        views = test_view_order(store.objects[row].uid)[: 1 if case == ONE else VIEWS]
        shown = []
        for n, view in enumerate(views):
            of = rows[(number + 13 * n) % len(rows)] if case == MIXED else row
            image = synthetic.rgba_image(store, of, view)
            if case == ROOM:
                room = synthetic.in_room(image, store, (160, 160), seed=1000 * number + n)
                shown.append(np.asarray(room.resize((size, size), Image.Resampling.BOX)))
                continue
            pixels = np.asarray(image)
            box = frame.bounding_box(pixels[..., 3])
            assert box is not None, "no view of the test set is empty"
            framed = frame.resample(pixels, pixels[..., 3], frame.square(box), size, background)
            shown.append(np.rot90(framed) if case == SIDE else framed)
        objects.append(np.stack(shown))
    return torch.from_numpy(np.stack(objects)).permute(0, 1, 4, 2, 3).contiguous()


def best_cut(confidence: np.ndarray, useful: np.ndarray) -> float:
    """The threshold of `confidence` (N,) with the highest balanced accuracy; `useful`, bool (N,), has both values.

    Example:
        >>> best_cut(np.array([0.5, 0.6, 0.7, 0.8]), np.array([False, False, True, True]))
        0.65
    """
    values = np.unique(confidence)
    cuts = (values[1:] + values[:-1]) / 2
    scores = [balanced_accuracy(confidence, useful, cut) for cut in cuts]
    return round(float(cuts[int(np.argmax(scores))]), 4)


def balanced_accuracy(confidence: np.ndarray, useful: np.ndarray, cut: float) -> float:
    """Mean of the share of useful results above `cut` and of others below it; 0.5 is a guess."""
    above = confidence >= cut
    return float((above[useful].mean() + (~above[~useful]).mean()) / 2)


def held_out_accuracy(confidence: np.ndarray, useful: np.ndarray) -> float:
    """`balanced_accuracy` with thresholds chosen on the other half of the objects; both are (cases, N)."""
    scores = []
    for half in (0, 1):
        chosen, other = slice(half, None, 2), slice(1 - half, None, 2)
        cut = best_cut(confidence[:, chosen].ravel(), useful[:, chosen].ravel())
        scores.append(balanced_accuracy(confidence[:, other].ravel(), useful[:, other].ravel(), cut))
    return float(np.mean(scores))


def measure(run: Experiment, store: Store, rows: np.ndarray, shown: dict[str, torch.Tensor], floor: float) -> dict:
    """Confidence against IoU of one network.

    Args:
        run: with weights.
        store, rows: the objects; `shown` is what `views_of_case` makes of them, by case.
        floor: IoU from which a result is useful.

    Returns:
        `threshold`, `accuracy` and `held_out_accuracy` (balanced, over `FITTED`), `correlation` (of "five views"),
        `above` and `below` the threshold ("five views"), and `cases`, each with lists `iou` and `confidence`.
    """
    model, at = load_model(run), run.operating_point()
    truth = held_out(run, store, rows, views=1)[1]
    cases = {}
    for case, images in shown.items():
        probability = output(run, model, images, at).probabilities
        assert probability is not None  # `with_voxels`
        cases[case] = {
            "iou": metrics.iou(probability.numpy(), truth), "confidence": mean_confidence(probability.numpy())
        }  # fmt: skip
    confidence, iou = (np.stack([cases[case][key] for case in FITTED]) for key in ("confidence", "iou"))
    useful = iou > floor
    threshold = best_cut(confidence.ravel(), useful.ravel())
    framed = FITTED.index(FRAMED)
    sides = {}
    for name, side in (("above", confidence[framed] >= threshold), ("below", confidence[framed] < threshold)):
        sides[name] = {
            "objects": int(side.sum()),
            "miou": float(iou[framed][side].mean()) if side.any() else None,
            "useful": float(useful[framed][side].mean()) if side.any() else None,
        }
    return {
        "rate": at.rate,
        "threshold": threshold,
        "accuracy": balanced_accuracy(confidence.ravel(), useful.ravel(), threshold),
        "held_out_accuracy": held_out_accuracy(confidence, useful),
        "correlation": float(np.corrcoef(confidence[framed], iou[framed])[0, 1]),
        **sides,
        "cases": {case: {key: values.tolist() for key, values in found.items()} for case, found in cases.items()},
    }


def medians(measured: Iterable[dict]) -> dict:
    """`threshold`, and `useful` of `above` and `below`, of the median network; for networks not measured themselves."""
    found = list(measured)
    median: dict = {"threshold": float(np.median([of["threshold"] for of in found]))}
    for side in ("above", "below"):
        shares = [of[side]["useful"] for of in found if of[side]["useful"] is not None]
        median[side] = {"useful": float(np.median(shares)) if shares else None}
    return median


def calibrate(scale_name: str = "demo") -> dict:
    """Measure the networks of a scale on the shipped test set; writes `results/<scale>/confidence.json`.

    These are the runs of the tables and the best run, the one that `compress3d reconstruct` takes by itself, of which
    the file keeps the values of every object, and means for the others.

    Raises:
        DataError: the category-mean baseline (`compress3d study mean-shape`) is missing.
        ConfigError: no run of the scale has weights.
    """
    started, floor = time.monotonic(), results.load(f"{scale_name}/mean-shape")["points"][0]["miou"]
    best, store = best_run(scale_name), open_test_set()
    rows = store.select(split="test", clean=True)
    shown: dict[str, dict[str, torch.Tensor]] = {}
    networks = {}
    for run in [run for run in with_voxels(scale_name) if not run.tag or run == best]:
        if run.data.background not in shown:
            shown[run.data.background] = {case: views_of_case(run, store, rows, case) for case in (*FITTED, ROOM)}
        networks[run.id] = found = measure(run, store, rows, shown[run.data.background], floor)
        if run != best:
            found["cases"] = {
                case: {key: float(np.mean(values)) for key, values in of.items()} for case, of in found["cases"].items()
            }
    measured = next(iter(shown.values()))
    filled = {
        case: float(np.mean([frame.border_occupancy(p) for p in measured[case].flatten(0, 1).movedim(1, 3).numpy()]))
        for case in (FRAMED, ROOM)
    }
    test = {"store": store.name, "objects": [store.objects[row].uid for row in rows]}
    found = {"best": best.id, "floor": floor, "runs_through": filled, "median": medians(networks.values())}
    return save_study("confidence", scale_name, networks, started, test=test, **found)


def run(scale: str = "demo") -> Iterator[str]:
    """Measure from what voxel confidence on each trained network can be believed."""
    for run_id, found in calibrate(scale)["networks"].items():
        line = f"tells {found['held_out_accuracy']:.0%} rightly  correlation {found['correlation']:.2f}"
        yield f"{run_id:32s} threshold {found['threshold']:.3f}  {line}"


STUDIES = {"confidence": run}
