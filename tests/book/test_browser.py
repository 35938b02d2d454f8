"""Built pages in a real browser: figures draw, light and dark, and nobody outside is asked for anything."""

import json
import re

import numpy as np
import pytest

from compress3d.figures import voxels

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser, mini_book, tmp_path_factory):
    with browser.Server(mini_book) as server:
        yield browser.visit(f"{server.address}/page.html", tmp_path_factory.mktemp("visit"))


def box(dom, kind):
    return re.search(rf'<div class="{kind}[^"]*"[^>]*>', dom)[0]


def test_both_figures_draw(page):
    assert 'data-drawn="1"' in box(page.dom, "plotly-book"), "the plotly figure did not draw"
    assert 'data-drawn="1"' in box(page.dom, "voxel-viewer"), "the viewer did not draw"
    assert page.dom.count("<canvas") >= 2
    assert "WebGL is not supported" not in page.dom


def test_the_browsers_mesh_has_the_triangles_of_ours(page):
    grid = np.zeros((16, 16, 16), bool)
    grid[4:12, 6:8, 4:12] = grid[4:12, 8:15, 10:12] = True
    drawn = int(re.search(r'data-triangles="(\d+)"', box(page.dom, "voxel-viewer"))[1])
    assert drawn == len(voxels.exposed_mesh(grid)[1])


def test_mathematics_is_set(page):
    assert "mjx-container" in page.dom or "MathJax" in page.dom and "mjx-math" in page.dom


def test_the_viewer_has_its_controls(page):
    assert page.dom.count('role="radio"') == 2
    assert "<option" in page.dom and page.dom.count('class="viewer-view"') == 3


def test_nothing_outside_is_asked(page):
    assert any("plotly.min.js" in url for url in page.asked), "the log of requests holds nothing"
    assert any("tex-mml-chtml.js" in url for url in page.asked)
    assert page.outside == []


def test_the_counter_of_requests_can_fail(browser, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text('<img src="http://outside.example/a.png"><p>x</p>')
    with browser.Server(tmp_path / "site") as server:
        found = browser.visit(f"{server.address}/index.html", tmp_path)
    assert found.outside == ["http://outside.example/a.png"]


def near(picture, rgb, tolerance=14):
    return (np.abs(picture.astype(int) - np.array(rgb)).max(axis=2) <= tolerance).sum()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_the_voxels_are_on_the_screen(browser, mini_book, tmp_path, scheme):
    with browser.Server(mini_book) as server:
        picture = browser.picture(
            f"{server.address}/page.html", tmp_path, browser.DARK if scheme == "dark" else browser.LIGHT
        )
    ground = picture[5:100, 700:900].reshape(-1, 3).mean(axis=0)
    assert (ground.mean() < 60) == (scheme == "dark")
    for colour in ("#c03030", "#30a040"):
        painted = [near(picture, 255 * rgb) for rgb in voxels.shades(colour)]
        assert sum(count > 300 for count in painted) >= 3, f"{colour}: {painted}"  # three sides of a box are seen


def pages_of(html):
    return sorted(
        p for p in html.rglob("*.html") if "_static" not in p.parts and p.name not in ("genindex.html", "search.html")
    )


def test_every_page_of_the_whole_book_draws_and_stays_at_home(browser, real_book, tmp_path):
    """Light and dark: each page once in one of the two."""
    with browser.Server(real_book) as server:
        for number, file in enumerate(pages_of(real_book)):
            where = file.relative_to(real_book).as_posix()
            scheme = browser.DARK if number % 2 else browser.LIGHT
            found = browser.visit(f"{server.address}/{where}", tmp_path, scheme)
            assert found.outside == [], where
            for kind in ("plotly-book", "voxel-viewer"):
                boxes = re.findall(rf'<div class="{kind}[ "][^>]*>', found.dom)
                assert len(boxes) <= 4, f"{where} has {len(boxes)} scenes"
                undrawn = [b for b in boxes if 'data-drawn="1"' not in b]
                assert len(undrawn) < max(1, len(boxes)), f"{where}: none of its {kind} figures drew"
            assert "WebGL is not supported" not in found.dom, where


def test_the_first_page_shows_results_if_there_are_any(real_book):
    from compress3d import headline, paths

    if not (paths.results() / "manifest.json").is_file():
        pytest.skip("there are no results yet")
    text = (real_book / "index.html").read_text(encoding="utf-8")
    assert headline.WAITING not in text
    payload = re.search(r'class="voxel-viewer".*?<script type="application/json">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(payload)["turn"] is True
