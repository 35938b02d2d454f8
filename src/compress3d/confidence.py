"""How sure a network is of its voxels, and from what on that can be believed.

*Mean voxel confidence* is the mean probability of the voxels called occupied (above 0.4): the share of them that the
network itself expects to be right. It is compared with IoU on the shipped test set, each object framed from its own
outline as `compress3d reconstruct` does, and in ways that go wrong; a result counts as useful where its IoU is above
that of a mean shape of the right category, for which nobody looks at a picture.

Measured (results/demo/confidence.json), for implicit 384:1, which `compress3d reconstruct` takes by itself: confidence
and IoU correlate by 0.68 over the 74 objects. From 0.58 on lie 49 of them, with a mean IoU of 0.50, and 80 % are
useful; below, 0.27 and 36 %. Over right and wrong pictures alike it tells 70 % rightly, where a coin tells 50 %: a
hint, no proof.

A network is also sure of itself where the background was left in: it fills the grid, and means it (0.81, IoU 0.17). So
the pictures are looked at too: in none of the test views is the object cut by two opposite edges. What neither sees is
an object that lies on its side: 45 % of those seem sure, of which one in four is useful.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from compress3d import metrics, results
from compress3d.data.loader import test_view_order
from compress3d.data.shapenet import open_test_set
from compress3d.data.store import Store
from compress3d.errors import Compress3DError
from compress3d.evaluate import VIEWS, held_out, load_model
from compress3d.photos import frame, scenes
from compress3d.rebuild import Rebuilt, best_run, send, with_voxels
from compress3d.runs import Run
from compress3d.scales import scale
from compress3d.transmit import setting

RUNS_THROUGH = 0.5  # mean `frame.runs_through` of the views: 0.00 when framed and 0.995 in a room, over the test set
FRAMED, ONE, MIXED, SIDE, ROOM = "five views", "one view", "views of five objects", "lying on its side", "in a room"
FITTED = (FRAMED, ONE, MIXED, SIDE)  # a room is told by its pictures, not by the confidence


def mean_confidence(probability: np.ndarray) -> np.ndarray:
    """Mean probability of the voxels above 0.4, whatever threshold the result is drawn at.

    Args:
        probability: (..., G, G, G) in [0, 1].

    Returns:
        (...), in (0.4, 1]; 0 where no voxel is above 0.4.

    Example:
        >>> mean_confidence(np.array([[[0.1, 0.5, 0.9]]]))
        array(0.7)
    """
    axes = (-3, -2, -1)
    occupied = probability > metrics.THRESHOLD
    return np.where(occupied, probability, 0).sum(axes, dtype=np.float64) / np.maximum(occupied.sum(axes), 1)


@dataclass(frozen=True)
class Trust:
    """What is to be said of a result.

    Attributes:
        confidence: mean voxel confidence.
        threshold: what tells useful results from others best; None where that was never measured.
        reasons: why the result is not to be trusted; empty where nothing speaks against it.
        useful: share of test objects with such a confidence that were better than a mean shape; None where unknown.
    """

    confidence: float
    threshold: float | None
    reasons: tuple[str, ...]
    useful: float | None = None

    @property
    def sentence(self) -> str:
        """The verdict for people."""
        if self.reasons:
            return "Not to be trusted: " + "; ".join(self.reasons) + "."
        if self.threshold is None:
            return "Nothing speaks against the result, but this network's confidence was never compared with the truth."
        if self.useful is None:
            return "Nothing speaks against the result."
        return (
            "Nothing speaks against the result: of the test objects rebuilt with such a confidence,"
            f" {self.useful:.0%} were better than a mean shape of the right category."
        )


def judge(rebuilt: Rebuilt) -> Trust:
    """Whether a result can be trusted, by its confidence and by what the network was shown.

    Raises:
        DataError: the calibration file is damaged.
    """
    confidence = float(mean_confidence(rebuilt.probability))
    known, reasons = calibration(rebuilt.run), []
    threshold = known["threshold"]
    side = known["below"] if threshold is not None and confidence < threshold else known["above"]
    ground = frame.GROUNDS[rebuilt.run.background]
    filled = float(np.mean([frame.runs_through(photo.picture, ground) for photo in rebuilt.photos]))
    if filled > RUNS_THROUGH:
        reasons.append(
            f"the background is in the pictures ({filled:.0%} of their edges are filled), and this network only knows"
            " objects on a plain ground: photograph on one, or cut the object out (PNG with transparency)"
        )
    if threshold is not None and confidence < threshold:
        reasons.append(
            f"the mean voxel confidence is {confidence:.2f}, and of the test objects below {threshold:.2f} only"
            f" {side['useful']:.0%} were better than a mean shape of the right category"
        )
    return Trust(confidence, threshold, tuple(reasons), side["useful"])


def calibration(run: Run) -> dict:
    """`threshold`, `above` and `below` of `measure`, for `run`; the medians over its scale where it was not measured
    itself. The threshold is None where no network of the scale was.
    """
    if not results.path_of(f"{run.scale}/confidence").is_file():
        return {"threshold": None, "above": {"useful": None}, "below": {"useful": None}}
    found = results.load(f"{run.scale}/confidence")
    return found["networks"].get(run.id, found["median"])


# -- measuring -------------------------------------------------------------------------------------------------------


def pictures(run: Run, store: Store, rows: np.ndarray, case: str) -> torch.Tensor:
    """Views of test objects as a photographer could have made them: uint8 (N, V, 3, S, S).

    Args:
        run: for whose network.
        store, rows: the objects.
        case: "five views" and "one view" are framed from the outline as `compress3d reconstruct` does; in "views of
            five objects" four of five show others; "lying on its side" turns all by 90 degrees; "in a room" keeps a
            crowded background.
    """
    size, ground = scale(run.scale).image_size, frame.GROUNDS[run.background]
    objects = []
    for number, row in enumerate(rows):
        views = test_view_order(store.objects[row].uid)[: 1 if case == ONE else VIEWS]
        shown = []
        for n, view in enumerate(views):
            of = rows[(number + 13 * n) % len(rows)] if case == MIXED else row
            picture = scenes.cut_out(store, of, view)
            if case == ROOM:
                room = scenes.in_room(picture, store, (160, 160), seed=1000 * number + n)
                shown.append(np.asarray(room.resize((size, size), Image.Resampling.BOX)))
                continue
            pixels = np.asarray(picture)
            crop = frame.square(frame.bounding_box(pixels[..., 3]))
            framed = frame.resample(pixels, pixels[..., 3], crop, size, ground)
            shown.append(np.rot90(framed) if case == SIDE else framed)
        objects.append(np.stack(shown))
    return torch.from_numpy(np.stack(objects)).permute(0, 1, 4, 2, 3).contiguous()


def best_cut(confidence: np.ndarray, useful: np.ndarray) -> float:
    """The threshold that tells useful results from others best: highest mean of the two shares told rightly.

    Args:
        confidence: (N,).
        useful: bool (N,), with both values.

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


