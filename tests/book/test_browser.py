"""Built pages in a real browser: figures draw, light and dark, and nobody outside is asked for anything."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from compress3d import paths
from compress3d.figures import viewer, voxels

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser, mini_book):
    with browser.Server(mini_book) as server:
        yield browser.visit(f"{server.address}/page.html")


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


# Of each displayed formula what is cut off on each side, in pixels. What lies left of the edge of a box that scrolls,
# when it is scrolled to its start, can never be seen; nor what a box hides above and below.
CUT = """Array.from(document.querySelectorAll('mjx-container[display="true"]'), formula => {
  const clips = [];
  for (let box = formula; box !== document.body; box = box.parentElement)
    if (getComputedStyle(box).overflowX !== "visible") { box.scrollLeft = 0; clips.push(box); }
  const edges = clips.map(box => box.getBoundingClientRect()), signs = [];
  for (const sign of formula.querySelectorAll("mjx-mi, mjx-mo, mjx-mn, mjx-mtext")) {
    const edge = sign.getBoundingClientRect();
    if (edge.width) signs.push(edge);
  }
  const of = (boxes, side) => boxes.map(box => box[side]), all = Math.max;
  return {text: formula.textContent.slice(0, 40), signs: signs.length,
          left: all(...of(edges, "left")) - Math.min(...of(signs, "left")),
          above: all(...of(edges, "top")) - Math.min(...of(signs, "top")),
          below: all(...of(signs, "bottom")) - Math.min(...of(edges, "bottom")),
          page: document.documentElement.scrollWidth - innerWidth};
})"""
ERRORS = 'Array.from(document.querySelectorAll("mjx-merror"), e => e.dataset.mjxError || e.textContent)'
WIDTHS = (390, 1280)


def check_formulas(tab):
    """How many displayed formulas the page has: all of them set, and nothing of them out of reach."""
    assert tab.run(ERRORS) == [], tab.address
    found = tab.run(CUT)
    for formula in found:
        cut = {side: formula[side] for side in ("left", "above", "below", "page") if formula[side] > 1}
        assert formula["signs"] and not cut, f"{tab.address} at {tab.size[0]} px: {formula['text']} {cut}"
    return len(found)


@pytest.mark.parametrize("width", WIDTHS)
def test_formulas_keep_their_start_and_their_superscripts(browser, mini_book, width):
    with browser.Server(mini_book) as server, browser.tab(f"{server.address}/page.html", size=(width, 900)) as tab:
        assert check_formulas(tab) == 4


def test_a_lost_start_a_shaved_superscript_and_an_error_are_seen(browser, mini_book, tmp_path):
    """The theme's own layout, from right to left, and what `make` of Sphinx does to a tag: both turn the test red."""
    site = tmp_path / "html"
    shutil.copytree(mini_book, site)
    style = site / "_static/compress3d.css"
    rule = "div.math mjx-container"
    assert rule in style.read_text()
    page = (site / "page.html").read_text()
    with browser.Server(site) as server:
        style.write_text(style.read_text().replace(rule, "div.nothing mjx-container"))
        (site / "page.html").write_text(page.replace(r"\tag{16}", r"\tag{16}\tag{16}"))
        with browser.tab(f"{server.address}/page.html", size=(390, 900)) as tab:
            assert tab.run(ERRORS) and max(formula["left"] for formula in tab.run(CUT)) > 20
        style.write_text(style.read_text() + "div.math { height: 1em; overflow: hidden; }")
        with browser.tab(f"{server.address}/page.html", size=(390, 900)) as tab:
            assert max(max(formula["above"], formula["below"]) for formula in tab.run(CUT)) > 2


def test_the_viewer_has_its_controls(page):
    assert page.dom.count('role="radio"') == 2
    assert "<option" in page.dom and page.dom.count('class="viewer-view"') == 3


