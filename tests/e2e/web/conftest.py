"""One browser for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.browser import find_chromium

#: A name that the browser finds on this machine; not localhost, so without what only https has.
LAN_NAME = "cutouts.lan"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", f"--host-resolver-rules=MAP {LAN_NAME} 127.0.0.1"],
        )
        yield opened
        opened.close()