def measure(run: Run, store: Store, rows: np.ndarray, shown: dict[str, torch.Tensor], floor: float) -> dict:
    """Confidence against IoU of one network.

    Args:
        run: with weights.
        store, rows: the objects.
        shown: case -> what `pictures` makes of them.
        floor: IoU from which a result is useful.

    Returns:
        `threshold`, `accuracy` and `held_out_accuracy` (balanced, over `FITTED`), `correlation` (of "five views"),
        `above` and `below` the threshold ("five views"), and `cases`, each with lists `iou` and `confidence`.
    """
    model, at = load_model(run), setting(run)
    truth = held_out(run, store, rows, views=1)[1]
    cases = {}
    for case, images in shown.items():
        probability = send(run, model, images, at)
        cases[case] = {"iou": metrics.iou(probability, truth), "confidence": mean_confidence(probability)}
    confidence = np.stack([cases[case]["confidence"] for case in FITTED])
    useful = np.stack([cases[case]["iou"] > floor for case in FITTED])
    threshold = best_cut(confidence.ravel(), useful.ravel())
    sure = cases[FRAMED]["confidence"] >= threshold
    sides = {}
    for name, side in (("above", sure), ("below", ~sure)):
        values = cases[FRAMED]["iou"][side]
        sides[name] = {
            "objects": int(side.sum()),
            "miou": float(values.mean()) if side.any() else None,
            "useful": float((values > floor).mean()) if side.any() else None,
        }
    return {
        "rate": at.rate,
        "threshold": threshold,
        "accuracy": balanced_accuracy(confidence.ravel(), useful.ravel(), threshold),
        "held_out_accuracy": held_out_accuracy(confidence, useful),
        "correlation": float(np.corrcoef(cases[FRAMED]["confidence"], cases[FRAMED]["iou"])[0, 1]),
        **sides,
        "cases": {
            case: {key: [float(v) for v in values] for key, values in found.items()} for case, found in cases.items()
        },
    }


