"""What names and texts say of a model: its class, by the rules in classes.txt, its licence and its makers."""

from __future__ import annotations

import functools
import html
import re
from importlib import resources

OTHER = "other"


def classify(name: str, title: str, shelf: str = "") -> str:
    """The class of a model by its id, English name and shelf in a library: ShapeNet's word, a further one, or "other".

    Example:
        >>> classify("armchair7", "Armchair"), classify("kitchenIsland", "Kitchen island")
        ('chair', 'cabinet')
    """
    title = title.lower()
    if name in _rules("classes.txt"):
        return _rules("classes.txt")[name]
    if shelf == "Characters":
        return "animal" if re.search("dog|cat|horse|chicken|rabbit|deer", title) else "human"
    return _match("classes.txt", title) or OTHER


@functools.cache
def _rules(file: str) -> dict[str, str]:
    """Names by exact id or by a /pattern/, in order; classes were checked by eye, on contact sheets of every class."""
    lines = resources.files(__package__).joinpath(file).read_text("utf-8").splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if line.strip() and not line.startswith("#"))


def _match(file: str, text: str) -> str:
    """The name of the first pattern of a file that is found in a text, or ""."""
    rules = _rules(file).items()
    return next((name for rule, name in rules if rule.startswith("/") and re.search(rule[1:-1], text)), "")


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
    return _match("licences.txt", released[0] if released else "") or _match("licences.txt", text)


def copyright_holders(text: str) -> str:
    """The names after "Copyright <year>" in a text, each once, joined by commas; "" where there are none."""
    names = re.findall(r"copyright\W+(?:\(c\)\W*)?\d{4}(?:[-, ]+\d{4})*\W+([^\n\r<(,]+)", text, re.IGNORECASE)
    return ", ".join(dict.fromkeys(name.strip(" .:") for name in names if name.strip(" .:")))
