"""A block that is interrupted when its time is over; blocks may lie within blocks."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_AGAIN_S = 10.0


class TimeIsUp(BaseException):
    """A block took longer than it may.

    No Exception: exporters catch those, and try the next of their ways instead of ending.
    """


@contextmanager
def time_limit(limit_s: float, again_s: float = _AGAIN_S) -> Iterator[None]:
    """Interrupt a block that takes too long; in the main thread only.

    A block within has time of its own: meanwhile the clock of the one around it stands still.

    Args:
        limit_s: How long it may take.
        again_s: Interrupt it again after so long, as the first time may have met a finaliser.

    Raises:
        TimeIsUp: If it took longer.
    """

    def stop(number: int, frame: object) -> NoReturn:
        raise TimeIsUp(f"it took more than {limit_s:.3g} s")

    handler = signal.signal(signal.SIGALRM, stop)
    around = signal.setitimer(signal.ITIMER_REAL, limit_s, again_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *around)
