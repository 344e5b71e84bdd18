"""How light the page is, and how soon a cutout is on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page

from scripts.measuring.pictures import find_photos, make_sizes
from scripts.measuring.processes import REPOSITORY
from scripts.page.visit import new_tab, wait_done

_OBSERVED = """() => new Promise((told) => {
  const found = {lcp: 0, shift: 0};
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) found.lcp = entry.startTime;
  }).observe({type: "largest-contentful-paint", buffered: true});
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) found.shift += entry.value;
  }).observe({type: "layout-shift", buffered: true});
  setTimeout(() => {
    const files = [...performance.getEntriesByType("navigation"),
                   ...performance.getEntriesByType("resource")]
      .filter((one) => !one.name.includes("/api/"));
    told({...found, files: files.length, wire: files.reduce((n, one) => n + one.transferSize, 0)});
  }, 1500);
})"""
_MARKS = """() => Object.fromEntries(
  performance.getEntriesByType("mark").map(({name, startTime}) => [name, startTime]))"""


@dataclass(frozen=True)
class FirstLoad:
    """The empty page, until nothing more came.

    Attributes:
        wire_bytes: Of the page and its files, headers and compression included.
        requests: How many files those are.
        lcp_ms: Largest contentful paint; median.
        layout_shift: Sum of all shifts; the worst round.
    """

    wire_bytes: int
    requests: int
    lcp_ms: float
    layout_shift: float


@dataclass(frozen=True)
class Seen:
    """One size of picture; medians, milliseconds.

    Attributes:
        seen_ms: From the file given to the cutout on the screen.
        service_ms: What the service says that it took.
        added_ms: The difference, round by round.
        wire_ms: Of that, sending the picture and receiving the cutout.
        drawing_ms: Of that, reading the received file, decoding and drawing it.
    """

    seen_ms: float
    service_ms: float
    added_ms: float
    wire_ms: float
    drawing_ms: float


def measure_first_load(browser: Browser, root: str, rounds: int) -> FirstLoad:
    """Load the page so many times, each in a fresh browser."""
    found: list[dict[str, Any]] = []
    for _ in range(rounds):
        with new_tab(browser, root) as tab:
            found.append(tab.evaluate(_OBSERVED))
    return FirstLoad(
        wire_bytes=int(found[0]["wire"]),
        requests=int(found[0]["files"]),
        lcp_ms=median(float(one["lcp"]) for one in found),
        layout_shift=max(float(one["shift"]) for one in found),
    )


def measure_seen(browser: Browser, root: str, rounds: int, folder: Path) -> dict[str, Seen]:
    """Give photographs of each size, one at a time."""
    photos = find_photos(REPOSITORY / "examples" / "photos")
    return {
        size: _give(browser, root, [files[i % len(files)] for i in range(rounds + 1)])
        for size, files in make_sizes(photos, folder).items()
    }


def _give(browser: Browser, root: str, files: list[Path]) -> Seen:
    taken: list[float] = []
    with new_tab(browser, root) as tab:
        tab.on("response", lambda answer: _note(taken, answer.headers))
        seen = [_give_one(tab, file, number) for number, file in enumerate(files, 1)]
    # The first one of a tab compiles code and fills caches.
    rounds = list(zip(seen, taken, strict=True))[1:]
    return Seen(
        seen_ms=median(seen for (_, seen), _ in rounds),
        service_ms=median(service for _, service in rounds),
        added_ms=median(seen - service for (_, seen), service in rounds),
        wire_ms=median(received - service for (received, _), service in rounds),
        drawing_ms=median(seen - received for (received, seen), _ in rounds),
    )


def _give_one(tab: Page, file: Path, number: int) -> tuple[float, float]:
    """Milliseconds until a file's cutout is received, and seen, alone on the list."""
    tab.set_input_files("input[type=file]", file)
    tab.wait_for_function(f"() => performance.getEntriesByName('seen:{number}').length")
    wait_done(tab, 1)
    marks = tab.evaluate(_MARKS)
    tab.get_by_role("button", name="Clear the list").click()
    given, received, seen = (
        float(marks[f"{name}:{number}"]) for name in ("given", "received", "seen")
    )
    return received - given, seen - given


def _note(taken: list[float], headers: dict[str, str]) -> None:
    if "x-processing-time-ms" in headers:
        taken.append(float(headers["x-processing-time-ms"]))
