"""The built site: nothing is warned about, no link is broken, nothing is fetched from elsewhere, and it stays small."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest

from chapters.site import annotated, api, build, listings, sources
from minidet.experiments import claims
from tests.site import browser

pytestmark = pytest.mark.slow

WHAT_IT_NEEDS = ("sphinx", "myst_nb", "furo", "mathjax")
MISSING = [name for name in WHAT_IT_NEEDS if find_spec(name) is None]
needs_sphinx = pytest.mark.skipif(MISSING != [], reason=f"not installed: {MISSING}: pip install 'minidet[site]'")
LARGEST = 25_000_000
"""Bytes of the whole site."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    with warnings.catch_warnings():  # Python's, of Sphinx's extensions about each other; Sphinx's own are errors
        warnings.simplefilter("ignore")
        build.site(out)
    return out


def attributes(page: Path, name: str) -> set[str]:
    """What an attribute says anywhere in a page."""
    return set(re.findall(rf'\s{name}="([^"]*)"', page.read_text(encoding="utf-8")))


@cache
def targets(page: Path) -> set[str]:
    return attributes(page, "id") | attributes(page, "name")


def broken(page: Path) -> list[str]:
    """Links of a page that lead to no file of the site, or to no place in it."""
    found = []
    for link in attributes(page, "href") | attributes(page, "src"):
        if re.match(r"https?:|mailto:|data:|javascript:", link):
            continue
        file, _, place = link.partition("#")
        path = (page.parent / unquote(file.partition("?")[0])).resolve() if file else page
        if not path.is_file() or (place and path.suffix == ".html" and unquote(place) not in targets(path)):
            found.append(link)
    return found


@needs_sphinx
def test_the_whole_site(site):
    pages = sorted(site.rglob("*.html"))
    names = {page.relative_to(site).as_posix() for page in pages}
    chapters = {f"chapters/{path.stem}.html" for path in (build.ROOT / "chapters").glob("*.ipynb")}
    assert chapters | {"index.html", "PAPER.html", "summary.html", "search.html", "play/iou.html"} <= names
    assert {str(page.relative_to(site)): links for page in pages if (links := broken(page))} == {}
    fetched = {source for page in pages for source in attributes(page, "src") if re.match("https?:|//", source)}
    assert fetched == set()
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < LARGEST


@needs_sphinx
@pytest.mark.skipif(browser.MISSING != "", reason=browser.MISSING or "-")
@pytest.mark.parametrize("width", browser.WIDTHS.values(), ids=browser.WIDTHS)
def test_pages_of_the_site_in_a_browser(site, width):
    with browser.browser() as chromium:
        for name in ("index", "chapters/06_focal_loss", "PAPER", "api/reference", "files/minidet/reference/losses.py"):
            with browser.opened(chromium, site / f"{name}.html", width) as (page, complaints):
                page.wait_for_timeout(1000)  # formulas are set after the page is loaded
                assert complaints == []
                assert not browser.scrolls_sideways(page), name
                if name == "chapters/06_focal_loss":
                    assert page.locator("mjx-container").count() > 10
                    assert page.frame_locator("iframe").locator("#value path").count() == 2


@needs_sphinx
def test_every_picture_of_the_book_has_words(site):
    """Those of a cell's output stand in its metadata, and would otherwise be the name of a file."""
    pictures = 0
    for page in sorted((site / "chapters").glob("*.html")):
        for image in re.findall(r"<img\s[^>]*>", page.read_text(encoding="utf-8")):
            words = "".join(re.findall(r'alt="([^"]*)"', image))
            assert len(words) > 10, (page.name, image)
            assert not words.endswith((".png", ".jpg", ".gif")), (page.name, image)
            pictures += 1
    assert pictures > 60


@needs_sphinx
@pytest.mark.skipif(browser.MISSING != "", reason=browser.MISSING or "-")
def test_no_line_of_a_chapter_is_cut_off_on_a_screen_of_1000_pixels(site):
    wide = """() => [...document.querySelectorAll("pre, .math")].filter(node => node.checkVisibility())
        .filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.innerText.slice(0, 60))"""
    pages = sorted((site / "chapters").glob("*.html"))
    with browser.browser() as chromium, browser.opened(chromium, pages[0], 1000) as (shown, _):
        for page in pages:
            shown.goto(page.resolve().as_uri())
            browser.wait_for_formulas(shown)
            assert shown.locator("mjx-container").count() == shown.locator(".math").count(), page.name
            assert shown.evaluate(wide) == [], page.name