def medians(measured: Iterable[dict]) -> dict:
    """`threshold`, and `useful` of `above` and `below`, of the median network; for networks not measured themselves."""
    found = list(measured)
    median = {"threshold": float(np.median([of["threshold"] for of in found]))}
    for side in ("above", "below"):
        shares = [of[side]["useful"] for of in found if of[side]["useful"] is not None]
        median[side] = {"useful": float(np.median(shares)) if shares else None}
    return median


def calibrate(scale_name: str = "demo", runs: list[Run] | None = None) -> dict:
    """Measure the networks of a scale on the shipped test set; writes `results/<scale>/confidence.json`.

    The runs of the tables where `runs` is None. The file keeps the value of every object for the best run, the one that
    `compress3d reconstruct` takes by itself, and means for the others.

    Raises:
        DataError: the floor (`compress3d floor`) is missing.
        ConfigError: no run of the scale has weights.
    """
    floor = results.load(f"{scale_name}/mean-shape")["points"][0]["miou"]
    best, store = best_run(scale_name), open_test_set()
    rows = store.select(split="test", clean=True)
    chosen = runs or [run for run in with_voxels(scale_name) if not run.tag or run == best]
    shown: dict[str, dict[str, torch.Tensor]] = {}
    networks = {}
    for run in chosen:
        if run.background not in shown:
            shown[run.background] = {case: pictures(run, store, rows, case) for case in (*FITTED, ROOM)}
        found = measure(run, store, rows, shown[run.background], floor)
        if run != best:
            found["cases"] = {
                case: {key: float(np.mean(values)) for key, values in of.items()} for case, of in found["cases"].items()
            }
        networks[run.id] = found
        print(
            f"{run.id:24s} threshold {found['threshold']:.3f}  tells {found['held_out_accuracy']:.0%} rightly"
            f"  correlation {found['correlation']:.2f}",
            flush=True,
        )
    measured = next(iter(shown.values()))
    filled = {
        case: float(np.mean([frame.runs_through(p) for p in measured[case].flatten(0, 1).permute(0, 2, 3, 1).numpy()]))
        for case in (FRAMED, ROOM)
    }
    data = {
        "run": {"id": f"{scale_name}/confidence", "model": "confidence", "rate": None, "scale": scale_name,
                "seed": None, "tag": "study"},
        "points": [],  # nothing here belongs on a curve of rates
        "best": best.id,
        "floor": floor,
        "runs_through": filled,
        "networks": networks,
        "median": medians(networks.values()),
        "objects": [store.objects[row].uid for row in rows],
        "provenance": {"commands": [f"python -m compress3d.confidence {scale_name}"], "device": "cpu", "minutes": None,
                       "versions": results.versions()},
    }  # fmt: skip
    results.save(f"{scale_name}/confidence", data)
    return results.load(f"{scale_name}/confidence")


def main() -> None:
    """`python -m compress3d.confidence [SCALE]`."""
    parser = argparse.ArgumentParser(
        prog="python -m compress3d.confidence", description=calibrate.__doc__.split("\n")[0]
    )
    parser.add_argument("scale", nargs="?", default="demo")
    try:
        calibrate(parser.parse_args().scale)
    except Compress3DError as error:
        print(f"compress3d: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
