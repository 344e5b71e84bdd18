"""Compare the command `birefnet`, without a server, with rembg's `i` and `p` on this machine.

    python -m scripts.rembg.commands

Same weights, same pictures, in one run: each command is started anew every time, and they take
turns. Prints the report and writes it, with every number as JSON, under docs/benchmarks/.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar, Self

from models.catalog import find
from scripts.arguments import positive
from scripts.command import Unusable, run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.measuring.pictures import find_photos, make_sizes
from scripts.measuring.processes import REPOSITORY, stop_by_itself, within
from scripts.measuring.report import Report, begin_run, say
from scripts.measuring.table import table
from scripts.register_model import ensure
from scripts.rembg.cutouts import MODELS
from scripts.rembg.environment import ENVIRONMENT, give_checkpoint

_ENTRY_POINT = "[birefnet.backend]\nlocal = service.local:LocalRemover\n"
_READ_S = 0.02
_SAID = 800  # characters of what a command said last


@dataclass(frozen=True)
class Run:
    """One command from its start to its end.

    Attributes:
        wall_s: How long it took.
        cpu_s: Processor time, user and system.
        peak_mb: The most resident memory it had.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Contender:
    """A command, and how it is asked.

    Attributes:
        name: In the report.
        command: Its first words.
        one: Its words for one picture.
        folder: Its words for a folder; then come source and target, for both.
        between: What stands between source and target.
        environment: What it needs.
    """

    name: str
    command: tuple[str, ...]
    one: tuple[str, ...]
    folder: tuple[str, ...]
    between: tuple[str, ...]
    environment: dict[str, str]

    def words(self, source: Path, target: Path) -> list[str]:
        """The whole command for a file or a folder."""
        kind = self.folder if source.is_dir() else self.one
        words = [*self.command, *kind, str(source), *self.between, str(target)]
        return within(self.environment, words)


@dataclass(frozen=True)
class Row:
    """One piece of work with one model: every run of each side."""

    model: str
    work: str
    ours: list[Run]
    rembg: list[Run]


@dataclass(frozen=True)
class Commands(Report):
    """One run of this script."""

    title: ClassVar[str] = "The commands: ours and rembg's"
    rembg_versions: dict[str, str]
    rows: list[Row]

    def notes(self) -> Iterator[str]:
        """What was started, and how."""
        theirs = ", ".join(f"{name} {number}" for name, number in self.rembg_versions.items())
        yield f"rembg's environment: {theirs}; `rembg i` and `rembg p`, their defaults"
        yield (
            "Ours: `birefnet` in its own process, no server; the same checkpoint files. Every time "
            "is of a whole command, from its start to its end, after one start of each that does "
            "not count: rembg compiles functions then, and we a graph, and both keep them."
        )
        yield (
            f"Medians of {len(self.rows[0].ours)}; the two took turns, the order turned round each "
            "time. Memory: the most resident memory of the one process (VmHWM), MB = 10^6 bytes."
        )

    def body(self) -> Iterator[str]:
        """One table."""
        heading = ["", "ours", "rembg", "ours is", "CPU, ours", "rembg"]
        rows = [[*heading, "memory, peak, ours", "rembg", "ours is"]]
        for row in self.rows:
            wall, cpu, peak = (
                [median(getattr(run, name) for run in side) for side in (row.ours, row.rembg)]
                for name in ("wall_s", "cpu_s", "peak_mb")
            )
            rows.append(
                [
                    f"{row.model}, {row.work}",
                    *(f"{seconds:.2f} s" for seconds in wall),
                    f"{wall[1] / wall[0]:.1f}x faster",
                    *(f"{seconds:.1f} s" for seconds in cpu),
                    *(f"{mb:.0f} MB" for mb in peak),
                    f"{peak[0] / peak[1]:.0%}",
                ]
            )
        yield from table(rows)


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, print and write."""
    options = _parse(arguments)
    stop_by_itself(options.minutes)
    begun = begin_run("scripts.rembg.commands", arguments)
    python = ENVIRONMENT.make()
    rows = []
    with tempfile.TemporaryDirectory(prefix="commands-") as scratch:
        room = Path(scratch)
        works = make_works(find_photos(options.photos), options.files, room)
        for model in options.models:
            ensure(model, options.weights)
            give_checkpoint(find(model), options.weights, room / "rembg")
            pair = (ours(model, room), rembgs(model, python, room / "rembg"))
            for work, source in works.items():
                say(f"{model}: {work}")
                mine, theirs = take_turns(pair, source, options.turns, room)
                rows.append(Row(model, work, mine, theirs))
    report = Commands(*begun, ENVIRONMENT.versions(python), rows)
    report.publish(options.out or report.stem("commands"))
    return 0


def make_works(photos: list[Path], files: int, room: Path) -> dict[str, Path]:
    """What is to be done, by name: a file of each size, and a folder of copies at 1080p."""
    sizes = make_sizes(photos, room)
    works = {f"one picture, {size}": made[0] for size, made in sizes.items()}
    folder = room / "folder"
    folder.mkdir()
    for number in range(files):
        made = sizes["1080p"]
        shutil.copyfile(made[number % len(made)], folder / f"{number:03}.jpg")
    works[f"a folder of {files}, 1080p"] = folder
    return works


def ours(model: str, room: Path) -> Contender:
    """`birefnet` as `make command` installs it, without installing it: found by its entry point."""
    record = room / "installed" / "birefnet_background_removal-0.dist-info"
    record.mkdir(parents=True, exist_ok=True)
    (record / "METADATA").write_text("Name: birefnet-background-removal\nVersion: 0\n")
    (record / "entry_points.txt").write_text(_ENTRY_POINT)
    paths = [str(REPOSITORY / "client"), str(REPOSITORY), str(record.parent)]
    environment = {
        "BENTOML_DO_NOT_TRACK": "True",
        "BIREFNET_MODEL": model,
        "BIREFNET_STORAGE_URL": str(room / "storage"),
        "PYTHONPATH": ":".join(paths),
    }
    command = (sys.executable, "-m", "birefnet_client")
    return Contender("ours", command, (), (), ("-o",), environment)


def rembgs(model: str, python: Path, home: Path) -> Contender:
    """Rembg's command, with a folder of checkpoints."""
    letters = ("-m", model)
    command = (str(python.with_name("rembg")),)
    environment = {"U2NET_HOME": str(home)}
    return Contender("rembg", command, ("i", *letters), ("p", *letters), (), environment)


