"""`POST /remove-batch`: many pictures in one request, answered one by one as they are done."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from models.errors import BackgroundRemovalError
from service.errors import NotAcceptable
from service.http.dependencies import GivenServices, Services
from service.http.exchange import Exchange, exchange_of
from service.http.form_schema import batch_body
from service.http.negotiation import accepted
from service.http.problems import body_of
from service.http.removal_answers import ENDINGS, name_of, processing_info
from service.http.removal_request import BatchRequest, read_batch_request
from service.http.schemas import BatchLine, Problem
from service.imaging.encode import ZIP
from service.removal.background import Background
from service.removal.batch import Item, Outcome, run_batch
from service.removal.options import RemovalOptions, RemovalResult

router = APIRouter(tags=["removal"])

JSON_LINES = "application/x-ndjson"


def _line_schema() -> dict[str, Any]:
    """A line's schema; the parts of it are in the API's own already."""
    schema = BatchLine.model_json_schema(ref_template="#/components/schemas/{model}")
    del schema["$defs"]
    return schema


@router.post(
    "/remove-batch",
    operation_id="removeBackgrounds",
    response_class=Response,
    responses={
        200: {
            "description": "A line of JSON for every picture as it is done and one at the end, or "
            "a ZIP with the pictures and a `manifest.json`",
            "content": {
                JSON_LINES: {"schema": _line_schema()},
                ZIP: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **{
            status: {"model": Problem, "description": "A problem, by its code"}
            for status in (400, 401, 403, 404, 406, 408, 413, 422, 429, 500, 503)
        },
    },
    openapi_extra={"requestBody": batch_body()},
)
async def remove_batch(request: Request, services: GivenServices) -> Response:
    """Remove the background of many pictures; each has its own result or error."""
    exchange = exchange_of(request.scope)
    kind = accepted(", ".join(request.headers.getlist("accept")), (JSON_LINES, ZIP))
    if kind is None:
        raise NotAcceptable(f"Accept names neither {JSON_LINES} nor {ZIP}")
    batch = await read_batch_request(request, services.max_batch_images)
    services.remover.find(batch.options.model)  # or all of them would fail one by one
    owner = exchange.caller.key_id
    background = await services.backgrounds.open(batch.options, owner, for_batch=True)
    write = _as_zip if kind == ZIP else _as_lines
    headers = {"Vary": "Accept", "X-Accel-Buffering": "no"}
    if kind == ZIP:
        headers["Content-Disposition"] = 'attachment; filename="cutouts.zip"'
    progress = _Progress(len(batch.images), exchange)
    return StreamingResponse(
        write(batch.options, progress, _outcomes(batch, exchange, services, background)),
        media_type=kind,
        headers=headers,
    )


def _outcomes(
    batch: BatchRequest, exchange: Exchange, services: Services, background: Background | None
) -> AsyncIterator[Outcome]:
    """Every picture's outcome, as it is done; the form's own copies are let go."""
    items = [
        Item(index, part.filename or "", part.media_type if part.filename else None, part.data)
        for index, part in enumerate(batch.images)
    ]
    batch.images.clear()
    charge = partial(services.limiter.charge, exchange.caller)
    stopping = services.stopping
    return run_batch(services.remover, items, batch.options, charge, stopping, background)


class _Progress:
    """Counts a batch's outcomes."""

    def __init__(self, total: int, exchange: Exchange) -> None:
        self._total, self._exchange = total, exchange
        self._started = time.perf_counter()
        self._failed = self._done = 0

    def entry(self, outcome: Outcome) -> dict[str, Any]:
        """What is told of one picture, but for the picture itself."""
        self._done += 1
        entry = {"index": outcome.item.index, "filename": outcome.item.filename}
        entry["progress"] = {"done": self._done, "total": self._total}
        if isinstance(outcome.result, BackgroundRemovalError):
            self._failed += 1
            problem = body_of(outcome.result, self._exchange.request_id)
            return {**entry, "status": "failed", "error": problem}
        return {**entry, "status": "done"}

    def summary(self) -> dict[str, Any]:
        """What is told at the end."""
        return {
            "status": "finished",
            "succeeded": self._done - self._failed,
            "failed": self._failed,
            "processing_time_ms": round((time.perf_counter() - self._started) * 1e3, 1),
        }


async def _as_lines(
    options: RemovalOptions, progress: _Progress, outcomes: AsyncIterator[Outcome]
) -> AsyncIterator[bytes]:
    """Each picture as one line of JSON, and a last line with the sums."""
    async for outcome in outcomes:
        entry = progress.entry(outcome)
        yield await asyncio.to_thread(_line, entry, options, outcome.result)
    yield _encoded(progress.summary())


def _line(
    entry: Mapping[str, Any],
    options: RemovalOptions,
    result: RemovalResult | BackgroundRemovalError,
) -> bytes:
    if isinstance(result, BackgroundRemovalError):
        return _encoded(entry)
    encoded = base64.b64encode(result.file).decode("ascii")
    return _encoded(
        {
            **entry,
            "processed_image": f"data:{result.media_type};base64,{encoded}",
            "processing_info": processing_info(options, result).model_dump(),
        }
    )


def _encoded(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


async def _as_zip(
    options: RemovalOptions, progress: _Progress, outcomes: AsyncIterator[Outcome]
) -> AsyncIterator[bytes]:
    """A ZIP that is sent while it is written; the manifest comes last."""
    manifest, written = [], _Written()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        async for outcome in outcomes:
            entry, result = progress.entry(outcome), outcome.result
            del entry["progress"]
            if isinstance(result, RemovalResult):
                ending = ENDINGS[options.made]
                stem = name_of(outcome.item.filename)
                entry["file"] = f"{outcome.item.index + 1:04}_{stem}_{ending}.{result.suffix}"
                entry["processing_info"] = processing_info(options, result).model_dump()
                await asyncio.to_thread(archive.writestr, entry["file"], result.file)
            manifest.append(entry)
            yield written.take()
        manifest.sort(key=lambda entry: int(entry["index"]))
        told = {**progress.summary(), "pictures": manifest}
        archive.writestr("manifest.json", json.dumps(told, ensure_ascii=False, indent=2))
    yield written.take()


class _Written(io.RawIOBase):
    """What was written since it was last taken; nobody can seek in it."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is there for that."""
        return True

    def write(self, piece: Any) -> int:
        """Keep a piece."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        """The pieces, which are let go."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
