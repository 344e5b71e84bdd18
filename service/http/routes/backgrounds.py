"""`/backgrounds`: templates for everybody, and the pictures that a key's holder has uploaded."""

from __future__ import annotations

import asyncio
from functools import cache

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from models.matting.scenes import SCENES, draw_scene
from service.access.caller import ANONYMOUS
from service.http.background_request import background_body, read_background
from service.http.dependencies import GivenServices
from service.http.exchange import exchange_of
from service.http.schemas import BackgroundInfo, BackgroundQuota, Backgrounds, Problem
from service.imaging.encode import encode_picture
from service.library.library import Upload
from service.removal.background import make_thumbnail

router = APIRouter(tags=["backgrounds"])

_JPEG = "image/jpeg"
_THUMBNAIL = (240, 320)  # rows and columns of a template's
_PICTURE = (1200, 1600)
_PICTURE_QUALITY = 99  # at 95 the noise is lost that hides the bands of a gradient


def _problems(*statuses: int) -> dict[int | str, dict[str, object]]:
    told = {"model": Problem, "description": "A problem, by its code"}
    return dict.fromkeys((403, *statuses), told)


_SHOWN: dict[int | str, dict[str, object]] = {
    200: {"content": {_JPEG: {"schema": {"type": "string", "format": "binary"}}}},
    **_problems(404, 503),
}


@router.head("/backgrounds", include_in_schema=False)
@router.get(
    "/backgrounds",
    operation_id="listBackgrounds",
    response_model=Backgrounds,
    responses=_problems(503),
)
async def list_backgrounds(request: Request, services: GivenServices) -> JSONResponse:
    """The templates, and your own backgrounds if you show a key."""
    caller, base = exchange_of(request.scope).caller, _base(request)
    uploads = await services.backgrounds.uploads_of(caller.key_id)
    quota = services.backgrounds.quota
    told = Backgrounds(
        backgrounds=[
            *(_of_template(background_id, base) for background_id in SCENES),
            *(_of_upload(upload, base) for upload in uploads),
        ],
        quota=None
        if caller.tier == ANONYMOUS
        else BackgroundQuota(
            backgrounds=len(uploads),
            max_backgrounds=quota.most,
            stored_bytes=sum(upload.head.n_bytes for upload in uploads),
            max_stored_bytes=quota.most_bytes,
        ),
    )
    return JSONResponse(told.model_dump(), headers={"Cache-Control": "no-store"})


@router.post(
    "/backgrounds",
    operation_id="uploadBackground",
    status_code=201,
    response_model=BackgroundInfo,
    responses=_problems(400, 401, 408, 409, 413, 422, 429, 500, 503, 504, 507),
    openapi_extra={"requestBody": background_body()},
)
async def upload(request: Request, services: GivenServices) -> JSONResponse:
    """Keep a picture as a background of yours; it needs a key."""
    owner = exchange_of(request.scope).caller.key_id
    sent = await read_background(request)
    added = await services.backgrounds.add(owner, sent.name, sent.data, sent.media_type)
    told, base = _of_upload(added, _base(request)), _base(request)
    headers = {"Location": f"{base}/{added.id}"}
    return JSONResponse(told.model_dump(), status_code=201, headers=headers)


@router.head("/backgrounds/{background_id}", include_in_schema=False)
@router.get(
    "/backgrounds/{background_id}",
    operation_id="readBackground",
    response_model=BackgroundInfo,
    responses=_problems(404, 503),
)
async def read(background_id: str, request: Request, services: GivenServices) -> JSONResponse:
    """What is known of one background."""
    base = _base(request)
    if background_id in SCENES:
        return JSONResponse(_of_template(background_id, base).model_dump())
    owner = exchange_of(request.scope).caller.key_id
    found = await services.backgrounds.find(owner, background_id)
    return JSONResponse(_of_upload(found, base).model_dump())


@router.delete(
    "/backgrounds/{background_id}",
    operation_id="deleteBackground",
    status_code=204,
    response_class=Response,
    responses=_problems(401, 404, 413, 429, 503),
)
async def delete(background_id: str, request: Request, services: GivenServices) -> Response:
    """Delete one background of yours; what is being made with it is made."""
    owner = exchange_of(request.scope).caller.key_id
    await services.backgrounds.remove(owner, background_id)
    return Response(status_code=204)


@router.head("/backgrounds/{background_id}/thumbnail", include_in_schema=False)
@router.get(
    "/backgrounds/{background_id}/thumbnail",
    operation_id="readBackgroundThumbnail",
    response_class=Response,
    responses=_SHOWN,
)
async def thumbnail(background_id: str, request: Request, services: GivenServices) -> Response:
    """A small JPEG of one background."""
    if background_id in SCENES:
        return _jpeg(await asyncio.to_thread(_drawn_thumbnail, background_id), "public")
    owner = exchange_of(request.scope).caller.key_id
    return _jpeg(await services.backgrounds.thumbnail(owner, background_id), "private")


@router.head("/backgrounds/{background_id}/picture", include_in_schema=False)
@router.get(
    "/backgrounds/{background_id}/picture",
    operation_id="readBackgroundPicture",
    response_class=Response,
    responses=_SHOWN,
)
async def picture(background_id: str, request: Request, services: GivenServices) -> Response:
    """One background as a JPEG: a template at 1600x1200, an upload as it is stored."""
    if background_id in SCENES:
        return _jpeg(await asyncio.to_thread(_drawn_picture, background_id), "public")
    owner = exchange_of(request.scope).caller.key_id
    shown = _jpeg(await services.backgrounds.picture(owner, background_id), "private")
    shown.headers["Content-Disposition"] = f'attachment; filename="{background_id}.jpg"'
    return shown


def _jpeg(data: bytes, for_whom: str) -> Response:
    """A picture that is kept for a day: by every cache if `public`, by a browser if `private`."""
    caching = f"{for_whom}, max-age=86400"
    headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    return Response(data, 200, headers, _JPEG)


@cache
def _drawn_thumbnail(background_id: str) -> bytes:
    return make_thumbnail(draw_scene(SCENES[background_id], *_THUMBNAIL))


@cache  # 5.2 MB once every template was asked for
def _drawn_picture(background_id: str) -> bytes:
    drawn = draw_scene(SCENES[background_id], *_PICTURE)
    return encode_picture(drawn, "jpeg", _PICTURE_QUALITY).data


def _base(request: Request) -> str:
    """Address of the list, as callers reach it."""
    return f"{request.scope.get('root_path', '')}/backgrounds"


def _of_template(background_id: str, base: str) -> BackgroundInfo:
    return BackgroundInfo(
        id=background_id,
        kind="template",
        name=SCENES[background_id].name,
        thumbnail=f"{base}/{background_id}/thumbnail",
    )


def _of_upload(upload: Upload, base: str) -> BackgroundInfo:
    head = upload.head
    return BackgroundInfo(
        id=upload.id,
        kind="upload",
        name=head.name,
        thumbnail=f"{base}/{upload.id}/thumbnail",
        size=f"{head.width}x{head.height}",
        stored_bytes=head.n_bytes,
        created=head.created,
    )
