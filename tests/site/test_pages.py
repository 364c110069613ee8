"""The pages to play with, in a browser, from the file system: on a phone and a wide screen, by pointer and by keyboard.

Each test of a page reads numbers that it shows and compares them with those of `minidet.reference`.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

import numpy as np
import pytest

from chapters.site import build, glass, photographs
from minidet import reference
from minidet.config import AnchorConfig, RetinaNetConfig
from minidet.data import open_dataset
from minidet.experiments import published, results, tables
from minidet.files import write_text
from minidet.reference import average_precision as ap
from minidet.reference import stable
from minidet.reference.network import RetinaNet
from tests.site import browser

pytestmark = pytest.mark.slow

needs_browser = pytest.mark.skipif(browser.MISSING != "", reason=browser.MISSING or "-")
PAGES = sorted(path.stem for path in build.PLAY.glob("*.html"))


@pytest.fixture(params=browser.WIDTHS.values(), ids=browser.WIDTHS)
def open_page(request, chromium, folder):
    """Opens a page by name at one of the two widths; at the end nothing may have been complained about."""
    contexts = []

    def open_(name):
        context = browser.opened(chromium, folder / f"{name}.html", request.param)
        page, complaints = context.__enter__()
        contexts.append((context, page, complaints))
        return page

    yield open_
    for context, page, complaints in contexts:
        assert complaints == []
        assert not browser.scrolls_sideways(page)
        context.__exit__(None, None, None)


def number(page, selector: str) -> float:
    """The first number in an element."""
    return float(re.search(r"-?[\d.]+", page.inner_text(selector).replace(",", ""))[0])


def slide(page, selector: str, value: float) -> None:
    """Move a slider, as a browser tells the page about it."""
    page.locator(selector).evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value
    )


def drag(page, selector: str, x: float, y: float) -> None:
    """Drag the middle of an element by so many units of its picture."""
    unit = page.locator("#stage").evaluate("stage => stage.getScreenCTM().a")
    page.locator(selector).scroll_into_view_if_needed()
    where = page.locator(selector).bounding_box()
    at = where["x"] + where["width"] / 2, where["y"] + where["height"] / 2
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + x * unit, at[1] + y * unit, steps=3)
    page.mouse.up()


@needs_browser
def test_iou(open_page):
    page = open_page("iou")
    a, b = [60, 60, 220, 200], np.array([130, 100, 300, 250])
    assert number(page, "#iou") == round(reference.box_iou([a], [b])[0, 0], 3)
    drag(page, "[aria-label='Box B: lower right corner']", 40, -30)
    b = b + [0, 0, 40, -30]
    assert number(page, "#iou") == round(reference.box_iou([a], [b])[0, 0], 3)
    page.focus("[aria-label='Box B: move']")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowUp")
    b = b - [10, 1, 10, 1]
    assert number(page, "#iou") == round(reference.box_iou([a], [b])[0, 0], 3)


@needs_browser
@pytest.mark.parametrize(
    ("example", "mistake", "wrong"),
    [("apart, diagonally", "negative", "1.000"), ("no area", "nothing", "NaN"), ("touching", "inclusive", "0.059"),
     ("large", "half", "NaN")],
)  # fmt: skip
def test_the_mistakes_of_iou(open_page, example, mistake, wrong):
    page = open_page("iou")
    page.get_by_role("button", name=example).click()
    right = page.inner_text("#iou")
    assert page.inner_text("#wrong") == right
    page.check(f"#{mistake}")
    shown = page.inner_text("#wrong")
    assert shown != right
    assert (shown == wrong) or mistake == "negative"


@needs_browser
def test_the_focal_loss(open_page):
    page = open_page("focal_loss")
    for gamma, x in ((2, 1.4), (0.5, -3)):
        slide(page, "#gamma", gamma)
        slide(page, "#at", x)
        told = page.inner_text("#reading")
        logit, target = np.array([float(x)]), np.ones(1)
        for name in ("focal_loss", "focal_loss_grad", "focal_loss_hess"):
            value = getattr(reference, name)(logit, target, gamma, None)[0]
            shown = [float(part) for part in re.findall(r"-?\d+\.\d+(?:e-\d+)?", told)]
            assert np.isclose(value, shown, rtol=6e-3).any(), name  # three digits are shown
    shares, logits = page.inner_text("#shares"), np.array([stable.logit(10**-0.699), stable.logit(0.05)])
    for name in ("cross_entropy", "cross_entropy_grad"):  # chapter 5's arithmetic: 10,000 boxes and 10 objects
        easy, hard = np.abs(getattr(reference, name)(logits, [0, 1])) * [10_000, 10]
        assert f"background to objects {easy / hard:.3g} to 1" in shares
    page.focus("#gamma")
    page.keyboard.press("End")
    assert number(page, "output[for=gamma]") == 5


@needs_browser
def test_anchors(open_page):
    page = open_page("anchors")
    page.get_by_role("button", name="Three shapes").click()
    boxes = np.array([[30, 40, 94, 104], [120, 90, 230, 220], [150, 20, 200, 48]], float)

    def counts():
        assignment = reference.assign_pyramid((256, 256), boxes, AnchorConfig())
        return [int((assignment == k).sum()) for k in range(3)], int((assignment >= 0).sum())

    def shown():
        of_objects = [int(found) for found in re.findall(r": (\d+) anchor", page.inner_text("#objects"))]
        return of_objects, int(re.search(r"anchors (\d+) are", page.inner_text("#counts"))[1])

    assert shown() == counts()
    drag(page, "[aria-label='The disk: move']", 7, 5)
    boxes[0] += [7, 5, 7, 5]
    assert shown() == counts()
    page.focus("[aria-label='The bar: lower right corner']")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowLeft")
    assert "The bar: no anchor: it is never learnt" in page.inner_text("#objects")
    page.check("#force")
    assert "never learnt" not in page.inner_text("#objects")
    page.focus("[aria-label='The chosen cell']")
    page.keyboard.press("ArrowRight")
    assert "Row 6, column 5 of P4" in page.inner_text("#where")
    assert page.locator("#cell tr").count() == AnchorConfig().anchors_per_cell


@needs_browser
def test_anchors_over_a_photograph(open_page):
    page, data = open_page("anchors"), open_dataset(photographs.BLOOD, photographs.SPLIT)
    for i in range(len(data)):
        page.get_by_role("button", name=f"Photograph {i + 1}").click()
        boxes = data.record(i).boxes * (photographs.WIDTH / data.record(i).image_size[1])
        assignment = reference.assign_pyramid((192, 256), boxes, AnchorConfig())
        told = page.inner_text("#objects").strip().split("\n\n")
        wanted = [int((assignment == k).sum()) for k in range(len(boxes))]
        assert [int(re.search(r": (\d+|no) anchor", line)[1].replace("no", "0")) for line in told] == wanted
    assert page.locator("#stage image").evaluate("image => image.getBBox().width") == photographs.WIDTH
    address = page.locator("#stage image").get_attribute("href")
    assert (
        page.evaluate(
            "url => new Promise(done => { const i = new Image(); i.onload = () => done(i.width); i.src = url; })",
            address,
        )
        == 640
    )


@needs_browser
def test_suppression(open_page):
    page = open_page("nms")
    page.click("#next")
    assert page.inner_text("#told").startswith("A has the best score that is left and is kept; it drops B (IoU 0.63)")
    page.click("#end")
    with_classes = page.inner_text("#told")
    assert with_classes.endswith("Nothing is left: kept are A, F, D, E, H.")
    page.uncheck("#classes")
    assert page.inner_text("#told").endswith("Nothing is left: kept are A, F, E, H.")
    page.focus("#step")
    page.keyboard.press("Home")
    assert "Nothing is decided yet" in page.inner_text("#told")


@needs_browser
def test_average_precision(open_page):
    page = open_page("average_precision")
    scores, correct = np.array([0.97, 0.91, 0.8, 0.7, 0.62, 0.55, 0.45, 0.3]), np.isin(range(8), [0, 1, 4, 6])

    def value(points=101):
        return round(ap.average_precision(*ap.precision_recall(correct, scores, 5), points), 4)

    assert number(page, "#ap") == value()
    page.check("#right-C")
    correct[2] = True
    slide(page, "#score-B", 0.35)
    scores[1] = 0.35
    assert number(page, "#ap") == value()
    page.select_option("#points", "")
    assert number(page, "#ap") == value(None)


@needs_browser
def test_bets(open_page):
    page = open_page("guess")
    assert "34.0" not in page.inner_text("main")
    page.get_by_role("button", name="Bet on 2, 0.25").click()
    assert page.inner_text("#tally").startswith("1 right of 1 bet")
    shown = page.inner_text("section:nth-child(2)")
    assert "Right: in the paper the best is 2, 0.25." in shown
    assert all(f"{row.ap:.1f}" in shown for row in published.TABLE_1B.values())
    ours = results.load_results().score("1b/gamma=2")
    assert ours is None or f"{ours.mean:.1f}" in shown


@pytest.fixture(scope="module")
def seen():
    """The first picture of the glass detector's page: the reference's logits and detections, and its objects."""
    settings, arrays = glass.detector()
    config = RetinaNetConfig.from_dict({**settings["model"], "norm": "frozen"})
    net, sample = RetinaNet(config), glass.UNSEEN[glass.SHOWN[0]]
    net.load(arrays)
    x = ((sample.image / 255 - config.mean) / config.std).transpose(2, 0, 1)[None]
    return net.forward(x, training=False)[0], net.detect(x)[0], sample


@needs_browser
def test_the_glass_detector(open_page, seen):
    logits, found, sample = seen
    page = open_page("glass")
    page.wait_for_function("document.querySelector('#told').textContent.includes('objects found')")
    labels = page.locator("#stage text").all_text_contents()
    shown = [f"{glass.UNSEEN.classes[k]} {score:.2f}" for k, score in zip(found.classes, found.scores, strict=True)]
    assert sorted(labels) == sorted(shown[: (found.scores >= 0.35).sum()])
    assert page.inner_text("#told").startswith(f"{len(sample.boxes)} of {len(sample.boxes)} objects found")
    assert f"suppression kept {len(found.boxes)} of" in page.inner_text("#told")

    def classes():
        return [row.split("\t") for row in page.inner_text("#classes").split("\n")]

    anchor = logits[1][0, (2 * 8 + 4) * 9 + 5]
    assert [row[1] for row in classes()] == [f"{logit:.3f}" for logit in anchor]
    target = [row[0] for row in classes() if row[3] == "1"]
    assert target == ["cross"]
    assert f"by detection {shown.index('cross 0.61') + 1}, IoU" in next(
        row[6] for row in classes() if row[0] == "cross"
    )
    page.focus("[aria-label='The chosen cell']")
    page.keyboard.press("ArrowDown")
    assert "Row 4, column 5 of P4" in page.inner_text("#where")
    assert [row[1] for row in classes()] == [f"{logit:.3f}" for logit in logits[1][0, (3 * 8 + 4) * 9 + 5]]
    page.wait_for_function("document.querySelector('#sees').textContent.includes('pixels across')")


@needs_browser
def test_the_glass_detector_finds_what_is_drawn(open_page):
    page = open_page("glass")
    page.wait_for_function("document.querySelector('#told').textContent.includes('objects found')")
    page.get_by_role("button", name="Empty").click()
    assert page.inner_text("#told").startswith("0 of 0 objects found, 0 other boxes")
    page.select_option("#tool", "square")
    page.locator("#stage").scroll_into_view_if_needed()
    stage = page.locator("#stage").bounding_box()
    unit = stage["width"] / 128
    page.mouse.move(stage["x"] + 30 * unit, stage["y"] + 30 * unit)
    page.mouse.down()
    page.mouse.move(stage["x"] + 80 * unit, stage["y"] + 75 * unit, steps=3)
    page.mouse.up()
    assert page.inner_text("#told").startswith("1 of 1 objects found")
    page.select_option("#tool", "ring")
    page.click("#place")
    assert " of 2 objects found" in page.inner_text("#told")
    page.click("#undo")
    assert page.inner_text("#told").startswith("1 of 1 objects found")


@needs_browser
def test_the_boxes_settle_in_a_hundred_steps(chromium, folder):
    """Once for both widths, since the steps take long; the page must fit into either in the end."""
    with browser.opened(chromium, folder / "glass.html", browser.WIDTHS["desk"]) as (page, complaints):
        page.wait_for_function("document.querySelector('#told').textContent.includes('objects found')")
        page.click("#forget")
        assert page.inner_text("#told").startswith("0 of 6 objects found, 0 other boxes")
        page.click("#one")
        assert page.inner_text("#losses").startswith("Step 1:")
        page.click("#hundred")
        page.wait_for_function("document.querySelector('#losses').textContent.startsWith('Step 101:')", timeout=120_000)
        assert float(re.search(r"classification ([\d.]+)", page.inner_text("#losses"))[1]) < 0.05
        assert page.inner_text("#told").startswith("6 of 6 objects found")
        page.click("#shipped")
        assert page.is_disabled("#shipped")
        for width in browser.WIDTHS.values():
            page.set_viewport_size({"width": width, "height": 800})
            assert not browser.scrolls_sideways(page)
        assert complaints == []


@needs_browser
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_usable_by_everybody(chromium, folder, name):
    """axe-core's rules, in light and in dark: names, roles, contrast, headings."""
    if find_spec("axe_playwright_python") is None:
        pytest.skip("axe-playwright-python is not installed: pip install 'minidet[site]'")
    from axe_playwright_python.sync_playwright import Axe

    for dark in (False, True):
        with browser.opened(chromium, folder / f"{name}.html", browser.WIDTHS["phone"], dark) as (page, _):
            found = Axe().run(page).response["violations"]
            told = [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]
            assert told == []


@needs_browser
def test_the_index_leads_to_every_page(open_page):
    page = open_page("index")
    linked = page.locator("main a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert sorted(linked) == sorted(f"{name}.html" for name in PAGES if name != "index")


@needs_browser
def test_a_page_that_scrolls_sideways_or_fails_is_found(chromium, tmp_path):
    path = write_text(tmp_path / "wide.html", "<p style='width: 900px'>wide</p><script>nothing()</script>")
    with browser.opened(chromium, path, browser.WIDTHS["phone"]) as (page, complaints):
        assert browser.scrolls_sideways(page)
        assert complaints == ["nothing is not defined"]


def test_the_numbers_of_the_bets_are_those_of_the_experiments():
    text = build.guess_data()
    for name in build.GUESSED:
        assert f'"title": "{tables.TABLES[name].title}"' in text
    assert '"paper": 34.0' in text
