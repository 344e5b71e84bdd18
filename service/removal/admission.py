"""How much memory pictures may take at once, and giving it back after large ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

#: Of the memory for pictures, what may be kept between two removals.
_KEPT_SHARE = 0.25


class Reservation:
    """Memory held for one request.

    Attributes:
        n_bytes: How much.
        work: The thread's work that uses it, if any is under way.
    """

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes
        self.work: Future[Any] | None = None


class MemoryBudget:
    """Lets requests work on pictures only while the memory they take together fits.

    A reservation ends with the thread that uses the memory, not with the request that gave up
    waiting.

    Args:
        max_bytes: Most bytes held and kept at once; a larger picture is let through alone.

    Attributes:
        waiting: Requests that wait for others to end.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = self._kept = 0
        self.waiting = 0
        self._freed = asyncio.Event()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    @property
    def kept(self) -> int:
        """Bytes kept now."""
        return self._kept

    def keep(self, n_bytes: int) -> bool:
        """Keep bytes for as long as somebody likes, if they fit into the share there is for that.

        Nobody waits for them: a picture that would be let through alone still is.
        """
        fits = self._kept + n_bytes <= self._max_bytes * _KEPT_SHARE
        self._kept += n_bytes if fits else 0
        return fits

    def forget(self, n_bytes: int) -> None:
        """Keep so many bytes no longer."""
        self._kept -= n_bytes
        self._announce()

    @asynccontextmanager
    async def hold(self, n_bytes: int) -> AsyncIterator[Reservation]:
        """Wait until so many bytes fit, and hold them."""
        reservation = Reservation(min(n_bytes, self._max_bytes))
        self.waiting += 1
        try:
            while not self._fits(reservation.n_bytes):
                await self._freed.wait()
            self._held += reservation.n_bytes
        finally:
            self.waiting -= 1
        try:
            yield reservation
        finally:
            work, loop = reservation.work, asyncio.get_running_loop()
            if work is None or work.done():
                self._release(reservation)
            else:
                work.add_done_callback(
                    lambda _: loop.call_soon_threadsafe(self._release, reservation)
                )

    def _fits(self, n_bytes: int) -> bool:
        return self._held == 0 or self._held + n_bytes <= self._max_bytes - self._kept

    def _release(self, reservation: Reservation) -> None:
        self._held -= reservation.n_bytes
        self._announce()

    def _announce(self) -> None:
        """Wake all who wait: each looks by itself whether it fits now."""
        self._freed.set()
        self._freed = asyncio.Event()
