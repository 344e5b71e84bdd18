"""The queue of tasks on DBOS: SQLite for one host, Postgres for many, by the same calls.

DBOS has threads and an event loop of its own here; only our work runs on ours. `dbos` is imported
when a queue is opened: it takes tens of megabytes, and only one process needs it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Collection, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock

from service.tasks.dbos_log import quieten
from service.tasks.dbos_stop import stop
from service.tasks.dbos_workflows import FORMAT, REMOVAL, REMOVALS, WEBHOOK, WEBHOOKS, register
from service.tasks.errors import TasksUnavailable
from service.tasks.ports import Order, Record, TaskState, Work
from service.tasks.sqlite_file import take_number

if TYPE_CHECKING:
    from dbos import DBOS, WorkflowStatus

log = logging.getLogger(__name__)

T = TypeVar("T")

_NAME = "background-removal"
_POLL_S = 0.1
_DELIVERIES = 16  # of webhooks at once
_THREADS = 4
_POOL_SIZE = 8
_ANSWER_S = 5.0
_FRESH_S = 10.0  # what was begun since may not have been noted as under way
_SQLITE = "sqlite:///"
_STATES = {
    "ENQUEUED": TaskState.QUEUED,
    "DELAYED": TaskState.QUEUED,
    "PENDING": TaskState.RUNNING,
    "SUCCESS": TaskState.SUCCEEDED,
    "ERROR": TaskState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": TaskState.FAILED,
}


@dataclass(frozen=True)
class QueueConfig:
    """Where tasks are kept, and how many are begun.

    Attributes:
        url: `sqlite:///` with an absolute path, or `postgresql://`.
        executor: Name of this process, the same after a restart, and no other's; empty with
            SQLite, where it is the smallest number that no other process has taken.
        at_once: How many tasks are begun at once.
    """

    url: str
    executor: str = ""
    at_once: int = 4

    @property
    def file(self) -> Path | None:
        """The file of SQLite; None of a server."""
        return Path(self.url.removeprefix(_SQLITE)) if self.url.startswith(_SQLITE) else None


class DbosQueue:
    """See `service.tasks.ports.TaskQueue`; one per process, since DBOS is.

    Args:
        executor: Name of this process.
        dbos: What was launched.
        running: What is under way in this process.
        pool: Threads that ask DBOS.
        lock: Keeps the name from others; None where the operator sees to that.
    """

    def __init__(
        self,
        executor: str,
        dbos: DBOS,
        running: Set[str],
        pool: ThreadPoolExecutor,
        lock: FileLock | None = None,
    ) -> None:
        self._executor, self._dbos, self._running = executor, dbos, running
        self._pool, self._lock = pool, lock
        self.is_silent = False

    async def submit(self, order: Order) -> None:
        """See the port."""
        from dbos import DBOS

        options: Any = {
            "workflow_name": REMOVAL,
            "queue_name": REMOVALS,
            "workflow_id": order.task_id,
            "app_version": FORMAT,
            "priority": order.priority,
            "authenticated_user": order.owner,
        }
        await self._ask(DBOS.enqueue_workflow_with_options, options, asdict(order))

    async def find(self, task_id: str) -> Record | None:
        """See the port."""
        from dbos import DBOS

        found = await self._ask(DBOS.list_workflows, workflow_ids=[task_id], name=REMOVAL)
        return next((_record(row) for row in found if row.status in _STATES), None)

    async def records(
        self, states: Collection[TaskState] = tuple(TaskState), owner: str | None = None
    ) -> Sequence[Record]:
        """See the port."""
        from dbos import DBOS

        found = await self._ask(
            DBOS.list_workflows,
            status=[name for name, state in _STATES.items() if state in states],
            name=REMOVAL,
            user=owner,
            load_input=False,
            load_output=False,
        )
        return [_record(row) for row in found]

    async def forget(self, task_ids: Sequence[str]) -> None:
        """See the port."""
        from dbos import DBOS

        if task_ids:
            await self._ask(DBOS.cancel_workflows, list(task_ids))
            await self._ask(DBOS.delete_workflows, list(task_ids), delete_children=True)

    async def take_over(self, older_than_s: float) -> int:
        """See the port; webhooks that were being delivered are begun anew, too."""
        from dbos import DBOS

        half = await self._ask(DBOS.list_workflows, status="CANCELLED", name=REMOVAL)
        await self.forget([row.workflow_id for row in half])
        begun_anew = await self._resume_dead(REMOVAL, REMOVALS, older_than_s)
        await self._resume_dead(WEBHOOK, WEBHOOKS, older_than_s)
        return begun_anew

    async def _resume_dead(self, name: str, queue: str, older_than_s: float) -> int:
        """Begin anew what others began too long ago, and what of ours stopped without an end.

        One by one, since one may be gone by then.
        """
        from dbos import DBOS

        now = time.time()
        before = datetime.fromtimestamp(now - _FRESH_S, UTC).isoformat()
        found = await self._ask(
            DBOS.list_workflows,
            status="PENDING",
            name=name,
            dequeued_before=before,
            load_input=False,
            load_output=False,
        )
        dead = [row.workflow_id for row in found if self._is_dead(row, now - older_than_s)]
        for task_id in dead:
            still = await self._ask(DBOS.list_workflows, workflow_ids=[task_id], status="PENDING")
            if still:  # it may have been taken back: that would revive it
                await self._ask(DBOS.resume_workflow, task_id, queue_name=queue)
        return len(dead)

    def _is_dead(self, row: WorkflowStatus, before: float) -> bool:
        """Whether nobody works on something that was begun."""
        if row.executor_id == self._executor:
            return row.workflow_id not in self._running
        return (row.dequeued_at or 0) / 1e3 < before

    async def close(self) -> bool:
        """See the port."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        came_back = await stop(self._dbos)
        if self._lock is not None and came_back:  # else with the process
            self._lock.release()
        return came_back

    async def _ask(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """What DBOS answers, asked in a thread: it is then left alone with our event loop."""
        asking = functools.partial(call, *args, **kwargs)
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = await asyncio.get_running_loop().run_in_executor(self._pool, asking)
        except Exception as fault:
            self.is_silent = True
            log.warning("the queue of tasks does not answer: %s", type(fault).__name__)
            raise TasksUnavailable from fault
        self.is_silent = False
        return answer


async def open_queue(config: QueueConfig, work: Work) -> DbosQueue:
    """Open a queue, and begin to work on what is in it.

    Args:
        config: Where tasks are kept.
        work: Does them, on the running event loop.

    Raises:
        TasksUnavailable: If it cannot be opened.
    """
    loop = asyncio.get_running_loop()
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="tasks-")
    lock, executor = None, config.executor
    try:
        if config.file is not None:
            lock, executor = await asyncio.to_thread(take_number, config.file)
        named = replace(config, executor=executor)
        launched = await loop.run_in_executor(pool, _launch, named, work, loop)
    except Exception as fault:
        pool.shutdown(wait=False)
        if lock is not None:
            lock.release()
        log.warning("the queue of tasks cannot be opened: %s", type(fault).__name__)
        raise TasksUnavailable from fault
    return DbosQueue(executor, *launched, pool, lock)


