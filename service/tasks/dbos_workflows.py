"""What DBOS is told to do for a task: make it, clear away, and have its event delivered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Iterator, Mapping, Set
from datetime import UTC, datetime
from typing import Any, TypeVar

from service.tasks.ports import Order, Work

log = logging.getLogger(__name__)

T = TypeVar("T")

REMOVAL, REMOVALS = "removal", "removals"
WEBHOOK, WEBHOOKS = "webhook", "webhooks"
#: Of what is kept, not of this service: tasks that wait during an upgrade are done after it.
FORMAT = "tasks-1"
#: Seconds before each attempt to deliver an event; then it is given up.
_DELAYS_S = (0, 5, 30, 120, 600, 1800)


def register(work: Work, loop: asyncio.AbstractEventLoop) -> Set[str]:
    """Tell DBOS; a step that ended is not done again after a kill.

    Args:
        work: Does it.
        loop: The loop that it is done on.

    Returns:
        What is under way in this process, by the ids of its workflows.
    """
    from dbos import DBOS

    running: set[str] = set()

    def on_ours(coroutine: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))

    @DBOS.step(name="make")
    async def make(told: Mapping[str, Any]) -> Mapping[str, Any]:
        return await on_ours(work.make(Order(**told)))

    # Kills are counted by the work: DBOS counts starts, of the innocent ones too.
    @DBOS.workflow(name=REMOVAL, max_recovery_attempts=None)
    async def removal(told: Mapping[str, Any]) -> Mapping[str, Any]:
        with _under_way(running, told["task_id"]):
            outcome = await make(told)
            await on_ours(work.finish(Order(**told)))
            if told.get("notify"):
                await _enqueue({**_event(told["task_id"], outcome), "attempt": 0})
            return outcome

    @DBOS.step(name="deliver")
    async def deliver(event: Mapping[str, Any]) -> bool:
        return await on_ours(work.notify(event))

    @DBOS.workflow(name=WEBHOOK, max_recovery_attempts=None)
    async def webhook(event: Mapping[str, Any]) -> None:
        with _under_way(running, _id_of(event)):
            if not await deliver(event) and event["attempt"] + 1 < len(_DELAYS_S):
                await _enqueue({**event, "attempt": event["attempt"] + 1})

    return running


@contextlib.contextmanager
def _under_way(running: set[str], workflow_id: str) -> Iterator[None]:
    """Note that a workflow is under way.

    Where the database cannot be written to, as on a full disk, it stops as if it had been
    cancelled: DBOS would note any other end, or try to, and it could not be begun anew.
    """
    from sqlalchemy.exc import DBAPIError

    running.add(workflow_id)
    try:
        yield
    except DBAPIError as fault:
        log.warning("the queue of tasks cannot be written to: %s", type(fault.orig).__name__)
        raise asyncio.CancelledError from fault
    finally:
        running.discard(workflow_id)


async def _enqueue(event: Mapping[str, Any]) -> None:
    """Have an event delivered; the same attempt only once, however often it is asked for."""
    from dbos import DBOS

    options: Any = {
        "workflow_name": WEBHOOK,
        "queue_name": WEBHOOKS,
        "workflow_id": _id_of(event),
        "app_version": FORMAT,
    }
    if delay_s := _DELAYS_S[event["attempt"]]:
        options["delay_seconds"] = delay_s
    await DBOS.enqueue_workflow_with_options_async(options, event)


def _id_of(event: Mapping[str, Any]) -> str:
    return f"{event['task_id']}-webhook-{event['attempt']}"


def _event(task_id: str, outcome: Mapping[str, Any]) -> dict[str, Any]:
    error = outcome.get("error")
    kind = "task.completed" if error is None else "task.failed"
    data = {
        "task_id": task_id,
        "status": kind.removeprefix("task."),
        "error_code": None if error is None else error["code"],
    }
    moment = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"task_id": task_id, "type": kind, "timestamp": moment, "data": data}
