"""Servers under measurement: start one, wait for it, sample its memory, stop it by pid."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import NoReturn, Self

import httpx
import psutil

from scripts.command import Unusable

REPOSITORY = Path(__file__).resolve().parents[2]
PREFIX = "/api/background-removal"
_SERVICE = "service.public:BackgroundRemoval"
_START_S = 120.0
_STOP_S = 20.0
_POLL_S = 0.2
_SAMPLE_S = 0.25
_KB = 1024
# What would tell one of two contenders, and not the other, how many threads to take.
_UNWANTED = ("OMP_NUM_THREADS", "BIREFNET_MODEL_PATH", "LOG_FILE")
#: Measuring from one address would otherwise measure the limits.
NO_LIMITS = {
    "BIREFNET_MAX_IN_FLIGHT_PER_CLIENT": "0",
    "BIREFNET_RATE_LIMIT_PER_MINUTE": "0",
    "BIREFNET_RATE_LIMIT_PER_SECOND": "0",
}


class ServerFailed(Unusable):
    """A server did not start; the message ends with its last words."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        process: The process we started; everything else is below it.
        url: Where it takes pictures.
        health_url: What answers 200 when it serves.
    """

    process: psutil.Process
    url: str
    health_url: str

    def role_of(self, process: psutil.Process) -> str:
        """`inference` or `public` of ours, `supervisor` for the first process, else its program."""
        words = process.cmdline()
        if "--service-name" in words:
            served = words[words.index("--service-name") + 1]
            return "inference" if served == "inference" else "public"
        return "supervisor" if process.pid == self.process.pid else process.name()

    def memory_mb(self) -> dict[str, float]:
        """Proportional set size (PSS) of every process, by role, in MB of 10^6 bytes.

        Shared pages count once over all who share them, so that the sum is what the server takes.
        """
        memory: dict[str, float] = {}
        for process in (self.process, *self.process.children(recursive=True)):
            try:
                role = self.role_of(process)
                memory[role] = memory.get(role, 0.0) + _pss_mb(process.pid)
            except (psutil.Error, OSError):
                continue  # it ended while we looked
        return memory


@dataclass
class MemoryWatch:
    """Summed PSS of a server while a block runs.

    Attributes:
        server: Whom to watch.
        samples_mb: Sums in the order they were taken.
    """

    server: Server
    samples_mb: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def peak_mb(self) -> float:
        """The largest sum seen."""
        return max(self.samples_mb)

    def _watch(self) -> None:
        while not self._over.is_set():
            self.samples_mb.append(sum(self.server.memory_mb().values()))
            self._over.wait(_SAMPLE_S)
        self.samples_mb.append(sum(self.server.memory_mb().values()))


@contextmanager
def our_service(
    model: str,
    log: Path,
    settings: Mapping[str, str] | None = None,
    checkout: Path = REPOSITORY,
) -> Iterator[Server]:
    """Our service with one model, without rate limits, on a free loopback port.

    Args:
        model: Name in the catalogue; registered already.
        log: File for what it says.
        settings: More environment.
        checkout: Root of the repository whose service it is.

    Yields:
        The running server, warmed up.

    Raises:
        ServerFailed: If it does not start.
    """
    port = free_port()
    environment = {**on_loopback(model, port), **NO_LIMITS, **(settings or {})}
    root = f"http://127.0.0.1:{port}{PREFIX}"
    urls = (f"{root}/remove", f"{root}/health")
    with running(serve_command(checkout), environment, log, urls) as server:
        yield server


def serve_command(checkout: Path) -> list[str]:
    """What starts the service of a checkout."""
    bentoml = [sys.executable, "-m", "bentoml"]
    return ["/usr/bin/env", f"--chdir={checkout}", *bentoml, "serve", _SERVICE]


def on_loopback(model: str, port: int) -> dict[str, str]:
    """Environment of a service with one model that only this machine can reach."""
    return {
        "BENTOML_DO_NOT_TRACK": "True",
        "BIREFNET_HOST": "127.0.0.1",
        "BIREFNET_MODEL": model,
        "BIREFNET_PORT": str(port),
    }


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, urls: tuple[str, str]
) -> Iterator[Server]:
    """Run a server for the length of a block.

    Args:
        command: What to start, in the repository's root.
        environment: What to add to our own environment.
        log: File for what it says.
        urls: Where it takes pictures, and what answers 200 when it serves.

    Yields:
        The running server.

    Raises:
        ServerFailed: If it does not start.
    """
    with log.open("wb") as out:
        started = subprocess.Popen(
            within(environment, command),
            cwd=REPOSITORY,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    server = Server(psutil.Process(started.pid), *urls)
    try:
        _wait_until_it_serves(started, server, log)
        yield server
    finally:
        _stop(started, server)


def within(environment: Mapping[str, str], command: Sequence[str]) -> list[str]:
    """A command with more environment than ours; `env` becomes it, so it has the same pid."""
    unset = [word for name in _UNWANTED for word in ("--unset", name)]
    setting = [f"{name}={value}" for name, value in environment.items()]
    return ["/usr/bin/env", *unset, *setting, *command]


def stop_by_itself(minutes: int) -> None:
    """End, servers and all, after so long or when told to; a plain SIGTERM would leave them."""

    def give_up(number: int, frame: object) -> NoReturn:
        raise SystemExit("out of time" if number == signal.SIGALRM else "stopped")

    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, give_up)
    signal.alarm(60 * minutes)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_serves(started: subprocess.Popen[bytes], server: Server, log: Path) -> None:
    give_up = time.monotonic() + _START_S
    while time.monotonic() < give_up and started.poll() is None:
        try:
            if httpx.get(server.health_url, timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(_POLL_S)
    raise ServerFailed(f"{server.health_url} does not answer:\n{log.read_text()[-2000:]}")


def _stop(started: subprocess.Popen[bytes], server: Server) -> None:
    """End the processes we started, by their pids; kindly first."""
    try:
        below = server.process.children(recursive=True)
    except psutil.Error:
        below = []
    started.terminate()
    try:
        started.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
    for left in psutil.wait_procs(below, timeout=_STOP_S)[1]:
        left.kill()


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * _KB / 1e6
    return 0.0
