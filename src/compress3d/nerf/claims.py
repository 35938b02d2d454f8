"""What became of each claim of Isik 2021: one check a claim, found by its id in `book/claims.yml`.

Evidence are our networks of 4 x 128 of both scenes, three trainings each, as the studies of this package score them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compress3d.claims.evidence import Checks
from compress3d.claims.evidence import Evidence as Results
from compress3d.claims.rules import Answer, Missing, graded, judge_parts

OURS = "mlp-4x128"
RATIOS = (0.3, 0.5, 0.7, 0.9)  # of Tables 1 and 2
SMALL_LOSS = 0.6  # dB that count as no considerable loss
VISIBLE_LOSS = 1.0  # dB that count as easily seen
POOR_LOSS = 3.0  # dB that count as clearly worse
SAME_SIZE = 0.05  # share by which two compression factors may differ and count as equal


@dataclass(frozen=True)
class Network:
    """Scores of one training: (ratio, retrained, criterion) -> row of the study of pruning."""

    name: str
    rows: dict[tuple[float, bool, str], dict]

    def psnr(self, ratio: float, retrained: bool = False, criterion: str = "global") -> float:
        return self.rows[ratio, retrained, criterion]["psnr"]

    def loss(self, ratio: float, retrained: bool = False) -> float:
        """dB that a ratio costs."""
        return self.psnr(0.0) - self.psnr(ratio, retrained)

    def recovered(self, ratio: float) -> float:
        """Share of the loss that retraining takes back."""
        return 1 - self.loss(ratio, True) / self.loss(ratio)


class Evidence(Results):
    """Results with the studies of scenes."""

    def study(self, name: str) -> dict:
        """A study's networks. Missing: it has not been run."""
        return self.results(name, f"run compress3d study {name} --scale {self.scale}")["networks"]

    @cached_property
    def networks(self) -> list[Network]:
        """Our trainings that were pruned."""
        found = [
            Network(name, {(r["ratio"], r["retrained"], r["criterion"]): r for r in of["rows"]})
            for name, of in self.study("pruning").items()
            if name.startswith(f"{self.scale}/{OURS}")
        ]
        if not found:
            raise Missing(f"run compress3d sweep --scale {self.scale} --only '{OURS}*', then compress3d study pruning")
        return found

    def mean(self, value) -> float:
        """Mean of `value(network)` over our trainings."""
        return float(np.mean([value(network) for network in self.networks]))

    def pairs(self) -> Iterator[tuple[Network, float]]:
        """Every training and ratio of the tables."""
        return ((network, ratio) for network in self.networks for ratio in RATIOS)


ISIK = Checks("isik2021", Evidence)
claim = ISIK


def each(evidence: Evidence, value, unit: str = "dB", digits: int = 1) -> str:
    """ "-0.2, -1.9, -5.7 and -11.0 dB at 30, 50, 70 and 90 %": means over trainings."""
    found = [f"{evidence.mean(lambda network, r=ratio: value(network, r)):.{digits}f}" for ratio in RATIOS]
    return f"{', '.join(found[:-1])} and {found[-1]} {unit} at 30, 50, 70 and 90 %"


@claim("pruning-speeds-up")
def pruning_speeds_up(evidence: Evidence) -> Answer:
    """Products with sparse weights of the original's size are faster than dense ones at 30, 50, 70 and 90 %."""
    found = {row["ratio"]: row["speedup"] for row in evidence.study("sparse-speed")["256x256"]["rows"]}
    text = ", ".join(f"x {found[ratio]:.2f} at {ratio:.0%}" for ratio in (*RATIOS, 0.98))
    return judge_parts(found[ratio] > 1 for ratio in RATIOS), f"Dense time over sparse, 256 x 256: {text}"


@claim("global-better-than-structured")
def global_better(evidence: Evidence) -> Answer:
    """Before retraining, the mean PSNR of one threshold is above that of the same share of each layer, all ratios."""
    gains = [evidence.mean(lambda n, r=ratio: n.psnr(r) - n.psnr(r, criterion="per layer")) for ratio in RATIOS]
    text = ", ".join(f"{gain:+.1f}" for gain in gains)
    return judge_parts(gain > 0 for gain in gains), f"One threshold gains {text} dB at 30, 50, 70, 90 %"


@claim("pruning-works-on-regression")
def pruning_works(evidence: Evidence) -> Answer:
    """Half of the weights gone and retrained: at most 0.6 dB less, in every training; partly: at 30 %."""
    whole, part = ([n.loss(ratio, True) <= SMALL_LOSS for n in evidence.networks] for ratio in (0.5, 0.3))
    return graded(all(whole), all(part)), f"After retraining {each(evidence, lambda n, r: n.loss(r, True))} are lost"


