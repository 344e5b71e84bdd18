"""What the page at `/` adds to the service's own time, or pictures of its states.

    python -m scripts.page                         the report
    python -m scripts.page --pictures docs/pictures

Both start a service of their own. The browser is Chromium, headless and without a GPU. The report
is printed and written with its figures as JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from scripts.arguments import positive
from scripts.command import run_command
from scripts.measuring.processes import our_service
from scripts.measuring.report import Report, begin_run, say
from scripts.measuring.table import table
from scripts.page.measure import FirstLoad, Seen, measure_first_load, measure_seen
from scripts.page.photograph import photograph
from scripts.page.visit import chromium

_MODEL = "u2net"
_ROUNDS = 9


@dataclass(frozen=True)
class PageReport(Report):
    """How light the page is, and how soon a cutout is seen.

    Attributes:
        first_load: Of the empty page, in a browser that has never seen it.
        seen: From the file given to the cutout on the screen, by size of the picture.
    """

    title: ClassVar[str] = "The page"
    first_load: FirstLoad
    seen: dict[str, Seen]

    def notes(self) -> Iterable[str]:
        """How it was measured."""
        yield f"Model {_MODEL}; medians of {_ROUNDS} rounds; service and browser share the machine."
        yield (
            "Given is the moment the file was chosen, seen is two frames after the cutout was "
            "decoded. The service's time is its own X-Processing-Time-Ms."
        )

    def body(self) -> Iterable[str]:
        """Two tables."""
        load = self.first_load
        yield from table(
            [
                ["first load", ""],
                ["on the wire, kB", f"{load.wire_bytes / 1000:.1f}"],
                ["requests", str(load.requests)],
                ["largest contentful paint, ms", f"{load.lcp_ms:.0f}"],
                ["layout shift", f"{load.layout_shift:.3f}"],
            ]
        )
        yield ""
        times = {
            "given to seen, ms": "seen_ms",
            "service, ms": "service_ms",
            "the page adds, ms": "added_ms",
            "of that on the wire": "wire_ms",
            "of that decoding and drawing": "drawing_ms",
        }
        heading = ["picture", *times]
        rows = [
            [size, *(f"{getattr(one, name):.0f}" for name in times.values())]
            for size, one in self.seen.items()
        ]
        yield from table([heading, *rows])


def main(arguments: list[str] | None = None) -> int:
    """Parse, serve, measure or photograph, print."""
    options = _parse(arguments)
    run = begin_run("scripts.page", arguments)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "serve.log"
        with our_service(options.model, log) as server, chromium() as browser:
            root = server.url.partition("/api/")[0] + "/"
            if options.pictures:
                photograph(browser, root, options.pictures)
                return 0
            say("serving; first loads")
            first_load = measure_first_load(browser, root, _ROUNDS)
            say("pictures")
            seen = measure_seen(browser, root, options.rounds, Path(folder))
    report = PageReport(*run, first_load, seen)
    report.publish(options.output or report.stem("page"))
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=_MODEL, help="registered already")
    parser.add_argument("--rounds", type=positive, default=_ROUNDS, metavar="N")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    parser.add_argument("--pictures", type=Path, help="photograph its states into here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
