"""Files of the built pages: every link leads somewhere, every page is light, warnings stop the build."""

import re
from urllib.parse import unquote

import pytest

from compress3d import paths
from compress3d.errors import DataError
from tools import book_build, headline
from tools.book_build import BuildError

PAGE_BYTES = 1_500_000
LINK = re.compile(r'(?:href|src)="([^"]*)"')


def local_links(text):
    for link in LINK.findall(text):
        if link and not link.startswith(("http:", "https:", "mailto:", "data:", "javascript:", "#")):
            yield unquote(link.replace("&amp;", "&"))


def broken_links(html):
    """(page, link) for every link to a file or an anchor that is not there."""
    found = []
    for page in sorted(html.rglob("*.html")):
        if "_static" in page.parts:
            continue
        text = page.read_text(encoding="utf-8")
        own = [f"#{a}" for a in re.findall(r'href="#([^"]+)"', text)]
        for link in [*local_links(text), *own]:
            path, _, anchor = link.partition("#")
            path = path.split("?")[0]
            target = page if not path else (page.parent / path).resolve()
            if not target.is_file():
                found.append((page.name, link))
            elif anchor and target.suffix == ".html" and f'id="{anchor}"' not in target.read_text(encoding="utf-8"):
                found.append((page.name, link))
    return found


def page_weight(html, page):
    """Bytes of a page and of what it alone loads: its pictures. Scripts and styles are shared by all pages."""
    text = page.read_text(encoding="utf-8")
    pictures = {link for link in local_links(text) if "_images/" in link}
    return len(text.encode()) + sum((page.parent / link).resolve().stat().st_size for link in pictures)


def test_links_of_the_two_pages(mini_book):
    assert broken_links(mini_book) == []


def test_broken_links_are_seen(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html">b</a><a href="#x">x</a><a href="a.html#y">y</a>')
    assert len(broken_links(tmp_path)) == 3


def numbers_of_formulas(html):
    """Page -> numbers that Sphinx gave to its formulas; the paper's numbers are set by MathJax, from \\tag."""
    pages = (page for page in sorted(html.rglob("*.html")) if "_static" not in page.parts)
    found = {page.name: re.findall(r'class="eqno">(\(\d+\))', page.read_text("utf-8")) for page in pages}
    return {name: numbers for name, numbers in found.items() if numbers}


def test_a_number_beside_a_formula_is_the_papers(real_book):
    """A label makes Sphinx count through the book: ours would read as the paper's Eq. 13, and 2 stand for its 10."""
    assert numbers_of_formulas(real_book) == {}


def test_a_number_of_sphinx_is_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<span class="eqno">(13)<a class="headerlink" href="#x">#</a></span>\\(x \\tag{16}\\)'
    )
    assert numbers_of_formulas(tmp_path) == {"a.html": ["(13)"]}


def test_links_of_the_whole_book(real_book):
    assert broken_links(real_book) == []


def test_no_page_is_heavy(real_book):
    heavy = {
        p.name: w
        for p in real_book.rglob("*.html")
        if "_static" not in p.parts and (w := page_weight(real_book, p)) > PAGE_BYTES
    }
    assert heavy == {}


def test_scripts_are_there_once_and_need_no_network(mini_book):
    static = mini_book / "_static"
    assert (static / "plotly.min.js").is_file() and (static / "mathjax/es5/tex-mml-chtml.js").is_file()
    text = (mini_book / "page.html").read_text(encoding="utf-8")
    tags = re.findall(r'<script[^>]*src="([^"]*)"', text)
    assert not [tag for tag in tags if tag.startswith("http")], "a script from a CDN"
    assert not [tag for tag in tags if "plotly.min.js" in tag], "plotly.js is loaded by pages that have no figure"
    assert text.count("THEBE_JS_URL") == 0
    assert "<script" in text and len(text) < 150_000


def test_toc_names_pages_that_exist():
    assert book_build.missing_pages(paths.root() / "_toc.yml", paths.book()) == []


def test_every_page_is_in_the_toc():
    named = set(book_build.toc_entries(paths.root() / "_toc.yml"))
    book = paths.book()
    pages = {p.relative_to(book).with_suffix("").as_posix() for end in ("*.md", "*.ipynb") for p in book.rglob(end)}
    assert pages - named == set()


def test_missing_pages_are_named(tmp_path):
    toc = tmp_path / "toc.yml"
    toc.write_text(
        "format: jb-book\nroot: index\nparts:\n- caption: A\n  chapters:\n  - file: a\n    sections:\n    - file: b\n"
    )
    (tmp_path / "index.md").touch()
    (tmp_path / "b.ipynb").touch()
    assert book_build.toc_entries(toc) == ["index", "a", "b"]
    assert book_build.missing_pages(toc, tmp_path) == ["a"]


def test_a_warning_stops_the_build(tmp_path):
    stage = tmp_path / "stage"
    (stage / "assets").mkdir(parents=True)
    for name in ("logo.svg",):
        (stage / "assets" / name).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (stage / "references.bib").write_text("")
    (stage / "index.md").write_text("# Title\n\n[nowhere](nothing.md)\n")
    (stage / "_package/compress3d").mkdir(parents=True)
    (stage / "_package/compress3d/__init__.py").write_text('"""Empty."""')
    toc = tmp_path / "_toc.yml"
    toc.write_text("format: jb-book\nroot: index\n")
    with pytest.raises(BuildError, match="nothing.md"):
        book_build.render(stage, paths.root() / "_config.yml", toc, tmp_path / "pages")


def test_placeholder_only_where_there_are_no_results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    (tmp_path / "results").mkdir()
    assert headline.write(tmp_path / "assets") is False
    assert headline.WAITING in (tmp_path / "assets/headline-light.svg").read_text()
    (tmp_path / "results/manifest.json").write_text("{}")
    with pytest.raises(DataError, match="uncompressed"):
        headline.write(tmp_path / "assets")
