"""Claims about the quality of rebuilt shapes against the compression rate (Abstract, Sec. 4.1, 4.3, 5)."""

from __future__ import annotations

from collections.abc import Iterable

from compress3d.claims.evidence import (
    FAILED,
    IMPLICIT_RATES,
    JOINT,
    NEAR,
    PARTLY,
    RATES,
    REPRODUCED,
    Answer,
    Difference,
    Evidence,
    Missing,
    above,
    claim,
    headline,
    judge,
    kept,
    printed,
    share_of,
    tally,
    usable,
)
from compress3d.joint.experiments import FLOAT_RATES, JPEG2000_RATES

MILD = (48, 64, 96, 128, 192)  # "milder" than 384


def against_jpeg2000(
    evidence: Evidence, model: str, accounting: str, rates: tuple[int, ...] = RATES
) -> list[Difference]:
    """IoU of a joint model minus that of the JPEG 2000 network at the same rates."""
    return evidence.versus(model, "jpeg2000", evidence.rates(model, rates), accounting)


def counted(found: dict[str, list[Difference]]) -> str:
    """ "sequential 3 of 6, direct 2 of 6": intervals above 0 by model."""
    return ", ".join(f"{model} {share_of(differences)}" for model, differences in found.items())


@claim("beats-jpeg2000")
def beats_jpeg2000(evidence: Evidence) -> Answer:
    """IoU of all three models above the JPEG 2000 network's (payload) at 48-384; usual rule."""
    found = {a: {m: against_jpeg2000(evidence, m, a) for m in JOINT} for a in ("payload", "file")}
    verdicts = {a: judge([d for ds in models.values() for d in ds]) for a, models in found.items()}
    return headline(verdicts["payload"], verdicts["file"]), (
        f"Rates with the interval above 0, payload: {counted(found['payload'])}; whole files: {counted(found['file'])}"
    )


@claim("range-extended")
def range_extended(evidence: Evidence) -> Answer:
    """Largest rate with 78 % of uncompressed mIoU (0.5 of 0.64) is above JPEG 2000's (payload), all three models."""
    line = usable() * evidence.free["miou"]

    def largest(model: str, rates: Iterable[int], accounting: str | None = None) -> int:
        return max((c for c in rates if evidence.miou(model, c, accounting) >= line), default=0)

    reach = {m: largest(m, RATES) for m in JOINT[:2]}
    reach["implicit"] = largest("implicit", evidence.rates("implicit", JPEG2000_RATES))
    jpeg = {a: largest("jpeg2000", JPEG2000_RATES, a) for a in ("payload", "file")}
    verdicts = {a: tally(r > limit for r in reach.values()) for a, limit in jpeg.items()}
    return headline(verdicts["payload"], verdicts["file"]), (
        f"Largest usable rate: {', '.join(f'{m} {c}' for m, c in reach.items())}; "
        f"JPEG 2000 {jpeg['payload']} (payload), {jpeg['file']} (whole files)"
    )


@claim("joint-from-scratch")
def joint_from_scratch(evidence: Evidence) -> Answer:
    """Trained at once from random weights, all three are above the mean shape of the class at 48-384; usual rule."""
    found = {m: evidence.versus(m, "mean-shape", evidence.rates(m)) for m in JOINT}
    floor = evidence.miou("mean-shape")
    return judge(
        [d for ds in found.values() for d in ds]
    ), f"Above the mean shape of the class ({floor:.3f}), rates: {counted(found)}"


@claim("twenty-epochs-suffice")
def twenty_epochs_suffice(evidence: Evidence) -> Answer:
    """A third of the steps keeps 95 % of the uncompressed IoU; usual rule. Fewer passes than the paper's 20 and 60."""
    short, full = evidence.point("uncompressed", tag="1200"), evidence.free
    difference = Difference.of(None, short["iou"], [NEAR * v for v in full["iou"]])
    steps = [evidence.run(f"uncompressed{tag}-s0")["experiment"]["optim"]["steps"] for tag in ("-1200", "")]
    lost = 100 * (1 - short["miou"] / full["miou"])
    cost = printed("conditions.epochs_cost_percent")
    return judge([difference]), (
        f"{short['miou']:.3f} after {steps[0]}, {full['miou']:.3f} after {steps[1]} steps: "
        f"{lost:.1f} % lost (paper {cost})"
    )


