"""Claims about decoded pictures (Sec. 4.1, 4.5, Appendix). All test pictures stand for the paper's textured ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress3d.claims.rules import CONTRADICTED, Answer, above, graded, judge, judge_parts, share_above
from compress3d.joint.claims.evidence import JOINT, NEARLY, RATES, Evidence, claim, payload_first
from compress3d.metrics import Difference

SIMILAR_LOSS = 1.1  # L_comp within 10 % counts as practically the same
VISIBLE_DB = 1.0  # dB of PSNR that one may see

Pair = tuple[np.ndarray, np.ndarray]


def image_losses(
    evidence: Evidence, first: str, second: str, rates: Sequence[int], tag: str = ""
) -> tuple[list[Pair], str]:
    """L_comp of each object's pictures under two models, rate by rate, and the range of the shares of their means."""
    pairs = [(evidence.image_loss(first, c, tag), evidence.image_loss(second, c, tag)) for c in rates]
    shares = [a.mean() / b.mean() for a, b in pairs]
    return pairs, f"x {min(shares):.2f} to x {max(shares):.2f}"


@claim("jpeg2000-no-detail-at-384")
def jpeg2000_no_detail_at_384(evidence: Evidence) -> Answer:
    """At 384 JPEG 2000 (payload) keeps under half of what its pictures at 48 gain in L1 over flat mid-grey."""
    grey = evidence.point("jpeg2000", 480, "file")  # no file fits: all mid-grey
    best = evidence.point("jpeg2000", 48)["l1"]
    left = {
        a: (grey["l1"] - evidence.point("jpeg2000", 384, a)["l1"]) / (grey["l1"] - best) for a in ("payload", "file")
    }
    fits = evidence.point("jpeg2000", 384, "file")["fits"]
    return payload_first(*(graded(share < 0.5) for share in left.values())), (
        f"Left of the gain over grey: {left['payload']:.0%} (payload), {left['file']:.0%} (whole files, "
        f"of which {fits:.0%} fit at all)"
    )


@claim("sequential-decodes-like-small-codec")
def sequential_decodes_like_small_codec(evidence: Evidence) -> Answer:
    """L_comp of sequential below 1.1 times N_small's at 48-384, equal schedules; usual rule."""
    tag = evidence.common_schedule("sequential", "small")
    pairs, text = image_losses(evidence, "sequential", "small", RATES, tag)
    found = [Difference.of(SIMILAR_LOSS * alone, ours) for ours, alone in pairs]
    return judge(found), f"L_comp {text} of N_small's; within 10 % at {share_above(found)} rates"


@claim("direct-decodes-worse")
def direct_decodes_worse(evidence: Evidence) -> Answer:
    """L_comp of direct above that of sequential at 48-384; usual rule."""
    pairs, text = image_losses(evidence, "direct", "sequential", RATES)
    found = [Difference.of(*pair) for pair in pairs]
    return judge(found), f"L_comp {text} of sequential's; surely above it at {share_above(found)} rates"


@claim("networks-above-jpeg2000-at-high-rates")
def networks_above_jpeg2000_at_high_rates(evidence: Evidence) -> Answer:
    """At 192 and 384 L1 of sequential and direct below JPEG 2000's (payload). All test pictures, textured or not."""
    better: dict[str, list[bool]] = {"payload": [], "file": []}
    text = []
    for rate in (192, 384):
        nets = [evidence.point(m, rate)["l1"] for m in JOINT[:2]]
        jpeg = {a: evidence.point("jpeg2000", rate, a) for a in better}
        for a, point in jpeg.items():  # where no file fits into the budget, there is nothing to be better than
            better[a] += [point["fits"] > 0 and net < point["l1"] for net in nets]
        text.append(f"{rate}: {nets[0]:.3f}, {nets[1]:.3f} and {jpeg['payload']['l1']:.3f}")
    fits = any(evidence.point("jpeg2000", rate, "file")["fits"] > 0 for rate in (192, 384))
    return payload_first(judge_parts(better["payload"]), judge_parts(better["file"])), (
        "L1 of sequential, direct and JPEG 2000 at " + "; at ".join(text) + ("" if fits else "; no whole file fits")
    )


