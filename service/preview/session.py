"""One preview: takes pictures and wishes as they come, and answers the newest of them.

Whoever feeds it and whoever sends its answers are two tasks: while an answer is under way, or waits
to be read, newer wishes replace those that wait, so that nothing ever piles up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from models.errors import BackgroundRemovalError
from service.errors import InvalidRequest
from service.imaging.guard import inspect
from service.preview.asked import Asked, Failed, Picture, Shown
from service.preview.kept import Kept, bytes_to_keep, keep
from service.preview.memory import KeptMemory
from service.preview.render import full_removal, make_full, make_small, small_removal
from service.removal.background import Background
from service.removal.memory import bytes_of, bytes_to_finish
from service.removal.options import RemovalOptions
from service.removal.pipeline import PREPARE, Removal, run
from service.removal.ports import ServedModel
from service.removal.remover import BackgroundRemover
from service.removal.threads import StageClock

#: Gives the background picture that options name.
OpenBackground = Callable[[RemovalOptions], Awaitable[Background | None]]


class Superseded(Exception):
    """Something newer was asked; nobody waits for this answer."""


class _Clock(StageClock):
    """A clock whose work also ends once something newer waits."""

    def __init__(self, clock: StageClock, news: asyncio.Event) -> None:
        super().__init__(0.0)
        self._of_deadline, self._news = clock, news

    def check(self) -> None:
        """Raise if nobody waits for this work any more."""
        if self._news.is_set():
            raise Superseded
        self._of_deadline.check()


class Preview:
    """One preview.

    Args:
        remover: Does the work within its bounds.
        open_background: Gives the background picture that options name.
        memory: Where what is kept is counted.
        stopping: Set once the process has been told to stop.
        idle_s: Seconds without a wish after which it ends.
        lane: Held while an answer is made, so that previews leave an imaging thread to others.
    """

    def __init__(
        self,
        remover: BackgroundRemover,
        open_background: OpenBackground,
        memory: KeptMemory,
        stopping: asyncio.Event,
        idle_s: float,
        lane: asyncio.Semaphore,
    ) -> None:
        self._remover, self._open_background = remover, open_background
        self._memory, self._stopping, self._idle_s = memory, stopping, idle_s
        self._lane = lane
        self._news = asyncio.Event()
        self._picture: Picture | None = None
        self._asked = Asked()
        self._kept: Kept | None = None

    def take(self, picture: Picture) -> None:
        """Begin anew with another picture; one that still waits is forgotten.

        Once the process stops, nothing new is begun.
        """
        if self._stopping.is_set():
            return
        self._picture = picture
        self._news.set()

    def show(self, asked: Asked) -> None:
        """Show something else of the picture; what still waits is forgotten, see `take`."""
        if self._stopping.is_set():
            return
        self._asked = asked
        self._news.set()

    async def answers(self) -> AsyncIterator[Shown | Failed]:
        """Answers, for as long as somebody wishes something.

        Ends when the process stops, after what was asked until then; or when nothing is asked for
        too long.
        """
        while await self._wait():
            try:
                async for shown in self._answer():
                    yield shown
            except BackgroundRemovalError as error:
                yield Failed(self._asked.seq, error)

    def close(self) -> None:
        """Keep nothing any more."""
        self._kept = self._picture = None
        self._memory.hold(0)

    async def _wait(self) -> bool:
        """Wait for a wish; False where there will be none."""
        waiting = [asyncio.ensure_future(one.wait()) for one in (self._news, self._stopping)]
        try:
            await asyncio.wait(waiting, timeout=self._idle_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        return self._news.is_set()

    async def _answer(self) -> AsyncIterator[Shown]:
        """The small answer to the newest wish, and the full one unless there is a newer."""
        self._news.clear()
        picture, self._picture = self._picture, None
        if picture is not None:
            await self._load(picture, self._asked.options.model)
        kept, asked = self._kept, self._asked  # the newest there is by now
        if self._picture is None:
            self._news.clear()
        if kept is None:
            return
        if (
            asked.options.model is not None
            and self._remover.find(asked.options.model) != kept.model
        ):
            raise InvalidRequest("model: It is chosen before the picture; send the picture again")
        behind = await self._open_background(asked.options)
        if behind is not None:
            await self._remover.in_thread(None, behind.inspect)
        yield await self._small(kept, asked, behind)
        if asked.full and not self._news.is_set():
            try:
                shown = await self._full(kept, asked, behind)
            except Superseded:
                return
            yield shown

    async def _load(self, picture: Picture, name: str | None) -> None:
        """Run the network on a picture, and keep what later answers need."""
        self._kept = None
        remover, data = self._remover, picture.data
        model = remover.find(name)
        self._memory.hold(bytes_to_keep(len(data), model))
        try:
            work = partial(self._matte_of, data, model)
            self._kept = await remover.in_time(len(data), work)
        except BaseException:
            self._memory.hold(0)
            raise

    async def _matte_of(self, data: bytes, model: ServedModel, clock: StageClock) -> Kept:
        remover = self._remover
        with clock.stage("guard"):
            header = await remover.in_thread(None, inspect, data, remover.config.limits, None)
        removal = Removal(data, header, RemovalOptions(), model.spec)
        async with remover.budget.hold(bytes_of(removal)) as held:
            await remover.in_thread(held, run, PREPARE, removal, clock)
            matte = await remover.make_matte(removal, model, clock)
            return await remover.in_thread(held, keep, removal, model, matte, clock.stages_ms)

    async def _small(self, kept: Kept, asked: Asked, behind: Background | None) -> Shown:
        removal = small_removal(kept, asked.options)

        async def work(clock: StageClock) -> Shown:
            n_bytes = bytes_to_finish(removal) + (behind.header.decode_bytes if behind else 0)
            async with self._lane, self._remover.budget.hold(n_bytes) as held:
                return await self._remover.in_thread(
                    held, make_small, kept, removal, asked, behind, clock
                )

        return await self._remover.in_time(0, work, queued=False)

    async def _full(self, kept: Kept, asked: Asked, behind: Background | None) -> Shown:
        removal = full_removal(kept, asked.options, behind)

        async def work(deadline: StageClock) -> Shown:
            clock = _Clock(deadline, self._news)
            async with self._lane, self._remover.budget.hold(bytes_of(removal)) as held:
                return await self._remover.in_thread(held, make_full, kept, removal, asked, clock)

        shown = await self._remover.in_time(len(kept.data), work, queued=False)
        if "matte" in shown.result.stages_ms:  # the first: a removal as any other
            took_ms = sum(shown.result.stages_ms.values())
            self._remover.telemetry.record(shown.result, took_ms)
        return shown
