"""One HTML file with everything in it: the voxels to turn, the pictures the network saw, and what was done to each.

The viewer is the book's (figures/viewer.py and its scripts); plotly.js is in the file, so that it opens offline.
"""

from __future__ import annotations

import html

from compress3d.errors import ConfigError
from compress3d.figures import display
from compress3d.photos.confidence import Assessment
from compress3d.photos.reconstruction import Reconstruction

_STYLE = """
:root { --doubt: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --doubt: #ff8a80; } }
body { max-width: 62rem; margin: 1.5rem auto; padding: 0 1rem; }
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
        payload = _payload(found, assessment, title)
    except ImportError as error:
        remedy = "pip install 'compress3d[book]', or write .glb, .obj or .npz"
        raise ConfigError("an .html viewer", f"needs the package {error.name}", remedy) from None
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
    return display.document(title, "\n".join(body), _STYLE)


def _payload(found: Reconstruction, assessment: Assessment, title: str) -> dict:
    from compress3d.figures.viewer import Shape, viewer
    from compress3d.joint.style import body_colour, label

    method = f"{label(found.run.model.name)} {found.setting.rate:g}:1"
    views = [photo.image for photo in found.photos]
    decoded = {} if found.received is None else {method: list(found.received)}
    note = f"{int(found.occupancy.sum()):,} voxels, mean voxel confidence {assessment.confidence:.2f}"
    shape = Shape(title, {method: found.occupancy}, views, {method: note}, decoded=decoded)
    return viewer([shape], {method: body_colour(found.run.model.name)}).payload
