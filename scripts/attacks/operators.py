"""What an operator, a desktop or a cleaner of temporary files can do to a running service."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.attacks.callers import Figure
from scripts.attacks.service import GIVE_UP_S, attacked, seconds_until
from scripts.measuring.processes import NO_LIMITS

_FORGOTTEN_S = 10.0  # by then the two processes have closed what they had connected by name


def hang_up(checkout: Path) -> list[Figure]:
    """SIGHUP, as when a terminal is closed."""
    with _heeding_hang_ups(), attacked(checkout, NO_LIMITS) as target:
        target.server.process.send_signal(signal.SIGHUP)
        ended_s = seconds_until(target.has_ended)
        if ended_s is not None:
            return [Figure("seconds from SIGHUP to the end", ended_s, "s")]
        target.server.process.terminate()
        return [
            Figure("seconds from SIGHUP to the end", None, "s"),
            Figure("seconds from a SIGTERM after it", seconds_until(target.has_ended, 30), "s"),
        ]


def stop_twice(checkout: Path) -> list[Figure]:
    """SIGTERM, and again because it was not quick enough."""
    with attacked(checkout, NO_LIMITS) as target:
        target.server.process.terminate()
        time.sleep(0.3)
        target.server.process.terminate()
        return [
            Figure("seconds from two SIGTERMs to the end", seconds_until(target.has_ended), "s")
        ]


def freeze(checkout: Path) -> list[Figure]:
    """SIGSTOP of inference: it lives and does not answer."""
    with attacked(checkout, NO_LIMITS) as target:
        target.worker("inference").suspend()
        time.sleep(1)
        ready = target.status_of("/readyz", timeout_s=20)
        healed_s = seconds_until(target.serves, GIVE_UP_S)
    return [
        Figure("status of /readyz while inference hangs", ready),
        Figure("seconds from SIGSTOP to the next cutout", healed_s, "s"),
    ]


def sweep(checkout: Path) -> list[Figure]:
    """All names of sockets removed, as a cleaner of old files does."""
    with attacked(checkout, NO_LIMITS) as target:
        names = [file for file in target.folder.rglob("*") if file.is_socket()]
        for name in names:
            name.unlink()
        time.sleep(_FORGOTTEN_S)
        healed_s = seconds_until(target.serves, GIVE_UP_S)
        target.server.process.terminate()
        ended_s = seconds_until(target.has_ended)
    return [
        Figure("names of sockets removed", len(names)),
        Figure("seconds to the next cutout, from 10 s after", healed_s, "s"),
        Figure("seconds from a SIGTERM after it to the end", ended_s, "s"),
    ]


@contextmanager
def _heeding_hang_ups() -> Iterator[None]:
    """Start no process that ignores SIGHUP, as whatever runs under nohup would."""
    ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, ours)
