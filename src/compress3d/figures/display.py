"""Plotly figures that work in a book read from disk, in JupyterLab and in a saved HTML page, all of them offline.

plotly's own renderers yield a type that book builders skip, or ask a CDN for plotly.js, or put 4.8 MB of it into each
file; all use random ids, so that no output is the same twice. `show` makes a small fragment instead: a `div` with the
figure's JSON, under an id that is a hash of it. The book serves plotly.js once and draws the fragments
(book/assets/plotly-book.js). Outside the book the same fragment stands in a frame that brings its scripts.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
from dataclasses import dataclass
from typing import Any

from compress3d import paths
from compress3d.errors import ConfigError

BOOK_VARIABLE = "COMPRESS3D_BOOK"  # set while notebooks are executed for the book or compared by nbval

SCRIPTS = ("plotly-book.js", "voxel-viewer.js")  # in this order, after plotly.js
# The style sheet of the book takes its colours from the theme; outside it they are said, for light and dark.
COLOURS = """
:root { color-scheme: light dark; --pst-color-border: #c9ced6; --pst-color-surface: #f3f4f5;
  --pst-color-text-base: #222832; --pst-color-text-muted: #48566b; --pst-color-primary: #0a7d91; --page: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --pst-color-border: #48566b; --pst-color-surface: #29313d;
  --pst-color-text-base: #ced6dd; --pst-color-text-muted: #9ca4af; --pst-color-primary: #3fb1c5; --page: #14181e; } }
*, *::before, *::after { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--pst-color-text-base); background: var(--page); }
"""
# A frame is as tall as what is in it.
_FIT = """new ResizeObserver(function () {
  if (window.frameElement) frameElement.style.height = document.documentElement.offsetHeight + 2 + "px";
}).observe(document.documentElement);"""


def in_book() -> bool:
    """True while notebooks are executed for the book; False in a live Jupyter session."""
    return os.environ.get(BOOK_VARIABLE, "") not in ("", "0")


def document(title: str, body: str, style: str = "") -> str:
    """One HTML file with everything in it that draws fragments: it opens offline.

    Args:
        title: plain text.
        body: HTML with fragments, those of `Shown.html`.
        style: CSS after the book's.

    Raises:
        ConfigError: plotly is not installed, or the book's scripts are not there.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        remedy = "pip install 'compress3d[book]'"
        raise ConfigError("an interactive figure", f"needs the package {error.name}", remedy) from None
    scripts = [get_plotlyjs(), *map(_asset, SCRIPTS)]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_asset('compress3d.css')}{COLOURS}{style}</style>\n"
        + "".join(f"<script>{text}</script>\n" for text in scripts)
        + f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    path = paths.book() / "assets" / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(path, f"cannot be read ({error.strerror})", "restore it from git") from None


def framed(fragment: str, height: str = "450px") -> str:
    """A fragment outside the book: in a frame of its own, of `height` (CSS) until it is drawn."""
    page = document("figure", f"{fragment}<script>{_FIT}</script>", "body { margin: 0; }")
    return f'<iframe srcdoc="{html.escape(page)}" style="width:100%;height:{height};border:0"></iframe>'


@dataclass(frozen=True, repr=False)
class Shown:
    """What the book's scripts turn into a picture, as the last expression of a cell."""

    kind: str  # CSS class by which a script finds it, "plotly-book" or "voxel-viewer"
    payload: Any  # what the script needs, as JSON types
    words: str  # shown where no script runs (a notebook on GitHub, a printed page)
    width: str = "100%"  # CSS lengths, kept free before the figure is drawn, so that the page does not jump
    height: str = "430px"
    frame: str = "450px"  # height of the frame outside the book until the figure is drawn
    text: str = ""  # what Jupyter shows where there is no HTML; `words` where empty

    def html(self) -> str:
        """The book's fragment: the same payload gives the same bytes."""
        body = json.dumps(self.payload, sort_keys=True, separators=(",", ":")).replace("</", "<\\/")
        ident = hashlib.sha256(body.encode()).hexdigest()[:12]
        return (
            f'<div class="{self.kind}" id="fig-{ident}"'
            f' style="width:{self.width};max-width:100%;min-height:{self.height}">'
            f'<p class="figure-words">{html.escape(self.words)}</p>'
            f'<script type="application/json">{body}</script></div>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        shown = self.html() if in_book() else framed(self.html(), self.frame)
        return {"text/html": shown, "text/plain": self.text or self.words}


def show(figure, words: str = "An interactive figure: it draws in the built book.") -> Shown:
    """Show a plotly figure as the last expression of a cell: `show(voxels.voxel_figure(grid), "A chair.")`.

    Args:
        figure: `plotly.graph_objects.Figure`. At most 4 with 3D scenes a page: browsers keep 16 WebGL contexts.
        words: one sentence on what is to be seen, for readers without scripts.
    """
    import plotly.io

    payload = json.loads(plotly.io.to_json(figure, validate=False))
    layout = payload.get("layout", {})
    width = f"{layout['width']}px" if layout.get("width") else "100%"
    return Shown("plotly-book", payload, words, width, f"{layout.get('height') or 450}px")
