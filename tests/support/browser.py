"""A real Chromium, headless: what a page looks like in it, and whom the page asks for what."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

#: A name that the browser finds on this machine; not localhost, so without what only https has.
LAN_NAME = "cutouts.lan"

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # What Chromium asks on its own account ends here; whom a page asks shows all the same.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
)
_OF_THE_BROWSER = "not an origin"


@dataclass(frozen=True)
class Visit:
    """One visit to a page.

    Attributes:
        dom: The document, once its scripts have run.
        asked: Address of everything the page asked for, itself apart.
        complaints: Lines of the console: errors, and what the page's policy refused.
    """

    dom: str
    asked: list[str]
    complaints: list[str]


def visit(url: str, folder: Path) -> Visit:
    """Open a page in a browser that has never seen anything.

    Args:
        url: Its address.
        folder: An empty folder.
    """
    log = folder / "net.json"
    ran = subprocess.run(
        [
            *(find_chromium(), *_QUIET, f"--user-data-dir={folder / 'profile'}"),
            *(f"--log-net-log={log}", "--dump-dom", url),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    noted = json.loads(log.read_text())
    started = noted["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    requests = [event.get("params", {}) for event in noted["events"] if event["type"] == started]
    asked = [r["url"] for r in requests if r.get("initiator", _OF_THE_BROWSER) != _OF_THE_BROWSER]
    return Visit(ran.stdout, asked, [line for line in ran.stderr.splitlines() if "CONSOLE" in line])


def find_chromium() -> str:
    """The browser; without one the test is skipped, and fails where it must be there."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.environ.get("CI_SERVICES") == "1":
        pytest.fail("CI_SERVICES=1, and there is no Chromium here")
    if found is None:
        pytest.skip("there is no Chromium here")
    return found