@claim("sequential-above-jpeg2000-from-128")
def sequential_above_jpeg2000_from_128(evidence: Evidence) -> Answer:
    """IoU of sequential above the JPEG 2000 network's (payload) at 128, 192, 384; usual rule."""
    rates = tuple(c for c in RATES if c >= printed("fig8.sequential_beats_jpeg2000_from"))
    found = {a: against_jpeg2000(evidence, "sequential", a, rates) for a in ("payload", "file")}
    verdict = headline(judge(found["payload"]), judge(found["file"]))
    return verdict, "Payload: " + "; ".join(
        f"{d.rate}: {d}" for d in found["payload"]
    ) + f"; whole files: {share_of(found['file'])} above 0"


@claim("jpeg2000-miou-at-384")
def jpeg2000_miou_at_384(evidence: Evidence) -> Answer:
    """At 384 the JPEG 2000 network (payload) is below the mean shape of the class, which stands for the 0.1."""
    floor = evidence.miou("mean-shape")
    values = {a: evidence.point("jpeg2000", 384, a) for a in ("payload", "file")}
    verdicts = [REPRODUCED if p["miou"] < floor else FAILED for p in values.values()]
    told = ", ".join(f"{p['miou']:.3f} ({a}, {kept(p, evidence.free):.0%} of uncompressed)" for a, p in values.items())
    return headline(*verdicts), f"{told}; mean shape {floor:.3f}; paper {printed('fig8.jpeg2000_384')}"


@claim("one-iteration-above-half")
def one_iteration_above_half(evidence: Evidence) -> Answer:
    """At 384 both keep 78 % of uncompressed IoU (0.5 of 0.64; 0.5 itself is ShapeNet's); usual rule."""
    found = {m: evidence.versus(m, "uncompressed", [384], share=usable())[0] for m in JOINT[:2]}
    told = ", ".join(
        f"{m} {evidence.miou(m, 384):.3f} ({kept(evidence.point(m, 384), evidence.free):.0%} of uncompressed)"
        for m in found
    )
    return judge(list(found.values())), f"{told}; asked: {usable():.0%}"


@claim("implicit-best")
def implicit_best(evidence: Evidence) -> Answer:
    """IoU of implicit above that of the better of sequential and direct at 48-384; usual rule."""
    found = []
    for rate in evidence.rates("implicit"):
        other = max(JOINT[:2], key=lambda model: evidence.miou(model, rate))
        found += evidence.versus("implicit", other, [rate])
    middle = sum(d.mean for d in found) / len(found)
    return judge(found), f"Interval above 0 at {share_of(found)} rates, mean difference {middle:+.3f} mIoU"


@claim("low-rates-approach-ideal")
def low_rates_approach_ideal(evidence: Evidence) -> Answer:
    """With floats at 12 and 6 all three keep 95 % of the IoU of an equally trained uncompressed network; usual rule."""
    free = evidence.point("uncompressed", tag="1200")
    found, told = [], []
    for model in JOINT:
        shares = []
        for rate in FLOAT_RATES:
            point = evidence.point(model, rate, tag="1200", fixed=True)
            found.append(Difference.of(rate, point["iou"], [NEAR * v for v in free["iou"]]))
            shares.append(kept(point, free))
        told.append(f"{model} {' / '.join(f'{s:.0%}' for s in shares)}")
    return judge(found), "Of uncompressed at 12 / 6: " + ", ".join(told)


@claim("near-optimal-over-wide-range")
def near_optimal_over_wide_range(evidence: Evidence) -> Answer:
    """All three keep 95 % of the uncompressed IoU at 48-384; usual rule."""
    found = {m: evidence.versus(m, "uncompressed", evidence.rates(m), share=NEAR) for m in JOINT}
    shares = [kept(evidence.point(m, c), evidence.free) for m in JOINT for c in evidence.rates(m)]
    return judge([d for ds in found.values() for d in ds]), (
        f"Keep {min(shares):.0%} to {max(shares):.0%} of uncompressed; surely 95 % at rates: {counted(found)}"
    )


@claim("all-three-useful-at-384")
def all_three_useful_at_384(evidence: Evidence) -> Answer:
    """At 384 all three keep 78 % of uncompressed mIoU (0.5 of 0.64), JPEG 2000 does not; partly if only files fail."""
    points = {m: evidence.point(m, 384) for m in JOINT} | {
        f"JPEG 2000 {a}": evidence.point("jpeg2000", 384, a) for a in ("payload", "file")
    }
    ok = {name: point["miou"] >= usable() * evidence.free["miou"] for name, point in points.items()}
    models = all(ok[m] for m in JOINT)
    verdict = FAILED if not models or ok["JPEG 2000 file"] else PARTLY if ok["JPEG 2000 payload"] else REPRODUCED
    return verdict, "Of uncompressed: " + ", ".join(
        f"{name} {kept(p, evidence.free):.0%}" for name, p in points.items()
    )


