"""The processes of one running service: a supervisor, and its workers as each of them sees it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from typing import Any

import psutil
import uvicorn

_PR_SET_PDEATHSIG = 1
_WORKER_MODULE = "_bentoml_impl.worker.service"
# BentoML's commands that start a service: all of it, or one half (docs/decisions/0023).
_STARTS = frozenset({"serve", "start-http-server"})
#: Name of the service that speaks HTTP; it stops first.
PUBLIC = "background_removal"


def end_with_supervisor() -> None:
    """Have the kernel stop this process when its supervisor is killed; else it would live on.

    One that was killed while this process started tells nobody any more.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if _service_name(psutil.Process()) and _supervisor() is None:
            os.kill(os.getpid(), signal.SIGTERM)


def stop_service() -> None:
    """Have our supervisor stop all its workers, where starting one again would only fail again."""
    supervisor = _supervisor()
    if supervisor is not None:
        supervisor.terminate()


def is_sibling(number: int) -> bool:
    """Whether a process, by its number, lives and is ours or another worker of our supervisor."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(number).ppid() == os.getppid()
    return False


def kill_sibling(number: int) -> None:
    """Kill another worker of our supervisor, who will replace it; nobody else's process."""
    for worker in living_workers():
        if worker.pid == number:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()


def serving() -> uvicorn.Server | None:
    """The server this process runs in, by its handler of SIGTERM; ask before `announce_stop`."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if isinstance(server, uvicorn.Server) else None


def listening_address() -> Any:
    """Where this worker listens: the path of a Unix socket, or host and port; None in a test."""
    number = listening_number()
    if number is None:
        return None
    with socket.socket(fileno=os.dup(number)) as listening:
        return listening.getsockname()


def listening_number() -> int | None:
    """File descriptor of the socket that BentoML has this worker listen on."""
    return int(sys.argv[sys.argv.index("--fd") + 1]) if "--fd" in sys.argv else None


def living_workers(service: str | None = None) -> list[psutil.Process]:
    """The workers of our supervisor that live, this one among them.

    Args:
        service: Name of the service they serve; None for any.
    """
    try:
        supervisor = _supervisor()
        children = supervisor.children() if supervisor is not None else []
        return [
            child
            for child in children
            if child.status() != psutil.STATUS_ZOMBIE
            and (name := _service_name(child))
            and service in (None, name)
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
        if parent is not None and _service_name(me) and _STARTS & set(parent.cmdline()):
            return parent
    return None


def _service_name(process: psutil.Process) -> str:
    """The service a worker serves, from its command line; empty for any other process."""
    words = process.cmdline()
    if _WORKER_MODULE not in words or "--service-name" not in words:
        return ""
    return words[words.index("--service-name") + 1]
