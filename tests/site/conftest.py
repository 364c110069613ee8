"""What the tests of the pages to play with share: the pages, and a browser."""

from __future__ import annotations

import pytest

from chapters.site import build
from tests.site import browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The pages to play with, in a folder of their own."""
    return build.pages(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def chromium():
    """The browser, for as long as a file's tests run."""
    with browser.browser() as started:
        yield started
