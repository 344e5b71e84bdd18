"""The lane of tasks: they stand back while callers wait for a picture, and run at full speed else.

While callers are there, one task at a time is let through, and then none for twice as long as it
took: tasks get on, and most callers notice nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from service.removal.remover import BackgroundRemover

_LOOK_S = 0.02
_QUIET_S = 0.2  # between two requests of one caller nobody is inside, either
_REST = 2.0


class TaskLane:
    """Lets tasks in.

    Args:
        remover: Knows whether callers wait, and has the lane of batches, which tasks share: both
            together are as many as batches alone may be.
        stopping: Set once the process has been told to stop: nothing is let in any more.
    """

    def __init__(self, remover: BackgroundRemover, stopping: asyncio.Event) -> None:
        self._remover, self._stopping = remover, stopping
        self._here = self._running = 0
        self._called_at = self._rest_until = 0.0
        self._looking: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a turn, and keep it."""
        self._here += 1
        if self._looking is None or self._looking.done():
            self._called_at = time.monotonic()  # nobody has looked: take it that callers are here
            self._looking = asyncio.create_task(self._look())
        try:
            await self._turn()  # counts it as running
            began = time.monotonic()
            try:
                async with self._remover.batch_lane:
                    began = time.monotonic()
                    yield
            finally:
                self._running -= 1
                ended = time.monotonic()
                self._rest_until = ended + _REST * (ended - began)
        finally:
            self._here -= 1

    async def _turn(self) -> None:
        while self._stopping.is_set() or not (self._is_quiet() or self._may_pass()):
            await asyncio.sleep(_LOOK_S)
        self._running += 1

    def _is_quiet(self) -> bool:
        return time.monotonic() - self._called_at > _QUIET_S

    def _may_pass(self) -> bool:
        return self._running == 0 and time.monotonic() > self._rest_until

    async def _look(self) -> None:
        """Note when callers were inside, for as long as a task is here."""
        while self._here:
            if not self._remover.is_idle:
                self._called_at = time.monotonic()
            await asyncio.sleep(_LOOK_S)
