"""One removal as it was asked for, whichever address it came to."""

from __future__ import annotations

import time

from starlette.requests import Request

from service.http.dependencies import Services
from service.http.exchange import exchange_of
from service.http.forms import FormOptions
from service.http.given_address import fetch_given
from service.http.removal_request import RemovalRequest
from service.removal.options import RemovalResult


async def remove_asked(
    asked: RemovalRequest, options: FormOptions, request: Request, services: Services
) -> RemovalResult:
    """Open the background, fetch the picture if it was named by its address, and remove.

    Args:
        asked: What the caller sent.
        options: What they chose, once the kind of answer is settled.
        request: The request, its body read.
        services: The parts behind the routes.

    Raises:
        BackgroundRemovalError: Whatever is wrong with the request, the picture or the service.
    """
    exchange, fetched_s = exchange_of(request.scope), 0.0
    background = await services.backgrounds.open(options, exchange.caller.key_id)
    if asked.image_url is not None:
        started = time.monotonic()
        asked = await fetch_given(asked, asked.image_url, request, services.fetcher)
        fetched_s = time.monotonic() - started
    result = await services.remover.remove(
        asked.data, options, asked.media_type, background=background, spent_s=fetched_s
    )
    exchange.stages_ms = result.stages_ms
    return result
