"""The page at `/` in a real Chromium that is driven, with all that it asks and complains of."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Download, FilePayload, Locator, Page, expect

from tests.support.server import BentoServer

WAIT_MS = 15_000


@dataclass
class Visit:
    """One tab that shows the page.

    Attributes:
        page: The tab.
        asked: Address of everything it asked for.
        answers: Status of every answer to a removal, in order.
        complaints: Errors of its console, what its policy refused, and exceptions.
    """

    page: Page
    asked: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def give(self, *files: tuple[str, bytes]) -> None:
        """Choose files, by name and content."""
        payload: list[FilePayload] = [
            {"name": name, "mimeType": "application/octet-stream", "buffer": data}
            for name, data in files
        ]
        self.page.set_input_files("input[type=file]", payload)

    def wait_done(self, number: int, of: int | None = None, within_ms: int = WAIT_MS) -> None:
        """Wait until so many pictures are done."""
        said = f"{number} of {number if of is None else of} done"
        expect(self.page.get_by_text(said)).to_be_visible(timeout=within_ms)

    def wait_failed(self, code: str, within_ms: int = WAIT_MS) -> Locator:
        """Wait until the open picture has failed with a code; returns what the page says of it."""
        box = self.page.locator(f"[data-code={code}]")
        expect(box).to_be_visible(timeout=within_ms)
        return box

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def button(self, name: str) -> Locator:
        """A button by its exact name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def take(self, how: Any) -> tuple[str, bytes]:
        """Name and content of the download that something starts."""
        with self.page.expect_download(timeout=WAIT_MS) as begun:
            how()
        return read(begun.value)

    def split(self) -> int:
        """Where the divider is, 0 to 100."""
        return int(self.divider().input_value())

    def divider(self) -> Locator:
        """The slider between original and cutout."""
        return self.page.get_by_label("Where the original ends and the cutout begins")


def read(download: Download) -> tuple[str, bytes]:
    """Name and content of a download."""
    return download.suggested_filename, Path(download.path()).read_bytes()


def unpack(data: bytes) -> dict[str, bytes]:
    """Names and contents of a ZIP."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@contextmanager
def visit_page(browser: Browser, url: str, **context: Any) -> Iterator[Visit]:
    """Open the page in a browser that has never seen it."""
    tab = browser.new_context(accept_downloads=True, **context).new_page()
    visit = Visit(tab)
    tab.on("request", lambda request: visit.asked.append(request.url))
    tab.on("console", lambda message: note(visit, message.type, message.text))
    tab.on("pageerror", lambda error: visit.complaints.append(str(error)))
    tab.on("response", lambda answer: count(visit, answer.url, answer.status))
    tab.on("filechooser", lambda chooser: None)  # from now on, not only from the first wait on
    try:
        tab.goto(url)
        tab.wait_for_selector("html[data-theme]", state="attached")  # it listens
        tab.evaluate("globalThis.isFirstLoad = true")  # gone once the page is loaded anew
        yield visit
    finally:
        tab.context.close()


def note(visit: Visit, kind: str, text: str) -> None:
    """Errors, but for what the browser itself says of an answer that is not a success."""
    if kind == "error" and "Failed to load resource" not in text:
        visit.complaints.append(text)


def count(visit: Visit, url: str, status: int) -> None:
    """Note the status of a removal."""
    if url.endswith("/remove"):
        visit.answers.append(status)


@contextmanager
def at(server: BentoServer, browser: Browser, **context: Any) -> Iterator[Visit]:
    """The page of a server; fails if the page complained of anything."""
    with visit_page(browser, server.url("/"), **context) as visit:
        yield visit
        assert visit.complaints == []
