"""Every claim has a check or a reason; checks on made-up results give the verdict that their rule says."""

from dataclasses import replace

import numpy as np
import pytest

from compress3d import claims
from compress3d.claims.evidence import (
    CHECKS,
    FAILED,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    UNTESTABLE,
    VERDICTS,
    Difference,
    Evidence,
    headline,
    judge,
)
from compress3d.engine.experiment import experiments, get_experiment
from compress3d.errors import DataError

OBJECTS = 40
BASE = np.linspace(0.05, 0.95, OBJECTS)  # IoU of the uncompressed network
NOISE = np.random.default_rng(0).normal(0, 0.002, OBJECTS)  # so that an interval has a width
LEVELS = {  # IoU over the uncompressed network's, L_comp
    "uncompressed": (1.0, None), "implicit": (1.02, None), "sequential": (1.01, 0.040), "direct": (1.005, 0.050),
    "jpeg2000": (0.6, 0.060), "small": (None, 0.040), "original": (None, 0.020),
}  # fmt: skip


def made_up_point(setting, level, loss):
    found = {"rate": setting.rate, "accounting": setting.accounting, "fits": 1.0}
    if level is not None:
        iou = np.clip(level * BASE + NOISE, 0, 1)
        found |= {"iou": iou.tolist(), "miou": iou.mean(), "miou_std": iou.std(), "loss": 0.2}
    if loss is not None:
        loss = loss * (1 + setting.rate / 384)  # fewer bits, worse pictures
        pictures = (loss + NOISE / 10).tolist()
        found |= {"compression_loss": loss, "l1": loss, "psnr": -20 * np.log10(loss), "picture_loss": pictures}
    return found


def made_up(levels=None, timing=True, without=()):
    """Results of every run of the demo table: IoU and L_comp by model, or by model and accounting."""
    levels = LEVELS | (levels or {})
    found = {}
    for run in experiments("demo"):
        name, model = run.id.removeprefix("demo/"), run.model.name
        if name in without or model not in levels:
            continue  # no claim of the paper is about 3D-R2N2's other networks
        served = run.operating_points()
        points = [made_up_point(s, *levels.get((model, s.accounting), levels[model])) for s in served]
        history = [[step, 0.15 if model == "implicit" else 0.13] for step in range(20)]
        found[run.id] = {
            "experiment": run.describe(), "test": {"objects": list(range(OBJECTS))}, "points": points,
            "provenance": {"training": {"history": history}},
        }  # fmt: skip
    floor = made_up_point(get_experiment("demo/uncompressed-s0").operating_point(), 0.65, None)
    found["demo/mean-shape"] = {"test": {"objects": list(range(OBJECTS))}, "points": [floor]}
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
    return claims.judged(next(c for c in claims.claims() if c["id"] == claim_id), evidence)


def verdict(claim_id, evidence):
    """Verdict on one claim."""
    return row(claim_id, evidence).verdict


def test_every_claim_has_either_a_check_or_a_reason():
    known = claims.claims()
    ids = [c["id"] for c in known]
    assert len(ids) == len(set(ids)) and 50 <= len(ids) <= 60
    without_reason = {c["id"] for c in known if "why" not in c}
    assert without_reason == set(CHECKS)
    for entry in known:
        assert entry.keys() <= {"id", "where", "claim", "why"}
        assert claims.section(entry["where"])


def test_every_rule_is_one_line():
    for claim_id, check in CHECKS.items():
        assert check.__doc__ and "\n" not in check.__doc__, claim_id


def test_every_check_decides_when_nothing_is_missing():
    rows = claims.scoreboard(evidence=made_up())
    assert claims.counts(rows)[NOT_RUN] == 0
    assert sum(claims.counts(rows).values()) == len(rows) == len(claims.claims())
    for found in rows:
        assert found.verdict in VERDICTS and len(found.evidence) <= 160, (found.id, len(found.evidence))
        assert (found.verdict == UNTESTABLE) == (found.rule == "")


def test_nothing_evaluated_gives_commands_and_no_numbers():
    rows = claims.scoreboard(evidence=Evidence("demo", {}))
    assert claims.counts(rows)[NOT_RUN] > 30
    for found in rows:
        if found.verdict == NOT_RUN:
            assert found.evidence.startswith("run compress3d "), found


ALL_ABOVE = ["beats-jpeg2000", "sequential-above-jpeg2000-from-128", "jpeg2000-miou-at-384", "range-extended",
             "all-three-useful-at-384", "two-of-three-above-at-milder-rates"]  # fmt: skip


@pytest.mark.parametrize("claim_id", ALL_ABOVE)
def test_claims_against_jpeg2000_by_what_is_counted(claim_id):
    gone = {("jpeg2000", "file"): (0.2, 0.4)}
    assert verdict(claim_id, made_up()) == REPRODUCED
    assert verdict(claim_id, made_up({"jpeg2000": (1.1, 0.03), **gone})) == PARTLY  # whole files alone
    assert verdict(claim_id, made_up({"jpeg2000": (1.1, 0.03)})) == FAILED


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
    assert verdict(claim_id, made_up(worse)) == FAILED


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
    assert verdict("direct-speedup", replace(made_up(), timing=slow)) == FAILED


def test_a_missing_run_names_itself():
    found = row("implicit-best", made_up(without=("implicit-r192-s0",)))
    assert (found.verdict, found.evidence) == (NOT_RUN, "run compress3d sweep --scale demo --only implicit-r192-s0")


def test_optional_and_short_runs_stand_in():
    assert verdict("implicit-best", made_up(without=("implicit-r128-s0",))) == REPRODUCED
    assert made_up().alike("sequential", "small") == ""
    assert made_up(without=("small-s0",)).alike("sequential", "small") == "600"
    assert verdict("codec-loss-gap-factor-two", made_up(without=("original-600-s0",))) == NOT_RUN


def test_runs_on_other_objects_are_not_compared():
    evidence = made_up()
    evidence.found["demo/sequential-s0"]["test"]["objects"] = [0]
    with pytest.raises(DataError, match="other objects"):
        verdict("beats-jpeg2000", evidence)


def test_the_rules():
    sure, unsure, against = (Difference(48, 0.02, *ends) for ends in ((0.01, 0.03), (-0.01, 0.05), (-0.01, 0.05)))
    against = replace(against, mean=-0.02)
    assert judge([sure, sure]) == REPRODUCED
    assert judge([sure, against]) == judge([unsure, unsure]) == PARTLY
    assert judge([unsure, against]) == FAILED
    assert [headline(FAILED, v) for v in (REPRODUCED, PARTLY, FAILED)] == [PARTLY, PARTLY, FAILED]
    assert headline(REPRODUCED, FAILED) == REPRODUCED


def test_boards_show_every_claim_once_and_fold():
    rows = claims.scoreboard(evidence=Evidence("demo", {}))
    headings = dict.fromkeys(claims.SECTIONS.values())
    boards = [claims.board(r for r in rows if claims.section(r.where) == heading) for heading in headings]
    assert all(len(board.rows) > 1 for board in boards) and sum(len(board.rows) for board in boards) == len(rows)
    assert "white-space: normal" in boards[0].html() and 'class="status status-not-run-yet"' in boards[0].html()
    lines = claims.waiting(r for r in rows if r.verdict == NOT_RUN).rows
    assert any(line[0] == "run compress3d timing" and "direct-speedup" in line[1] for line in lines)
    assert claims.short_board([]).rows == [["–"] * 3]
