"""Keeps tasks apart during which a process has ended: one of them may be why.

All that were under way at such an end are suspects, and are done again with no other task beside
them. An innocent one then succeeds, and one that ends the process hurts no other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Quarantine:
    """Lets tasks in together, and each suspect alone."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._inside = self._suspects = 0
        self._is_taken = False

    @contextlib.asynccontextmanager
    async def enter(self, *, alone: bool) -> AsyncIterator[None]:
        """Wait until a task may be worked on, and let others wait where it must be alone."""
        self._suspects += alone
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self._may_enter(alone))
                self._inside += 1
                self._is_taken = alone
        finally:
            self._suspects -= alone
        try:
            yield
        finally:
            self._inside -= 1
            self._is_taken = False
            await self._announce()

    def _may_enter(self, alone: bool) -> bool:
        if alone:
            return self._inside == 0
        return not self._is_taken and self._suspects == 0

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()
