"""How the two processes stop: public finishes what it has, inference lasts until it has.

The supervisor sends SIGTERM to both at once; left alone, inference would go first and take the
requests that are still being decoded with it. The supervisor also keeps the public socket open
until the last worker is gone. Left alone, requests under way would lose inference and new callers
would hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType

from service.processes.workers import PUBLIC, listening_number, living_workers

_POLL_S = 0.1
_READ_ARRIVED_S = 0.25

Handler = Callable[[int, FrameType | None], object]


def announce_stop(stopping: asyncio.Event, finish: Callable[[], Awaitable[None]]) -> None:
    """Set an event of the running loop when this process is told to stop, and refuse callers.

    Not at once: a body that still is in the kernel's buffers has arrived, too.

    Args:
        stopping: The event.
        finish: Waited for before the server is told, which closes WebSockets amid their answers.
    """
    loop = asyncio.get_running_loop()
    finishing: set[asyncio.Task[None]] = set()

    def note(number: int, frame: FrameType | None, then: Handler) -> None:
        loop.call_soon_threadsafe(loop.call_later, _READ_ARRIVED_S, stop, number, then)

    def stop(number: int, then: Handler) -> None:
        stopping.set()
        _refuse_new_callers(loop)
        task = loop.create_task(finish_first(number, then))
        finishing.add(task)
        task.add_done_callback(finishing.discard)

    async def finish_first(number: int, then: Handler) -> None:
        try:
            if not finishing - {asyncio.current_task()}:  # whoever asks twice does not wait
                await finish()
        finally:
            then(number, None)

    _wrap_stop_signals(note)


def _refuse_new_callers(loop: asyncio.AbstractEventLoop) -> None:
    """Shut the listening socket for all who share it; else callers would wait in its backlog."""
    number = listening_number()
    if number is None:
        return
    with contextlib.suppress(OSError, ValueError):
        loop.remove_reader(number)
        with socket.socket(fileno=os.dup(number)) as listening:
            listening.shutdown(socket.SHUT_RDWR)


def stop_after_public(within_s: float) -> None:
    """Heed a stop signal only once the public service's workers are gone.

    Not the other ones': two inference services would wait for each other.

    Args:
        within_s: How long to wait for them at most.
    """

    def wait(number: int, frame: FrameType | None, then: Handler) -> None:
        threading.Thread(target=_stop_last, args=(number, then, within_s), daemon=True).start()

    _wrap_stop_signals(wait)


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
    while living_workers(PUBLIC) and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    then(number, None)
