"""How the two processes stop: public finishes what it has, inference lasts until it has.

The supervisor sends SIGTERM to both at once; left alone, inference would go first and take the
requests that are still being decoded with it. The supervisor also keeps the public socket open
until the last worker is gone. Left alone, requests under way would lose inference and new callers
would hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import Any

import psutil
import uvicorn

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.1
_READ_ARRIVED_S = 0.25
_WORKER_MODULE = "_bentoml_impl.worker.service"

Handler = Callable[[int, FrameType | None], object]


def check_address(host: str, port: int) -> None:
    """Find out before anything starts whether we can listen there.

    Raises:
        SystemExit: With one sentence, if not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as refused:
        raise SystemExit(
            f"The service cannot start:\n  it cannot listen on {host}:{port} ({refused.strerror}); "
            "set BIREFNET_HOST and BIREFNET_PORT"
        ) from refused


def check_folder(folder: Path, variable: str) -> None:
    """Find out before anything starts whether files can be made in a folder; make it if need be.

    Raises:
        SystemExit: With one sentence, if not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as refused:
        raise SystemExit(
            f"The service cannot start:\n  {variable}: {folder} is not a writable folder "
            f"({refused.strerror})"
        ) from refused


def end_with_supervisor() -> None:
    """Have the kernel stop this process when its supervisor is killed; else it would live on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def announce_stop(stopping: asyncio.Event) -> None:
    """Set an event of the running loop when this process is told to stop, and refuse callers.

    Not at once: a body that still is in the kernel's buffers has arrived, too.
    """
    loop = asyncio.get_running_loop()

    def note(number: int, frame: FrameType | None, then: Handler) -> None:
        loop.call_soon_threadsafe(loop.call_later, _READ_ARRIVED_S, stop, number, then)

    def stop(number: int, then: Handler) -> None:
        stopping.set()
        _refuse_new_callers(loop)
        then(number, None)

    _wrap_stop_signals(note)


def serving() -> uvicorn.Server | None:
    """The server this process runs in, by its handler of SIGTERM; ask before `announce_stop`."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if isinstance(server, uvicorn.Server) else None


def listening_address() -> Any:
    """Where this worker listens: the path of a Unix socket, or host and port; None in a test."""
    number = _listening_number()
    if number is None:
        return None
    with socket.socket(fileno=os.dup(number)) as listening:
        return listening.getsockname()


def _refuse_new_callers(loop: asyncio.AbstractEventLoop) -> None:
    """Shut the listening socket for all who share it; else callers would wait in its backlog."""
    number = _listening_number()
    if number is None:
        return
    with contextlib.suppress(OSError, ValueError):
        loop.remove_reader(number)
        with socket.socket(fileno=os.dup(number)) as listening:
            listening.shutdown(socket.SHUT_RDWR)


def _listening_number() -> int | None:
    """File descriptor of the socket that BentoML has this worker listen on."""
    return int(sys.argv[sys.argv.index("--fd") + 1]) if "--fd" in sys.argv else None


def stop_service() -> None:
    """Have our supervisor stop all its workers, where starting one again would only fail again."""
    supervisor = _supervisor()
    if supervisor is not None:
        supervisor.terminate()


def outlive_siblings(within_s: float) -> None:
    """Heed a stop signal only once the other workers of our supervisor are gone.

    Args:
        within_s: How long to wait for them at most.
    """

    def wait(number: int, frame: FrameType | None, then: Handler) -> None:
        threading.Thread(target=_stop_last, args=(number, then, within_s), daemon=True).start()

    _wrap_stop_signals(wait)


def is_sibling(number: int) -> bool:
    """Whether a process, by its number, lives and is ours or another worker of our supervisor."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(number).ppid() == os.getppid()
    return False


def kill_sibling(number: int) -> None:
    """Kill another worker of our supervisor, who will replace it; nobody else's process."""
    for sibling in _siblings():
        if sibling.pid == number:
            with contextlib.suppress(psutil.NoSuchProcess):
                sibling.kill()


def _wrap_stop_signals(wrapper: Callable[[int, FrameType | None, Handler], None]) -> None:
    """Put a wrapper around the handlers the server has installed for SIGTERM and SIGINT.

    A hangup is a stop as well: by itself it would end a worker amid its requests.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        inner = signal.getsignal(number)
        if callable(inner):
            signal.signal(number, partial(_call, wrapper, inner))
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _, frame: _terminate(frame))


def _terminate(frame: FrameType | None) -> None:
    """Do what SIGTERM does."""
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler):
        handler(signal.SIGTERM, frame)


def _call(
    wrapper: Callable[[int, FrameType | None, Handler], None],
    inner: Handler,
    number: int,
    frame: FrameType | None,
) -> None:
    wrapper(number, frame, inner)


def _stop_last(number: int, then: Handler, within_s: float) -> None:
    give_up = time.monotonic() + within_s
    while _siblings() and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    then(number, None)


def _siblings() -> list[psutil.Process]:
    """The other workers under our supervisor that are not of our own service."""
    try:
        supervisor = _supervisor()
        if supervisor is None:
            return []
        own_service = _service_name(psutil.Process())
        return [
            child
            for child in supervisor.children()
            if child.status() != psutil.STATUS_ZOMBIE
            and _service_name(child) not in ("", own_service)
        ]
    except psutil.Error:
        return []


def _supervisor() -> psutil.Process | None:
    """The parent of this worker, unless it is whoever takes orphans in.

    Its number says nothing: in a container the supervisor is process 1.
    """
    with contextlib.suppress(psutil.Error):  # it is gone
        me = psutil.Process()
        parent = me.parent()
        if parent is not None and _service_name(me) and "serve" in parent.cmdline():
            return parent
    return None


def _service_name(process: psutil.Process) -> str:
    """The service a worker serves, from its command line; empty for any other process."""
    words = process.cmdline()
    if _WORKER_MODULE not in words or "--service-name" not in words:
        return ""
    return words[words.index("--service-name") + 1]
