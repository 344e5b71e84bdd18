"""Kill `birefnet-batch` and let it go on, compare its bytes, and measure it, in one run.

    python -m scripts.bulk

In an environment with requirements-bulk.lock. With `--place s3://bucket/prefix` and the variables
of that bucket, pictures and cutouts lie there. Prints the report and writes it, with every number
as JSON.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar

import httpx

from scripts.arguments import positive
from scripts.bulk.jobs import rate_of, run, stamps
from scripts.bulk.killed import Killed, again, fill, kill_and_go_on
from scripts.command import Unusable, run_command
from scripts.measuring.pictures import PictureKind, find_photos, make_pictures
from scripts.measuring.processes import REPOSITORY, our_service, stop_by_itself
from scripts.measuring.report import Report, begin_run, say
from scripts.measuring.table import table
from scripts.rembg.commands import ours
from service.bulk.place import Place

_TIMEOUT_S = 120.0
_ONE, _TWO, _COMMAND = "one actor of one thread", "two such", "`birefnet`, the whole machine"


@dataclass(frozen=True)
class Speed:
    """How fast one of the ways was, in each of its turns.

    Attributes:
        way: Which.
        rates: Pictures a second, between the first and the last tenth of them.
        walls_s: The whole command, with its start.
    """

    way: str
    rates: list[float]
    walls_s: list[float]


@dataclass(frozen=True)
class Bulk(Report):
    """What was found; either part may be missing.

    Attributes:
        model: Name in the catalogue.
        size: Of the pictures.
        killed: The job that was killed.
        quiet_again: Whether a third run wrote nothing.
        files: Pictures of each run that was timed.
        speeds: How fast each way was.
    """

    title: ClassVar[str] = "Many pictures: `birefnet-batch`"
    model: str
    size: str
    killed: Killed | None
    quiet_again: bool | None
    files: int
    speeds: list[Speed]

    def notes(self) -> Iterator[str]:
        """How it was done."""
        yield f"Pictures of {self.size}, JPEG, {self.model}; Ray on this machine alone."
        if self.speeds:
            yield (
                f"Speed: {self.files} pictures in a folder, the median of "
                f"{len(self.speeds[0].rates)} turns. A rate is counted between the first and the "
                "last tenth of the cutouts, so without the start; the whole command has it."
            )

    def body(self) -> Iterator[str]:
        """A list, and a table."""
        if self.killed is not None:
            yield from self._of_the_killed(self.killed)
        if self.speeds:
            yield from self._of_the_speeds()

    def _of_the_killed(self, killed: Killed) -> Iterator[str]:
        codes = ", ".join(f"{number} {code}" for code, number in sorted(killed.codes.items()))
        yield f"## Killed ({killed.where})"
        yield ""
        yield (
            f"{killed.pictures} pictures, {killed.bad} of them bad; a worker was killed after a "
            "third, the driver after a half (`SIGKILL`). The same command then went on."
        )
        yield ""
        yield f"- cutouts that were there: {killed.before}; written again: {killed.written_again}"
        yield f"- rows in the manifest: {killed.rows}, pictures with a row: {killed.distinct}"
        yield f"- cutouts: {killed.cutouts}; errors: {codes}"
        engines = ", ".join(f"{name} {number}" for name, number in sorted(killed.engines.items()))
        yield f"- made by: {engines}; the others were there when their worker or driver was killed"
        yield f"- cutouts that are not `/remove`'s bytes: {killed.other_bytes}"
        yield f"- the second run took {killed.second_s:.0f} s and ended with {killed.status}"
        if self.quiet_again is not None:
            yield f"- a third run wrote {'nothing' if self.quiet_again else 'SOMETHING'}"
        for name, (early, late) in killed.memory_mb.items():
            yield f"- memory of the {name}, early and late in it: {early:.0f} and {late:.0f} MB"
        yield f"- not as it must be: {', '.join(killed.faults) or 'nothing'}"
        yield ""

    def _of_the_speeds(self) -> Iterator[str]:
        rates = {speed.way: median(speed.rates) for speed in self.speeds}
        yield "## Speed"
        yield ""
        rows = [["", "pictures a second", "whole command"]]
        for speed in self.speeds:
            rows.append([speed.way, f"{rates[speed.way]:.2f}", f"{median(speed.walls_s):.1f} s"])
        yield from table(rows)
        yield ""
        yield (
            f"Two actors are {rates[_TWO] / rates[_ONE]:.2f} times as fast as one, and "
            f"{rates[_TWO] / rates[_COMMAND]:.2f} times as fast as `birefnet`."
        )


def main(arguments: list[str] | None = None) -> int:
    """Parse, do it, print."""
    options = _parse(arguments)
    stop_by_itself(options.minutes)
    begun = begin_run("scripts.bulk", arguments)
    killed, quiet, speeds = None, None, []
    with tempfile.TemporaryDirectory(prefix="bulk-") as scratch:
        room = Path(scratch)
        width, height = options.size
        photos = find_photos(REPOSITORY / "examples" / "photos")
        files = make_pictures(photos, PictureKind("JPEG", width, height), room)
        if options.pictures:
            killed, quiet = _kill(options, [file.read_bytes() for file in files], room)
        if options.turns:
            speeds = _time(options, files, room)
    report = Bulk(
        *begun, options.model, f"{width} x {height}", killed, quiet, options.files, speeds
    )
    report.publish(options.output or REPOSITORY / "docs" / "benchmarks" / f"{report.date}-bulk")
    return 1 if killed is not None and (killed.faults or not quiet) else 0


def _kill(options: argparse.Namespace, kinds: list[bytes], room: Path) -> tuple[Killed, bool]:
    say("what /remove answers")
    with our_service(options.model, room / "service.log") as server:
        wanted = [_answer(server.url, one) for one in kinds]
    at = options.place or str(room)
    source, target = Place(f"{at}/in", make=True), Place(f"{at}/out", make=True)
    say(f"write {options.pictures} pictures")
    corpus = fill(source, kinds, options.pictures, options.bad)
    words = ("--model", options.model)
    killed = kill_and_go_on(corpus, target, words, room, wanted)
    say("a third time")
    return killed, again(source, target, words, room)


def _answer(url: str, picture: bytes) -> bytes:
    answer = httpx.post(url, files={"image": ("photo.jpg", picture)}, timeout=_TIMEOUT_S)
    return answer.raise_for_status().content


def _time(options: argparse.Namespace, files: list[Path], room: Path) -> list[Speed]:
    """Each way in turn; the first turn does not count."""
    folder = room / "timed"
    folder.mkdir()
    for at in range(options.files):
        shutil.copyfile(files[at % len(files)], folder / f"{at:04}.jpg")
    speeds = [Speed(way, [], []) for way in (_ONE, _TWO, _COMMAND)]
    for turn in range(options.turns + 1):
        for speed in speeds if turn % 2 else speeds[::-1]:
            say(f"turn {turn}: {speed.way}")
            rate, wall_s = _one_turn(speed.way, options.model, folder, room)
            if turn:
                speed.rates.append(rate)
                speed.walls_s.append(wall_s)
    return speeds


def _one_turn(way: str, model: str, source: Path, room: Path) -> tuple[float, float]:
    """One command over a folder: its rate, and its time from start to end."""
    target = room / "made"
    shutil.rmtree(target, ignore_errors=True)
    if way == _COMMAND:
        return _of_command(model, source, target, room)
    actors = "1" if way == _ONE else "2"
    words = (str(source), str(target), "--model", model, "--actors", actors)
    ended = run(room / "timed.log", *words)
    if ended.status:
        raise Unusable(f"birefnet-batch ended with {ended.status}: {ended.said}")
    return rate_of(stamps(Place(str(target)))), ended.wall_s


def _of_command(model: str, source: Path, target: Path, room: Path) -> tuple[float, float]:
    contender = ours(model, room)
    started = time.monotonic()
    with (room / "command.log").open("wb") as said:
        words = contender.words(source, target)
        subprocess.run(words, stdout=said, stderr=said, check=True)
    wall_s = time.monotonic() - started
    return rate_of(stamps(Place(str(target)))), wall_s


def _size(word: str) -> tuple[int, int]:
    width, _, height = word.partition("x")
    return int(width), int(height)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--model", default="u2netp", help="registered already")
    add("--pictures", type=int, default=2000, metavar="N", help="of the killed job, or 0")
    add("--bad", type=int, default=20, metavar="N", help="how many of them are none")
    add("--place", metavar="ADDRESS", help="a bucket for the killed job; else a folder")
    add("--turns", type=int, default=3, metavar="N", help="timed runs of each way; 0: none")
    add("--files", type=positive, default=120, metavar="N", help="pictures of a timed run")
    add("--size", type=_size, default=(960, 640), metavar="WxH", help="of the pictures (960x640)")
    add("--minutes", type=int, default=60, help="give up after so long")
    add("--output", type=Path, metavar="STEM", help="report, without suffix")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
