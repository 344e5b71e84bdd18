"""Does one task: picture from the storage, removal, result into the storage; whatever happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from models.errors import BackgroundRemovalError
from service.blobs.errors import StorageFull, StorageUnavailable
from service.errors import InferenceUnavailable, ProcessingTimeout, ServiceError
from service.removal.background import STORED_LIMITS, Background
from service.removal.options import RemovalOptions
from service.removal.remover import BackgroundRemover
from service.removal.task_lane import TaskLane
from service.tasks.errors import TaskEndsProcess, TaskNotFound
from service.tasks.outcome import read_options, write_failure, write_result
from service.tasks.pictures import TaskPictures
from service.tasks.ports import Order
from service.tasks.quarantine import Quarantine
from service.tasks.tally import Tally
from service.tasks.webhooks import Webhooks
from service.tracing.spans import root

log = logging.getLogger(__name__)

#: As often may a process end while a task is worked on.
MOST_ENDS = 3
_MOST_TRIES = 6  # where something is short for a while; every wait is twice the one before
_MOST_TIMEOUTS = 2
_FIRST_WAIT_S = 1.0
_STORAGE_WAIT_S = 5.0
_ASK_S = 0.5


class RemovalWork:
    """See `service.tasks.ports.Work`.

    Args:
        remover: Removes backgrounds.
        pictures: The pictures of tasks.
        lane: Lets tasks in.
        webhooks: Tells callers' servers.
        ended: Told of each task that needs no more work.
        tally: Counts what became of them.
    """

    def __init__(
        self,
        remover: BackgroundRemover,
        pictures: TaskPictures,
        lane: TaskLane,
        webhooks: Webhooks,
        ended: Callable[[str], None],
        tally: Tally,
    ) -> None:
        self._webhooks = webhooks
        self._remover, self._pictures, self._lane, self._ended = remover, pictures, lane, ended
        self._quarantine, self._tally = Quarantine(), tally
        self._at_work: dict[str, asyncio.Task[Any] | None] = {}

    def stop(self, task_id: str) -> None:
        """Work no more on a task that was taken back, if this process does."""
        working = self._at_work.get(task_id)
        if working is not None:
            working.cancel()

    async def end(self) -> None:
        """Wait until what was told to stop has stopped."""
        working = [task for task in self._at_work.values() if task is not None]
        await asyncio.gather(*working, return_exceptions=True)

    async def make(self, order: Order) -> Mapping[str, Any]:
        """Make the picture of a task, and keep it; a storage that is gone is waited for."""
        self._at_work[order.task_id] = asyncio.current_task()
        try:
            outcome = await self._until_stored(order)
        except Exception:
            log.exception("unhandled fault in a task")
            outcome = write_failure(BackgroundRemovalError())
        finally:
            del self._at_work[order.task_id]
        self._tally.tasks["failed" if "error" in outcome else "succeeded"] += 1
        return outcome

    async def finish(self, order: Order) -> None:
        """Delete what the caller sent, as soon as the result is kept."""
        self._ended(order.task_id)
        while True:
            try:
                return await self._pictures.forget(order.task_id, keep=("out", "webhook"))
            except StorageUnavailable:
                await asyncio.sleep(_STORAGE_WAIT_S)

    async def notify(self, event: Mapping[str, Any]) -> bool:
        """Deliver an event once; a storage that does not answer is an attempt that failed."""
        try:
            is_done = await self._webhooks.deliver(event)
        except ServiceError:
            is_done = False
        self._tally.webhooks["taken" if is_done else "failed"] += 1
        return is_done

    async def _until_stored(self, order: Order) -> Mapping[str, Any]:
        while True:
            try:
                return await self._attempts(order)
            except (StorageUnavailable, StorageFull):
                await asyncio.sleep(_STORAGE_WAIT_S)

    async def _attempts(self, order: Order) -> Mapping[str, Any]:
        """Try until it is made, or until it is clear that it will not be."""
        wait_s, timeouts = _FIRST_WAIT_S, 0
        fault: BackgroundRemovalError
        for _ in range(_MOST_TRIES):
            try:
                return await self._attempt(order)
            except (StorageUnavailable, StorageFull):
                raise
            except InferenceUnavailable as ended:
                fault = ended  # it has its mark; whether that was the last is seen next time
                continue
            except ServiceError as short:
                fault = short
                timeouts += isinstance(short, ProcessingTimeout)
            except BackgroundRemovalError as final:
                return write_failure(final)
            if timeouts >= _MOST_TIMEOUTS:
                break
            await asyncio.sleep(wait_s)
            wait_s *= 2
        return write_failure(fault)

    async def _attempt(self, order: Order) -> Mapping[str, Any]:
        ends = await self._pictures.marks(order.task_id)
        if ends >= MOST_ENDS:
            raise TaskEndsProcess
        async with self._quarantine.enter(alone=ends > 0), self._lane.hold():
            await self._until_inference_answers(order)
            data = await self._pictures.read(order.task_id, "in")
            if data is None:
                raise TaskNotFound
            options = read_options(order.options)
            background = await self._background(order, options)
            await self._pictures.mark(order.task_id, ends)
            try:
                with root("task"):
                    result = await self._remover.remove(
                        data, options, order.media_type, background=background, in_batch=True
                    )
                await self._pictures.keep(order.task_id, "out", result.file)
            except InferenceUnavailable:
                raise  # the mark stays
            except BaseException:  # told to stop, or nowhere to keep it: no process has ended
                await self._pictures.unmark(order.task_id, ends)
                raise
        return write_result(result)

    async def _background(self, order: Order, options: RemovalOptions) -> Background | None:
        """The background picture as it was when the task was accepted."""
        data = await self._pictures.read(order.task_id, "behind")
        if data is None:
            return None
        if options.bg_image is None:
            return Background(data, "background_id", STORED_LIMITS)
        return Background(data, "bg_image", self._remover.config.limits)

    async def _until_inference_answers(self, order: Order) -> None:
        """Wait, or an inference that was gone before would count as ended by this picture."""
        client = self._remover.find(order.options.get("model")).client
        while True:
            try:
                await client.describe()
            except InferenceUnavailable:
                await asyncio.sleep(_ASK_S)
            else:
                return
