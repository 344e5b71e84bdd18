"""Send five hundred mixed pictures to our service and see whether its memory stays where it was.

`python -m scripts.measuring.soak` starts the service, sends a fixed sequence that repeats every
hundred requests, so that the same sizes recur, and compares the summed PSS of requests 100 to 200
with that of the last hundred.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx

from scripts.command import run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.measuring.load import load
from scripts.measuring.pictures import PictureKind, find_photos, make_pictures
from scripts.measuring.processes import REPOSITORY, Server, our_service, stop_by_itself
from scripts.measuring.report import Report, begin_run
from scripts.measuring.table import table
from scripts.register_model import ensure

MAX_GROWTH_MB = 40.0
_PERIOD = 100
_MINUTES = 15
_SIDES = (
    (64, 64),
    (320, 240),
    (451, 300),
    (800, 600),
    (1280, 720),
    (1080, 1350),
    (1920, 1080),
    (2048, 1536),
    (4000, 3000),
)
# A lossless picture with noise outgrows the 10 MiB of an upload beyond so many pixels.
_MAX_PIXELS = {"JPEG": 12_000_000, "WEBP": 12_000_000, "PNG": 2_100_000, "BMP": 2_100_000}
#: The specification's section 5.3, in MB; for its own stack on a GPU machine.
_SPECIFIED = {
    "public": "500 (image buffers 150, FastAPI process 200, preprocessing cache 100, logging 50)",
    "inference": "1200 of GPU memory (weights 720, engine 280, tensors 16, workspace 184)",
    "supervisor": "",
}


@dataclass(frozen=True)
class SoakReport(Report):
    """One run; memory is PSS in MB of 10^6 bytes.

    Attributes:
        health: What the service said of itself before.
        statuses: Answers by status.
        seconds: How long the requests took.
        idle_mb: By process, before the first request.
        samples_mb: By process, after each request.
    """

    title: ClassVar[str] = "Memory over many requests"
    health: dict[str, Any]
    statuses: dict[str, int]
    seconds: float
    idle_mb: dict[str, float]
    samples_mb: list[dict[str, float]]

    def sums_mb(self) -> list[float]:
        """All processes together, after each request."""
        return [sum(sample.values()) for sample in self.samples_mb]

    def early_mb(self) -> float:
        """Median of the second hundred; the first still fills caches."""
        return statistics.median(self.sums_mb()[_PERIOD : 2 * _PERIOD])

    def late_mb(self) -> float:
        """Median of the last hundred."""
        return statistics.median(self.sums_mb()[-_PERIOD:])

    def notes(self) -> list[str]:
        """What ran, and what it answered."""
        served = f"{self.health['model']} on {self.health['engine']}"
        answers = f"answers by status: {self.statuses}"
        return [f"{served}; {len(self.samples_mb)} requests in {self.seconds:.0f} s; {answers}"]

    def body(self) -> list[str]:
        """A table of all processes together, then one of each."""
        n, growth, sums = len(self.samples_mb), self.late_mb() - self.early_mb(), self.sums_mb()
        verdict = "met" if growth <= MAX_GROWTH_MB else "**not met**"
        whole = {
            "PSS of all processes": "MB",
            "idle, warmed up": f"{sum(self.idle_mb.values()):.0f}",
            f"median of requests {_PERIOD} to {2 * _PERIOD}": f"{self.early_mb():.0f}",
            f"median of requests {n - _PERIOD} to {n}": f"{self.late_mb():.0f}",
            f"growth (asked: at most {MAX_GROWTH_MB:.0f}: {verdict})": f"{growth:+.1f}",
            f"largest, after request {sums.index(max(sums)) + 1}": f"{max(sums):.0f}",
        }
        each = [["process", "specification 5.3", "idle", "last hundred", "largest"]]
        for role, idle_mb in self.idle_mb.items():
            samples = [sample.get(role, 0.0) for sample in self.samples_mb]
            figures = (idle_mb, statistics.median(samples[-_PERIOD:]), max(samples))
            each.append([role, _SPECIFIED.get(role, ""), *(f"{mb:.0f}" for mb in figures)])
        return [*table(list(whole.items())), "", *table(each, words=2)]


def main(arguments: list[str] | None = None) -> int:
    """Parse, soak, print and write; 1 if a request failed or memory grew."""
    options = _parse(arguments)
    stop_by_itself(_MINUTES)
    run = begin_run("scripts.measuring.soak", arguments)
    ensure(options.model, options.weights)
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        pictures = make_sequence(find_photos(options.photos), Path(scratch))
        with our_service(options.model, Path(scratch) / "service.log") as server:
            health = httpx.get(server.health_url).json()
            idle_mb = server.memory_mb()
            started = time.monotonic()
            statuses, samples = asyncio.run(soak(server, pictures, options.requests))
            seconds = time.monotonic() - started
    report = SoakReport(*run, health, statuses, seconds, idle_mb, samples)
    report.publish(options.out or report.stem("soak"))
    failed = statuses.get("200", 0) < options.requests
    return int(failed or report.late_mb() - report.early_mb() > MAX_GROWTH_MB)


def make_sequence(photos: Sequence[Path], folder: Path) -> list[Path]:
    """Make files of mixed formats and sizes: a hundred to send, in the same order every time."""
    kinds = [
        PictureKind(name, width, height)
        for name, max_pixels in _MAX_PIXELS.items()
        for width, height in _SIDES
        if width * height <= max_pixels
    ]
    made = [
        make_pictures([photos[i % len(photos)]], kind, folder)[0] for i, kind in enumerate(kinds)
    ]
    sequence = [made[i % len(made)] for i in range(_PERIOD)]
    random.Random(0).shuffle(sequence)  # noqa: S311  # an order, not a secret
    return sequence


async def soak(
    server: Server, pictures: Sequence[Path], requests: int
) -> tuple[dict[str, int], list[dict[str, float]]]:
    """Send pictures in turn, one after another, so many in all.

    Returns:
        Answers by status, and memory by process after each request.
    """
    statuses: Counter[str] = Counter()
    samples = []
    for turn in range(requests):
        report = await load(server.url, [pictures[turn % len(pictures)]], 1, 1)
        statuses.update(report.statuses)
        samples.append(server.memory_mb())
        if turn % _PERIOD == _PERIOD - 1:
            total_mb = sum(samples[-1].values())
            print(f"{turn + 1} requests, {total_mb:.0f} MB", file=sys.stderr)
    return dict(statuses), samples


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="u2net", help="name in the catalogue (default: u2net)")
    parser.add_argument("--requests", type=int, default=5 * _PERIOD)
    parser.add_argument("--weights", type=Path, default=DEFAULT_FOLDER, metavar="FOLDER")
    parser.add_argument("--photos", type=Path, default=REPOSITORY / "examples" / "photos")
    parser.add_argument("--out", type=Path, metavar="STEM", help="files to write, without suffix")
    options = parser.parse_args(arguments)
    if options.requests < 3 * _PERIOD:
        parser.error(f"at least {3 * _PERIOD} requests: the first hundred only fill caches")
    return options


if __name__ == "__main__":
    run_command(main)
