"""What names and texts say of a model: its class, by the rules in classes.txt, its licence and its makers."""

from __future__ import annotations

import functools
import html
import re
from importlib import resources

OTHER = "other"
_ANIMALS = r"dog|cat|horse|chicken|rabbit|deer"
#: The first pattern that matches decides; a licence that asks for more than a credit is never taken for CC-BY.
_LICENCES = {
    r"by-nc|noncommercial|non-commercial": "CC-BY-NC",
    r"by-sa|share ?alike": "CC-BY-SA",
    r"by-nd|noderiv|no derivative": "CC-BY-ND",
    r"creative commons zero|publicdomain/zero|choose/zero|\bcc-?0\b": "CC0-1.0",
    r"by/4\.0|attribution 4\.0": "CC-BY-4.0",
    r"by/3\.0/us|attribution 3\.0 united states": "CC-BY-3.0-US",
    r"by/3\.0|attribution 3\.0": "CC-BY-3.0",
    r"free art licen[sc]e|artlibre\.org": "Free-Art-1.3",
    r"general public licen[sc]e|\bgpl\b": "GPL-2+",
}


def classify(name: str, title: str, shelf: str = "") -> str:
    """The class of a model: ShapeNet's word ("chair"), a further class ("bed"), or "other".

    Args:
        name, title: its id in the library, such as "bathroom_vanity", and its English name.
        shelf: the library's own category; "Characters" are people and animals.

    Example:
        >>> classify("armchair7", "Armchair"), classify("kitchenIsland", "Kitchen island")
        ('chair', 'cabinet')
    """
    rules, title = _rules(), title.lower()
    if name in rules:
        return rules[name]
    if shelf == "Characters":
        return "animal" if re.search(_ANIMALS, title) else "human"
    patterns = (rule for rule in rules if rule.startswith("/"))
    return next((rules[pattern] for pattern in patterns if re.search(pattern[1:-1], title)), OTHER)


@functools.cache
def _rules() -> dict[str, str]:
    """Classes by exact id or by a /pattern/, in order; checked by eye, on contact sheets of every class."""
    lines = resources.files(__package__).joinpath("classes.txt").read_text("utf-8").splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if line.strip() and not line.startswith("#"))


def read_licence(text: str) -> str:
    """The licence that a text names, as an SPDX-like identifier; "" where it names none.

    What follows "Released under" counts first: the rest of such files often speaks of licences in general.

    Example:
        >>> read_licence("Released under Creative Commons Zero (Public Domain)")
        'CC0-1.0'
    """
    text = html.unescape(re.sub(r"<(?:a\s[^>]*href=\"([^\"]*)\"[^>]*|[^>]*)>", r" \1 ", text))
    text = re.sub(r"\s+", " ", text).lower()
    released = re.search(r"released under(?:[^.]|\.(?! )){0,160}", text)  # to the end of the sentence
    parts = (released[0] if released else "", text)
    return next((name for part in parts for pattern, name in _LICENCES.items() if re.search(pattern, part)), "")


def copyright_holders(text: str) -> str:
    """The names after "Copyright <year>" in a text, each once, joined by commas; "" where there are none."""
    names = re.findall(r"copyright\W+(?:\(c\)\W*)?\d{4}(?:[-, ]+\d{4})*\W+([^\n\r<(,]+)", text, re.IGNORECASE)
    return ", ".join(dict.fromkeys(name.strip(" .:") for name in names if name.strip(" .:")))
