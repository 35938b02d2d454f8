"""Claims about rebuilt shapes: against the compression rate, and over objects (Abstract, Sec. 3.3, 4.1 to 4.3, 5)."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np

from compress3d.claims import rules
from compress3d.claims.rules import Answer, Missing, above, graded, judge, judge_parts, share_above
from compress3d.joint.claims.evidence import IMPLICIT_RATES, JOINT, NEARLY, RATES, Evidence, claim, payload_first
from compress3d.joint.experiments import FLOAT_RATES
from compress3d.metrics import Difference, bins

JPEG2000_RATES = (*RATES, 480)
MILDER_RATES = RATES[:-1]
FEWEST_OBJECTS = 5  # in a bin of which a mean says something
FEWEST_SIGNS = 6  # objects from which a sign-flip test can reach 5 %
LAST_ENTRIES = 10  # of the training history that are averaged

ByModel = dict[str, list[Difference]]


def by_accounting(evidence: Evidence, models: tuple[str, ...], rates: tuple[int, ...] = RATES) -> dict[str, ByModel]:
    """IoU of joint models minus that of the JPEG 2000 network at the same rates, by what is counted there.

    Whole files count at rates at which there are any: where a header alone is over the budget, nothing was compared.
    """
    found: dict[str, ByModel] = {}
    for way in ("payload", "file"):
        fits = [c for c in rates if evidence.point("jpeg2000", c, way)["fits"] > 0]
        found[way] = {m: evidence.differences(m, "jpeg2000", evidence.rates(m, fits), way) for m in models}
    return found


def above_jpeg2000(found: dict[str, ByModel]) -> str:
    """How many rates are surely above JPEG 2000, for people."""
    return f"urely above JPEG 2000, payload: {counted(found['payload'])}; whole files: {counted(found['file'])} rates"


def counted(found: ByModel) -> str:
    """ "sequential 3 of 6, direct 2 of 6": differences surely above 0, by model."""
    return ", ".join(f"{model} {share_above(differences)}" for model, differences in found.items())


def judge_all(found: ByModel) -> str:
    """The usual rule over all models; contradicted where no rate of the claim has any whole file."""
    differences = sum(found.values(), [])
    return judge(differences) if differences else rules.CONTRADICTED


@claim("beats-jpeg2000")
def beats_jpeg2000(evidence: Evidence) -> Answer:
    """IoU of all three models above the JPEG 2000 network's (payload) at 48-384; usual rule."""
    found = by_accounting(evidence, JOINT)
    return payload_first(*map(judge_all, found.values())), f"S{above_jpeg2000(found)}"


@claim("range-extended")
def range_extended(evidence: Evidence) -> Answer:
    """Largest rate with 78 % of uncompressed mIoU (0.5 of 0.64) is above JPEG 2000's (payload), all three models."""

    def largest(model: str, rates: tuple[int, ...] = JPEG2000_RATES, way: str | None = None) -> int:
        usable = [c for c in evidence.rates(model, rates) if evidence.retained(model, c, way) >= evidence.usable_share]
        return max(usable, default=0)

    reach = {"sequential": largest("sequential", RATES), "direct": largest("direct", RATES)}
    reach["implicit"] = largest("implicit")
    payload, file = (largest("jpeg2000", way=way) for way in ("payload", "file"))
    verdicts = [judge_parts(rate > limit for rate in reach.values()) for limit in (payload, file)]
    return payload_first(*verdicts), (
        f"Largest usable rate: {', '.join(f'{m} {c}' for m, c in reach.items())}; "
        f"JPEG 2000 {payload} (payload), {file} (whole files)"
    )


@claim("joint-from-scratch")
def joint_from_scratch(evidence: Evidence) -> Answer:
    """Trained at once from random weights, all three are above the mean shape of the class at 48-384; usual rule."""
    found = {m: evidence.differences(m, "mean-shape", evidence.rates(m)) for m in JOINT}
    floor = evidence.miou("mean-shape")
    return judge_all(found), f"Above the mean shape of the class ({floor:.3f}), rates: {counted(found)}"


