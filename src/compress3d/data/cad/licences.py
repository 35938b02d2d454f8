"""Licence names from the texts that come with models. A text that asks for more than a credit is never CC-BY."""

from __future__ import annotations

import html
import re

#: The first pattern that matches decides; the restricted licences come first.
_PATTERNS = [
    (r"by-nc|noncommercial|non-commercial", "CC-BY-NC"),
    (r"by-sa|share ?alike", "CC-BY-SA"),
    (r"by-nd|noderiv|no derivative", "CC-BY-ND"),
    (r"creative commons zero|publicdomain/zero|choose/zero|\bcc-?0\b", "CC0-1.0"),
    (r"by/4\.0|attribution 4\.0", "CC-BY-4.0"),
    (r"by/3\.0/us|attribution 3\.0 united states", "CC-BY-3.0-US"),
    (r"by/3\.0|attribution 3\.0", "CC-BY-3.0"),
    (r"free art licen[sc]e|artlibre\.org", "Free-Art-1.3"),
    (r"general public licen[sc]e|\bgpl\b", "GPL-2+"),
]


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
    for part in ([released[0]] if released else []) + [text]:
        for pattern, name in _PATTERNS:
            if re.search(pattern, part):
                return name
    return ""


def copyright_holders(text: str) -> str:
    """The names after "Copyright <year>" in a text, each once, joined by commas; "" where there are none.

    Example:
        >>> copyright_holders("Copyright 2000  Andrea Alfieri (a@b.it)")
        'Andrea Alfieri'
    """
    names = re.findall(r"copyright\W+(?:\(c\)\W*)?\d{4}(?:[-, ]+\d{4})*\W+([^\n\r<(,]+)", text, re.IGNORECASE)
    return ", ".join(dict.fromkeys(name.strip(" .:") for name in names if name.strip(" .:")))
