"""A headless Chromium for the tests of the pages, where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = (
    "Playwright is not installed: pip install 'minidet[site]'" if find_spec("playwright") is None
    else "there is no Chromium on the path: apt-get install chromium" if CHROMIUM is None
    else ""
)  # fmt: skip
"""Why no page can be opened here; empty where one can."""
WIDTHS = {"phone": 390, "desk": 1280}
"""Pixels."""
PATIENCE = 180_000
"""Milliseconds after which a page that does not load is given up: many, since other tests run beside these."""


@contextmanager
def browser() -> Iterator[Any]:
    """A browser, closed at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def opened(chromium: Any, path: Path, width: int, dark: bool = False) -> Iterator[tuple[Any, list[str]]]:
    """A page from the file system, and the complaints of its console, which grow while it is used."""
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", offline=True
    )
    context.set_default_timeout(PATIENCE)
    page, complaints = context.new_page(), []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.resolve().as_uri())
    yield page, complaints
    context.close()


def wait_for_formulas(page: Any) -> None:
    """Until a page's formulas are set, with their fonts, which begins after it is loaded; a page may have none."""
    page.evaluate("async () => { await window.MathJax?.startup.promise; await document.fonts.ready; }")


def scrolls_sideways(page: Any) -> bool:
    """Whether the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def milliseconds_to_first_paint(page: Any) -> float:
    """From the beginning of the navigation until something is seen."""
    return page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
