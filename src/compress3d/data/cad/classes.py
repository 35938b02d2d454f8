"""Classes of the furniture models, by the rules in classes.txt. Checked by eye, on contact sheets of every class."""

from __future__ import annotations

import functools
import re
from importlib import resources

OTHER = "other"
_ANIMALS = r"dog|cat|horse|chicken|rabbit|deer"


def classify(name: str, title: str, shelf: str = "") -> str:
    """The class of a model: ShapeNet's word ("chair"), a further class ("bed"), or "other".

    Args:
        name, title: its id in the library, such as "bathroom_vanity", and its English name.
        shelf: the library's own category; "Characters" are people and animals.

    Example:
        >>> classify("armchair7", "Armchair"), classify("kitchenIsland", "Kitchen island")
        ('chair', 'cabinet')
    """
    exact, patterns = _rules()
    if name in exact:
        return exact[name]
    title = title.lower()
    if shelf == "Characters":
        return "animal" if re.search(_ANIMALS, title) else "human"
    return next((category for pattern, category in patterns if pattern.search(title)), OTHER)


@functools.cache
def _rules() -> tuple[dict[str, str], list[tuple[re.Pattern, str]]]:
    """Exact ids, and patterns in order."""
    exact, patterns = {}, []
    for line in resources.files(__package__).joinpath("classes.txt").read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        rule, category = line.rsplit(" ", 1)
        if rule.startswith("/"):
            patterns.append((re.compile(rule[1:-1]), category))
        else:
            exact[rule] = category
    return exact, patterns