@claim("psnr-falls-with-ratio")
def psnr_falls(evidence: Evidence) -> Answer:
    """From each ratio of the tables to the next PSNR falls, in every training, pruned and retrained."""
    parts = [
        all(np.diff([n.psnr(0.0), *(n.psnr(ratio, retrained) for ratio in RATIOS)]) < 0)
        for n in evidence.networks
        for retrained in (False, True)
    ]
    return judge_parts(parts), f"{sum(parts)} of {len(parts)} columns fall all the way"


@claim("moderate-pruning-may-help")
def moderate_pruning_may_help(evidence: Evidence) -> Answer:
    """At 30 % PSNR is above the unpruned network's in every training, pruned or retrained; partly: in some."""
    gains = [max(-n.loss(0.3), -n.loss(0.3, True)) for n in evidence.networks]
    above = [gain > 0 for gain in gains]
    return graded(
        all(above), any(above)
    ), f"Above in {sum(above)} of {len(above)} trainings, at best {max(gains):+.2f} dB"


@claim("thirty-percent-is-free")
def thirty_percent_is_free(evidence: Evidence) -> Answer:
    """At most 0.6 dB less at 30 %, in every training; partly: after retraining."""
    losses = [[n.loss(0.3, retrained) for n in evidence.networks] for retrained in (False, True)]
    verdict = graded(*(max(of) <= SMALL_LOSS for of in losses))
    text = f"{np.mean(losses[0]):.2f} dB lost at 30 %, {np.mean(losses[1]):.2f} after retraining"
    return verdict, f"{text} (at most {max(losses[0]):.2f} and {max(losses[1]):.2f}){_port(evidence)}"


def _port(evidence: Evidence) -> str:
    """What the public port's network of lego loses, if it was here."""
    of = evidence.study("pruning").get("port/lego")
    if of is None:
        return ""
    rows = {row["ratio"]: row["psnr"] for row in of["rows"] if row["criterion"] == "global" and not row["retrained"]}
    return f". The public port's lego network: {rows[0.0] - rows[0.3]:.1f} dB"


@claim("artifacts-from-fifty")
def artifacts_from_fifty(evidence: Evidence) -> Answer:
    """Without retraining more than 1 dB is lost at 50 and at 70 %, in every training."""
    parts = [n.loss(ratio) > VISIBLE_LOSS for n in evidence.networks for ratio in (0.5, 0.7)]
    return judge_parts(parts), f"Without retraining {each(evidence, lambda n, r: n.loss(r))} are lost"


@claim("retraining-recovers")
def retraining_recovers(evidence: Evidence) -> Answer:
    """Retraining takes back more than half of the loss at 50 and at 70 %, in every training."""
    parts = [n.recovered(ratio) > 0.5 for n in evidence.networks for ratio in (0.5, 0.7)]
    text = each(evidence, lambda n, r: 100 * n.recovered(r), "%", 0)
    return judge_parts(parts), f"Retraining takes back {text}"


@claim("ninety-percent-is-poor")
def ninety_percent_is_poor(evidence: Evidence) -> Answer:
    """At 90 % more than 3 dB are lost after retraining, in every training."""
    losses = [n.loss(0.9, True) for n in evidence.networks]
    return judge_parts(loss > POOR_LOSS for loss in losses), f"{min(losses):.1f} to {max(losses):.1f} dB are lost"


@claim("compression-is-what-survives")
def compression_is_what_survives(evidence: Evidence) -> Answer:
    """Files with float32 weights are smaller by the printed factors, within 5 %, at all four ratios."""

    def factor(network: Network, ratio: float) -> float:
        raw = network.rows[0.0, False, "global"]["bytes"]["raw"]
        return raw / network.rows[ratio, False, "global"]["bytes"]["32"]

    parts = [abs(factor(network, ratio) * (1 - ratio) - 1) <= SAME_SIZE for network, ratio in evidence.pairs()]
    text = each(evidence, factor, "times", 2)
    return judge_parts(parts), f"Files with masks, biases and occupied cells are smaller {text}"


@claim("retrained-is-denser")
def retrained_is_denser(evidence: Evidence) -> Answer:
    """Rays are stopped more after retraining than in the unpruned network, on average, at 50 and at 70 %."""
    gains = [
        n.rows[ratio, True, "global"]["opacity"] - n.rows[0.0, False, "global"]["opacity"]
        for n in evidence.networks
        for ratio in (0.5, 0.7)
    ]
    return judge_parts(gain > 0 for gain in gains), f"Mean opacity changes by {min(gains):+.4f} to {max(gains):+.4f}"