@claim("twenty-epochs-suffice")
def twenty_epochs_suffice(evidence: Evidence) -> Answer:
    """A third of the passes, 20 at least, keeps 95 % of the uncompressed IoU; usual rule."""
    short, full = evidence.point("uncompressed", tag="1200"), evidence.uncompressed
    lost, asked = 100 * (1 - short["miou"] / full["miou"]), evidence.printed("conditions.epochs")
    names = ("uncompressed-1200-s0", "uncompressed-s0")
    few, all_ = (evidence.run(name)["provenance"]["training"]["passes"] for name in names)
    text = f"{lost:.1f} % of the mIoU lost with {few:.0f} of {all_:.0f} passes"
    if few < asked:
        raise Missing(
            f"Needs runs of {asked} and {evidence.printed('conditions.epochs_of_choy')} passes; so far {text}"
        )
    return judge([Difference.of(short["iou"], NEARLY * full["iou"])]), (
        f"{text} (paper {evidence.printed('conditions.epochs_cost_percent')} %)"
    )


@claim("sequential-above-jpeg2000-from-128")
def sequential_above_jpeg2000_from_128(evidence: Evidence) -> Answer:
    """IoU of sequential above the JPEG 2000 network's (payload) at 128, 192, 384; usual rule."""
    rates = tuple(c for c in RATES if c >= evidence.printed("fig8.sequential_beats_jpeg2000_from"))
    found = by_accounting(evidence, JOINT[:1], rates)
    payload, file = (of["sequential"] for of in found.values())
    files = f"{share_above(file)} above 0" if file else "none fits into the budget"
    text = "; ".join(f"{d.rate:g}: {d}" for d in payload)
    return payload_first(*map(judge_all, found.values())), f"Payload: {text}; whole files: {files}"


@claim("jpeg2000-miou-at-384")
def jpeg2000_miou_at_384(evidence: Evidence) -> Answer:
    """At 384 the JPEG 2000 network (payload) is below the mean shape of the class, which stands for the 0.1."""
    floor = evidence.miou("mean-shape")
    values = {a: evidence.miou("jpeg2000", 384, a) for a in ("payload", "file")}
    verdicts = [graded(miou < floor) for miou in values.values()]
    text = ", ".join(
        f"{miou:.3f} ({a}), {evidence.retained_text('jpeg2000', 384, a)} of uncompressed" for a, miou in values.items()
    )
    return payload_first(*verdicts), f"{text}; mean shape {floor:.3f}; paper {evidence.printed('fig8.jpeg2000_384')}"


@claim("one-iteration-above-half")
def one_iteration_above_half(evidence: Evidence) -> Answer:
    """At 384 both keep 78 % of uncompressed IoU (0.5 of 0.64; 0.5 itself is ShapeNet's); usual rule."""
    found = [evidence.differences(m, "uncompressed", [384], share=evidence.usable_share)[0] for m in JOINT[:2]]
    text = ", ".join(f"{m} {evidence.retained_text(m, 384)}" for m in JOINT[:2])
    return judge(found), f"Of uncompressed: {text}; asked: {evidence.usable_share:.0%}"


@claim("implicit-best")
def implicit_best(evidence: Evidence) -> Answer:
    """IoU of implicit above that of the better of sequential and direct at 48-384; usual rule."""
    found = []
    for rate in evidence.rates("implicit"):
        other = max(JOINT[:2], key=lambda model: evidence.miou(model, rate))
        found += evidence.differences("implicit", other, [rate])
    middle = sum(d.mean for d in found) / len(found)
    return judge(found), f"Surely above at {share_above(found)} rates, mean difference {middle:+.3f} mIoU"


@claim("low-rates-approach-ideal")
def low_rates_approach_ideal(evidence: Evidence) -> Answer:
    """With floats at 12 and 6 all three keep 95 % of the IoU of an equally trained uncompressed network; usual rule."""
    full = evidence.point("uncompressed", tag="1200")
    found, text = [], []
    for model in JOINT:
        points = [evidence.point(model, rate, tag="1200", fixed=True) for rate in FLOAT_RATES]
        found += [Difference.of(point["iou"], NEARLY * full["iou"]) for point in points]
        text.append(f"{model} " + " / ".join(f"{point['miou'] / full['miou']:.0%}" for point in points))
    return judge(found), "Of uncompressed at 12 / 6: " + ", ".join(text)


