"""What the paper leaves open, settled by short runs that differ in one setting each.

All of them share one schedule, shorter than that of the figures: they say which reading does better after the same
few steps, not how good either can get.
"""

from __future__ import annotations

from statistics import fmean
from typing import NamedTuple

from compress3d import results
from compress3d.errors import DataError
from compress3d.metrics import Difference

SHOWN_RATES = (384, 192, 96, 48)
MISSING = "not run yet"


class Question(NamedTuple):
    """Two readings of one sentence of the paper, each a run.

    Attributes:
        asks, where: the question in few words, and the place in the paper.
        first, second: names of the readings; the first one is what the runs of the figures use.
        first_run, second_run: run ids without scale, steps and seed, such as "direct" and "direct-mean".
    """

    asks: str
    where: str
    first: str
    second: str
    first_run: str
    second_run: str

    @property
    def metric(self) -> str:
        """A point's list over objects: "iou", or "image_loss" (lower is better) of compression RNNs alone."""
        return "image_loss" if self.first_run in ("small", "original") else "iou"


# Question, place, readings, the runs with the first reading, and what the second adds to their ids.
_ASKED = (
    ("a fully connected layer before the code?", "Sec. 3.3", "R1: none", "R2: one", "implicit-r384 implicit-r48", "fc"),
    ("how do N codes reach the 3D LSTM?", "Sec. 3.2", "D1: in turn", "D2: side by side", "direct", "concatenated"),
    ("L_comp over views", "Eq. 16", "sum", "mean", "sequential direct", "mean"),
    ("gamma", "Eq. 10", "additive", "one-shot", "small sequential", "oneshot"),
    ("N in training, N_{}", "appendix", "random", "constant", "small original", "r48"),
)
QUESTIONS = [
    Question(asks.format(run), where, first, second, run, f"{run}-{change}")
    for asks, where, first, second, runs, change in _ASKED
    for run in runs.split()
]


def run_id(name: str, scale: str, steps: int) -> str:
    """Id of a short run: the steps stand behind model and rate, before the setting that differs.

    Example:
        >>> run_id("implicit-r384-fc", "demo", 600), run_id("small", "demo", 600)
        ('demo/implicit-r384-600-fc-s0', 'demo/small-600-s0')
    """
    model, *rest = name.split("-")
    rate = [part for part in rest if part.startswith("r") and part[1:].isdigit()]
    other = [part for part in rest if part not in rate]
    return f"{scale}/{'-'.join([model, *rate, str(steps), *other])}-s0"


def compare(scale: str = "demo", steps: int = 600) -> list[dict]:
    """Every question at every rate that both of its runs serve.

    Returns:
        Rows with `question` (a `Question`), `rate`, `first` and `second` (means over objects), `difference` (second
        minus first, with its paired 95 % interval `low`, `high`) and `verdict`: the reading that does better, or "no
        difference shown". A question whose runs are missing has one row with the verdict "not run yet".
    """
    rows: list[dict] = []
    for question in QUESTIONS:
        runs = (question.first_run, question.second_run)
        try:
            points = [results.load(run_id(name, scale, steps))["points"] for name in runs]
        except DataError:
            rows.append({"question": question, "rate": None, "verdict": MISSING})
            continue
        first, second = ({round(p["rate"]): p[question.metric] for p in of} for of in points)
        labels = {"first": question.second, "second": question.first, "lower_is_better": question.metric != "iou"}
        for rate in [rate for rate in SHOWN_RATES if rate in first and rate in second]:
            change = Difference.of(second[rate], first[rate], **labels)
            means = {"first": fmean(first[rate]), "second": fmean(second[rate])}
            shown = {"difference": change.mean, "low": change.low, "high": change.high}
            verdict = change.better or "no difference shown"
            rows.append({"question": question, "rate": rate, **means, **shown, "verdict": verdict})
    return rows