def _launch(
    config: QueueConfig, work: Work, loop: asyncio.AbstractEventLoop
) -> tuple[DBOS, Set[str]]:
    """Start DBOS, in a thread without an event loop, so that it takes its own and not ours.

    Returns:
        DBOS, and what is under way in this process.
    """
    quieten()
    from dbos import DBOS, DBOSPortableJSONSerializer

    try:
        dbos = DBOS(
            config={
                "name": _NAME,
                "system_database_url": config.url,
                "executor_id": config.executor,
                "application_version": FORMAT,
                "serializer": DBOSPortableJSONSerializer(),  # its own is pickle
                "max_executor_threads": _POOL_SIZE,
                "sys_db_pool_size": _POOL_SIZE,
                "enable_otlp": False,
                "log_level": "WARNING",
            }
        )
        running = register(work, loop)
        DBOS.launch()
        for queue, at_once in ((REMOVALS, config.at_once), (WEBHOOKS, _DELIVERIES)):
            DBOS.register_queue(
                queue,
                worker_concurrency=at_once,
                polling_interval_sec=_POLL_S,
                on_conflict="always_update",
            )
        return dbos, running
    except BaseException:
        DBOS.destroy(destroy_registry=True)
        raise


def _record(row: WorkflowStatus) -> Record:
    told: Any = row.input["args"][0] if row.input else {}
    order = Order(row.workflow_id, row.authenticated_user or "", row.priority or 1, None, {})
    return Record(
        order=replace(order, **told),
        state=_STATES[row.status],
        created=(row.created_at or 0) / 1e3,
        started=None if row.dequeued_at is None else row.dequeued_at / 1e3,
        finished=None if row.completed_at is None else row.completed_at / 1e3,
        outcome=row.output,
    )
