"""One HTML file with everything in it: the voxels to turn, the pictures the network saw, and what was done to each.

The viewer is the book's (figures/viewer.py and its scripts); plotly.js is in the file, so that it opens offline.
"""

from __future__ import annotations

import html
from pathlib import Path

from compress3d import paths
from compress3d.errors import ConfigError
from compress3d.figures import display
from compress3d.photos.confidence import Assessment
from compress3d.photos.reconstruction import Reconstruction

SCRIPTS = ("plotly-book.js", "voxel-viewer.js")  # in this order, after plotly.js
# The style sheet of the book takes its colours from the theme; here they are said, for light and dark.
_COLOURS = """
:root { color-scheme: light dark; --pst-color-border: #c9ced6; --pst-color-surface: #f3f4f5;
  --pst-color-text-base: #222832; --pst-color-text-muted: #48566b; --pst-color-primary: #0a7d91;
  --page: #ffffff; --doubt: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --pst-color-border: #48566b; --pst-color-surface: #29313d;
  --pst-color-text-base: #ced6dd; --pst-color-text-muted: #9ca4af; --pst-color-primary: #3fb1c5; --page: #14181e;
  --doubt: #ff8a80; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--pst-color-text-base); background: var(--page);
  max-width: 62rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } table { border-collapse: collapse; font-size: 0.85rem; }
td { padding: 0.3rem 0.8rem 0.3rem 0; vertical-align: top; border-top: 1px solid var(--pst-color-border); }
.doubt { color: var(--doubt); }
.viewer-views { flex: 0 0 170px; flex-flow: row wrap; align-content: start; max-height: 400px; overflow-y: auto; }
.viewer-rows { max-height: 400px; overflow-y: auto; justify-content: start; flex-wrap: nowrap; }
"""


def page(found: Reconstruction, assessment: Assessment, title: str) -> str:
    """The file's text.

    Raises:
        ConfigError: plotly or matplotlib is not installed, or the book's scripts are not there.
    """
    try:
        import plotly

        payload = _payload(found, assessment, title)
    except ImportError as error:
        remedy = "pip install 'compress3d[book]', or write .glb, .obj or .npz"
        raise ConfigError("an .html viewer", f"needs the package {error.name}", remedy) from None
    library = Path(plotly.__file__).parent / "package_data/plotly.min.js"
    scripts = [library.read_text(encoding="utf-8"), *(_asset(name) for name in SCRIPTS)]
    words = f"{int(found.occupancy.sum()):,} voxels to turn, drawn by a script."
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{len(found.photos)} photographs, sent at {found.setting.rate:g}:1, rebuilt by {found.run.id}.</p>",
        f"<p{' class=doubt' if assessment.reasons else ''}>{html.escape(assessment.sentence)}"
        f" Mean voxel confidence: {assessment.confidence:.2f}.</p>",
        display.fragment("voxel-viewer", payload, "100%", "430px", words),
        "<h2>The photographs</h2>",
        "<table>",
        *(
            f"<tr><td>{html.escape(photo.line)}"
            + "".join(f'<br><span class="doubt">{html.escape(warning)}</span>' for warning in photo.warnings)
            + "</td></tr>"
            for photo in found.photos
        ),
        "</table>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_asset('compress3d.css')}{_COLOURS}</style>\n"
        + "".join(f"<script>{text}</script>\n" for text in scripts)
        + "</head>\n"
        "<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _payload(found: Reconstruction, assessment: Assessment, title: str) -> dict:
    from compress3d.figures.viewer import Shape, viewer
    from compress3d.joint.style import body_colour, label

    method = f"{label(found.run.model.name)} {found.setting.rate:g}:1"
    views = [photo.image for photo in found.photos]
    decoded = {} if found.received is None else {method: list(found.received)}
    note = f"{int(found.occupancy.sum()):,} voxels, mean voxel confidence {assessment.confidence:.2f}"
    shape = Shape(title, {method: found.occupancy}, views, {method: note}, decoded=decoded)
    return viewer([shape], {method: body_colour(found.run.model.name)}).payload


def _asset(name: str) -> str:
    path = paths.book() / "assets" / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(path, f"cannot be read ({error.strerror})", "restore it from git, or write .glb") from None
