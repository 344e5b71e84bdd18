"""Five hundred mixed pictures through a service of ours -> whether its memory stays where it was.

`python -m scripts.measuring.soak` starts the service, sends a fixed sequence that repeats every
hundred requests, so that the same sizes recur, and compares the summed PSS of requests 100 to 200
with that of the last hundred.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shlex
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from scripts.command import run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.measuring.load import load
from scripts.measuring.machine import Machine, describe_machine
from scripts.measuring.pictures import PictureKind, find_photos, make_pictures
from scripts.measuring.processes import REPOSITORY, Server, our_service, stop_by_itself
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
class SoakReport:
    """One run; memory is PSS in MB of 10^6 bytes.

    Attributes:
        date: Day of the run.
        command: What ran.
        machine: What it ran on.
        health: What the service said of itself before.
        statuses: Answers by status.
        seconds: How long the requests took.
        idle_mb: By process, before the first request.
        samples_mb: By process, after each request.
    """

    date: str
    command: str
    machine: Machine
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

    def as_markdown(self) -> str:
        """The whole report."""
        n, growth = len(self.samples_mb), self.late_mb() - self.early_mb()
        verdict = "met" if growth <= MAX_GROWTH_MB else "**not met**"
        sums = self.sums_mb()
        lines = [
            f"# Memory over {n} requests, {self.date}",
            "",
            f"`{self.command}`",
            "",
            *self.machine.as_markdown(),
            f"- {self.health['model']} on {self.health['engine']}; {self.seconds:.0f} s; "
            f"answers by status: {self.statuses}",
            "",
            "| PSS of all processes | MB |",
            "|---|---|",
            f"| idle, warmed up | {sum(self.idle_mb.values()):.0f} |",
            f"| median of requests {_PERIOD} to {2 * _PERIOD} | {self.early_mb():.0f} |",
            f"| median of requests {n - _PERIOD} to {n} | {self.late_mb():.0f} |",
            f"| growth (asked: at most {MAX_GROWTH_MB:.0f}: {verdict}) | {growth:+.1f} |",
            f"| largest, after request {sums.index(max(sums)) + 1} | {max(sums):.0f} |",
            "",
            *self._process_lines(),
        ]
        return "\n".join(lines) + "\n"

    def _process_lines(self) -> list[str]:
        lines = [
            "| process | idle | last hundred | largest | specification 5.3 |",
            "|---|---|---|---|---|",
        ]
        for role, idle_mb in self.idle_mb.items():
            samples = [sample.get(role, 0.0) for sample in self.samples_mb]
            late_mb = statistics.median(samples[-_PERIOD:])
            specified = _SPECIFIED.get(role, "")
            lines.append(
                f"| {role} | {idle_mb:.0f} | {late_mb:.0f} | {max(samples):.0f} | {specified} |"
            )
        return lines


def main(arguments: list[str] | None = None) -> int:
    """Parse, soak, print and write; 1 if a request failed or memory grew."""
    options = _parse(arguments)
    stop_by_itself(_MINUTES)
    machine = describe_machine()
    ensure(options.model, options.weights)
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        pictures = make_sequence(find_photos(options.photos), Path(scratch))
        with our_service(options.model, Path(scratch) / "service.log") as server:
            health = httpx.get(server.health_url).json()
            idle_mb = server.memory_mb()
            started = time.monotonic()
            statuses, samples = asyncio.run(soak(server, pictures, options.requests))
            seconds = time.monotonic() - started
    today = datetime.now(UTC).date().isoformat()
    command = shlex.join(["python", "-m", "scripts.measuring.soak", *(arguments or sys.argv[1:])])
    report = SoakReport(today, command, machine, health, statuses, seconds, idle_mb, samples)
    stem = options.out or REPOSITORY / "docs" / "benchmarks" / f"{today}-soak-{machine.slug()}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_name(f"{stem.name}.json").write_text(json.dumps(asdict(report)) + "\n")
    stem.with_name(f"{stem.name}.md").write_text(report.as_markdown())
    print(report.as_markdown())
    failed = statuses.get("200", 0) < options.requests
    return int(failed or report.late_mb() - report.early_mb() > MAX_GROWTH_MB)


def make_sequence(photos: Sequence[Path], folder: Path) -> list[Path]:
    """A hundred files of mixed formats and sizes, in the same order every time.

    Args:
        photos: Photographs of any size.
        folder: Where to write.

    Returns:
        The files to send, some of them more than once.
    """
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
    """Send pictures one after another and look at memory after each.

    Args:
        server: Our service.
        pictures: Files, sent in turn.
        requests: How many in all.

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