@claim("two-of-three-above-at-milder-rates")
def two_of_three_above_at_milder_rates(evidence: Evidence) -> Answer:
    """At 48-192 implicit above JPEG 2000 (payload) at all rates but one, another model at one or more (intervals)."""

    def verdict(accounting: str) -> tuple[str, dict[str, list[Difference]]]:
        found = {m: against_jpeg2000(evidence, m, accounting, MILD) for m in JOINT}
        implicit = len(above(found["implicit"])) >= len(found["implicit"]) - 1
        return tally([implicit, any(above(found[m]) for m in JOINT[:2])]), found

    payload, file = verdict("payload"), verdict("file")
    told = f"Intervals above 0 at 48-192, payload: {counted(payload[1])}; whole files: {counted(file[1])}"
    return headline(payload[0], file[0]), told


@claim("implicit-flat-and-usable-to-480")
def implicit_flat_and_usable_to_480(evidence: Evidence) -> Answer:
    """Implicit keeps 95 % of uncompressed IoU to 384, 78 % at 480 (usual rule); JPEG 2000 (payload) does not at 480."""
    flat = evidence.versus("implicit", "uncompressed", evidence.rates("implicit"), share=NEAR)
    far = evidence.versus("implicit", "uncompressed", [480], share=usable())
    shares = [kept(evidence.point("implicit", c), evidence.free) for c in (*evidence.rates("implicit"), 480)]
    other = kept(evidence.point("jpeg2000", 480), evidence.free)
    verdict = judge(flat + far)
    return PARTLY if verdict == REPRODUCED and other >= usable() else verdict, (
        f"Of uncompressed: {min(shares[:-1]):.0%} to {max(shares[:-1]):.0%} up to 384, {shares[-1]:.0%} at 480 "
        f"(surely at {share_of(flat + far)} rates); JPEG 2000 at 480: {other:.0%}"
    )


@claim("robust-to-compression")
def robust_to_compression(evidence: Evidence) -> Answer:
    """From 48 to 384 all three lose at most 2 % of uncompressed mIoU a doubling of the rate. The 3D task only."""
    slopes = {m: (evidence.miou(m, 48) - evidence.miou(m, 384)) / 3 / evidence.free["miou"] for m in JOINT}
    return tally(s <= 0.02 for s in slopes.values()), (
        "Lost a doubling, of uncompressed: " + ", ".join(f"{m} {100 * s:+.1f} %" for m, s in slopes.items())
    )


@claim("implicit-curve-noisy")
def implicit_curve_noisy(evidence: Evidence) -> Answer:
    """Implicit's mIoU rises with the rate somewhere, and seeds differ as much as neighbouring rates (median step)."""
    rates = evidence.rates("implicit", (*RATES, 480))
    curve = [evidence.miou("implicit", c) for c in rates]
    steps = sorted(abs(b - a) for a, b in zip(curve, curve[1:], strict=False))
    rises = sum(b > a for a, b in zip(curve, curve[1:], strict=False))
    seeds = {c: _seeds(evidence, c) for c in (192, 384, 480)}
    several = {c: values for c, values in seeds.items() if len(values) > 1}
    if not several:
        raise Missing(f"run compress3d sweep --scale {evidence.scale} --only implicit-r384-s*")
    spread = max(max(values) - min(values) for values in several.values())
    step = steps[len(steps) // 2]
    runs = sum(len(values) for values in several.values())
    return tally([rises > 0, spread >= step]), (
        f"{rises} rises in {len(steps)} steps of the rate, median step {step:.3f}; "
        f"seeds apart by up to {spread:.3f} ({runs} runs)"
    )


def _seeds(evidence: Evidence, rate: int) -> list[float]:
    """mIoU of every seed of an implicit run that there is."""
    found = []
    for seed in range(3):
        try:
            found.append(evidence.miou("implicit", rate, seed=seed))
        except Missing:
            continue
    return found


@claim("small-codec-suffices-for-3d")
def small_codec_suffices_for_3d(evidence: Evidence) -> Answer:
    """Sequential, whose codec is N_small, keeps 95 % of the uncompressed IoU at 48, 96, 192, 384; usual rule."""
    found = evidence.versus("sequential", "uncompressed", IMPLICIT_RATES, share=NEAR)
    shares = ", ".join(f"{kept(evidence.point('sequential', c), evidence.free):.0%}" for c in IMPLICIT_RATES)
    return judge(found), f"Of uncompressed at 48, 96, 192, 384: {shares}; sure at {share_of(found)} rates"
