"""What is told of a task: that it was taken on, and how far it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.http.dependencies import Services
from service.http.policies import PREFIX
from service.http.problems import body_of, from_code
from service.http.removal_answers import processing_info
from service.http.schemas import Problem, TaskAccepted, TaskStatus
from service.removal.options import RemovalResult
from service.tasks.outcome import read_options, read_outcome
from service.tasks.ports import Record, TaskState

_STATUS = {TaskState.SUCCEEDED: "completed", TaskState.FAILED: "failed"}


def task_accepted(services: Services, record: Record) -> TaskAccepted:
    """That a task was taken on."""
    return TaskAccepted(**_known(services, record))


def _known(services: Services, record: Record) -> dict[str, Any]:
    return {
        "task_id": record.order.task_id,
        "status": _STATUS.get(record.state, "processing"),
        "state": record.state,
        "check_url": f"{PREFIX}/status/{record.order.task_id}",
        "position": services.tasks.before(record),
    }


def task_status(services: Services, record: Record, request_id: str) -> TaskStatus:
    """How far a task is, and what became of it."""
    known, info, error, has_result = _known(services, record), None, None, False
    if record.finished is not None and record.outcome is not None:
        outcome = read_outcome(record.outcome)
        if isinstance(outcome, RemovalResult):
            has_result = True
            info = processing_info(read_options(record.order.options), outcome)
        else:
            known |= {"state": TaskState.FAILED, "status": "failed"}
            fault = from_code(outcome.code, outcome.detail, **outcome.fields)
            error = Problem(**body_of(fault, request_id))
    over = None if record.finished is None else record.finished + services.tasks.keep_s
    return TaskStatus(
        **known,
        created_at=_moment(record.created) or "",
        started_at=_moment(record.started),
        finished_at=_moment(record.finished),
        expires_at=_moment(over),
        result_url=f"{known['check_url']}/result" if has_result else None,
        processing_info=info,
        error=error,
    )


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
