"""Verdicts on the claims of Isik 2021 from made-up scores: each rule says each of its words."""

import pytest

from compress3d.claims import claims
from compress3d.claims.rules import CONTRADICTED, PARTLY, REPRODUCED, Missing
from compress3d.nerf.claims import ISIK, Evidence

PAPER = {0.0: (31.7, 31.7), 0.3: (31.4, 31.6), 0.5: (29.0, 31.2), 0.7: (24.0, 30.0), 0.9: (16.0, 20.0)}
RATIOS = (0.3, 0.5, 0.7, 0.9)


def evidence(scores=PAPER, others=None, layer=-0.5, opacity=0.01, overhead=0, speed=(0.1, 0.2, 0.6, 1.2, 5.0)):
    """Two trainings: `scores` of the first, `others` (the same where None) of the second, by ratio."""

    def rows(of):
        found = []
        for ratio, (pruned, retrained) in of.items():
            sizes = {"raw": 1000, "32": 1000 * (1 - ratio) + overhead}
            entry = {"ratio": ratio, "criterion": "global", "bytes": sizes}
            found.append({**entry, "retrained": False, "psnr": pruned, "opacity": 0.5})
            if ratio:
                found.append({**entry, "retrained": True, "psnr": retrained, "opacity": 0.5 + opacity})
                found.append({**entry, "retrained": False, "criterion": "per layer", "psnr": pruned + layer})
        return {"rows": found}

    networks = {"demo/mlp-4x128-s0": rows(scores), "demo/mlp-4x128@lego-s0": rows(others or scores)}
    networks["demo/mlp-8x256-s0"] = rows({ratio: (0.0, 0.0) for ratio in scores})  # no evidence of these claims
    products = [{"ratio": ratio, "speedup": value} for ratio, value in zip((*RATIOS, 0.98), speed, strict=True)]
    sparse = {"256x256": {"rows": products}}
    return Evidence("demo", {"demo/pruning": {"networks": networks}, "demo/sparse-speed": {"networks": sparse}})


def moved(ratio, pruned=None, retrained=None):
    """The scores with other ones at one ratio."""
    before = PAPER[ratio]
    return PAPER | {ratio: (pruned or before[0], retrained or before[1])}


CASES = [
    ("pruning-speeds-up", {}, PARTLY),
    ("pruning-speeds-up", {"speed": (1.1, 1.2, 1.5, 2, 5)}, REPRODUCED),
    ("pruning-speeds-up", {"speed": (0.1, 0.2, 0.5, 0.9, 5)}, CONTRADICTED),
    ("global-better-than-structured", {}, REPRODUCED),
    ("global-better-than-structured", {"layer": 0.1}, CONTRADICTED),
    ("pruning-works-on-regression", {}, REPRODUCED),
    ("pruning-works-on-regression", {"others": moved(0.5, retrained=31.0)}, PARTLY),
    ("pruning-works-on-regression", {"scores": moved(0.3, retrained=31.0) | {0.5: (25, 30)}}, CONTRADICTED),
    ("psnr-falls-with-ratio", {}, REPRODUCED),
    ("psnr-falls-with-ratio", {"scores": moved(0.3, pruned=31.9)}, PARTLY),
    ("moderate-pruning-may-help", {}, CONTRADICTED),
    ("moderate-pruning-may-help", {"others": moved(0.3, retrained=31.8)}, PARTLY),
    ("moderate-pruning-may-help", {"scores": moved(0.3, pruned=31.8)}, REPRODUCED),
    ("thirty-percent-is-free", {}, REPRODUCED),
    ("thirty-percent-is-free", {"others": moved(0.3, pruned=30.0)}, PARTLY),
    ("thirty-percent-is-free", {"scores": moved(0.3, pruned=30.0, retrained=30.5)}, CONTRADICTED),
    ("artifacts-from-fifty", {}, REPRODUCED),
    ("artifacts-from-fifty", {"scores": moved(0.5, pruned=31.0)}, PARTLY),
    ("retraining-recovers", {}, REPRODUCED),
    ("retraining-recovers", {"scores": moved(0.7, retrained=25.0)}, PARTLY),
    ("ninety-percent-is-poor", {}, REPRODUCED),
    ("ninety-percent-is-poor", {"scores": moved(0.9, retrained=30.0)}, CONTRADICTED),
    ("compression-is-what-survives", {}, REPRODUCED),
    ("compression-is-what-survives", {"overhead": 20}, PARTLY),
    ("compression-is-what-survives", {"overhead": 300}, CONTRADICTED),
    ("retrained-is-denser", {}, REPRODUCED),
    ("retrained-is-denser", {"opacity": -0.01}, CONTRADICTED),
]


@pytest.mark.parametrize("claim, change, verdict", CASES)
def test_a_rule_says_what_the_scores_say(claim, change, verdict):
    found, text = ISIK[claim](evidence(**change))
    assert found == verdict, text
    assert text and "nan" not in text


def test_every_rule_is_tried():
    assert {claim for claim, *_ in CASES} == set(ISIK)
    needs = {entry["id"] for entry in claims()["isik2021"]["claims"] if "needs" in entry}
    assert set(ISIK) | needs == {entry["id"] for entry in claims()["isik2021"]["claims"]}


@pytest.mark.parametrize("claim", ISIK)
def test_without_results_a_claim_is_not_run(claim):
    with pytest.raises(Missing, match="compress3d"):
        ISIK[claim](Evidence("demo", {}))


def test_the_ports_network_is_quoted_where_it_was_here():
    found = evidence()
    rows = [{"ratio": r, "criterion": "global", "retrained": False, "psnr": p} for r, p in ((0.0, 26.1), (0.3, 8.5))]
    found.found["demo/pruning"]["networks"]["port/lego"] = {"rows": rows}
    assert "port's lego network: 17.6 dB" in ISIK["thirty-percent-is-free"](found)[1]
