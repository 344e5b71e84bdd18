"""`POST /remove-async` and `/remove-batch-async`: removals that outlive the request."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import JSONResponse

from models.errors import BackgroundRemovalError
from service.access.caller import Caller
from service.http.dependencies import GivenServices, Services
from service.http.exchange import exchange_of
from service.http.form_schema import batch_body, query_parameters, request_body
from service.http.forms import Fault, refusal
from service.http.given_address import fetch_given
from service.http.problems import body_of
from service.http.removal_request import read_batch_request, read_removal_request
from service.http.schemas import BatchAccepted, Problem, TaskAccepted, TaskOfBatch
from service.http.task_answers import task_accepted
from service.tasks.asked import Picture

log = logging.getLogger(__name__)

router = APIRouter(tags=["tasks"])

IdempotencyKey = Annotated[
    str,
    Header(
        max_length=255,
        pattern=r"^[\x21-\x7e]*$",
        description="Your own word for this request: sent again within a day it is the same task",
    ),
]
WebhookUrl = Annotated[
    str, Header(description="Address of yours that is told how the task ends; needs a key")
]


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": Problem, "description": "A problem, by its code"} for status in statuses
    }


@router.post(
    "/remove-async",
    operation_id="removeBackgroundLater",
    status_code=202,
    response_model=TaskAccepted,
    responses=_problems(400, 401, 403, 408, 413, 422, 429, 500, 503, 507),
    openapi_extra={"requestBody": request_body(), "parameters": query_parameters()},
)
async def remove_async(
    request: Request,
    services: GivenServices,
    idempotency_key: IdempotencyKey = "",
    webhook_url: WebhookUrl = "",
) -> JSONResponse:
    """Take a picture on, and answer before its background is removed."""
    services.tasks.check()
    asked = await read_removal_request(request)
    if asked.options.return_base64:
        raise refusal([Fault("return_base64", "The result of a task is fetched as a file")])
    if asked.image_url is not None:
        asked = await fetch_given(asked, asked.image_url, request, services.fetcher)
    caller = exchange_of(request.scope).caller
    background = await services.backgrounds.open(asked.options, caller.key_id)
    picture = Picture(
        asked.data, asked.media_type, asked.options, background, idempotency_key, webhook_url
    )
    record = await services.tasks.accept(picture, caller)
    body = task_accepted(services, record)
    return JSONResponse(body.model_dump(), status_code=202, headers={"Location": body.check_url})


@router.post(
    "/remove-batch-async",
    operation_id="removeBackgroundsLater",
    status_code=202,
    response_model=BatchAccepted,
    responses=_problems(400, 401, 403, 404, 408, 413, 422, 429, 500, 503, 507),
    openapi_extra={"requestBody": batch_body()},
)
async def remove_batch_async(
    request: Request,
    services: GivenServices,
    idempotency_key: IdempotencyKey = "",
    webhook_url: WebhookUrl = "",
) -> JSONResponse:
    """Take many pictures on, each as a task of its own, and answer before they are done."""
    services.tasks.check()
    batch = await read_batch_request(request, services.max_batch_images)
    exchange = exchange_of(request.scope)
    services.remover.find(batch.options.model)  # or all of them would be refused one by one
    background = await services.backgrounds.open(batch.options, exchange.caller.key_id)
    if background is not None:
        await services.remover.accept(background)
    told = []
    for index, part in enumerate(batch.images):
        picture = Picture(
            part.data,
            part.media_type if part.filename else None,
            batch.options,
            background,
            idempotency_key and f"{idempotency_key} {index}",  # no caller's own has a space
            webhook_url,
        )
        entry = TaskOfBatch(index=index, filename=part.filename or "")
        try:
            entry.task = await _take_on(picture, index > 0, exchange.caller, services)
        except BackgroundRemovalError as fault:
            entry.error = Problem(**body_of(fault, exchange.request_id))
        told.append(entry)
    return JSONResponse(BatchAccepted(tasks=told).model_dump(), status_code=202)


async def _take_on(
    picture: Picture, counts: bool, caller: Caller, services: Services
) -> TaskAccepted:
    """Take one picture of a batch on; the first one was counted with the request."""
    try:
        if counts:
            await services.limiter.charge(caller)
        return task_accepted(services, await services.tasks.accept(picture, caller))
    except BackgroundRemovalError:
        raise
    except Exception as fault:  # the caller must learn of the tasks before it
        log.exception("unhandled fault while a picture of a batch was taken on")
        raise BackgroundRemovalError from fault
