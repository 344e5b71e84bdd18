"""One job over many pictures, some of them bad, whose worker and then whose driver is killed."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psutil

from scripts.bulk.jobs import rows_of, run, running, stamps, wait_for, workers_of
from scripts.measuring.report import say
from service.bulk.place import Place

_GONE_S = 60.0
_SAMPLE_S = 2.0
_MOST = 1 << 30


@dataclass(frozen=True)
class Killed:
    """What was left of a job that was killed twice, and what a second run made of it.

    Attributes:
        where: A folder or a bucket.
        pictures: How many there were.
        bad: How many of them are no pictures.
        before: Cutouts that were there when the driver had been killed.
        written_again: Cutouts of those that were written again.
        rows: Rows of the manifest in the end.
        distinct: Pictures that have one.
        codes: Rows by their error.
        engines: Rows by what made their matte.
        cutouts: Cutouts in the end.
        other_bytes: Cutouts that are not, to the byte, what `/remove` answers.
        status: The second run's exit status.
        second_s: What the second run took.
        memory_mb: Resident memory of the largest worker and of the driver, after a tenth of its
            run and at the end of it.
    """

    where: str
    pictures: int
    bad: int
    before: int
    written_again: int
    rows: int
    distinct: int
    codes: dict[str, int]
    engines: dict[str, int]
    cutouts: int
    other_bytes: int
    status: int
    second_s: float
    memory_mb: dict[str, list[float]]

    @property
    def faults(self) -> list[str]:
        """What is not as it must be."""
        wanted = {
            "rows": self.rows == self.distinct == self.pictures,
            "cutouts": self.cutouts == self.pictures - self.bad,
            "errors": sum(self.codes.values()) == self.bad,
            "written again": not self.written_again,
            "bytes": not self.other_bytes,
            "status": self.status == (1 if self.bad else 0),
        }
        return [name for name, holds in wanted.items() if not holds]


@dataclass(frozen=True)
class Corpus:
    """Pictures in a place, and files that are none.

    Attributes:
        place: Where they are.
        number: How many files.
        bad: How many of them are no pictures.
        kind_of: Which of a few pictures each one is, by its path.
    """

    place: Place
    number: int
    bad: int
    kind_of: dict[str, int]


def fill(place: Place, kinds: Sequence[bytes], number: int, bad: int) -> Corpus:
    """Write pictures and files that are none.

    Bad ones are every so many: nothing at all, words, and the first half of a picture in turn.
    """
    broken = (b"", b"no picture", kinds[0][: len(kinds[0]) // 2])
    every, kind_of = number // bad if bad else number + 1, {}
    for at in range(number):
        path = f"{at // 100:03}/{at:06}.jpg"
        if bad and at % every == every - 1 and at // every < bad:
            place.replace(path, broken[at // every % 3])
        else:
            kind_of[path] = at % len(kinds)
            place.replace(path, kinds[kind_of[path]])
    return Corpus(place, number, bad, kind_of)


def kill_and_go_on(
    corpus: Corpus, target: Place, words: Sequence[str], room: Path, wanted: Sequence[bytes]
) -> Killed:
    """Kill a worker after a third of the pictures, the driver after a half, and run it again.

    Args:
        corpus: The pictures.
        target: Where cutouts go.
        words: More for the command.
        room: Folder for what it says.
        wanted: What is to be made of each kind of picture.
    """
    command = [corpus.place.address, target.address, *words]
    _kill(command, corpus.number, target, room / "first.log")
    before = stamps(target)
    say(f"{len(before)} cutouts are there; the same command again")
    status, second_s, memory = _watched(command, room / "second.log")
    after, rows = stamps(target), rows_of(target)
    return Killed(
        where=corpus.place.address.partition("://")[0] if "://" in target.address else "folder",
        pictures=corpus.number,
        bad=corpus.bad,
        before=len(before),
        written_again=sum(after.get(path) != stamp for path, stamp in before.items()),
        rows=len(rows),
        distinct=len({row["path"] for row in rows}),
        codes=dict(Counter(row["code"] for row in rows if row["code"])),
        engines=dict(Counter(row["engine"] for row in rows if row["engine"])),
        cutouts=len(after),
        other_bytes=_others(target, rows, corpus.kind_of, wanted),
        status=status,
        second_s=second_s,
        memory_mb=_ends_of(memory),
    )


def _kill(command: Sequence[str], number: int, target: Place, log: Path) -> None:
    with running(log, *command) as process:
        wait_for(target, number // 3, process)
        workers = workers_of(process.pid)
        say(f"kill one of {len(workers)} workers")
        workers[0].send_signal(signal.SIGKILL)
        wait_for(target, number // 2, process)
        say("kill the driver")
        workers = workers_of(process.pid)
        process.kill()
        process.wait()
        psutil.wait_procs(workers, timeout=_GONE_S)  # Ray ends them with it


def _watched(command: Sequence[str], log: Path) -> tuple[int, float, list[tuple[float, float]]]:
    """Run a command to its end: its status, how long it took, and the memory it had."""
    started, over = time.monotonic(), threading.Event()
    memory: list[tuple[float, float]] = []
    with running(log, *command) as process:
        watch = threading.Thread(target=_watch, args=(process.pid, memory, over), daemon=True)
        watch.start()
        status = process.wait()
        over.set()
        watch.join()
    return status, time.monotonic() - started, memory


def again(source: Place, target: Place, words: Sequence[str], room: Path) -> bool:
    """Whether a third run writes nothing."""
    before = stamps(target)
    run(room / "third.log", source.address, target.address, *words)
    return stamps(target) == before


def _others(
    target: Place, rows: list[dict[str, str]], kind_of: dict[str, int], wanted: Sequence[bytes]
) -> int:
    """Cutouts that are not what was wanted of their kind."""
    digests = [sha256(one).digest() for one in wanted]
    return sum(
        sha256(target.read(row["target"], _MOST)).digest() != digests[kind_of[row["path"]]]
        for row in rows
        if not row["code"]
    )


def _watch(pid: int, memory: list[tuple[float, float]], over: threading.Event) -> None:
    while not over.wait(_SAMPLE_S):
        with suppress(psutil.Error, ValueError):
            largest = max(one.memory_info().rss for one in workers_of(pid))
            driver = psutil.Process(pid).memory_info().rss
            memory.append((largest / 1e6, driver / 1e6))


def _ends_of(memory: list[tuple[float, float]]) -> dict[str, list[float]]:
    """Early and late memory, each the median of a few samples."""
    tenth = max(1, len(memory) // 10)
    early, late = memory[tenth : 2 * tenth] or memory[:1], memory[-tenth:]
    found = {}
    for at, name in enumerate(("worker", "driver")):
        ends = (sorted(sample[at] for sample in samples) for samples in (early, late))
        found[name] = [round(one[len(one) // 2], 1) if one else 0.0 for one in ends]
    return found