@claim("near-optimal-over-wide-range")
def near_optimal_over_wide_range(evidence: Evidence) -> Answer:
    """All three keep 95 % of the uncompressed IoU at 48-384; usual rule."""
    found = {m: evidence.differences(m, "uncompressed", evidence.rates(m), share=NEARLY) for m in JOINT}
    shares = [evidence.retained(m, c) for m in JOINT for c in evidence.rates(m)]
    return judge_all(found), (
        f"Keep {min(shares):.0%} to {max(shares):.0%} of uncompressed; surely 95 % at rates: {counted(found)}"
    )


@claim("all-three-useful-at-384")
def all_three_useful_at_384(evidence: Evidence) -> Answer:
    """At 384 all three keep 78 % of uncompressed mIoU (0.5 of 0.64), JPEG 2000 does not; partly if only files fail."""
    keep = {m: evidence.retained(m, 384) for m in JOINT}
    jpeg = {a: evidence.retained("jpeg2000", 384, a) for a in ("payload", "file")}
    useful = {name: share >= evidence.usable_share for name, share in (keep | jpeg).items()}
    only_files_fail = all(useful[m] for m in JOINT) and not useful["file"]
    return graded(only_files_fail and not useful["payload"], only_files_fail), (
        f"Of uncompressed: {', '.join(f'{name} {share:.0%}' for name, share in keep.items())}, "
        f"JPEG 2000 {jpeg['payload']:.0%} (payload), {jpeg['file']:.0%} (whole files)"
    )


@claim("two-of-three-above-at-milder-rates")
def two_of_three_above_at_milder_rates(evidence: Evidence) -> Answer:
    """At 48-192 implicit above JPEG 2000 (payload) at all rates but one, another model at one or more (intervals)."""

    def verdict(of: ByModel) -> str:
        implicit = len(above(of["implicit"])) >= len(of["implicit"]) - 1
        return judge_parts([implicit, any(above(of[m]) for m in JOINT[:2])])

    found = by_accounting(evidence, JOINT, MILDER_RATES)
    return payload_first(*map(verdict, found.values())), f"At 48-192: s{above_jpeg2000(found)}"


@claim("implicit-flat-and-usable-to-480")
def implicit_flat_and_usable_to_480(evidence: Evidence) -> Answer:
    """Implicit keeps 95 % of uncompressed IoU to 384, 78 % at 480 (usual rule); JPEG 2000 (payload) does not at 480."""
    flat = evidence.differences("implicit", "uncompressed", evidence.rates("implicit"), share=NEARLY)
    far = evidence.differences("implicit", "uncompressed", [480], share=evidence.usable_share)
    shares = [evidence.retained("implicit", c) for c in (*evidence.rates("implicit"), 480)]
    other = evidence.retained("jpeg2000", 480)
    verdict = judge(flat + far)
    return rules.PARTLY if verdict == rules.REPRODUCED and other >= evidence.usable_share else verdict, (
        f"Of uncompressed: {min(shares[:-1]):.0%} to {max(shares[:-1]):.0%} up to 384, {shares[-1]:.0%} at 480 "
        f"(surely at {share_above(flat + far)} rates); JPEG 2000 at 480: {other:.0%}"
    )


@claim("robust-to-compression")
def robust_to_compression(evidence: Evidence) -> Answer:
    """From 48 to 384 all three lose at most 2 % of uncompressed mIoU a doubling of the rate. The 3D task only."""
    slopes = {m: (evidence.retained(m, 48) - evidence.retained(m, 384)) / 3 for m in JOINT}
    return judge_parts(s <= 0.02 for s in slopes.values()), (
        "Lost a doubling, of uncompressed: " + ", ".join(f"{m} {100 * s:+.1f} %" for m, s in slopes.items())
    )


