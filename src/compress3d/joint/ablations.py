"""What the paper leaves open, settled by short runs that differ in one setting each.

All of them share one schedule, shorter than that of the figures: they say which reading does better after the same
few steps, not how good either can get.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from compress3d import results
from compress3d.errors import DataError
from compress3d.metrics import Difference

SHOWN_RATES = (384, 192, 96, 48)
MISSING = "not run yet"


@dataclass(frozen=True)
class Question:
    """Two readings of one sentence of the paper, each a run.

    Attributes:
        asks: the question, in few words.
        where: place in the paper.
        first, second: names of the readings; the first one is what the runs of the figures use.
        first_run, second_run: run ids without scale, steps and seed, such as "direct" and "direct-mean".
        metric: "iou" (higher is better) or "picture_loss" (lower is better): a point's list over objects.
    """

    asks: str
    where: str
    first: str
    second: str
    first_run: str
    second_run: str
    metric: str = "iou"


QUESTIONS = (
    *(
        Question("a fully connected layer before the code?", "Sec. 3.3", "R1: none", "R2: one", name, f"{name}-fc")
        for name in ("implicit-r384", "implicit-r48")
    ),
    Question(
        "how do N codes reach the 3D LSTM?",
        "Sec. 3.2",
        "D1: in turn",
        "D2: side by side",
        "direct",
        "direct-concatenated",
    ),
    *(
        Question("L_comp over views", "Eq. 16", "sum", "mean", name, f"{name}-mean")
        for name in ("sequential", "direct")
    ),
    Question("gamma", "Eq. 10", "additive", "one-shot", "small", "small-oneshot", "picture_loss"),
    Question("gamma", "Eq. 10", "additive", "one-shot", "sequential", "sequential-oneshot"),
    *(
        Question(f"N in training, N_{name}", "appendix", "random", "constant", name, f"{name}-r48", "picture_loss")
        for name in ("small", "original")
    ),
)


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
    rows = []
    for question in QUESTIONS:
        try:
            first, second = (
                _by_rate(results.load(run_id(name, scale, steps))["points"], question.metric)
                for name in (question.first_run, question.second_run)
            )
        except DataError:
            rows.append({"question": question, "rate": None, "verdict": MISSING})
            continue
        for rate in [rate for rate in SHOWN_RATES if rate in first and rate in second]:
            change = Difference.of(
                second[rate],
                first[rate],
                first=question.second,
                second=question.first,
                lower_is_better=question.metric != "iou",
            )
            rows.append(
                {
                    "question": question,
                    "rate": rate,
                    "first": fmean(first[rate]),
                    "second": fmean(second[rate]),
                    "difference": change.mean,
                    "low": change.low,
                    "high": change.high,
                    "verdict": change.better or "no difference shown",
                }
            )
    return rows


def _by_rate(points: list[dict], metric: str) -> dict[int, list[float]]:
    return {round(point["rate"]): point[metric] for point in points}
