"""Moving windows in memory: who did what, when, for as long as it counts and no longer.

A storage for the strategies of `limits`, as its own `MemoryStorage` is one; that one looks through
all keys at every hit and reads the wall clock, so that each client made it slower and a clock set
back locked everybody out.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Callable

from limits.aio.storage import MovingWindowSupport, Storage

_SWEPT_AT_ONCE = 100


class SteadyClock:
    """Seconds that never run backwards: whichever of two clocks says that more of them passed.

    The monotonic clock of Linux stands still while a machine sleeps; the wall clock goes on, but
    can be set back.

    Args:
        monotonic: Seconds, never backwards.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall or (lambda: time.time())
        self._seen = self._monotonic(), self._wall()
        self._now = 0.0

    def __call__(self) -> float:
        """Seconds since this clock was made."""
        seen = self._monotonic(), self._wall()
        self._now += max(0.0, *(new - old for new, old in zip(seen, self._seen, strict=True)))
        self._seen = seen
        return self._now


class MemoryWindows(Storage, MovingWindowSupport):
    """Every key's hits within its window.

    Args:
        clock: Seconds, never backwards.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        super().__init__()
        self._clock = clock or SteadyClock()
        # By length of the window; the key that was hit last comes last.
        self._hits: defaultdict[float, OrderedDict[str, list[float]]] = defaultdict(OrderedDict)

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a broken storage would raise; memory does not break."""
        return ValueError

    def __len__(self) -> int:
        """Keys that are remembered."""
        return sum(map(len, self._hits.values()))

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note hits of a key, unless there would be more than the limit in its window."""
        hits = self._window(key, expiry)
        if len(hits) + amount > limit:
            return False
        self._note(key, expiry, hits, amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest hit in the window was, in seconds since 1970, and how many there are."""
        hits = self._window(key, expiry)
        age_s = self._clock() - hits[0] if hits else 0.0
        return time.time() - age_s, len(hits)

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Note hits of a key whatever their number; how many there are then."""
        hits = self._window(key, expiry)
        self._note(key, expiry, hits, amount)
        return len(hits)

    async def get(self, key: str) -> int:
        """How many hits of a key count now."""
        return sum(len(self._window(key, expiry)) for expiry in self._hits)

    async def get_expiry(self, key: str) -> float:
        """When the last hit of a key stops to count, in seconds since 1970."""
        ends = [hits[key][-1] + expiry for expiry, hits in self._hits.items() if hits.get(key)]
        return time.time() + max(0.0, max(ends, default=0.0) - self._clock())

    async def check(self) -> bool:
        """Memory is always there."""
        return True

    async def clear(self, key: str) -> None:
        """Forget a key."""
        for hits in self._hits.values():
            hits.pop(key, None)

    async def reset(self) -> int:
        """Forget every key; how many there were."""
        known = len(self)
        self._hits.clear()
        return known

    def _window(self, key: str, expiry: float) -> list[float]:
        """A key's hits that still count, oldest first."""
        hits = self._hits[expiry].get(key, [])
        del hits[: bisect_right(hits, self._clock() - expiry)]
        return hits

    def _note(self, key: str, expiry: float, hits: list[float], amount: int) -> None:
        now = self._clock()
        hits.extend([now] * amount)
        known = self._hits[expiry]
        known[key] = hits
        known.move_to_end(key)
        for _ in range(_SWEPT_AT_ONCE):  # the first was hit the longest ago
            oldest = next(iter(known.values()))
            if oldest and oldest[-1] > now - expiry:
                break
            known.popitem(last=False)
