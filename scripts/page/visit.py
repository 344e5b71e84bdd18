"""A browser for the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from scripts.command import Unusable

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium, headless.

    Raises:
        Unusable: If there is none.
    """
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise Unusable("there is no Chromium here; on Debian: apt install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def new_tab(browser: Browser, root: str, **context: Any) -> Iterator[Page]:
    """The page in a browser that has never seen it.

    Args:
        browser: From `chromium`.
        root: Address of the page.
        context: What Playwright's `new_context` takes.
    """
    tab = browser.new_context(**context).new_page()
    tab.goto(root)
    tab.wait_for_selector("html[data-theme]", state="attached")
    yield tab
    tab.context.close()


def wait_done(tab: Page, number: int) -> None:
    """Wait until so many pictures are done."""
    tab.get_by_text(f"{number} of {number} done").wait_for(timeout=60_000)
