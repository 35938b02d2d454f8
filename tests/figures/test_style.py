"""Titles of methods find the colour of their model."""

import pytest

from compress3d.figures import style


def test_titles_find_their_models():
    got = style.body_colours(["ground truth", "JPEG 2000 48:1", "implicit 384:1", "uncompressed"])
    assert list(got.values()) == [style.body_colour(m) for m in ("truth", "jpeg2000", "implicit", "uncompressed")]
    assert len(set(got.values())) == 4


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
