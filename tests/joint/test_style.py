"""Titles of methods find the colour of their model."""

import pytest

from compress3d.joint import style


def test_titles_find_their_models():
    got = style.body_colours(["ground truth", "JPEG 2000 48:1", "implicit 384:1", "uncompressed"])
    assert list(got.values()) == [style.body_colour(m) for m in ("truth", "jpeg2000", "implicit", "uncompressed")]
    assert len(set(got.values())) == 4
    assert style.body_colours([("JPEG 2000", "48:1"), "5 x 8 bytes"]) == {
        ("JPEG 2000", "48:1"): style.body_colour("jpeg2000"), "5 x 8 bytes": style.body_colour("no such model")
    }  # fmt: skip


def test_lines_change_on_dark_pages_where_they_must():
    changed = {model for model in style.LOOKS if style.colour(model, dark=True) != style.colour(model)}
    assert changed == {"implicit", "jpeg2000"}
    assert style.label("jpeg2000") == "JPEG 2000" and style.label("gru-3") == "gru-3"


def luminance(colour):
    """Relative luminance of "#rrggbb" as WCAG 2 defines it."""
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("model", ["small", "original"])
@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
def test_lines_of_compression_networks_read_on_both_pages(model, page):
    light, dark = sorted((luminance(style.colour(model)), luminance(page)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG's least contrast of graphics
