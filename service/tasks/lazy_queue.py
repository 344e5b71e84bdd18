"""Opens the queue when it is first needed: until then nothing of it runs, or is even imported."""

from __future__ import annotations

import asyncio
import logging
import time

from service.errors import ServiceError
from service.tasks.dbos_queue import QueueConfig, open_queue
from service.tasks.errors import TasksUnavailable
from service.tasks.pictures import TaskPictures
from service.tasks.ports import UNFINISHED, TaskQueue, Work
from service.tasks.sqlite_file import holds_tasks
from service.tasks.waiting import Waiting

log = logging.getLogger(__name__)

_AGAIN_S = 5.0
_RETRY_S = 10
_OPEN_S = 10.0
_STOP_S = 3.0


class LazyQueue:
    """A queue that may not be open yet.

    Args:
        config: Where it is.
        work: Does its tasks.
        pictures: Their pictures.
        waiting: Told of the tasks that are in it already.
    """

    def __init__(
        self, config: QueueConfig, work: Work, pictures: TaskPictures, waiting: Waiting
    ) -> None:
        self._config, self._work = config, work
        self._pictures, self._waiting = pictures, waiting
        self._opening: asyncio.Task[TaskQueue] | None = None
        self._failed_at: float | None = None
        self._is_late = False

    async def is_needed(self) -> bool:
        """Whether it is open, or something lies there that it must be opened for."""
        if self._opened is not None:
            return True
        file = self._config.file
        if file is None or holds_tasks(file):  # a server may have others'; no thread: it would stay
            return True
        folder = self._pictures.folder
        return folder is not None and folder.is_dir() and bool(await self._pictures.all_tasks())

    async def get(self) -> TaskQueue:
        """The queue.

        Raises:
            TasksUnavailable: If it cannot be opened now.
        """
        if self._opening is None or (self._opening.done() and self._opened is None):
            self._opening = asyncio.create_task(self._open())
        try:
            async with asyncio.timeout(_OPEN_S):
                return await asyncio.shield(self._opening)  # whoever asks may leave
        except TimeoutError as late:
            self._is_late = True
            raise TasksUnavailable(retry_after=_RETRY_S) from late

    async def notes(self) -> list[str]:
        """What is wrong with it, and with the storage, one sentence each."""
        if self._opened is None:
            is_silent = self._is_late or self._failed_at is not None
            return ["the queue of tasks does not answer"] if is_silent else []
        silent = ["the queue of tasks does not answer"] if self._opened.is_silent else []
        return [*silent, *(await self._pictures.notes())]

    async def close(self) -> bool:
        """Stop it, if it is open; whether all its threads have come back."""
        if self._opening is None:
            return True
        await asyncio.wait({self._opening}, timeout=_STOP_S)
        return self._opening.done() if self._opened is None else await self._opened.close()

    @property
    def _opened(self) -> TaskQueue | None:
        opening = self._opening
        if opening is None or not opening.done() or opening.exception() is not None:
            return None
        return opening.result()

    async def _open(self) -> TaskQueue:
        if self._failed_at is not None and time.monotonic() - self._failed_at < _AGAIN_S:
            raise TasksUnavailable(retry_after=_RETRY_S)
        try:
            await asyncio.to_thread(self._pictures.make_place)
            await self._pictures.secret()
            queue = await open_queue(self._config, self._work)
        except (OSError, ServiceError) as fault:
            self._failed_at = time.monotonic()
            raise TasksUnavailable(retry_after=_RETRY_S) from fault
        self._failed_at = None
        self._waiting.refresh(await queue.records(UNFINISHED))
        log.info("tasks are taken now; %d wait", len(self._waiting))
        return queue
