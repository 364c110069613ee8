"""How long a reader waits for a page to play with: until something is seen, and for the answer to the first key.

    python -m tests.site.measure

Times of a headless Chromium on this machine, from the file system; no test depends on them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from chapters.site import build
from tests.site import browser

FIRST = {
    "iou": "#stage .movable", "anchors": "#stage .movable", "focal_loss": "#gamma", "nms": "#next",
    "average_precision": "#score-A", "guess": "section button", "glass": "#stage .movable",
}  # fmt: skip
"""What the first key is pressed on, by page."""
ANSWERED = """selector => new Promise(done => {
    const node = document.querySelector(selector), began = performance.now();
    const end = () => requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
    if (node.tagName === "BUTTON") node.click();
    else if (node.tagName === "INPUT") { node.value = node.max; node.dispatchEvent(new Event("input")); }
    else node.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
    end();
})"""
"""Milliseconds from an input until the frame after the page has answered."""


def main() -> int:
    """Print the table."""
    if browser.MISSING:
        sys.exit(browser.MISSING)
    print(f"{'page':20}{'first paint':>14}{'first answer':>14}")
    with tempfile.TemporaryDirectory() as folder, browser.browser() as chromium:
        pages = build.pages(Path(folder))
        for name, selector in FIRST.items():
            with browser.opened(chromium, pages / f"{name}.html", browser.WIDTHS["phone"]) as (page, _):
                page.wait_for_timeout(300)
                answer = page.evaluate(ANSWERED, selector)
                print(f"{name:20}{browser.milliseconds_to_first_paint(page):11.0f} ms{answer:11.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
