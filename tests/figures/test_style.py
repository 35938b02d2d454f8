"""Titles of methods find the colour of their model."""

from compress3d.figures import style


def test_titles_find_their_models():
    got = style.body_colours(["ground truth", "JPEG 2000 48:1", "implicit 384:1", "uncompressed"])
    assert list(got.values()) == [style.body_colour(m) for m in ("truth", "jpeg2000", "implicit", "uncompressed")]
    assert len(set(got.values())) == 4