SIDE = 8
CUBES = {  # method -> side of the cube that it rebuilds: every one has other triangles
    ("ground truth", ""): 2,
    ("sequential", "48:1"): 3,
    ("sequential", "384:1"): 4,
    ("implicit", "48:1"): 5,
    ("implicit", "192:1"): 6,
    ("implicit", "480:1"): 7,
}
# Turns the object, then takes each step of [selector, text] and notes what is seen when that is drawn.
ACT = """(async () => {
  const box = document.querySelector(".voxel-viewer"), scene = box.querySelector(".viewer-scene"), log = [];
  const list = name => box.querySelector(`select[name=${name}]`);
  const texts = name => Array.from(list(name).options, option => option.text);
  function note() {
    log.push({ triangles: Number(box.dataset.triangles), drawn: scene.data[0].i.length,
               eye: scene._fullLayout.scene._scene.getCamera().eye.x,
               rates: texts("rate"), rate: texts("rate")[list("rate").value], rate_hidden: !list("rate").offsetParent,
               pictures: Array.from(box.querySelectorAll(".viewer-view"), image => image.src),
               words: box.querySelector(".viewer-views, .viewer-rows").innerText });
  }
  await Plotly.relayout(scene, { "scene.camera.eye": { x: 1.25, y: 0.5, z: -0.75 } });
  note();
  for (const [name, text] of STEPS) {
    list(name).value = texts(name).indexOf(text);
    list(name).dispatchEvent(new Event("change"));
    while (!box.dataset.drawn) await new Promise(r => setTimeout(r, 20));
    note();
  }
  return log;
})()"""
STEPS = [
    ("model", "implicit"),
    ("model", "ground truth"),
    ("model", "sequential"),
    ("rate", "48:1"),
    ("model", "implicit"),
    ("object", "second"),
]


def cube(side):
    grid = np.zeros((SIDE,) * 3, bool)
    grid[:side, :side, :side] = True
    return grid


def grey(level):
    return np.full((4, 4, 3), level, np.uint8)


@pytest.fixture(scope="module")
def flipped(browser, tmp_path_factory):
    """What is seen before and after each of `STEPS`, on a page with nothing but a viewer; and the page."""
    import plotly

    site = tmp_path_factory.mktemp("flip")
    for name in ("plotly-book.js", "voxel-viewer.js", "compress3d.css"):
        shutil.copy(paths.book() / "assets" / name, site)
    shutil.copy(Path(plotly.__file__).parent / "package_data/plotly.min.js", site)
    shapes = [
        viewer.Shape(
            name,
            {method: cube(side + more) for method, side in CUBES.items()},
            [grey(10 + more)],
            decoded={("sequential", rate): [grey(level + more)] for rate, level in (("48:1", 50), ("384:1", 90))},
            image_notes={("sequential", "48:1"): "L1 0.021"},
        )
        for name, more in (("first", 0), ("second", 1))
    ]
    body = viewer.viewer(shapes, chosen=("sequential", "384:1")).html()
    (site / "index.html").write_text(
        '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="compress3d.css">'
        f'<script src="plotly-book.js"></script><script src="voxel-viewer.js"></script>{body}'
    )
    with browser.Server(site) as server, browser.tab(f"{server.address}/index.html") as tab:
        return tab.run(ACT.replace("STEPS", json.dumps(STEPS))), tab.outside()


def test_flipping_model_and_rate_changes_the_mesh(flipped):
    sides = [4, 7, 2, 4, 3, 5, 6]  # 384 -> implicit's 480 is nearest; the truth has no rate; 480 -> 384; 48 is kept
    expected = [len(voxels.exposed_mesh(cube(side))[1]) for side in sides]
    log, _ = flipped
    assert [seen["triangles"] for seen in log] == expected
    assert [seen["drawn"] for seen in log] == expected


def test_the_rates_are_those_of_the_model(flipped):
    log, _ = flipped
    two, three = ["48:1", "384:1"], ["48:1", "192:1", "480:1"]
    assert [seen["rates"] for seen in log] == [two, three, [""], two, two, three, three]
    assert [seen["rate"] for seen in log] == ["384:1", "480:1", "", "384:1", "48:1", "48:1", "48:1"]
    assert [seen["rate_hidden"] for seen in log] == [n == 2 for n in range(7)]


def test_flipping_changes_the_pictures(flipped):
    log, _ = flipped
    levels = [[10, 90], [10], [10], [10, 90], [10, 50], [10], [11]]
    assert [seen["pictures"] for seen in log] == [[viewer.image_url(grey(v)) for v in row] for row in levels]
    for number, words in {1: viewer.NOTHING_DECODED, 2: viewer.NOTHING_SENT, 4: "L1 0.021"}.items():
        assert words in log[number]["words"]
    assert viewer.NOTHING_DECODED not in log[0]["words"]


def test_the_angle_stays(flipped):
    log, outside = flipped
    assert [round(seen["eye"], 3) for seen in log] == [1.25] * 7
    assert outside == []


def test_nothing_outside_is_asked(page):
    assert any("plotly.min.js" in url for url in page.asked), "the log of requests holds nothing"
    assert any("tex-mml-chtml.js" in url for url in page.asked)
    assert page.outside == []


