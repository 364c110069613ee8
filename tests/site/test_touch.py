"""The pages to play with under a finger, by keyboard alone, with reduced motion and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from chapters.site import build
from tests.site import browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser.MISSING != "", reason=browser.MISSING or "-")]

PAGES = sorted(path.stem for path in build.PLAY.glob("*.html"))
PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True, "offline": True}
FINGERTIP = 24
"""CSS pixels: the smallest target that WCAG 2.2 (2.5.8) asks for."""


@contextmanager
def phone(chromium: Any, path: Any) -> Iterator[Any]:
    """A page on a telephone with a touch screen; nothing may be complained about."""
    context = chromium.new_context(**PHONE)
    context.set_default_timeout(browser.PATIENCE)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.resolve().as_uri())
    yield page
    assert complaints == []
    context.close()


def swipe(page: Any, selector: str, x: float, y: float, at: tuple[float, float] = (0, 0)) -> None:
    """Put a finger on the middle of an element, or beside it, and move it by so many pixels."""
    node = page.locator(selector)
    node.scroll_into_view_if_needed()
    box = node.bounding_box()
    left, top = box["x"] + box["width"] / 2 + at[0], box["y"] + box["height"] / 2 + at[1]
    finger = page.context.new_cdp_session(page)
    for kind, part in (("touchStart", 0), ("touchMove", 0.5), ("touchMove", 1), ("touchEnd", None)):
        points = [] if part is None else [{"x": left + part * x, "y": top + part * y}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_a_finger_drags_boxes(chromium, folder):
    with phone(chromium, folder / "iou.html") as page:
        before = page.inner_text("#iou")
        swipe(page, "[aria-label='Box B: move']", 30, -25)
        after = page.inner_text("#iou")
        assert after != before
        swipe(page, "[aria-label='Box B: lower right corner']", 20, 20, at=(9, 9))  # beside the dot, as fingers do
        assert page.inner_text("#iou") != after


def test_a_finger_chooses_a_cell_and_drags_an_object(chromium, folder):
    with phone(chromium, folder / "anchors.html") as page:
        told = page.inner_text("#objects")
        swipe(page, "[aria-label='The white cell: move']", 40, 40)
        assert page.inner_text("#objects") != told
        where = page.inner_text("#where")
        page.locator("#stage").tap(position={"x": 320, "y": 230})
        assert page.inner_text("#where") != where


def test_a_finger_draws_for_the_detector(chromium, folder):
    with phone(chromium, folder / "glass.html") as page:
        page.wait_for_function("document.querySelector('#told').textContent.includes('objects found')")
        page.get_by_role("button", name="Empty").tap()
        page.select_option("#tool", "square")
        swipe(page, "#stage", 90, 90, at=(-50, -50))
        page.wait_for_function("document.querySelector('#told').textContent.startsWith('1 of 1 objects found')")


@pytest.mark.parametrize(("name", "button", "told"), [("nms", "Next step", "#told"), ("guess", "Bet on", "#tally")])
def test_buttons_answer_to_a_tap(chromium, folder, name, button, told):
    with phone(chromium, folder / f"{name}.html") as page:
        before = page.inner_text(told)
        page.get_by_role("button", name=button).first.tap()
        assert page.inner_text(told) != before


@pytest.mark.parametrize("name", PAGES)
def test_what_is_pressed_is_large_enough_for_a_fingertip(chromium, folder, name):
    small = """smallest => [...document.querySelectorAll("main button, main select, .check, .movable")]
        .filter(node => node.checkVisibility()).map(node => [node, node.getBoundingClientRect()])
        .filter(([node, box]) => box.width && Math.min(box.width, box.height) < smallest - 0.5)
        .map(([node, box]) => `${node.getAttribute("aria-label") ?? node.textContent}: ${box.width} x ${box.height}`)"""
    with phone(chromium, folder / f"{name}.html") as page:
        # An object's body is as large as the object; what resizes it is not.
        found = [told for told in page.evaluate(small, FINGERTIP) if not re.search(r": move:|The chosen cell", told)]
        assert found == []


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_goes_through_a_page_from_top_to_bottom(chromium, folder, name):
    """Every control is reached once, in the order in which it is seen, and none holds the focus."""
    here = """() => { const node = document.activeElement, box = node.getBoundingClientRect();
        const stage = node.closest("svg");
        return [node === document.body, (stage ?? node).getBoundingClientRect().top + scrollY, node.tagName, !!stage,
                box.width * box.height > 0, getComputedStyle(node).outlineStyle]; }"""
    with browser.opened(chromium, folder / f"{name}.html", browser.WIDTHS["phone"]) as (page, _):
        controls = page.locator("main :is(button, select, input, a, [tabindex]):not([disabled])").count()
        tops, reached = [], 0
        for _ in range(controls + 30):
            page.keyboard.press("Tab")
            at_end, top, tag, _stage, shown, outline = page.evaluate(here)
            if at_end:
                break
            assert shown, tag
            assert outline != "none" or tag == "BODY", tag
            tops.append(top)
            reached += 1
        assert reached >= controls
        assert all(later > earlier - 60 for earlier, later in pairwise(tops))  # within a row the heights differ


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_a_page_has_no_buttons_and_is_light(chromium, folder, name):
    with browser.opened(chromium, folder / f"{name}.html", 780, dark=True) as (page, _):
        page.emulate_media(media="print")
        assert page.locator("button:visible, select:visible, input[type=range]:visible, nav:visible").count() == 0
        ink = page.evaluate("getComputedStyle(document.querySelector('h1')).color")
        assert max(int(part) for part in re.findall(r"\d+", ink)[:3]) < 100
        assert not browser.scrolls_sideways(page)
        assert len(page.pdf()) > 10_000


@pytest.mark.parametrize("name", PAGES)
def test_nothing_moves_by_itself(chromium, folder, name):
    with browser.opened(chromium, folder / f"{name}.html", browser.WIDTHS["phone"]) as (page, _):
        page.emulate_media(reduced_motion="reduce")
        assert page.evaluate("document.getAnimations().length") == 0
