"""Claims about the spread over objects, significance and overfitting (Sec. 3.3, 4.2, 5)."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from compress3d.claims.rules import (
    CONTRADICTED,
    PARTLY,
    REPRODUCED,
    UNTESTABLE,
    Answer,
    Missing,
    judge,
    judge_parts,
    share_above,
)
from compress3d.joint.claims.evidence import IMPLICIT_RATES, JOINT, Evidence, claim, printed
from compress3d.metrics import Difference, bins

FEWEST_OBJECTS = 5  # in a bin of which a mean says something
FEWEST_SIGNS = 6  # objects from which a sign-flip test can reach 5 %
LAST_ENTRIES = 10  # of the training history that are averaged


def members(evidence: Evidence) -> list[np.ndarray]:
    """Rows of the objects in each of the paper's bins, by IoU under the uncompressed network."""
    return bins(evidence.uncompressed["iou"], printed("significance.bins"))


def curves(evidence: Evidence) -> dict[str, dict]:
    """Points of the three models and of JPEG 2000 (payload) at 48, 96, 192, 384, by a name for people."""
    return {f"{m} {c}": evidence.point(m, c) for m in (*JOINT, "jpeg2000") for c in IMPLICIT_RATES}


def last_loss(evidence: Evidence, name: str) -> float:
    """Training loss at the end of a run, a mean over the last entries of its history."""
    history = evidence.run(name)["provenance"].get("training", {}).get("history")
    if not history:
        raise Missing(f"run compress3d train {evidence.scale}/{name}")
    return float(np.mean([loss for _, loss in history[-LAST_ENTRIES:]]))


@claim("binarizer-regularizes")
def binarizer_regularizes(evidence: Evidence) -> Answer:
    """At 384 (equal K) a higher training loss than uncompressed, and IoU above it at 48-384 (usual rule)."""
    train = {name: last_loss(evidence, f"{name}-s0") for name in ("uncompressed", "implicit-r384")}
    gains = evidence.differences("implicit", "uncompressed", evidence.rates("implicit"))
    verdict = judge(gains) if train["implicit-r384"] > train["uncompressed"] else CONTRADICTED
    return verdict, (
        f"Training loss {train['implicit-r384']:.3f} with bits, {train['uncompressed']:.3f} without; "
        f"test IoU surely above at {share_above(gains)} rates"
    )


@claim("iou-varies-with-object")
def iou_varies_with_object(evidence: Evidence) -> Answer:
    """Deviation over objects is 0.15-0.25: uncompressed, three models, JPEG 2000 (payload) at 48, 96, 192, 384."""
    points = {"uncompressed": evidence.uncompressed, **curves(evidence)}
    deviations = [p["miou_std"] for p in points.values()]
    inside = [abs(d - printed("conditions.iou_std")) <= 0.05 for d in deviations]
    return judge_parts(inside), (
        f"Deviation {min(deviations):.2f} to {max(deviations):.2f} over {len(inside)} models and rates, "
        f"{sum(inside)} of them 0.15 to 0.25"
    )


@claim("iou-bins")
def iou_bins(evidence: Evidence) -> Answer:
    """Bins of width 1/7 have deviations of 0.03-0.05 (from 5 objects up), and the lowest holds under 1/7 of all."""
    iou, inside = evidence.uncompressed["iou"], members(evidence)
    deviations = [iou[rows].std() for rows in inside if len(rows) >= FEWEST_OBJECTS]
    text = f"deviations {min(deviations):.3f} to {max(deviations):.3f}" if deviations else "no bin with five objects"
    even = bool(deviations) and all(0.03 <= d <= 0.05 for d in deviations)
    return judge_parts([even, len(inside[0]) < len(iou) / len(inside)]), (
        f"{', '.join(str(len(rows)) for rows in inside)} objects; {text}"
    )


@claim("differences-significant")
def differences_significant(evidence: Evidence) -> Answer:
    """Over bin 5, most differences of two models at a rate are significant (signs flipped); partly if one is."""
    shown_bin = printed("significance.shown_bin")
    inside = members(evidence)[shown_bin - 1]
    where = f"the {len(inside)} objects of bin {shown_bin}"
    if len(inside) < FEWEST_SIGNS:
        return UNTESTABLE, f"No test can tell models apart over {where}"
    points = curves(evidence)
    found = [
        Difference.of(points[f"{first} {rate}"]["iou"][inside], points[f"{second} {rate}"]["iou"][inside])
        for rate in IMPLICIT_RATES
        for first, second in combinations((*JOINT, "jpeg2000"), 2)
    ]
    shown = sum(d.sign != 0 for d in found)
    verdict = REPRODUCED if shown > len(found) / 2 else PARTLY if shown else CONTRADICTED
    return verdict, f"{shown} of {len(found)} differences between models are significant over {where}"


@claim("lowest-bins-below-0.2")
def lowest_bins_below(evidence: Evidence) -> Answer:
    """In bins 1 and 2, mIoU is below 0.2 at more than half of the models and rates."""
    limit, text, low = printed("significance.lowest_two_bins"), [], []
    for number, rows in enumerate(members(evidence)[:2], start=1):
        means = [p["iou"][rows].mean() for p in curves(evidence).values()] if len(rows) else []
        below = sum(mean < limit for mean in means)
        low.append(bool(means) and below > len(means) / 2)
        text.append(f"bin {number} ({len(rows)} objects): {below} of {len(means)}")
    return judge_parts(low), "Models and rates below 0.2: " + ", ".join(text)


@claim("wide-last-layer-overfits")
def wide_last_layer_overfits(evidence: Evidence) -> Answer:
    """From 384 to 48 test minus training loss grows, and IoU falls (interval). A guess of the paper."""
    gaps = {c: evidence.point("implicit", c)["loss"] - last_loss(evidence, f"implicit-r{c}-s0") for c in (384, 48)}
    fall = Difference.of(evidence.point("implicit", 384)["iou"], evidence.point("implicit", 48)["iou"])
    return judge_parts([gaps[48] > gaps[384], fall.sign > 0]), (
        f"Test minus training loss {gaps[48]:.3f} at 48, {gaps[384]:.3f} at 384; IoU at 384 minus 48 {fall}"
    )
