"""A service of any checkout under attack: a home, a cache and a temporary folder of its own."""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil
from bentoml.container import BentoMLContainer  # type: ignore[attr-defined]

from scripts.measuring.processes import (
    PREFIX,
    Server,
    free_port,
    on_loopback,
    running,
    serve_command,
)

#: Seconds after which something that should happen by itself is said to happen never.
GIVE_UP_S = 90.0
_POLL_S = 0.2
_END_S = 5.0


@dataclass(frozen=True)
class Target:
    """A running service.

    Attributes:
        server: Its first process, and what it answers to.
        port: Its port on 127.0.0.1.
        folder: Everything it writes.
        processes: All its processes as they were when it was ready.
    """

    server: Server
    port: int
    folder: Path
    processes: tuple[psutil.Process, ...]

    def worker(self, service: str) -> psutil.Process:
        """The worker that serves one of the two services, by the service's name."""
        return next(p for p in self.processes if is_worker(p, service))

    def memory_mb(self) -> float:
        """Summed PSS of all processes."""
        return sum(self.server.memory_mb().values())

    def has_ended(self) -> bool:
        """Whether nothing of it lives any more, replacements of a worker included."""
        with contextlib.suppress(psutil.Error):
            if self.server.process.children():
                return False
        return not any(map(_lives, self.processes))

    def status_of(self, path: str, timeout_s: float = 5.0) -> int:
        """Status of a GET; 0 if there was no answer in time."""
        return self._status("GET", path, b"", {}, timeout_s)

    def serves(self) -> bool:
        """Whether a removal of a small picture succeeds now."""
        return self.status_of_removal(small_picture()) == 200

    def status_of_removal(self, picture: bytes, timeout_s: float = 5.0) -> int:
        """Status of a removal; 0 if there was no answer in time."""
        body, headers = form_of(picture)
        return self._status("POST", f"{PREFIX}/remove", body, headers, timeout_s)

    def _status(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        with contextlib.closing(connection):
            try:
                connection.request(method, path, body or None, dict(headers))
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                return 0
            return answer.status


@contextmanager
def attacked(
    checkout: Path, settings: Mapping[str, str], max_files: int | None = None
) -> Iterator[Target]:
    """Run the service of a checkout for the length of a block; nothing of it is left afterwards.

    Args:
        checkout: Root of the repository whose service it is.
        settings: More environment.
        max_files: Most files a process of it may open, or None for what we may.

    Yields:
        The service, ready.

    Raises:
        ServerFailed: If it does not start.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="at-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        for name in ("home", "cache", "tmp"):
            (folder / name).mkdir()
        models = Path(BentoMLContainer.bentoml_home.get()) / "models"
        (folder / "home" / "models").symlink_to(models)
        environment = {
            **on_loopback("u2netp", port),
            "BENTOML_HOME": str(folder / "home"),
            "BIREFNET_CACHE_DIR": str(folder / "cache"),
            "BIREFNET_ENGINE": "fake",
            "PYTHONPATH": str(checkout),
            "TMPDIR": str(folder / "tmp"),
            **settings,
        }
        command = serve_command(checkout)
        if max_files is not None:
            command = ["/bin/sh", "-c", f'ulimit -n {max_files}; exec "$@"', "sh", *command]
        root = f"http://127.0.0.1:{port}"
        urls = (f"{root}{PREFIX}/remove", f"{root}/readyz")
        with running(command, environment, folder / "log", urls) as server:
            processes = (server.process, *server.process.children(recursive=True))
            try:
                yield Target(server, port, folder, processes)
            finally:
                _let_go(processes)
        _end(processes)


def small_picture() -> bytes:
    """A grey picture of the smallest size that is taken, as a PNG."""
    return bytes(cv2.imencode(".png", np.full((64, 64, 3), 90, np.uint8))[1].tobytes())


def is_worker(process: psutil.Process, service: str) -> bool:
    """Whether a process serves one of the two services, by the service's name."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return "--service-name" in words and words[words.index("--service-name") + 1] == service


def form_of(picture: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a removal of one picture; without one, of a form without its file."""
    head = b'Content-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    part = head + picture if picture else b'Content-Disposition: form-data; name="note"\r\n\r\n'
    body = b"--b\r\n" + part + b"\r\n--b--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


def seconds_until(condition: Callable[[], bool], give_up_s: float = GIVE_UP_S) -> float | None:
    """How long it took until a condition held; None if it did not."""
    started = time.monotonic()
    while time.monotonic() - started < give_up_s:
        if condition():
            return time.monotonic() - started
        time.sleep(_POLL_S)
    return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _let_go(processes: tuple[psutil.Process, ...]) -> None:
    """Wake what we have stopped, or it could not be told to end."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.resume()


def _end(processes: tuple[psutil.Process, ...]) -> None:
    """Kill what has outlived its supervisor."""
    for left in psutil.wait_procs([p for p in processes if _lives(p)], timeout=_END_S)[1]:
        with contextlib.suppress(psutil.Error):
            left.kill()
