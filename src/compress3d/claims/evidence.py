"""What a check may look at, and how it registers itself under the id of its claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from compress3d import results
from compress3d.claims.rules import Answer, Missing


@dataclass(frozen=True)
class Evidence:
    """Results of one scale. A system adds what its own checks need in a subclass.

    Attributes:
        scale: "smoke", "demo" or "paper".
        found: experiment id -> contents, as `results.load_all(scale)` gives them.
    """

    scale: str
    found: Mapping[str, dict]

    @classmethod
    def load(cls, scale: str) -> Evidence:
        """Everything that lies under `results/`."""
        return cls(scale, results.load_all(scale))

    def results(self, name: str, remedy: str = "") -> dict:
        """Results of an experiment or a study, named without its scale, such as "implicit-r384-s0".

        Missing is raised where there are none; `remedy` says what makes them, if not `compress3d sweep`.
        """
        key = f"{self.scale}/{name}"
        if key not in self.found:
            raise Missing(remedy or f"run compress3d sweep --scale {self.scale} --only {name}")
        return self.found[key]


Check = Callable[[Any], Answer]


class Checks(dict[str, Check]):
    """Checks, which are handed `evidence`, of a document of `book/claims.yml` by id; as a decorator, it registers one.

    Example:
        >>> claim = Checks("example1999")
        >>> @claim("something-is-better")
        ... def something_is_better(evidence):
        ...     return "reproduced", "by a lot"
        >>> list(claim), DOCUMENTS.pop("example1999") is claim
        (['something-is-better'], True)
    """

    def __init__(self, document: str, evidence: type[Evidence] = Evidence):
        super().__init__()
        self.document, self.evidence = document, evidence
        DOCUMENTS[document] = self

    def __call__(self, claim_id: str) -> Callable[[Check], Check]:
        def register(check: Check) -> Check:
            if claim_id in self:
                raise ValueError(f"two checks of claim {claim_id!r}")
            self[claim_id] = check
            return check

        return register


DOCUMENTS: dict[str, Checks] = {}
