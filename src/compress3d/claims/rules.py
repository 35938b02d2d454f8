"""The words of a verdict, how a check says that something is missing, and the rules that verdicts share.

Verdicts: `REPRODUCED`, `PARTLY`, `CONTRADICTED` are decided by a rule from results. `NOT_RUN` waits for something that
can be run. `UNTESTABLE` is for what no run of ours can show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compress3d.metrics import Difference

REPRODUCED, PARTLY, CONTRADICTED = "reproduced", "partly", "contradicted"
NOT_RUN, UNTESTABLE = "not run", "not testable here"
UNDECIDED = "undecided"  # of orders of networks outside the scoreboard
VERDICTS = (REPRODUCED, PARTLY, CONTRADICTED, NOT_RUN, UNTESTABLE)

Answer = tuple[str, str]  # verdict, and our numbers in a sentence


class Missing(Exception):
    """A check needs results that are not there; `remedy` says how to get them."""

    def __init__(self, remedy: str):
        super().__init__(remedy)
        self.remedy = remedy


def above(differences: Iterable[Difference]) -> list[Difference]:
    """Those that are surely above 0."""
    return [d for d in differences if d.sign > 0]


def share_above(differences: Sequence[Difference]) -> str:
    """ "3 of 6": how many differences are surely above 0."""
    return f"{len(above(differences))} of {len(differences)}"


def judge(differences: Sequence[Difference]) -> str:
    """The usual rule for "is better": all surely above 0; partly where one is, or all means are above 0.

    Example:
        >>> judge([Difference(0.02, 0.01, 0.03), Difference(-0.02, -0.03, -0.01)])
        'partly'
    """
    sure = above(differences)
    return graded(len(sure) == len(differences), bool(sure) or all(d.mean > 0 for d in differences))


def judge_parts(parts: Iterable[bool]) -> str:
    """The rule for a claim of several parts: all hold, some do, none does."""
    parts = list(parts)
    return graded(all(parts), any(parts))


def graded(whole: bool, part: bool = False) -> str:
    """The verdict where the whole claim holds, where a part of it does, and where neither."""
    return REPRODUCED if whole else PARTLY if part else CONTRADICTED


def judge_trainings(difference: Difference, each: Iterable[float] = ()) -> str:
    """The rule for a published order of two networks: our mean difference shows it, and so does every training's.

    Example:
        >>> above = Difference(mean=0.02, low=0.01, high=0.03)
        >>> judge_trainings(above), judge_trainings(above, each=[0.05, -0.01])
        ('reproduced', 'undecided')
    """
    if not difference.sign or any(d * difference.sign <= 0 for d in each):
        return UNDECIDED
    return REPRODUCED if difference.sign > 0 else CONTRADICTED
