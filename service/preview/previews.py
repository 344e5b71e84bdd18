"""All open previews of a process: how many there may be, what they keep, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import ServiceBusy
from service.preview.errors import PreviewsDisabled
from service.preview.memory import KeptMemory
from service.preview.session import OpenBackground, Preview
from service.removal.remover import BackgroundRemover

_POLL_S = 0.05
_RETRY_S = 5


@dataclass(frozen=True)
class PreviewConfig:
    """Bounds of previews.

    Attributes:
        most: Most that are open at once; 0 for none at all.
        idle_s: Seconds without a wish after which one ends.
        stop_s: Seconds that busy ones may take to answer once the process is told to stop.
    """

    most: int = 16
    idle_s: float = 120.0
    stop_s: float = 10.0


class Previews:
    """All open previews of a process.

    Args:
        remover: Does the work within its bounds.
        config: Bounds.
        stopping: Set once the process has been told to stop.

    Attributes:
        config: Bounds.
        n_open: How many are open.
        lane: Held by each while it makes an answer: all imaging threads but one are for those.
    """

    def __init__(
        self, remover: BackgroundRemover, config: PreviewConfig, stopping: asyncio.Event
    ) -> None:
        self._remover, self.config, self._stopping = remover, config, stopping
        self.n_open = 0
        self.lane = asyncio.Semaphore(max(1, remover.config.workers - 1))

    @contextmanager
    def open(self, open_background: OpenBackground) -> Iterator[Preview]:
        """Open one, for as long as the block lasts.

        Raises:
            PreviewsDisabled: If none are taken.
            ServiceBusy: If there are too many.
        """
        if not self.config.most:
            raise PreviewsDisabled
        if self.n_open >= self.config.most:
            raise ServiceBusy("Too many previews are open; try again shortly", retry_after=_RETRY_S)
        self.n_open += 1
        memory = KeptMemory(self._remover.budget)
        preview = Preview(
            self._remover, open_background, memory, self._stopping, self.config.idle_s, self.lane
        )
        try:
            yield preview
        finally:
            preview.close()
            self.n_open -= 1

    async def ended(self) -> None:
        """Wait until none is open any more, once the process stops; no longer than it may take."""
        give_up = asyncio.get_running_loop().time() + self.config.stop_s
        while self.n_open and asyncio.get_running_loop().time() < give_up:
            await asyncio.sleep(_POLL_S)