@claim("jpeg2000-keeps-texture-at-48")
def jpeg2000_keeps_texture_at_48(evidence: Evidence) -> Answer:
    """At 48 PSNR of JPEG 2000 (payload) above sequential's and direct's. All test pictures, textured or not."""
    sequential, direct = (evidence.point(m, 48)["psnr"] for m in JOINT[:2])
    payload, file = (evidence.point("jpeg2000", 48, way)["psnr"] for way in ("payload", "file"))
    return payload_first(*(judge_parts([way > sequential, way > direct]) for way in (payload, file))), (
        f"PSNR in dB: JPEG 2000 {payload:.1f} (payload), {file:.1f} (whole files), sequential {sequential:.1f}, "
        f"direct {direct:.1f}"
    )


@claim("texture-not-needed-for-3d")
def texture_not_needed_for_3d(evidence: Evidence) -> Answer:
    """From 48 to 384 JPEG 2000 (payload) loses 6 dB or more and keeps 95 % of its IoU; usual rule."""
    fine, coarse = (evidence.point("jpeg2000", c) for c in (48, 384))
    lost = fine["psnr"] - coarse["psnr"]
    left = Difference.of(coarse["iou"], NEARLY * fine["iou"])
    verdict = judge([left]) if lost >= 6 else CONTRADICTED
    return verdict, f"Pictures lose {lost:.1f} dB, mIoU goes from {fine['miou']:.3f} to {coarse['miou']:.3f}"


@claim("random-iterations-more-robust")
def random_iterations_more_robust(evidence: Evidence) -> Answer:
    """L_comp at the largest rate minus at 48 is smaller with random than with constant iterations; usual rule."""
    found, text = [], []
    for model, largest in (("small", 384), ("original", 192)):
        constant, random = (
            evidence.image_loss(model, largest, tag) - evidence.image_loss(model, 48, tag) for tag in ("r48-600", "600")
        )
        found.append(Difference.of(constant, random))
        text.append(f"N_{model} {random.mean():.3f} random, {constant.mean():.3f} constant")
    return judge(found), "L_comp at the largest rate minus at 48: " + "; ".join(text)


@claim("codec-loss-gap-factor-two")
def codec_loss_gap_factor_two(evidence: Evidence) -> Answer:
    """L_comp of N_small is 1.5 to 2.5 times N_original's at 48, 64, 96, 192; partly if larger at one (interval)."""
    tag = evidence.common_schedule("small", "original")
    served = {round(p["rate"]) for p in evidence.run(f"original{'-' + tag if tag else ''}-s0")["points"]}
    pairs, text = image_losses(evidence, "small", "original", [c for c in (48, 64, 96, 192) if c in served], tag)
    found = [Difference.of(*pair) for pair in pairs]
    inside = all(1.5 <= small.mean() / original.mean() <= 2.5 for small, original in pairs)
    verdict = graded(inside, bool(above(found)))
    return verdict, f"L_comp of N_small {text} of N_original's, larger at {share_above(found)}"


@claim("codec-gap-visible")
def codec_gap_visible(evidence: Evidence) -> Answer:
    """PSNR of N_original at least 1 dB above N_small's at 48 and 192. Nobody was asked what they see."""
    tag = evidence.common_schedule("small", "original")
    psnr = {c: [evidence.point(m, c, tag=tag)["psnr"] for m in ("original", "small")] for c in (48, 192)}
    gaps = {c: original - small for c, (original, small) in psnr.items()}
    text = ", ".join(f"{gap:+.1f} dB at {c}" for c, gap in gaps.items())
    return judge_parts(gap >= VISIBLE_DB for gap in gaps.values()), f"PSNR, N_original minus N_small: {text}"