@claim("implicit-curve-noisy")
def implicit_curve_noisy(evidence: Evidence) -> Answer:
    """Seed 0's mIoU rises with the rate somewhere, and seeds differ as much as neighbouring rates (median step)."""
    rates = evidence.rates("implicit", JPEG2000_RATES)
    trainings = {c: [point["miou"] for point in evidence.trainings("implicit", c)] for c in rates}
    several = [values for values in trainings.values() if len(values) > 1]
    if not several:
        raise Missing(f"run compress3d sweep --scale {evidence.scale} --only implicit-r384-s*")
    steps = {f"{a} to {b}": trainings[b][0] - trainings[a][0] for a, b in pairwise(rates)}
    step = sorted(map(abs, steps.values()))[len(steps) // 2]
    spread = max(max(values) - min(values) for values in several)
    rises = ", ".join(name for name, change in steps.items() if change > 0)
    return judge_parts([bool(rises), spread >= step]), (
        f"Rises from {rises or 'no rate'}; median step {step:.3f}; seeds apart by up to {spread:.3f} "
        f"({sum(map(len, several))} runs)"
    )


@claim("small-codec-suffices-for-3d")
def small_codec_suffices_for_3d(evidence: Evidence) -> Answer:
    """Sequential, whose codec is N_small, keeps 95 % of the uncompressed IoU at 48, 96, 192, 384; usual rule."""
    found = evidence.differences("sequential", "uncompressed", IMPLICIT_RATES, share=NEARLY)
    shares = ", ".join(f"{evidence.retained('sequential', c):.0%}" for c in IMPLICIT_RATES)
    return judge(found), f"Of uncompressed at 48, 96, 192, 384: {shares}; sure at {share_above(found)} rates"


@claim("any-number-of-views")
def any_number_of_views(evidence: Evidence) -> Answer:
    """IoU of the uncompressed network, trained with 1 to 5 views, above that with one at 2, 3 ... 24; usual rule."""
    study = evidence.results("views", f"run compress3d study views --scale {evidence.scale}")
    points = {p["views"]: p for p in study["networks"][f"{evidence.scale}/uncompressed-s0"]["counts"]}
    more = [count for count in points if count > 1]
    found = [Difference.of(points[count]["iou"], points[1]["iou"]) for count in more]
    shown = ", ".join(f"{points[count]['miou']:.3f} with {count}" for count in (1, 5, max(more)))
    return judge(found), f"mIoU {shown} views; surely above one view at {share_above(found)} numbers up to {max(more)}"


def members(evidence: Evidence) -> list[np.ndarray]:
    """Rows of the objects in each of the paper's bins, by IoU under the uncompressed network."""
    return bins(evidence.uncompressed["iou"], evidence.printed("significance.bins"))


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
    floats, bits = (last_loss(evidence, name) for name in ("uncompressed-s0", "implicit-r384-s0"))
    gains = evidence.differences("implicit", "uncompressed", evidence.rates("implicit"))
    return judge(gains) if bits > floats else rules.CONTRADICTED, (
        f"Training loss {bits:.3f} with bits, {floats:.3f} without; test IoU surely above at {share_above(gains)} rates"
    )


@claim("iou-varies-with-object")
def iou_varies_with_object(evidence: Evidence) -> Answer:
    """Deviation over objects is 0.15-0.25: uncompressed, three models, JPEG 2000 (payload) at 48, 96, 192, 384."""
    deviations = [p["miou_std"] for p in (evidence.uncompressed, *curves(evidence).values())]
    inside = [abs(d - evidence.printed("conditions.iou_std")) <= 0.05 for d in deviations]
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
    shown_bin = evidence.printed("significance.shown_bin")
    inside = members(evidence)[shown_bin - 1]
    where = f"the {len(inside)} objects of bin {shown_bin}"
    if len(inside) < FEWEST_SIGNS:
        return rules.UNTESTABLE, f"No test can tell models apart over {where}"
    iou = {name: point["iou"][inside] for name, point in curves(evidence).items()}
    pairs = combinations((*JOINT, "jpeg2000"), 2)
    found = [Difference.of(iou[f"{a} {rate}"], iou[f"{b} {rate}"]) for a, b in pairs for rate in IMPLICIT_RATES]
    shown = sum(d.sign != 0 for d in found)
    return graded(shown > len(found) / 2, shown > 0), (
        f"{shown} of {len(found)} differences between models are significant over {where}"
    )


@claim("lowest-bins-below-0.2")
def lowest_bins_below(evidence: Evidence) -> Answer:
    """In bins 1 and 2, mIoU is below 0.2 at more than half of the models and rates."""
    limit, text, low = evidence.printed("significance.lowest_two_bins"), [], []
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
