"""One tab with the tests' app in it, and what it did."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Browser, Locator, Page

WAIT_MS = 15_000
# Counts the addresses of blobs that are made and given back; both still happen.
COUNT_URLS = """
globalThis.live = new Set();
globalThis.most = 0;
const {createObjectURL: make, revokeObjectURL: giveBack} = URL;
URL.createObjectURL = (blob) => {
  const url = make.call(URL, blob);
  live.add(url);
  most = Math.max(most, live.size);
  return url;
};
URL.revokeObjectURL = (url) => { live.delete(url); giveBack.call(URL, url); };
"""


@dataclass
class Tab:
    """One tab.

    Attributes:
        page: The tab.
        posts: Every removal that was sent, as its address.
        ended: Those of them that the browser ended before an answer came.
        answers: Status of every answer to a removal, in order.
        complaints: Exceptions, errors of the console, and what the policy refused.
    """

    page: Page
    posts: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def send(self, data: bytes, *, wait: bool = True) -> None:
        """Call the hook's `removeBackground`, and wait until its promise is kept."""
        call = "text => bench.state.removeBackground(bench.file(text))"
        self.page.evaluate(
            call if wait else f"text => void ({call})(text)", base64.b64encode(data).decode()
        )

    def state(self, part: str) -> Any:
        """A part of what the hook gave last."""
        return self.page.evaluate(f"bench.state.{part}")

    def wait(self, status: str) -> None:
        """Wait until the hook or the component is in a state."""
        self.page.wait_for_selector(f"[data-status={status}]", state="attached", timeout=WAIT_MS)

    def cutout(self) -> bytes:
        """The hook's blob."""
        return bytes(self.page.evaluate("bench.bytes()"))

    def choose(self, data: bytes, name: str = "a.png") -> None:
        """Choose a file in the component."""
        self.input.set_input_files({"name": name, "mimeType": "image/png", "buffer": data})

    @property
    def input(self) -> Locator:
        """The component's input, by its label."""
        return self.page.get_by_label("Choose a picture")

    def throttle(self, bytes_per_s: int) -> None:
        """Slow uploads down; -1 for no longer."""
        devtools = self.page.context.new_cdp_session(self.page)
        devtools.send("Network.enable")
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
        devtools.send(
            "Network.emulateNetworkConditions", {**limits, "uploadThroughput": bytes_per_s}
        )


@contextmanager
def open_tab(
    browser: Browser, origin: str, show: str, flags: str, settings: dict[str, Any]
) -> Iterator[Tab]:
    """Open the tests' app; fails at the end if there was any complaint."""
    page = browser.new_context().new_page()
    page.add_init_script(COUNT_URLS)
    tab = Tab(page)

    def is_removal(request: Any) -> bool:
        return request.method == "POST" and request.url.endswith("/remove")

    page.on("request", lambda r: tab.posts.append(r.url) if is_removal(r) else None)
    page.on("requestfailed", lambda r: tab.ended.append(r.url) if is_removal(r) else None)
    page.on("response", lambda a: tab.answers.append(a.status) if is_removal(a.request) else None)
    page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    page.on("console", lambda said: _note(tab, said.type, said.text))
    address = f"{origin}/faults/?show={show}&settings={quote(json.dumps(settings))}{flags}"
    try:
        page.goto(address)
        page.wait_for_selector("[data-status]", state="attached")
        yield tab
        assert tab.complaints == []
    finally:
        page.context.close()


def _note(tab: Tab, kind: str, text: str) -> None:
    """Errors and warnings, but for what the browser itself says of answers that are no success."""
    if kind in ("error", "warning") and "Failed to load resource" not in text:
        tab.complaints.append(text)
