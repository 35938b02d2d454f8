"""Checks of this paper's claims on made-up results: the verdict is the one that their rule says."""

from dataclasses import replace

import numpy as np
import pytest

from compress3d import claims
from compress3d.claims.rules import CONTRADICTED, NOT_RUN, PARTLY, REPRODUCED, UNTESTABLE, VERDICTS
from compress3d.engine.experiment import experiments, get_experiment
from compress3d.errors import DataError
from compress3d.joint.claims.evidence import Evidence, claim, payload_first

OBJECTS = 40
BASE = np.linspace(0.05, 0.95, OBJECTS)  # IoU of the uncompressed network
NOISE = np.random.default_rng(0).normal(0, 0.002, OBJECTS)  # so that an interval has a width
LEVELS = {  # IoU over the uncompressed network's, L_comp
    "uncompressed": (1.0, None), "implicit": (1.02, None), "sequential": (1.01, 0.040), "direct": (1.005, 0.050),
    "jpeg2000": (0.6, 0.060), "small": (None, 0.040), "original": (None, 0.020),
}  # fmt: skip


def made_up_point(setting, level, loss, fits=1.0):
    found = {"rate": setting.rate, "accounting": setting.accounting, "fits": fits}
    if level is not None:
        iou = np.clip(level * BASE + NOISE, 0, 1)
        found |= {"iou": iou.tolist(), "miou": iou.mean(), "miou_std": iou.std(), "loss": 0.2}
    if loss is not None:
        loss = loss * (1 + setting.rate / 384)  # fewer bits, worse pictures
        pictures = (loss + NOISE / 10).tolist()
        found |= {"compression_loss": loss, "l1": loss, "psnr": -20 * np.log10(loss), "image_loss": pictures}
    return found


def made_up(levels=None, timing=True, without=(), passes=(20, 60), no_file_from=None):
    """Results of every run of the demo table: IoU and L_comp by model, or by model and accounting."""
    levels = LEVELS | (levels or {})
    found = {}
    for run in experiments("demo"):
        run_id = run.id
        name = run_id.removeprefix("demo/")
        if name in without or run.model.name not in levels:
            continue  # no claim of the paper is about 3D-R2N2's other networks
        points = [
            made_up_point(
                s, *levels.get((run.model.name, s.accounting), levels[run.model.name]),
                fits=float(s.accounting != "file" or no_file_from is None or s.rate < no_file_from),
            )
            for s in run.operating_points()
        ]  # fmt: skip
        history = [[step, 0.15 if run.model.name == "implicit" else 0.13] for step in range(20)]
        found[run_id] = {
            "experiment": run.describe(), "test": {"objects": list(range(OBJECTS))}, "points": points,
            "provenance": {"training": {"history": history, "passes": passes[not run.tag]}},
        }  # fmt: skip
    floor = made_up_point(get_experiment("demo/uncompressed-s0").operating_point(), 0.65, None)
    found["demo/mean-shape"] = {"test": {"objects": list(range(OBJECTS))}, "points": [floor]}
    counts = [{"views": v, "miou": miou, "iou": (miou + NOISE).tolist()} for v, miou in ((1, 0.4), (5, 0.5), (24, 0.5))]
    found["demo/views"] = {"networks": {"demo/uncompressed-s0": {"counts": counts}}}
    return Evidence("demo", found, made_up_timing() if timing else None)


def made_up_timing():
    """Table 3 as the paper prints it."""
    times = {
        "reconstruction": (13, 13), "reconstruction_encoder": (6, 6), "compression_original": (40, 24),
        "compression_small": (32, 20), "separate": (53, 37), "sequential": (45, 33), "direct": (39, 27),
        "direct_voxels": (38, 27), "implicit": (13, 13),
    }  # fmt: skip
    rows = {
        name: {"forward": f, "backward": b, "gmac": f, "saving_forward": 100 * (1 - f / 53),
               "saving_backward": 100 * (1 - b / 37)}
        for name, (f, b) in times.items()
    }  # fmt: skip
    return {"as_printed": {"rows": rows}, "same_rate": {"rows": rows}, "experiment": {"scale": "paper"},
            "provenance": {"device": "made up"}}  # fmt: skip


