"""What editing a cutout in the page costs: strokes, sliders, files, and memory over many pictures.

    python -m scripts.page.editor
    python -m scripts.page.editor --pictures 50

Starts a service of its own. The browser is Chromium, headless and without a GPU. The report is
printed and written with its figures as JSON.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
import psutil
from playwright.sync_api import Browser, Page

from scripts.arguments import positive
from scripts.command import Unusable, run_command
from scripts.measuring.pictures import find_photos, make_sizes
from scripts.measuring.processes import REPOSITORY, our_service
from scripts.measuring.report import Report, begin_run, say
from scripts.measuring.table import table
from scripts.page.visit import chromium, new_tab, wait_done

_MODEL = "u2net"
_STROKES = 21
_SETTLE_S = 70.0  # what is downloaded and what can be undone is let go after a minute
_COUNTED = """
  globalThis.urls = 0;
  const {createObjectURL, revokeObjectURL} = URL;
  URL.createObjectURL = (...all) => { globalThis.urls += 1; return createObjectURL(...all); };
  URL.revokeObjectURL = (...all) => { globalThis.urls -= 1; return revokeObjectURL(...all); };
"""
_WATCH_MOVES = """() => {
  globalThis.moves = []; globalThis.frames = [];
  let begun = 0, last = 0;
  addEventListener("pointermove", () => { begun = performance.now(); }, true);
  addEventListener("pointermove", () => moves.push(performance.now() - begun));
  const frame = (now) => {
    if (last) frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""
_WATCH_INPUT = """() => addEventListener("input", () => performance.mark("changed"), true)"""
_TAKEN = """([from, to]) => {
  const begun = performance.getEntriesByName(from).at(0)?.startTime;
  const ended = performance.getEntriesByName(to).at(-1)?.startTime;
  return begun !== undefined && ended > begun ? ended - begun : null;
}"""
_SLIDERS = {"Smooth": "2", "Feather": "6", "Move": "3"}


@dataclass(frozen=True)
class Times:
    """Milliseconds of one kind of work.

    Attributes:
        median_ms: The middle one.
        p95_ms: 95 of 100 were faster.
    """

    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Memory:
    """Proportional memory of all processes of the browser, MB.

    Attributes:
        pictures: How many of twelve megapixels were edited, saved and taken off the list.
        before_mb: With the page empty.
        tenth_mb: After the tenth picture, when the browser's cache of decoded pictures is full.
        most_mb: The most after any.
        after_mb: At the end, once nothing can be undone any more.
        looked_mb: The same at the end where they were only looked at and taken off the list.
        urls: Addresses of objects that were not given back.
    """

    pictures: int
    before_mb: float
    tenth_mb: float
    most_mb: float
    after_mb: float
    looked_mb: float
    urls: int


@dataclass(frozen=True)
class EditorReport(Report):
    """What editing costs.

    Attributes:
        times: By what was done.
        memory: Over many pictures.
    """

    title: ClassVar[str] = "Editing in the page"
    times: dict[str, Times]
    memory: Memory

    def notes(self) -> Iterable[str]:
        """How it was measured."""
        yield f"Model {_MODEL}; a photograph of 4000 x 3000, shown and worked on at 1600 x 1200."
        yield (
            "A stroke is 600 of those pixels long and follows edges; from letting go to the "
            "picture drawn."
        )
        yield ("A slider: from its change to the picture drawn. A file: from click to download.")
        yield "The first of each kind is left out: it compiles code."
        yield (
            "A browser that is driven keeps what it received, and each keeps pictures that "
            "it has decoded: what editing leaves is the difference to pictures only looked at."
        )

    def body(self) -> Iterable[str]:
        """Two tables."""
        rows = [
            [name, f"{one.median_ms:.1f}", f"{one.p95_ms:.1f}"] for name, one in self.times.items()
        ]
        yield from table([["", "median, ms", "p95, ms"], *rows])
        yield ""
        one = self.memory
        yield from table(
            [
                ["memory of the browser, MB", ""],
                ["empty page", f"{one.before_mb:.0f}"],
                ["after ten pictures of 12 MP", f"{one.tenth_mb:.0f}"],
                [f"the most of {one.pictures}", f"{one.most_mb:.0f}"],
                ["at the end", f"{one.after_mb:.0f}"],
                ["at the end of as many that were only looked at", f"{one.looked_mb:.0f}"],
                ["object URLs left", f"{one.urls}"],
            ]
        )


def main(arguments: list[str] | None = None) -> int:
    """Parse, serve, measure, print."""
    options = _parse(arguments)
    run = begin_run("scripts.page.editor", arguments)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "serve.log"
        photos = make_sizes(find_photos(REPOSITORY / "examples" / "photos"), Path(folder))
        large = photos["12 MP"][0]
        with our_service(_MODEL, log) as server, chromium() as browser:
            root = server.url.partition("/api/")[0] + "/"
            say("strokes and sliders")
            times = _measure_times(browser, root, large)
            say("memory")
            memory = _measure_memory(browser, root, large, options.pictures)
    report = EditorReport(*run, times, memory)
    report.publish(options.output or report.stem("editor"))
    return 0


def _measure_times(browser: Browser, root: str, photo: Path) -> dict[str, Times]:
    with new_tab(browser, root, viewport={"width": 1280, "height": 900}, bypass_csp=True) as tab:
        tab.set_input_files("input[type=file]", photo)
        wait_done(tab, 1)
        tab.get_by_role("button", name="Remove", exact=True).click()
        tab.wait_for_timeout(1500)
        tab.evaluate(_WATCH_MOVES)
        strokes = [_stroke(tab, number) for number in range(_STROKES)][1:]
        moves, frames = tab.evaluate("[moves, frames]")
        tab.evaluate(_WATCH_INPUT)
        tab.locator("summary", has_text="Edge").click()
        sliders = {label: _slide(tab, label, value) for label, value in _SLIDERS.items()}
        files = [_save(tab) for _ in range(4)][1:]
    return {
        "a move of the brush, its work": _times(moves),
        "from frame to frame meanwhile": _times(frames),
        "a stroke of 600 px": _times(strokes),
        **{f"slider: {label}": _times(taken) for label, taken in sliders.items()},
        "a file of 12 MP, PNG": _times(files),
    }


def _stroke(tab: Page, number: int) -> float:
    box = tab.locator("img[alt^=Original]").bounding_box()
    if box is None:
        raise Unusable("the page shows no picture")
    scale = box["width"] / 1600
    x = box["x"] + (0.15 + 0.02 * (number % 5)) * box["width"]
    y = box["y"] + (0.1 + 0.035 * number) * box["height"]
    tab.evaluate("performance.clearMarks()")
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 600 * scale, y, steps=40)
    tab.mouse.up()
    return _taken(tab, "stroke", "drawn")


def _slide(tab: Page, label: str, value: str) -> list[float]:
    taken = []
    for number in range(6):
        tab.evaluate("performance.clearMarks()")
        tab.get_by_label(label, exact=True).last.fill(value if number % 2 else "1")
        taken.append(_taken(tab, "changed", "drawn"))
        tab.wait_for_timeout(200)
    return taken[1:]


def _save(tab: Page) -> float:
    begun = time.perf_counter()
    with tab.expect_download(timeout=60_000):
        tab.get_by_role("button", name="Download", exact=True).click()
    return (time.perf_counter() - begun) * 1e3


def _taken(tab: Page, begun: str, ended: str) -> float:
    taken = tab.wait_for_function(_TAKEN, arg=[begun, ended], timeout=20_000)
    return float(taken.json_value())


def _times(taken: Iterable[float]) -> Times:
    found = list(taken)
    return Times(median(found), float(np.percentile(found, 95)))


def _measure_memory(browser: Browser, root: str, photo: Path, pictures: int) -> Memory:
    context: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "bypass_csp": True}
    with new_tab(browser, root, **context) as tab:
        for _ in range(pictures):
            _open_one(tab, photo)
            _take_off(tab)
        time.sleep(_SETTLE_S)
        looked = _browser_mb()
    with new_tab(browser, root, **context) as tab:
        tab.add_init_script(_COUNTED)
        tab.reload()
        before = _browser_mb()
        seen = []
        for number in range(pictures):
            _open_one(tab, photo)
            _edit_one(tab, number)
            _take_off(tab)
            seen.append(_browser_mb())
        time.sleep(_SETTLE_S)
        urls = int(tab.evaluate("globalThis.urls"))
        return Memory(pictures, before, seen[:10][-1], max(seen), _browser_mb(), looked, urls)


def _open_one(tab: Page, photo: Path) -> None:
    tab.set_input_files("input[type=file]", photo)
    wait_done(tab, 1)


def _edit_one(tab: Page, number: int) -> None:
    remove = tab.get_by_role("button", name="Remove", exact=True)
    if remove.get_attribute("aria-pressed") != "true":
        remove.click()
    _stroke(tab, number % _STROKES)
    _save(tab)


def _take_off(tab: Page) -> None:
    tab.keyboard.press("Delete")
    tab.get_by_role("button", name="Choose pictures").wait_for()


def _browser_mb() -> float:
    """Of all processes that this one has started and that are Chromium's."""
    children = psutil.Process(os.getpid()).children(recursive=True)
    return sum(_pss_mb(one) for one in children if "chrom" in _name(one))


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _pss_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 2**20
    except psutil.Error:
        return 0.0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=positive, default=50, metavar="N")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
