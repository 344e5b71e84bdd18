"""How many decoded pixels may be in memory at once, and giving memory back after large ones."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any


class Reservation:
    """Pixels held for one request.

    Attributes:
        work: The thread's work that touches those pixels, if any is under way.
    """

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels
        self.work: Future[Any] | None = None


class PixelBudget:
    """Lets requests hold decoded pictures only while the sum of their pixels fits.

    A reservation ends with the thread that uses the pixels, not with the request that gave up
    waiting.

    Args:
        max_pixels: Most pixels held at once; a larger picture is let through alone.

    Attributes:
        waiting: Requests that wait for others to end.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._held = 0
        self.waiting = 0
        self._freed = asyncio.Condition()
        self._announcing: set[asyncio.Future[None]] = set()

    @property
    def held(self) -> int:
        """Pixels held now."""
        return self._held

    @asynccontextmanager
    async def hold(self, pixels: int) -> AsyncIterator[Reservation]:
        """Wait until a picture of so many pixels fits, and hold its place."""
        reservation = Reservation(min(pixels, self._max_pixels))
        self.waiting += 1
        try:
            async with self._freed:
                await self._freed.wait_for(
                    lambda: self._held + reservation.pixels <= self._max_pixels
                )
                self._held += reservation.pixels
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

    def _release(self, reservation: Reservation) -> None:
        self._held -= reservation.pixels
        announcing = asyncio.ensure_future(self._announce())
        self._announcing.add(announcing)  # the loop itself would let it be collected
        announcing.add_done_callback(self._announcing.discard)

    async def _announce(self) -> None:
        async with self._freed:
            self._freed.notify_all()


def return_freed_memory() -> None:
    """Have the C library give freed memory back to the system; it keeps large buffers otherwise."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
        if trim is not None:
            trim(0)
