"""Plotly figures that work in a book read from disk, offline.

plotly's own renderers do not serve here: the default one yields a type that the book builder skips in silence, the
"connected" one asks a CDN for plotly.js at every reading, and the "notebook" one puts 4.8 MB of it into each file.
All of them use random ids, so a notebook never has the same output twice. `show` makes a small fragment instead: a
`div` with the figure's JSON, under an id that is a hash of it. The book serves plotly.js once and draws the fragments
(book/assets/plotly-book.js).
"""

from __future__ import annotations

import hashlib
import html
import json
import os
from typing import Any

BOOK_VARIABLE = "COMPRESS3D_BOOK"  # set while notebooks are executed for the book or compared by nbval


def in_book() -> bool:
    """True while notebooks are executed for the book; False in a live Jupyter session."""
    return os.environ.get(BOOK_VARIABLE, "") not in ("", "0")


def fragment(kind: str, payload: Any, width: str, height: str, words: str) -> str:
    """HTML that the book's scripts turn into a picture: the same payload gives the same bytes.

    Args:
        kind: CSS class by which a script finds it, "plotly-book" or "voxel-viewer".
        payload: what the script needs, as JSON types.
        width: CSS length.
        height: CSS length; kept free before the figure is drawn, so that the page does not jump.
        words: shown where no script runs (a notebook on GitHub, a printed page).
    """
    body = json.dumps(payload, sort_keys=True, separators=(",", ":")).replace("</", "<\\/")
    ident = hashlib.sha256(body.encode()).hexdigest()[:12]
    return (
        f'<div class="{kind}" id="fig-{ident}" style="width:{width};max-width:100%;min-height:{height}">'
        f'<p class="figure-words">{html.escape(words)}</p>'
        f'<script type="application/json">{body}</script></div>'
    )


class Shown:
    """What `show` returns: Jupyter asks it for the form it can display."""

    def __init__(self, figure, twin=None, words: str = "An interactive figure: it draws in the built book."):
        self.figure, self.twin, self.words = figure, twin, words

    def html(self) -> str:
        """The book's fragment."""
        import plotly.io

        payload = json.loads(plotly.io.to_json(self.figure, validate=False))
        layout = payload.get("layout", {})
        width = f"{layout['width']}px" if layout.get("width") else "100%"
        height = f"{layout.get('height') or 450}px"
        return fragment("plotly-book", payload, width, height, self.words)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        if not in_book():  # plotly's own renderer knows how to draw in a live Jupyter page
            return self.figure._repr_mimebundle_()
        bundle = {"text/html": self.html(), "text/plain": self.words}
        if self.twin is not None:
            bundle["image/png"] = png(self.twin)
        return bundle


def show(figure, twin=None, words: str = "An interactive figure: it draws in the built book.") -> Shown:
    """Show a plotly figure: as the last expression of a cell.

    Args:
        figure: `plotly.graph_objects.Figure`. At most 4 with 3D scenes a page: browsers keep 16 WebGL contexts.
        twin: a matplotlib figure that says the same, stored beside it for readers without scripts.
        words: one sentence on what is to be seen, for readers without scripts.

    Example:
        >>> display.show(voxels.voxel_figure(grid), twin=voxels.voxel_picture(grid), words="A chair of 1,088 voxels.")
    """
    return Shown(figure, twin, words)


def png(figure) -> bytes:
    """A matplotlib figure as PNG; the figure is closed, so that Jupyter does not show it a second time."""
    import io

    import matplotlib.pyplot as plt

    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return stream.getvalue()