@needs_sphinx
@pytest.mark.skipif(browser.MISSING != "", reason=browser.MISSING or "-")
def test_animations_hold_still_when_asked_to(site):
    with (
        browser.browser() as chromium,
        browser.opened(chromium, site / "chapters/04_matching.html", 1000) as (page, complaints),
    ):
        address = "document.querySelector('article img[src*=matching]').src"
        page.wait_for_selector("button.hold")
        assert page.evaluate(address).endswith("_images/matching.gif")
        page.get_by_role("button", name="Hold it still").click()
        assert page.evaluate(address).endswith("_static/stills/matching.png")
        page.get_by_role("button", name="Play the animation").click()
        assert page.evaluate(address).endswith(".gif")
        page.emulate_media(reduced_motion="reduce")
        page.wait_for_function(f"{address}.endsWith('.png')")
        page.wait_for_function("document.querySelector('article img[src*=matching]').naturalWidth > 100")
        assert complaints == []


def test_pictures_of_the_book_come_along(tmp_path):
    """They stay pictures, and stand where the page looks for them."""
    text = "![a curve](../figures/results/learning.png) and [a link](../figures/results/learning.png)"
    page, shown = Path("chapters/x.ipynb"), set()
    assert sources.within(text, page, page, shown).startswith("![a curve](../figures/results/learning.png) and <a ")
    sources.copy_pictures(text, page, tmp_path)
    copied = tmp_path / "figures" / "results" / "learning.png"
    assert copied.read_bytes() == (build.ROOT / "figures" / "results" / "learning.png").read_bytes()


def test_a_link_to_the_summary_leads_to_the_page_and_not_to_its_code():
    page, shown = Path("chapters/x.ipynb"), set()
    text = sources.within("[all](../figures/results/summary.html)", page, page, shown)
    assert text == '<a href="../summary.html">all</a>'
    assert shown == set()


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "there.html").write_text('<a id="here" href="#here"></a>')
    page = tmp_path / "page.html"
    page.write_text('<a href="there.html#here"><a href="there.html#gone"><img src="gone.png"><a href="https://x.org">')
    assert sorted(broken(page)) == ["gone.png", "there.html#gone"]


def test_a_link_to_a_name_leads_to_its_line():
    path = Path("minidet/reference/losses.py")
    text = (build.ROOT / path).read_text(encoding="utf-8").splitlines()
    line = int(listings.address(path, "`focal_loss_grad`").partition("#line-")[2])
    assert text[line - 1] == "def focal_loss_grad("
    assert listings.address(path, "`losses.py`") == listings.address(path) == "files/minidet/reference/losses.py.html"


def test_the_annotated_paper_has_every_claim_and_every_erratum():
    page = annotated.page()
    assert [claim.text for claim in claims.CLAIMS if api.escaped(claim.text) not in page] == []
    assert [title for title in annotated.errata().values() if title not in page] == []
    assert len(annotated.errata()) > 20


def test_what_the_annotated_paper_names_is_defined():
    text = (build.HERE / "annotated.md").read_text(encoding="utf-8")
    links = re.findall(r"\[(`\w+`)\]\(\.\./\.\./([\w/]+\.py)\)", text)
    assert len(links) > 30
    assert [link for link in links if "#line-" not in listings.address(Path(link[1]), link[0])] == []


def test_every_public_function_is_in_the_api_reference():
    page = api.package("reference", set())
    from minidet import reference

    assert [name for name in reference.__all__ if f"`{name}`" not in page] == []
    assert "- alpha: weight of the objects in \\[0, 1\\]" in page


@pytest.mark.subprocess
def test_without_sphinx_it_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['sphinx.cmd.build'] = None; from chapters.site import build; build.main()"
    run = subprocess.run([sys.executable, "-c", code], cwd=build.ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "pip install 'minidet[site]'" in run.stderr
