"""What can be wrong with a task, beside what can be wrong with its picture."""

from __future__ import annotations

from models.errors import BackgroundRemovalError
from service.errors import InvalidRequest, RateLimited, RequestError, ServiceError


class TasksDisabled(ServiceError):
    """The operator has switched tasks off."""

    code = "TASKS_DISABLED"
    public_message = "This service takes no tasks; send the picture to /remove"
    retryable = False


class TasksUnavailable(ServiceError):
    """What keeps the tasks does not answer."""

    code = "TASKS_UNAVAILABLE"
    public_message = "The queue of tasks does not answer; try again later"


class QueueFull(ServiceError):
    """As many tasks wait as may wait."""

    code = "QUEUE_FULL"
    public_message = "As many tasks wait as may wait; try again later"


class TooManyTasks(RateLimited):
    """One caller has as many unfinished tasks as it may have."""

    code = "TOO_MANY_TASKS"
    public_message = "You have as many unfinished tasks as you may have; wait for one of them"


class TaskNotFound(RequestError):
    """There is no such task, or no more."""

    code = "TASK_NOT_FOUND"
    public_message = "There is no such task; results are kept for a limited time"


class WebhooksDisabled(RequestError):
    """The operator has not switched on that callers' servers are told."""

    code = "WEBHOOKS_DISABLED"
    public_message = "This service sends no webhooks; ask for the task instead"


class IdempotencyConflict(InvalidRequest):
    """One idempotency key was sent with two different requests."""

    code = "IDEMPOTENCY_CONFLICT"
    public_message = "This Idempotency-Key was sent with another picture or other options before"


class TaskNotFinished(RequestError):
    """The result of a task was asked for before it was there."""

    code = "TASK_NOT_FINISHED"
    public_message = "The task is not finished"
    retryable = True


class TaskEndsProcess(BackgroundRemovalError):
    """A process ended each time that a task was worked on."""

    code = "TASK_ENDS_PROCESS"
    public_message = "A process ended each time this picture was worked on; it was given up"
