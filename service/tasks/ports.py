"""What tasks need of whatever keeps them in order, and the values that go in and come out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class TaskState(StrEnum):
    """How far a task is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


UNFINISHED = (TaskState.QUEUED, TaskState.RUNNING)


@dataclass(frozen=True)
class Order:
    """What is asked for; all that a queue is told, and no picture, file name or address in it.

    Attributes:
        task_id: 32 hexadecimal digits that nobody can guess: whoever has them has the task.
        owner: Stands for the caller, and does not say who it is.
        priority: Smaller is sooner; at least 1.
        media_type: What the caller declared the file to be.
        options: What the caller chose, in the types of JSON.
        notify: Whether somebody is to be told how it ends.
    """

    task_id: str
    owner: str
    priority: int
    media_type: str | None
    options: Mapping[str, Any]
    notify: bool = False


@dataclass(frozen=True)
class Record:
    """What a queue knows of a task.

    Attributes:
        order: What was asked for; its options are empty in a list.
        state: How far it is.
        created: When it was accepted, in seconds since 1970.
        started: When it was begun the last time, or None.
        finished: When it succeeded or failed, or None.
        outcome: What became of it, in the types of JSON; see `service.tasks.outcome`.
    """

    order: Order
    state: TaskState
    created: float
    started: float | None = None
    finished: float | None = None
    outcome: Mapping[str, Any] | None = None


class Work(Protocol):
    """Does a task; called again from the beginning where a process ended amid it."""

    async def make(self, order: Order) -> Mapping[str, Any]:
        """Do it, and say what became of it; raises nothing, unless it is cancelled."""

    async def finish(self, order: Order) -> None:
        """Clear away what is not needed any more."""

    async def notify(self, event: Mapping[str, Any]) -> bool:
        """Tell whoever is to be told how a task ended; whether that is done with."""


class TaskQueue(Protocol):
    """Keeps tasks until they are done; durable, and shared where several processes open it.

    Every method raises `TasksUnavailable` if the queue does not answer.

    Attributes:
        is_silent: Whether it did not answer when it was last asked.
    """

    is_silent: bool

    async def submit(self, order: Order) -> None:
        """Keep a task; once this returns it survives any process."""

    async def find(self, task_id: str) -> Record | None:
        """What is known of a task; None of one that is not there, or was taken back."""

    async def records(
        self, states: Collection[TaskState] = tuple(TaskState), owner: str | None = None
    ) -> Sequence[Record]:
        """All tasks in some states, of one owner or of all, the oldest first."""

    async def forget(self, task_ids: Sequence[str]) -> None:
        """Take tasks back, whatever their state, and know nothing of them any more."""

    async def take_over(self, older_than_s: float) -> int:
        """Begin anew what other processes began so long ago that they must have ended.

        What was taken back by a process that ended before it was forgotten is forgotten now.

        Returns:
            How many tasks were begun anew.
        """

    async def close(self) -> bool:
        """Stop; what is under way is begun anew when the queue is next opened.

        Returns:
            Whether all its threads have come back.
        """
