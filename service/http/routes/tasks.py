"""`/status/{task_id}` and what is beside it: tasks that were taken on."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from models.errors import BackgroundRemovalError
from service.http.dependencies import GivenServices, Services
from service.http.exchange import exchange_of
from service.http.problems import from_code
from service.http.removal_answers import headers_of
from service.http.schemas import OwnTasks, Problem, TaskStatus, WebhookSecret
from service.http.task_answers import task_status
from service.imaging.encode import ENCODINGS, ZIP
from service.tasks.outcome import Failure, read_options, read_outcome

router = APIRouter(tags=["tasks"])

DeleteAfterDownload = Annotated[
    bool, Query(description="Delete the task and its result once it was sent")
]
TaskId = Annotated[str, Path(description="What `/remove-async` answered")]

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": Problem, "description": "A problem, by its code"} for status in statuses
    }


@router.head("/status/{task_id}", include_in_schema=False)
@router.get(
    "/status/{task_id}",
    operation_id="readTask",
    response_model=TaskStatus,
    responses=_problems(403, 404, 503),
)
async def status(task_id: TaskId, request: Request, services: GivenServices) -> JSONResponse:
    """How far a task is."""
    record = await services.tasks.find(task_id)
    told = task_status(services, record, exchange_of(request.scope).request_id)
    return JSONResponse(told.model_dump(), headers={"Cache-Control": "no-store"})


@router.head("/status/{task_id}/result", include_in_schema=False)
@router.get(
    "/status/{task_id}/result",
    operation_id="readResult",
    response_class=Response,
    responses={
        200: {
            "description": "What was made",
            "content": {kind.media_type: _BINARY for kind in ENCODINGS.values()} | {ZIP: _BINARY},
        },
        **_problems(400, 403, 404, 409, 413, 422, 500, 503, 504),
    },
)
async def result(
    task_id: TaskId,
    request: Request,
    services: GivenServices,
    delete_after_download: DeleteAfterDownload = False,
) -> Response:
    """The file that was made; the problem of a task that failed."""
    record, data = await services.tasks.result(task_id)
    outcome = read_outcome(record.outcome)
    if isinstance(outcome, Failure):
        raise from_code(outcome.code, outcome.detail, **outcome.fields)
    options = read_options(record.order.options)
    headers = headers_of("", options, outcome, sum(outcome.stages_ms.values()))
    headers["Cache-Control"] = "no-store"
    response = Response(data, media_type=outcome.media_type, headers=headers)
    if delete_after_download and request.method == "GET":
        response.background = BackgroundTask(_forget_if_sent, task_id, request, services)
    return response


async def _forget_if_sent(task_id: str, request: Request, services: Services) -> None:
    """Forget a task whose result was sent to somebody who was there until the end."""
    if not await request.is_disconnected():
        with contextlib.suppress(BackgroundRemovalError):  # then its time is up some day
            await services.tasks.forget(task_id)


@router.delete(
    "/status/{task_id}",
    operation_id="forgetTask",
    status_code=204,
    response_class=Response,
    responses=_problems(403, 404, 503),
)
async def forget(task_id: TaskId, services: GivenServices) -> Response:
    """Cancel a task if it is not finished, and delete everything of it."""
    await services.tasks.forget(task_id)
    return Response(status_code=204)


@router.head("/tasks", include_in_schema=False)
@router.get(
    "/tasks",
    operation_id="listTasks",
    response_model=OwnTasks,
    responses=_problems(401, 403, 429, 503),
)
async def own_tasks(request: Request, services: GivenServices) -> JSONResponse:
    """The tasks of the key that is shown, the oldest first, without what became of them."""
    exchange = exchange_of(request.scope)
    records = await services.tasks.of(exchange.caller)
    told = [
        task_status(services, replace(record, outcome=None), exchange.request_id)
        for record in records
    ]
    return JSONResponse(OwnTasks(tasks=told).model_dump(), headers={"Cache-Control": "no-store"})


@router.head("/webhook-secret", include_in_schema=False)
@router.get(
    "/webhook-secret",
    operation_id="readWebhookSecret",
    response_model=WebhookSecret,
    responses=_problems(401, 403, 503),
)
async def webhook_secret(request: Request, services: GivenServices) -> JSONResponse:
    """What webhooks for the key that is shown are signed with."""
    secret = await services.tasks.webhook_secret(exchange_of(request.scope).caller)
    told = WebhookSecret(secret=secret)
    return JSONResponse(told.model_dump(), headers={"Cache-Control": "no-store"})
