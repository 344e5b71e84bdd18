"""`POST /remove`: answers a picture with what was made of it, as a file or inside JSON."""

from __future__ import annotations

import asyncio
import base64
import contextlib

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from service.errors import NotAcceptable
from service.http.dependencies import GivenServices, Services
from service.http.exchange import Exchange, exchange_of
from service.http.form_schema import query_parameters, request_body
from service.http.forms import FormOptions
from service.http.negotiation import accepted
from service.http.removal_answers import headers_of, processing_info
from service.http.removal_request import read_removal_request
from service.http.removing import remove_asked
from service.http.schemas import Problem, RemovalBody
from service.imaging.encode import ENCODINGS, ZIP
from service.removal.options import RemovalResult

router = APIRouter(tags=["removal"])

_JSON = "application/json"
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/remove",
    operation_id="removeBackground",
    response_class=Response,
    responses={
        200: {
            "model": RemovalBody,  # a model, not its schema: that has references of its own
            "description": "What was made, as a file or inside JSON",
            "content": {kind.media_type: _BINARY for kind in ENCODINGS.values()} | {ZIP: _BINARY},
        },
        **{
            status: {"model": Problem, "description": "A problem, by its code"}
            for status in (400, 401, 403, 404, 406, 408, 413, 422, 429, 500, 503, 504)
        },
    },
    openapi_extra={"requestBody": request_body(), "parameters": query_parameters()},
)
async def remove(request: Request, services: GivenServices) -> Response:
    """Remove the background of one picture."""
    return await answer_removal(request, services)


async def answer_removal(request: Request, services: Services) -> Response:
    """Serve a removal, whichever door it came through.

    Raises:
        BackgroundRemovalError: Whatever is wrong with the request, the picture or the service.
    """
    exchange = exchange_of(request.scope)
    asked = await read_removal_request(request)
    options = _negotiate(asked.options, ", ".join(request.headers.getlist("accept")))
    result = await remove_asked(asked, options, request, services)
    if options.return_base64:
        return await asyncio.to_thread(_as_json, options, result, exchange)
    return Response(
        result.file,
        media_type=result.media_type,
        headers=headers_of(asked.filename, options, result, exchange.processing_ms()),
    )


def _negotiate(options: FormOptions, accept: str) -> FormOptions:
    """The options with the answer that the caller accepts.

    Raises:
        NotAcceptable: If there is none; the caller's fault.
    """
    if options.return_base64:
        return options
    made = ZIP if options.made == "parts" else ENCODINGS[options.format].media_type
    choice = accepted(accept, (made, _JSON))
    if choice == made:
        return options
    if choice == _JSON:
        return options.model_copy(update={"return_base64": True})
    if "format" not in options.model_fields_set and made != ZIP:
        chosen = {name: getattr(options, name) for name in options.model_fields_set}
        for name, kind in ENCODINGS.items():
            if accepted(accept, (kind.media_type,)):
                with contextlib.suppress(ValidationError):  # a JPEG of something transparent
                    return FormOptions.model_validate({**chosen, "format": name})
    raise NotAcceptable(
        f"Accept names nothing this can be answered with, such as {made} or {_JSON}"
    )


def _as_json(options: FormOptions, result: RemovalResult, exchange: Exchange) -> Response:
    encoded = base64.b64encode(result.file).decode("ascii")
    body = RemovalBody(
        processed_image=f"data:{result.media_type};base64,{encoded}",
        processing_info=processing_info(options, result, exchange.processing_ms()),
    )
    return JSONResponse(body.model_dump(), headers={"Vary": "Accept"})
