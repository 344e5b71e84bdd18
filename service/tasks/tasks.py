"""Accepts tasks, tells of them, gives their results out, and clears away what is past its time.

Nothing is opened, and nothing runs, before there is a task.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Sequence

from service.access.caller import ANONYMOUS, BASIC, FREE, PRO, Caller
from service.blobs.blobs import Blobs
from service.errors import ServiceError
from service.imaging.guard import inspect
from service.removal.remover import BackgroundRemover
from service.removal.task_lane import TaskLane
from service.tasks.asked import Picture, TasksConfig
from service.tasks.cipher import Cipher
from service.tasks.errors import (
    QueueFull,
    TaskNotFinished,
    TaskNotFound,
    TasksDisabled,
    TooManyTasks,
)
from service.tasks.idempotency import IdempotencyKeys
from service.tasks.lazy_queue import LazyQueue
from service.tasks.outcome import write_options
from service.tasks.pictures import TaskPictures
from service.tasks.ports import UNFINISHED, Order, Record, TaskQueue, TaskState
from service.tasks.tally import Tally
from service.tasks.waiting import Waiting
from service.tasks.webhooks import Webhooks
from service.tasks.work import RemovalWork

log = logging.getLogger(__name__)

_TASK_ID = re.compile(r"[0-9a-f]{32}")
_PRIORITY = {PRO: 1, BASIC: 2, FREE: 3, ANONYMOUS: 4}
_RETRY_S = 10
# What a task may take beyond the deadlines of its attempts before others think its process dead.
_LEASE_S = 60.0


class Tasks:
    """The tasks of a service.

    Args:
        remover: Removes backgrounds.
        config: How tasks are kept; None where none are taken.
        stopping: Set once the process has been told to stop.

    Attributes:
        config: The same.
        tally: What became of tasks.
    """

    def __init__(
        self, remover: BackgroundRemover, config: TasksConfig | None, stopping: asyncio.Event
    ) -> None:
        self._remover, self.config = remover, config
        self._waiting, self.tally = Waiting(), Tally()
        if config is not None:
            blobs = Blobs(config.storage)
            self._keys = IdempotencyKeys(blobs)
            self._pictures = TaskPictures(blobs, Cipher(config.key) if config.key else None)
            lane = TaskLane(remover, stopping)
            self._webhooks = Webhooks(config.webhooks, self._pictures)
            self._work = RemovalWork(
                remover, self._pictures, lane, self._webhooks, self._waiting.discard, self.tally
            )
            self._queue = LazyQueue(config.queue, self._work, self._pictures, self._waiting)
        self._strays: set[str] = set()

    @property
    def n_unfinished(self) -> int:
        """How many are not finished; those of other processes as of the last look."""
        return len(self._waiting)

    @property
    def keep_s(self) -> float:
        """Seconds a result is kept."""
        return self._told.keep_s

    def check(self) -> None:
        """Refuse before anything is read.

        Raises:
            TasksDisabled: If no tasks are taken here.
            QueueFull: If as many wait as may wait.
        """
        if len(self._waiting) >= self._told.most:
            raise QueueFull(retry_after=_RETRY_S)

    async def accept(self, picture: Picture, caller: Caller) -> Record:
        """Take a task on; once this returns, no process that ends loses it.

        Raises:
            ImageError: If the file is not a picture we take; the caller's fault.
            InvalidRequest: If the model is not served, or the idempotency key stands for another
                request; the caller's fault.
            TooManyTasks: If the caller has as many as it may have.
            ServiceError: If no more are taken now, or none at all.
        """
        self.check()
        config, options = self._told, picture.options
        if picture.webhook:
            self._webhooks.check(picture.webhook, caller)
        self._remover.find(options.model)
        limits = self._remover.config.limits
        await asyncio.to_thread(inspect, picture.data, limits, picture.media_type)
        if picture.background is not None:
            await self._remover.accept(picture.background)
        self._pictures.check_room(picture.n_bytes)
        queue = await self._queue.get()
        owner = await self._owner(caller)
        task_id = secrets.token_hex(16)
        if picture.idempotency_key:
            task_id = await self._known_by(owner, picture)
            known = await queue.find(task_id)
            if known is not None and not self._is_over(known, config):
                return known
        self.check()
        if 0 < config.most_per_caller <= self._waiting.of(owner):
            raise TooManyTasks(max_tasks=config.most_per_caller, retry_after=_RETRY_S)
        order = Order(
            task_id=task_id,
            owner=owner,
            priority=_PRIORITY[caller.tier],
            media_type=picture.media_type,
            options=write_options(options),
            notify=bool(picture.webhook),
        )
        await self._keep(queue, order, picture, caller)
        return Record(order, TaskState.QUEUED, time.time())

    async def _known_by(self, owner: str, picture: Picture) -> str:
        """The id that a caller's idempotency key stands for."""
        secret = await self._pictures.secret()
        content = await asyncio.to_thread(picture.digest)
        return await self._keys.task_id(secret, owner, picture.idempotency_key, content)

    async def find(self, task_id: str) -> Record:
        """What is known of a task.

        Raises:
            TaskNotFound: If there is none, or its result is past its time.
            TasksUnavailable: If the queue does not answer.
        """
        config = self._told
        if _TASK_ID.fullmatch(task_id) is None or not await self._queue.is_needed():
            raise TaskNotFound
        record = await (await self._queue.get()).find(task_id)
        if record is None or self._is_over(record, config):
            raise TaskNotFound
        return record

    async def result(self, task_id: str) -> tuple[Record, bytes]:
        """A finished task, and the file that was made; an empty one where it failed.

        Raises:
            TaskNotFound: If there is none, or its result is past its time.
            TaskNotFinished: If it is not there yet.
            ServiceError: If it cannot be read now.
        """
        record = await self.find(task_id)
        if record.state in UNFINISHED:
            raise TaskNotFinished(state=record.state.value, retry_after=_RETRY_S)
        if record.outcome is None or "error" in record.outcome:
            return record, b""
        data = await self._pictures.read(task_id, "out")
        if data is None:
            raise TaskNotFound
        return record, data

    async def forget(self, task_id: str) -> None:
        """Take a task back: it is not begun, or given up, and nothing of it is kept.

        Raises:
            TaskNotFound: If there is none.
            ServiceError: If it cannot be done now.
        """
        await self.find(task_id)
        await self._forget(await self._queue.get(), [task_id])

    async def of(self, caller: Caller) -> Sequence[Record]:
        """A caller's own tasks, the oldest first.

        Raises:
            ServiceError: If the queue does not answer.
        """
        config = self._told
        if not await self._queue.is_needed():
            return []
        queue = await self._queue.get()
        records = await queue.records(owner=await self._owner(caller))
        return [record for record in records if not self._is_over(record, config)]

    async def webhook_secret(self, caller: Caller) -> str:
        """What the events of a caller's key are signed with.

        Raises:
            WebhooksDisabled: If nothing is sent.
            ServiceError: If it cannot be told now, or no tasks are taken.
        """
        if self.config is None:
            raise TasksDisabled
        return await self._webhooks.secret_of(caller.key_id)

    def before(self, record: Record) -> int | None:
        """How many tasks are to be done before one that waits; None of another."""
        return self._waiting.before(record.order.task_id) if record.state in UNFINISHED else None

    async def notes(self) -> list[str]:
        """What is wrong with what keeps the tasks, one sentence each."""
        return [] if self.config is None else await self._queue.notes()

    async def run(self) -> None:
        """Go on with tasks that wait since the last time, and clear away what is past its time."""
        if self.config is None:
            return
        while True:
            try:
                if await self._queue.is_needed():
                    await self._sweep(await self._queue.get(), self.config)
            except ServiceError as fault:
                log.warning("tasks are not cleared away now: %s", fault)
            except Exception:
                log.exception("unhandled fault while clearing away tasks")
            await asyncio.sleep(self.config.sweep_s)

    async def close(self) -> bool:
        """Stop; what is under way is begun anew at the next start.

        Returns:
            Whether all threads have come back.
        """
        if self.config is None:
            return True
        came_back = await self._queue.close()
        await self._work.end()
        return came_back

    @property
    def _told(self) -> TasksConfig:
        if self.config is None:
            raise TasksDisabled
        return self.config

    async def _keep(self, queue: TaskQueue, order: Order, picture: Picture, caller: Caller) -> None:
        """Keep the picture, then the task; neither without the other."""
        self._waiting.add(order)
        try:
            await self._pictures.keep(order.task_id, "in", picture.data)
            if picture.background is not None:
                await self._pictures.keep(order.task_id, "behind", picture.background.data)
            if picture.webhook:
                await self._webhooks.keep(order.task_id, picture.webhook, caller)
            await queue.submit(order)
        except BaseException:
            self._waiting.discard(order.task_id)  # its pictures are strays, if they are there
            raise

    async def _forget(self, queue: TaskQueue, task_ids: Sequence[str]) -> None:
        await queue.forget(task_ids)
        for task_id in task_ids:
            self._work.stop(task_id)
            self._waiting.discard(task_id)
            await self._pictures.forget(task_id)

    async def _sweep(self, queue: TaskQueue, config: TasksConfig) -> None:
        """One look at everything."""
        bounds = self._remover.config
        deadline_s = bounds.deadline_s(bounds.limits.max_bytes)
        await queue.take_over(2 * deadline_s + _LEASE_S)
        records = await queue.records()
        self._waiting.refresh(record for record in records if record.state in UNFINISHED)
        over = [record.order.task_id for record in records if self._is_over(record, config)]
        await self._forget(queue, over)
        known = {record.order.task_id for record in records}
        strays = {task_id for task_id in await self._pictures.all_tasks() if task_id not in known}
        for task_id in strays & self._strays:  # seen twice: what is being accepted is no stray
            await self._pictures.forget(task_id)
        self._strays = strays
        await self._keys.clean()

    def _is_over(self, record: Record, config: TasksConfig) -> bool:
        return record.finished is not None and time.time() - record.finished > config.keep_s

    async def _owner(self, caller: Caller) -> str:
        """What stands for a caller: the same each time, and nobody can tell who it is."""
        secret = await self._pictures.secret()
        return hmac.new(secret, caller.key.encode(), hashlib.sha256).hexdigest()[:32]
