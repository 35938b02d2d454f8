"""Claims about run time (Sec. 4.4, Table 3): ratios, as milliseconds belong to a machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import permutations

from compress3d.claims.rules import PARTLY, REPRODUCED, Answer, graded, judge_parts
from compress3d.joint.claims.evidence import JOINT, Evidence, claim

TOLERATED_POINTS = 5  # percentage points by which a saving may differ from the printed one
TOLERATED_SHARE = 0.10  # share by which two times may differ and count as equal
WAYS = ("forward", "backward")


def where(evidence: Evidence) -> str:
    """The machine and the size of the networks that were timed, in a few words."""
    timing = evidence.timed
    return f"{timing['experiment']['scale']} size, {timing['provenance']['device']}"


def ratios(evidence: Evidence, first: str, second: str) -> list[float]:
    """Time of `first` over that of `second`, forward and backward."""
    a, b = evidence.times(first), evidence.times(second)
    return [a[way] / b[way] for way in WAYS]


def compared(evidence: Evidence, pairs: Sequence[tuple[str, str]], holds: Callable[[float], bool]) -> Answer:
    """Verdict on the ratios of several pairs of blocks, of which each is a part of the claim."""
    found = {pair: ratios(evidence, *pair) for pair in pairs}
    text = ", ".join(f"{first} x {a:.2f} and x {b:.2f} of {second}" for (first, second), (a, b) in found.items())
    verdict = judge_parts(holds(ratio) for both in found.values() for ratio in both)
    return verdict, f"Forward and backward: {text.replace('_', ' ')} ({where(evidence)})"


def saving(evidence: Evidence, model: str) -> Answer:
    """Savings of a model against N_original followed by the 3D network, beside the printed ones."""
    conditions = ("as_printed", "same_rate")
    ours, equal = ([evidence.times(model, of)[f"saving_{way}"] for way in WAYS] for of in conditions)
    theirs = [evidence.printed(f"table3.{model}", f"saving_{way}") for way in WAYS]
    close = all(abs(a - b) <= TOLERATED_POINTS for a, b in zip(ours, theirs, strict=True))
    verdict = graded(close, all(s > 0 for s in ours))
    text = " and ".join(f"{a:.0f} % ({b})" for a, b in zip(ours, theirs, strict=True))
    more = "" if model == "implicit" else f"; at one rate {equal[0]:.0f} and {equal[1]:.0f} %"
    return verdict, f"Saves {text} forward and backward, paper in brackets{more} ({where(evidence)})"


@claim("compression-nearly-free")
def compression_nearly_free(evidence: Evidence) -> Answer:
    """Implicit takes at most 1.1 times the time and the multiply-adds of the plain 3D network, forward and backward."""
    forward, backward = ratios(evidence, "implicit", "reconstruction")
    work = evidence.times("implicit")["gmac"] / evidence.times("reconstruction")["gmac"]
    return judge_parts([max(forward, backward) <= 1 + TOLERATED_SHARE, work <= 1 + TOLERATED_SHARE]), (
        f"x {forward:.2f} forward, x {backward:.2f} backward, x {work:.2f} multiply-adds ({where(evidence)})"
    )


@claim("direct-saves-the-3d-encoder")
def direct_saves_the_3d_encoder(evidence: Evidence) -> Answer:
    """Direct takes less time than sequential, forward and backward, and fewer multiply-adds."""
    forward, backward = ratios(evidence, "direct", "sequential")
    names = ("sequential", "direct", "reconstruction_encoder")
    sequential, direct, encoder = (evidence.times(name)["gmac"] for name in names)
    return judge_parts([forward < 1, backward < 1, sequential > direct]), (
        f"Direct over sequential: x {forward:.2f} forward, x {backward:.2f} backward; "
        f"{sequential - direct:.1f} GMAC less, the 3D encoder has {encoder:.1f}"
    )


@claim("implicit-much-cheaper")
def implicit_much_cheaper(evidence: Evidence) -> Answer:
    """Implicit takes at most half the time of sequential and of direct (4 iterations), forward and backward."""
    return compared(evidence, [("implicit", model) for model in JOINT[:2]], lambda ratio: ratio <= 0.5)


@claim("sequential-speedup")
def sequential_speedup(evidence: Evidence) -> Answer:
    """Savings within 5 points of the paper's 15 and 11 %; partly if both are savings."""
    return saving(evidence, "sequential")


@claim("direct-speedup")
def direct_speedup(evidence: Evidence) -> Answer:
    """Savings within 5 points of the paper's 26 and 27 %; partly if both are savings."""
    return saving(evidence, "direct")


@claim("implicit-speedup")
def implicit_speedup(evidence: Evidence) -> Answer:
    """Savings within 5 points of the paper's 75 and 65 %, times within 10 % of the plain network's; partly: faster."""
    verdict, text = saving(evidence, "implicit")
    found = ratios(evidence, "implicit", "reconstruction")
    same = all(abs(r - 1) <= TOLERATED_SHARE for r in found)
    verdict = PARTLY if verdict == REPRODUCED and not same else verdict
    return verdict, f"{text}; x {found[0]:.2f} and x {found[1]:.2f} of the plain network"


@claim("codec-dominates-time")
def codec_dominates_time(evidence: Evidence) -> Answer:
    """The codec alone takes over half of sequential's and of direct's time, forward and backward."""
    return compared(evidence, [("compression_small", model) for model in JOINT[:2]], lambda ratio: ratio > 0.5)


@claim("decoding-models-cost-extra")
def decoding_models_cost_extra(evidence: Evidence) -> Answer:
    """Sequential and direct take at least 1.5 times as long as the 3D network alone, forward and backward."""
    return compared(evidence, [(model, "reconstruction") for model in JOINT[:2]], lambda ratio: ratio >= 1.5)


@claim("three-way-tradeoff")
def three_way_tradeoff(evidence: Evidence) -> Answer:
    """At 96 no model beats another in mIoU, L_comp (implicit: none) and forward time at once; partly if one does."""
    points = {m: evidence.point(m, 96) for m in JOINT}
    marks = {
        m: (-p["miou"], p.get("compression_loss", math.inf), evidence.times(m)["forward"]) for m, p in points.items()
    }
    text = ", ".join(f"{m} {-miou:.3f} / {loss:.3f} / {time:.0f} ms" for m, (miou, loss, time) in marks.items())
    beaten = [
        f"{a} beats {b}"
        for a, b in permutations(JOINT, 2)
        if all(x <= y for x, y in zip(marks[a], marks[b], strict=True)) and marks[a] != marks[b]
    ]
    exceptions = f"; {' and '.join(beaten)}" if beaten else ""
    return graded(not beaten, len(beaten) == 1), (f"mIoU / L_comp / forward: {text.replace('inf', 'none')}{exceptions}")