def row(claim_id, evidence):
    """The line of one claim."""
    entry = next(c for c in claims.claims()["golts2021"]["claims"] if c["id"] == claim_id)
    return claims.judged("golts2021", entry, evidence)


def verdict(claim_id, evidence):
    """Verdict on one claim."""
    return row(claim_id, evidence).verdict


def test_every_check_decides_when_nothing_is_missing():
    evidence = made_up()
    for claim_id in claim:
        found = row(claim_id, evidence)
        assert found.verdict in VERDICTS and found.verdict != NOT_RUN, found
        assert found.evidence and found.rule and "\n" not in claim[claim_id].__doc__, found


def test_nothing_evaluated_gives_commands_and_no_numbers():
    rows = [row(claim_id, Evidence("demo", {})) for claim_id in claim]
    waiting = [found for found in rows if found.verdict == NOT_RUN]
    assert len(waiting) > 30  # the others look at the networks alone
    assert all(found.evidence.startswith("run compress3d ") for found in waiting)


ALL_ABOVE = ["beats-jpeg2000", "sequential-above-jpeg2000-from-128", "jpeg2000-miou-at-384", "range-extended",
             "all-three-useful-at-384", "two-of-three-above-at-milder-rates"]  # fmt: skip


@pytest.mark.parametrize("claim_id", ALL_ABOVE)
def test_claims_against_jpeg2000_by_what_is_counted(claim_id):
    gone = {("jpeg2000", "file"): (0.2, 0.4)}
    assert verdict(claim_id, made_up()) == REPRODUCED
    assert verdict(claim_id, made_up({"jpeg2000": (1.1, 0.03), **gone})) == PARTLY  # whole files alone
    assert verdict(claim_id, made_up({"jpeg2000": (1.1, 0.03)})) == CONTRADICTED


@pytest.mark.parametrize(
    ("claim_id", "worse"),
    [
        ("implicit-best", {"implicit": (0.9, None)}),
        ("near-optimal-over-wide-range", {m: (0.8, 0.04) for m in ("sequential", "direct", "implicit")}),
        ("one-iteration-above-half", {m: (0.7, 0.04) for m in ("sequential", "direct")}),
        ("direct-decodes-worse", {"direct": (1.0, 0.03)}),
        ("sequential-decodes-like-small-codec", {"sequential": (1.0, 0.06)}),
        ("codec-loss-gap-factor-two", {"original": (None, 0.05)}),
        ("codec-gap-visible", {"original": (None, 0.05)}),
        ("binarizer-regularizes", {"implicit": (0.9, None)}),
        ("small-codec-suffices-for-3d", {"sequential": (0.8, 0.04)}),
    ],
)
def test_claims_turn_with_the_numbers(claim_id, worse):
    assert verdict(claim_id, made_up()) == REPRODUCED
    assert verdict(claim_id, made_up(worse)) == CONTRADICTED


def test_one_of_two_models_is_partly():
    assert verdict("one-iteration-above-half", made_up({"direct": (0.7, 0.05)})) == PARTLY


def test_printed_times_give_the_printed_savings_and_others_do_not():
    for claim_id in ("sequential-speedup", "direct-speedup", "implicit-speedup", "compression-nearly-free"):
        assert verdict(claim_id, made_up()) == REPRODUCED
        assert verdict(claim_id, made_up(timing=False)) == NOT_RUN
    slow = made_up_timing()
    slow["as_printed"]["rows"]["direct"] |= {"saving_forward": 5.0, "saving_backward": 5.0}
    assert verdict("direct-speedup", replace(made_up(), timing=slow)) == PARTLY
    slow["as_printed"]["rows"]["direct"] |= {"saving_forward": -5.0}
    assert verdict("direct-speedup", replace(made_up(), timing=slow)) == CONTRADICTED


def test_a_missing_run_names_itself():
    found = row("implicit-best", made_up(without=("implicit-r192-s0",)))
    assert (found.verdict, found.evidence) == (NOT_RUN, "run compress3d sweep --scale demo --only implicit-r192-s0")


def test_a_shorter_schedule_stands_in():
    assert verdict("implicit-best", made_up(without=("implicit-r128-s0",))) == REPRODUCED
    assert made_up().common_schedule("sequential", "small") == ""
    assert made_up(without=("small-s0",)).common_schedule("sequential", "small") == "600"
    assert verdict("codec-loss-gap-factor-two", made_up(without=("original-600-s0",))) == NOT_RUN


