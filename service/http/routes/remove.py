"""`POST /remove`: answers a picture with its cutout, as a PNG file or inside JSON."""

from __future__ import annotations

import asyncio
import base64
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from service.http.dependencies import GivenServices, Services
from service.http.exchange import Exchange, exchange_of
from service.http.forms import RemovalForm, form_schema, read_removal_form
from service.http.schemas import Problem, ProcessingInfo, RemovalBody
from service.removal.options import RemovalResult

router = APIRouter(tags=["removal"])

_MAX_STEM = 100


@router.post(
    "/remove",
    operation_id="removeBackground",
    response_class=Response,
    responses={
        200: {
            "model": RemovalBody,  # a model, not its schema: that has references of its own
            "description": "The cutout, as a file or inside JSON",
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        },
        **{
            status: {"model": Problem, "description": "A problem, by its code"}
            for status in (400, 403, 408, 413, 422, 429, 500, 503, 504)
        },
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form_schema()}},
        }
    },
)
async def remove(request: Request, services: GivenServices) -> Response:
    """Remove the background of one picture."""
    return await answer_removal(request, services)


async def answer_removal(request: Request, services: Services) -> Response:
    """Serve a removal, whichever door it came through.

    Raises:
        BackgroundRemovalError: Whatever is wrong with the form, the picture or the service.
    """
    exchange = exchange_of(request.scope)
    form = await read_removal_form(request)
    result = await services.remover.remove(form.data, form.options, form.media_type)
    exchange.stages_ms = result.stages_ms
    name = services.remover.spec.name
    if form.options.return_base64:
        return await asyncio.to_thread(_as_json, form, result, name, exchange)
    return _as_file(form, result, name, exchange)


def _as_file(form: RemovalForm, result: RemovalResult, model: str, exchange: Exchange) -> Response:
    return Response(
        result.png,
        media_type="image/png",
        headers={
            "Content-Disposition": _disposition(form.filename),
            "X-Processing-Time-Ms": f"{exchange.processing_ms():.1f}",
            "X-Original-Size": f"{result.width}x{result.height}",
            "X-Model-Version": model,
            "X-Engine": result.engine.label,
        },
    )


def _as_json(form: RemovalForm, result: RemovalResult, model: str, exchange: Exchange) -> Response:
    size = f"{result.width}x{result.height}"
    encoded = base64.b64encode(result.png).decode("ascii")
    body = RemovalBody(
        processed_image=f"data:image/png;base64,{encoded}",
        processing_info=ProcessingInfo(
            original_size=size,
            output_size=size,
            edge_smoothing_applied=form.options.smoothing,
            processing_time_ms=round(exchange.processing_ms(), 1),
            model_version=model,
            tensorrt_enabled=result.engine.is_tensorrt,
            engine=result.engine.label,
            retried_on_cpu=result.retried_on_cpu,
        ),
    )
    return JSONResponse(body.model_dump())


def _disposition(filename: str) -> str:
    """A download name made of an untrusted one: no path, no control character, no quote."""
    last = PurePosixPath(PureWindowsPath(filename).name).stem
    stem = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip(" .")[:_MAX_STEM]
    stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    full = f"{stem or 'image'}_nobg_{stamp}.png"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", full)
    if plain == full:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(full, safe='')}"
