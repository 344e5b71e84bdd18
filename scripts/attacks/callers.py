"""What callers can do to a running service over the network: many, idle or stalled ones."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import resource
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.attacks.service import (
    Target,
    attacked,
    form_of,
    seconds_until,
    small_picture,
)
from scripts.hostile.costly_jpegs import jpeg_recipes
from scripts.hostile.costly_pngs import png_recipes
from scripts.measuring.processes import NO_LIMITS, PREFIX, MemoryWatch

_PUBLIC, _INFERENCE = "background_removal", "inference"
_CALLERS = 4
_DEAR: tuple[tuple[str, dict[str, int]], ...] = (
    ("jpeg 1,000 scans", {"scans": 20_000}),
    ("png transparent colour", {}),
)
_MB, _KB = 1e6, 1e3
_HEALTH = f"{PREFIX}/health"


@dataclass(frozen=True)
class Figure:
    """One thing measured.

    Attributes:
        what: What it is, in words.
        value: The number; None where what was waited for never happened.
        unit: Its unit, empty for a count.
    """

    what: str
    value: float | None
    unit: str = ""


def listeners(checkout: Path) -> list[Figure]:
    """TCP ports that anybody on the machine can connect to, besides the public one."""
    with attacked(checkout, {}) as target:
        found = {
            (connection.laddr.ip, connection.laddr.port)
            for process in target.processes
            for connection in process.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        }
    return [Figure("other TCP listeners", len(found) - 1)]


def clients(checkout: Path, n_clients: int, seconds: float) -> list[Figure]:
    """What remembering many clients costs: CPU time per request, and memory.

    Each comes by with one request; fewer of them where the service is slow, for they have so many
    seconds together.
    """
    addresses = (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in itertools.count())
    with attacked(checkout, {"BIREFNET_TRUSTED_PROXIES": "127.0.0.1"}) as target:
        public = target.worker(_PUBLIC)

        def come_by(number: int, within_s: float = 60.0) -> int:
            forwarded = ({"X-Forwarded-For": a} for a in itertools.islice(addresses, number))
            return call_often(target, b"", forwarded, within_s)

        come_by(200)
        before_mb, fresh_s = _own_mb(public), _cpu_s(public, lambda: come_by(100))
        came = come_by(n_clients, seconds)
        after_mb, then_s = _own_mb(public), _cpu_s(public, lambda: come_by(100))
        time.sleep(90)
        late_s = _cpu_s(public, lambda: come_by(100))
        late_mb = _own_mb(public)
    return [
        Figure("CPU time of 100 requests, fresh", fresh_s, "s"),
        Figure("clients that came by", came),
        Figure("CPU time of 100 requests after them", then_s, "s"),
        Figure("CPU time of 100 requests 90 s later", late_s, "s"),
        Figure("memory they cost", after_mb - before_mb, "MB"),
        Figure("memory they cost 90 s later", late_mb - before_mb, "MB"),
    ]


def growth(checkout: Path, n_requests: int, seconds: float) -> list[Figure]:
    """What each answered removal of a small picture leaves behind, in each of the two processes.

    Fewer are sent where the service is slow, for they have so many seconds together.
    """
    picture = small_picture()
    give_up = time.monotonic() + seconds
    samples: dict[str, list[float]] = {_PUBLIC: [], _INFERENCE: []}
    sent: list[int] = []
    with attacked(checkout, NO_LIMITS) as target:
        step = max(1, n_requests // 30)
        done = call_often(target, picture, [{}] * min(2000, step * 2), seconds)  # caches fill
        while done < n_requests and time.monotonic() < give_up:
            for name, kept in samples.items():
                kept.append(_own_mb(target.worker(name)))
            sent.append(done)
            done += call_often(target, picture, [{}] * step, give_up - time.monotonic())
        for name, kept in samples.items():
            kept.append(_own_mb(target.worker(name)))
        sent.append(done)
    return [
        Figure("removals sent", done),
        *(
            Figure(f"growth of {role} per removal", _slope(sent, samples[name]) * _KB, "kB")
            for role, name in (("public", _PUBLIC), ("inference", _INFERENCE))
        ),
    ]


def uploads(checkout: Path) -> list[Figure]:
    """Memory taken by 120 uploads of 9.9 MB that stop short of their last bytes."""
    body, headers = form_of(bytes(9_900_000))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    start = f"POST {PREFIX}/remove HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{head}\r\n"

    def begin(number: int) -> socket.socket | None:
        source = (f"127.0.1.{1 + number % 40}", 0)
        caller = socket.create_connection(("127.0.0.1", target.port), 20, source)
        with contextlib.suppress(OSError):  # it was refused as it came
            caller.sendall(start.encode() + body[:-9000])
        return caller

    with attacked(checkout, {}) as target:
        target.status_of(_HEALTH)
        idle_mb = target.memory_mb()
        with MemoryWatch(target.server) as watch, ThreadPoolExecutor(8) as threads:
            callers = list(threads.map(begin, range(120)))
            healthy = []
            for _ in range(10):
                healthy.append(target.status_of(_HEALTH))
                time.sleep(1)
        for caller in callers:
            if caller is not None:
                caller.close()
    return [
        Figure("memory of 120 stalled uploads", watch.peak_mb - idle_mb, "MB"),
        Figure("health answered meanwhile, of 10", healthy.count(200)),
    ]


def silent(checkout: Path, seconds: int) -> list[Figure]:
    """Whether health answers while 1,100 callers connect and say nothing; 1,024 files allowed.

    It is asked once a second, for so many seconds.
    """
    with _many_files(), attacked(checkout, NO_LIMITS, max_files=1024) as target:
        held = []
        for number in range(1100):
            with contextlib.suppress(OSError):
                source = (f"127.0.3.{1 + number % 11}", 0)
                held.append(socket.create_connection(("127.0.0.1", target.port), 2, source))
        with ThreadPoolExecutor(8) as threads:
            asked = []
            for _ in range(seconds):
                asked.append(threads.submit(_timed_health, target))
                time.sleep(1)
            answers = [future.result() for future in asked]
        for connection in held:
            connection.close()
    took_s = [took for status, took in answers if status == 200]
    return [
        Figure("silent connections opened", len(held)),
        Figure(f"health answered, of {seconds}", len(took_s)),
        Figure("slowest health", max(took_s, default=None), "s"),
    ]


def dear_pictures(checkout: Path) -> list[Figure]:
    """Four pictures of each of two dear kinds at once: JPEGs of many scans, PNGs of 16 bits."""
    recipes = {recipe.name: recipe for recipe in (*jpeg_recipes(), *png_recipes())}
    dear = [recipes[name].make({**recipes[name].defaults(), **more}) for name, more in _DEAR]
    with attacked(checkout, NO_LIMITS) as target, ThreadPoolExecutor(8) as threads:
        for picture in dear * 4:
            threads.submit(target.status_of_removal, picture, 2.0)  # and then they leave
        time.sleep(1)
        served_s = seconds_until(target.serves)
        target.server.process.terminate()
        ended_s = seconds_until(target.has_ended)
    return [
        Figure("seconds to the next cutout", served_s, "s"),
        Figure("seconds from a SIGTERM then to the end", ended_s, "s"),
    ]


def call_often(
    target: Target, picture: bytes, headers: Iterable[dict[str, str]], within_s: float
) -> int:
    """Send removals over a few kept connections, with headers of its own for each.

    Returns:
        How many were answered in time, with whatever status; the rest is not sent.
    """
    body, form = form_of(picture)
    give_up = time.monotonic() + within_s
    turns = _Shared(headers)

    def work(_: int) -> int:
        done = 0
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
        with contextlib.closing(connection):
            for more in turns:
                if time.monotonic() > give_up:
                    break
                try:
                    connection.request("POST", f"{PREFIX}/remove", body, {**form, **more})
                    connection.getresponse().read()
                    done += 1
                except (OSError, http.client.HTTPException):
                    connection.close()  # the next request opens it anew
        return done

    with ThreadPoolExecutor(_CALLERS) as threads:
        return sum(threads.map(work, range(_CALLERS)))


class _Shared(Iterator[dict[str, str]]):
    """An iterator that several threads may take from."""

    def __init__(self, items: Iterable[dict[str, str]]) -> None:
        self._items, self._lock = iter(items), threading.Lock()

    def __next__(self) -> dict[str, str]:
        with self._lock:
            return next(self._items)


def _timed_health(target: Target) -> tuple[int, float]:
    started = time.monotonic()
    return target.status_of(_HEALTH), time.monotonic() - started


def _cpu_s(process: psutil.Process, work: Callable[[], object]) -> float:
    """Seconds of CPU time that a process spends while work is done."""
    before = process.cpu_times()
    work()
    after = process.cpu_times()
    return after.user - before.user + after.system - before.system


def _own_mb(process: psutil.Process) -> float:
    """Memory that is a process's own; what it shares of its program, others can change."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) * 1024 / _MB


def _slope(x: list[int], y: list[float]) -> float:
    """Slope of the straight line that fits best; 0 where one point says nothing of it."""
    return statistics.linear_regression(x, y).slope if len(x) > 1 else 0.0


@contextlib.contextmanager
def _many_files() -> Iterator[None]:
    """Let this process open as many files as the system allows, for the length of a block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