def test_whole_files_count_where_there_are_any():
    """JPEG 2000 above by payload; by whole files gone, because no file fits from 96:1 on."""
    levels = {"jpeg2000": (1.1, 0.03), ("jpeg2000", "file"): (0.2, 0.4)}
    nothing, some = (made_up(levels, no_file_from=rate) for rate in (96, 384))
    for claim_id in ("sequential-above-jpeg2000-from-128", "networks-above-jpeg2000-at-high-rates"):
        assert (verdict(claim_id, nothing), verdict(claim_id, some)) == (CONTRADICTED, PARTLY)
    assert "none fits" in row("sequential-above-jpeg2000-from-128", nothing).evidence


def test_runs_on_other_objects_are_not_compared():
    evidence = made_up()
    evidence.found["demo/sequential-s0"]["test"]["objects"] = [0]
    with pytest.raises(DataError, match="other objects"):
        verdict("beats-jpeg2000", evidence)


def test_a_share_is_the_mean_over_trainings_not_the_best():
    """Seeds at 0.9, 1.0 and 1.1 of the uncompressed network; alone, the last would keep all and more."""
    evidence = made_up({"uncompressed": (0.8, None)})
    base = np.array(evidence.uncompressed["iou"])
    for seed, level in enumerate((1.1, 1.0, 0.9)):
        point = evidence.found[f"demo/implicit-r384-s{seed}"]["points"][0]
        point |= {"iou": (level * base).tolist(), "miou": float(level * base.mean())}
    assert evidence.retained("implicit", 384) == pytest.approx(1.0)
    assert evidence.retained_text("implicit", 384) == "100 % (100 to 100)"
    assert [p["miou"] / base.mean() for p in evidence.trainings("implicit", 384)] == pytest.approx([1.1, 1.0, 0.9])


@pytest.mark.parametrize(
    "passes, share, found", [((4, 12), 1, NOT_RUN), ((20, 60), 1, REPRODUCED), ((20, 60), 0.9, CONTRADICTED)]
)
def test_too_few_passes_decide_nothing(passes, share, found):
    evidence = made_up(passes=passes)
    for seed in range(3):
        point = evidence.found[f"demo/uncompressed-1200-s{seed}"]["points"][0]
        point |= {"iou": [share * v for v in point["iou"]], "miou": share * point["miou"]}
    assert verdict("twenty-epochs-suffice", evidence) == found


@pytest.mark.parametrize("offset, found", [(0.1, REPRODUCED), (-0.1, CONTRADICTED)])
def test_any_number_of_views_looks_at_each_of_them(offset, found):
    evidence = made_up()
    counts = evidence.found["demo/views"]["networks"]["demo/uncompressed-s0"]["counts"]
    for point in counts[1:]:
        point["iou"] = (0.4 + offset + NOISE).tolist()
    assert verdict("any-number-of-views", evidence) == found
    counts[2]["iou"] = (0.5 + NOISE).tolist()
    assert verdict("any-number-of-views", evidence) == (REPRODUCED if offset > 0 else PARTLY)


@pytest.mark.parametrize("objects, level, found", [(5, 0.9, UNTESTABLE), (6, 0.9, REPRODUCED), (6, 1.0, CONTRADICTED)])
def test_significance_needs_six_objects_in_the_bin(objects, level, found):
    """Objects of bin 5 on which each model keeps `level` of the one before it, all others in bin 1."""
    base = np.where(np.arange(OBJECTS) < objects, 0.6, 0.1)
    evidence = made_up()
    for step, model in enumerate(("uncompressed", "implicit", "sequential", "direct", "jpeg2000")):
        for result in evidence.found.values():
            if result.get("experiment", {}).get("model", {}).get("name") == model:
                for point in result["points"]:
                    point["iou"] = (base * level**step).tolist()
    assert verdict("differences-significant", evidence) == found


def test_payload_goes_first():
    assert [payload_first(CONTRADICTED, v) for v in (REPRODUCED, PARTLY, CONTRADICTED)] == [
        PARTLY,
        PARTLY,
        CONTRADICTED,
    ]
    assert payload_first(REPRODUCED, CONTRADICTED) == REPRODUCED
