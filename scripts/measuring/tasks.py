"""What tasks cost: their acceptance, callers beside a long queue, and memory, in one run.

    python -m scripts.measuring.tasks

Starts a service of its own, with its storage in a temporary folder. Prints the report and writes
it with its figures as JSON.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar

import httpx
import numpy as np

from scripts.arguments import positive
from scripts.command import Unusable, run_command
from scripts.measuring.pictures import find_photos, make_sizes
from scripts.measuring.processes import REPOSITORY, MemoryWatch, Server, our_service
from scripts.measuring.report import Report, begin_run, say
from scripts.measuring.table import table

_CALLS = 60
_SENDERS = 4
_QUIET_S = 30.0
_SETTLE_S = 10.0
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Times:
    """Milliseconds of many calls.

    Attributes:
        p50_ms: The median.
        p95_ms: 95 of 100 are faster.
    """

    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Idle:
    """The public process while nobody asks for anything.

    Attributes:
        memory_mb: Its PSS.
        threads: How many it has.
        cpu_percent: Of one core.
    """

    memory_mb: float
    threads: int
    cpu_percent: float


@dataclass(frozen=True)
class Figures:
    """What was found.

    Attributes:
        waiting: Tasks in the queue as the callers came.
        before: The public process before the first task.
        after: The same after a task.
        refused: An upload that is refused once it was read: what sending costs.
        accepted: The same upload, accepted as a task; nothing is worked on.
        accepted_busy: The same while tasks are worked on.
        alone: One caller after the other without tasks.
        beside: The same while the queue is worked on.
        done_beside: Tasks that were done a second meanwhile.
        done_quiet: Tasks that are done a second without callers.
        idle_mb: Memory of all processes before the queue was filled.
        peak_mb: The most of it while the queue was worked on.
    """

    waiting: int
    before: Idle
    after: Idle
    refused: Times
    accepted: Times
    accepted_busy: Times
    alone: Times
    beside: Times
    done_beside: float
    done_quiet: float
    idle_mb: float
    peak_mb: float


@dataclass(frozen=True)
class Tasks(Report):
    """What tasks cost.

    Attributes:
        model: Name in the catalogue.
        found: What was found.
    """

    title: ClassVar[str] = "Tasks"
    model: str
    found: Figures

    def notes(self) -> Iterable[str]:
        """How it was measured."""
        yield f"Photographs of 1920 x 1080, {self.model}, tasks in SQLite; {_CALLS} calls each."
        yield "The sender runs on the same machine, on loopback."

    def body(self) -> Iterable[str]:
        """What it costs, by whom."""
        found = self.found
        calls = {
            "upload that is refused": found.refused,
            "upload accepted as a task": found.accepted,
            "the same while tasks are worked on": found.accepted_busy,
            "`/remove` without tasks": found.alone,
            f"`/remove` beside a queue of {found.waiting}": found.beside,
        }
        cells = [[name, f"{t.p50_ms:.0f}", f"{t.p95_ms:.0f}"] for name, t in calls.items()]
        yield from table([["call", "p50, ms", "p95, ms"], *cells])
        yield ""
        times = found.beside.p50_ms / found.alone.p50_ms
        yield f"A caller beside the queue waits {times:.2f} times as long in the median."
        yield (
            f"Tasks done a second: {found.done_beside:.2f} while callers ask without a pause, "
            f"{found.done_quiet:.2f} without callers."
        )
        yield (
            f"Memory of all processes: {found.idle_mb:.0f} MB before the queue was filled, "
            f"{found.peak_mb:.0f} MB at most while it was worked on."
        )
        yield ""
        looks = {"before the first task": found.before, "after it": found.after}
        cells = [
            [name, f"{one.memory_mb:.0f}", str(one.threads), f"{one.cpu_percent:.1f}"]
            for name, one in looks.items()
        ]
        yield from table([["public process, idle", "PSS, MB", "threads", "% of a core"], *cells])


def measure(model: str, files: list[Path], queue: int, folder: Path) -> Figures:
    """Serve, and measure one thing after the other."""
    settings = {
        "BIREFNET_STORAGE_URL": str(folder / "storage"),
        "BIREFNET_MAX_TASKS": str(queue + 2 * _CALLS),
        "BIREFNET_MAX_TASKS_PER_CLIENT": "0",
    }
    client = httpx.Client(timeout=_TIMEOUT_S)
    with our_service(model, folder / "tasks.log", settings) as server, client:
        ask = _Callers(server, client, files)
        time.sleep(_SETTLE_S)
        before, alone = _idle(server), _times(ask.remove)
        ask.task()
        ask.wait_until_done()
        after = _idle(server)
        refused, accepted = _times(ask.refused), _times(ask.task, ask.wait_until_done)
        idle_mb = sum(server.memory_mb().values())
        with MemoryWatch(server) as memory:
            say(f"fill the queue with {queue}")
            ask.fill(queue)
            accepted_busy = _times(ask.task)
            waiting = ask.left()
            say(f"callers beside {waiting} tasks")
            started, beside = time.monotonic(), _times(ask.remove)
            done_beside = (waiting - ask.left()) / (time.monotonic() - started)
            say("nobody calls")
            left = ask.left()
            time.sleep(_QUIET_S)
            done_quiet = (left - ask.left()) / _QUIET_S
    times = (refused, accepted, accepted_busy, alone, beside)
    rates = (done_beside, done_quiet)
    return Figures(waiting, before, after, *times, *rates, idle_mb, memory.peak_mb)


class _Callers:
    """Sends what is measured.

    Args:
        server: Where to.
        client: Who sends.
        files: Pictures, in turn.
    """

    def __init__(self, server: Server, client: httpx.Client, files: list[Path]) -> None:
        self._url, self._client = server.url, client
        self._bodies = [file.read_bytes() for file in files]
        self._sent: list[str] = []
        self._turn = 0

    def remove(self) -> None:
        """One picture, at once."""
        self._post("", 200)

    def refused(self) -> None:
        """One picture, with a model that there is not: refused once it was read."""
        self._post("-async", 422, model="none")

    def task(self) -> None:
        """One picture, as a task."""
        self._sent.append(str(self._post("-async", 202).json()["check_url"]))

    def fill(self, number: int) -> None:
        """So many tasks, a few senders at once."""
        with ThreadPoolExecutor(_SENDERS) as senders:
            for sending in [senders.submit(self.task) for _ in range(number)]:
                sending.result()

    def left(self) -> int:
        """How many tasks are unfinished: those before the last one, and it."""
        told = self._client.get(self._url.partition("/api/")[0] + self._sent[-1]).json()
        return 0 if told["position"] is None else int(told["position"]) + 1

    def wait_until_done(self) -> None:
        """Wait until no task is unfinished."""
        while self.left():
            time.sleep(0.02)

    def _post(self, end: str, status: int, **values: str) -> httpx.Response:
        self._turn += 1
        file = {"image": ("photo.jpg", self._bodies[self._turn % len(self._bodies)])}
        answer = self._client.post(self._url + end, files=file, data=values)
        if answer.status_code != status:
            raise Unusable(f"{answer.status_code} instead of {status}: {answer.text[:300]}")
        return answer


def _times(call: Callable[[], None], afterwards: Callable[[], None] = lambda: None) -> Times:
    """Time a call so many times; what is done afterwards is not counted."""
    taken = []
    for _ in range(_CALLS):
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1e3)
        afterwards()
    return Times(median(taken), float(np.percentile(taken, 95)))


def _idle(server: Server) -> Idle:
    """Look at the public process for some seconds."""
    memory = server.memory_mb()["public"]
    children = server.process.children(recursive=True)
    (public,) = (one for one in children if server.role_of(one) == "public")
    before = sum(public.cpu_times()[:2])
    time.sleep(_SETTLE_S)
    percent = (sum(public.cpu_times()[:2]) - before) / _SETTLE_S * 100
    return Idle(memory, public.num_threads(), percent)


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="u2netp", help="registered already")
    parser.add_argument("--queue", type=positive, default=1000, metavar="N")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    options = parser.parse_args(arguments)
    run = begin_run("scripts.measuring.tasks", arguments)
    with tempfile.TemporaryDirectory() as folder:
        files = make_sizes(find_photos(REPOSITORY / "examples/photos"), Path(folder))["1080p"]
        found = measure(options.model, files, options.queue, Path(folder))
    report = Tasks(*run, options.model, found)
    report.publish(options.output or report.stem("tasks"))
    return 0


if __name__ == "__main__":
    run_command(main)