def test_the_counter_of_requests_can_fail(browser, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text('<img src="http://outside.example/a.png"><p>x</p>')
    with browser.Server(tmp_path / "site") as server:
        found = browser.visit(f"{server.address}/index.html")
    assert found.outside == ["http://outside.example/a.png"]


def near(picture, rgb, tolerance=14):
    return (np.abs(picture.astype(int) - np.array(rgb)).max(axis=2) <= tolerance).sum()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_the_voxels_are_on_the_screen(browser, mini_book, scheme):
    with browser.Server(mini_book) as server:
        picture = browser.picture(f"{server.address}/page.html", scheme)
    ground = picture[5:100, 700:900].reshape(-1, 3).mean(axis=0)
    assert (ground.mean() < 60) == (scheme == "dark")
    for colour in ("#c03030", "#30a040"):
        painted = [near(picture, 255 * rgb) for rgb in voxels.shades(colour)]
        assert sum(count > 300 for count in painted) >= 3, f"{colour}: {painted}"  # three sides of a box are seen


def pages_of(html):
    return sorted(
        p for p in html.rglob("*.html") if "_static" not in p.parts and p.name not in ("genindex.html", "search.html")
    )


def test_every_page_of_the_whole_book_is_whole_and_stays_at_home(browser, real_book):
    """Each page once: light or dark, on a phone or on a screen. It is looked at when all of its figures are drawn."""
    figures = formulas = 0
    with browser.Server(real_book) as server:
        for number, file in enumerate(pages_of(real_book)):
            where = file.relative_to(real_book).as_posix()
            look = (browser.LIGHT, browser.DARK)[number % 2], (WIDTHS[number % 3 == 2], 900)
            with browser.tab(f"{server.address}/{where}", *look) as tab:
                formulas += check_formulas(tab)
                drawn = tab.run(f"Array.from(document.querySelectorAll('{browser.FIGURES}'), box => box.dataset.drawn)")
                assert tab.outside() == [], where
                assert "WebGL is not supported" not in tab.run("document.body.innerText"), where
            assert len(drawn) <= 4, f"{where} has {len(drawn)} scenes"
            assert all(drawn), where
            figures += len(drawn)
    assert figures >= 3 and formulas > 20


LIVE = """from compress3d.figures import display, voxels, viewer
import numpy as np
grid = np.zeros((16, 16, 16), bool)
grid[4:12, 6:8, 4:12] = True"""
IN_FRAMES = """(async () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) {
    frame.scrollIntoView();
    let box = null;
    while (!(box = frame.contentDocument && frame.contentDocument.querySelector(FIGURES)) || !box.dataset.drawn)
      await new Promise(r => setTimeout(r, 20));
    const inside = frame.contentDocument.documentElement;
    found.push([box.className.split(" ")[0], box.querySelectorAll("canvas").length > 0,
                inside.scrollHeight - inside.clientHeight]);
  }
  return found;
})()"""


def test_a_notebook_saved_by_nbconvert_draws_its_figures_offline(browser, tmp_path, monkeypatch):
    """As JupyterLab has it: a kernel that knows of no book, and outputs that bring their own scripts."""
    import nbformat
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import ExecutePreprocessor

    monkeypatch.delenv("COMPRESS3D_BOOK", raising=False)
    cells = [LIVE, "display.show(voxels.voxel_figure(grid))", 'viewer.viewer([viewer.Shape("a", {"m": grid})])']
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    ExecutePreprocessor(kernel_name="python3").preprocess(notebook, {"metadata": {"path": str(tmp_path)}})
    page = HTMLExporter().from_notebook_node(notebook)[0]
    page = re.sub(r"<script[^>]* src=.https?:[^>]*>\s*</script>", "", page)  # nbconvert's own, for formulas and widgets
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    with browser.Server(tmp_path) as server, browser.tab(f"{server.address}/page.html") as tab:
        found = tab.run(IN_FRAMES.replace("FIGURES", json.dumps(browser.FIGURES)))
    assert [kind for kind, _, _ in found] == ["plotly-book", "voxel-viewer"]
    assert all(drawn and hidden <= 2 for _, drawn, hidden in found), found


def test_the_first_page_shows_results_if_there_are_any(real_book):
    from compress3d import paths
    from tools import headline

    if not (paths.results() / "manifest.json").is_file():
        pytest.skip("there are no results yet")
    text = (real_book / "index.html").read_text(encoding="utf-8")
    assert headline.WAITING not in text
    payload = re.search(r'class="voxel-viewer".*?<script type="application/json">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(payload)["turn"] is True