def take_turns(
    pair: tuple[Contender, Contender], source: Path, turns: int, room: Path
) -> tuple[list[Run], list[Run]]:
    """One start of each that does not count, then so many of each in turn."""
    runs: dict[str, list[Run]] = {one.name: [] for one in pair}
    for turn in range(turns + 1):
        for contender in pair if turn % 2 else pair[::-1]:
            target = room / ("made" if source.is_dir() else "made.png")
            run = measure(contender, source, target, room / "said")
            if turn:
                runs[contender.name].append(run)
    mine, theirs = runs.values()
    return mine, theirs


def measure(contender: Contender, source: Path, target: Path, log: Path) -> Run:
    """Run a command to its end, see that it made what it should, and remove that.

    Raises:
        Unusable: If it did not.
    """
    with log.open("wb") as said:
        started = time.perf_counter()
        process = subprocess.Popen(contender.words(source, target), stdout=said, stderr=said)
        with _Peak(process.pid) as peak:
            try:
                _, status, spent = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                raise
            wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    wanted = len(list(source.iterdir())) if source.is_dir() else 1
    made = list(target.iterdir()) if target.is_dir() else [target] if target.is_file() else []
    if process.returncode or len(made) != wanted or not all(file.stat().st_size for file in made):
        last = log.read_text(errors="replace")[-_SAID:]
        raise Unusable(f"{contender.name} made {len(made)} of {wanted} files: {last}")
    for file in made:
        file.unlink()
    return Run(wall_s, spent.ru_utime + spent.ru_stime, peak.mb)


class _Peak:
    """The most resident memory of a process, read until it ends.

    What `wait4` tells of it is at least that of the process it was forked from, which is this one.
    """

    def __init__(self, pid: int) -> None:
        self.mb = 0.0
        self._status, self._over = Path(f"/proc/{pid}/status"), threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._over.wait(_READ_S):
            with suppress(OSError):  # it has just ended
                found = re.search(r"VmHWM:\s+(\d+)", self._status.read_text())
                self.mb = int(found[1]) * 1024 / 1e6 if found else self.mb


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--models", nargs="+", default=list(MODELS), choices=MODELS, metavar="MODEL")
    add("--turns", type=positive, default=5, metavar="N", help="runs of each command (5)")
    add("--files", type=positive, default=50, metavar="N", help="pictures of the folder (50)")
    add("--weights", type=Path, default=DEFAULT_FOLDER, metavar="FOLDER")
    add("--photos", type=Path, default=REPOSITORY / "examples" / "photos")
    add("--out", type=Path, metavar="STEM", help="files to write, without suffix")
    add("--minutes", type=int, default=45, help="give up after so long")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
