"""Claims about the spread over objects, significance and overfitting (Sec. 3.3, 4.2, 5)."""

from __future__ import annotations

import numpy as np

from compress3d.claims.evidence import (
    FAILED,
    IMPLICIT_RATES,
    JOINT,
    PARTLY,
    REPRODUCED,
    Answer,
    Difference,
    Evidence,
    Missing,
    claim,
    judge,
    printed,
    share_of,
    tally,
)

BINS = 7  # of IoU, equally wide on [0, 1]
FEWEST = 5  # objects in a bin of which a mean says something
LAST = 10  # entries of the training history that are averaged


def bins(evidence: Evidence) -> np.ndarray:
    """Bin 1-7 of every object, by its IoU under the uncompressed network."""
    return np.minimum((np.array(evidence.free["iou"]) * BINS).astype(int), BINS - 1) + 1


def curves(evidence: Evidence) -> dict[str, dict]:
    """Points of the three models and of JPEG 2000 (payload) at 48, 96, 192, 384, by a name for people."""
    return {f"{m} {c}": evidence.point(m, c) for m in (*JOINT, "jpeg2000") for c in IMPLICIT_RATES}


def last_loss(evidence: Evidence, name: str) -> float:
    """Training loss at the end of a run, a mean over the last entries of its history."""
    history = evidence.run(name)["provenance"].get("training", {}).get("history")
    if not history:
        raise Missing(f"run compress3d train {evidence.scale}/{name}")
    return float(np.mean([loss for _, loss in history[-LAST:]]))


@claim("binarizer-regularizes")
def binarizer_regularizes(evidence: Evidence) -> Answer:
    """At 384 (equal K) a higher training loss than uncompressed, and IoU above it at 48-384 (usual rule)."""
    train = {name: last_loss(evidence, f"{name}-s0") for name in ("uncompressed", "implicit-r384")}
    gains = evidence.versus("implicit", "uncompressed", evidence.rates("implicit"))
    verdict = judge(gains) if train["implicit-r384"] > train["uncompressed"] else FAILED
    return verdict, (
        f"Training loss {train['implicit-r384']:.3f} with bits, {train['uncompressed']:.3f} without; "
        f"test IoU surely above at {share_of(gains)} rates"
    )


@claim("iou-varies-with-object")
def iou_varies_with_object(evidence: Evidence) -> Answer:
    """Deviation over objects is 0.15-0.25: uncompressed, three models, JPEG 2000 (payload) at 48, 96, 192, 384."""
    points = {"uncompressed": evidence.free, **curves(evidence)}
    deviations = [p["miou_std"] for p in points.values()]
    inside = [abs(d - printed("conditions.iou_std")) <= 0.05 for d in deviations]
    return tally(inside), (
        f"Deviation {min(deviations):.2f} to {max(deviations):.2f} over {len(inside)} models and rates, "
        f"{sum(inside)} of them 0.15 to 0.25"
    )


@claim("iou-bins")
def iou_bins(evidence: Evidence) -> Answer:
    """Bins of width 1/7 have deviations of 0.03-0.05 (from 5 objects up), and the lowest holds under 1/7 of all."""
    iou, numbers = np.array(evidence.free["iou"]), bins(evidence)
    sizes = [int((numbers == b).sum()) for b in range(1, BINS + 1)]
    deviations = [iou[numbers == b].std() for b, size in enumerate(sizes, 1) if size >= FEWEST]
    told = f"deviations {min(deviations):.3f} to {max(deviations):.3f}" if deviations else "no bin with five objects"
    verdict = tally([bool(deviations) and all(0.03 <= d <= 0.05 for d in deviations), sizes[0] < len(iou) / BINS])
    return verdict, f"{', '.join(map(str, sizes))} objects; {told}"


@claim("differences-significant")
def differences_significant(evidence: Evidence) -> Answer:
    """Over the objects of bin 5, most intervals between two models at one rate leave out 0; partly if one does."""
    inside = np.flatnonzero(bins(evidence) == printed("significance.shown_bin"))
    if len(inside) < FEWEST:
        return FAILED, f"Bin 5 holds only {len(inside)} of our objects"
    points, names = curves(evidence), (*JOINT, "jpeg2000")
    shown, asked = 0, 0
    for rate in IMPLICIT_RATES:
        for n, first in enumerate(names):
            for second in names[n + 1 :]:
                a, b = (np.array(points[f"{m} {rate}"]["iou"])[inside] for m in (first, second))
                difference = Difference.of(rate, a, b)
                shown, asked = shown + (difference.low > 0 or difference.high < 0), asked + 1
    verdict = REPRODUCED if shown > asked / 2 else PARTLY if shown else FAILED
    return verdict, (
        f"{shown} of {asked} differences between models are significant over the {len(inside)} objects of bin 5"
    )


@claim("lowest-bins-below-0.2")
def lowest_bins_below(evidence: Evidence) -> Answer:
    """In bins 1 and 2, mIoU is below 0.2 at more than half of the models and rates."""
    limit, numbers = printed("significance.lowest_two_bins"), bins(evidence)
    told, held = [], []
    for b in (1, 2):
        inside = np.flatnonzero(numbers == b)
        means = [np.array(p["iou"])[inside].mean() for p in curves(evidence).values()] if len(inside) else []
        low = sum(m < limit for m in means)
        held.append(bool(means) and low > len(means) / 2)
        told.append(f"bin {b} ({len(inside)} objects): {low} of {len(means)}")
    return tally(held), "Models and rates below 0.2: " + ", ".join(told)


@claim("wide-last-layer-overfits")
def wide_last_layer_overfits(evidence: Evidence) -> Answer:
    """From 384 to 48 test minus training loss grows, and IoU falls (interval). A guess of the paper."""
    gaps = {c: evidence.point("implicit", c)["loss"] - last_loss(evidence, f"implicit-r{c}-s0") for c in (384, 48)}
    fall = Difference.of(None, evidence.point("implicit", 384)["iou"], evidence.point("implicit", 48)["iou"])
    return tally([gaps[48] > gaps[384], fall.low > 0]), (
        f"Test minus training loss {gaps[48]:.3f} at 48, {gaps[384]:.3f} at 384; IoU at 384 minus 48 {fall}"
    )
