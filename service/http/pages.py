"""Our two pages, `/` and `/docs`, and their files; they load nothing from elsewhere.

The one at `/` is built from `web/` by `make web`, into the folder `page` beside this file, which is
kept in the repository.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

log = logging.getLogger(__name__)

_STATIC = Path(__file__).parent / "static"
_PAGE = Path(__file__).parent / "page"
_SWAGGER_UI = ("swagger-ui.css", "swagger-ui-bundle.js")
_MEDIA_TYPES = {
    ".css": "text/css",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# data: is how Swagger UI's style sheet brings its icons.
_DOCS_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# blob: shows pictures of the browser's own memory.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
_DOCS_HEADERS = {**_HEADERS, "Content-Security-Policy": _DOCS_POLICY}
_PAGE_HEADERS = {
    **_HEADERS,
    "Content-Security-Policy": _PAGE_POLICY,
    "Cache-Control": "no-cache",
}
_KEPT_AN_HOUR = {"Cache-Control": "max-age=3600"}
# Of files whose names are hashes of what is in them.
_KEPT_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def add_docs_page(app: FastAPI, swagger_ui: Path) -> None:
    """Add `/docs` and its files.

    Args:
        app: The application whose schema is shown.
        swagger_ui: Folder with the distribution of Swagger UI.
    """
    files = _files_of(_STATIC) | {name: swagger_ui / name for name in _SWAGGER_UI}

    async def docs(request: Request) -> Response:
        text = await asyncio.to_thread((_STATIC / "docs.html").read_text, encoding="utf-8")
        text = text.replace("{base}", html.escape(request.scope["root_path"]))
        return Response(text, media_type="text/html", headers=_DOCS_HEADERS)

    async def static(request: Request) -> Response:
        return _file(files, request.path_params["name"], _KEPT_AN_HOUR)

    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route("/static/{name}", static, include_in_schema=False)


def create_page_app(built: Path = _PAGE) -> Starlette:
    """An application with the page at `/` and its files under `/page`.

    Args:
        built: Folder with the built page. Without one, every address is not found.
    """
    index, folder = built / "index.html", built / "page"
    if not index.is_file():
        log.warning("there is no page at /: %s is not there; `make web` builds it", index)

    def page(request: Request) -> Response:  # in a thread, as the next one: both ask the disk
        if not index.is_file():
            raise HTTPException(404)
        return FileResponse(index, media_type="text/html", headers=_PAGE_HEADERS)

    def file(request: Request) -> Response:
        files = _files_of(folder)  # as they are now: the page may have been built anew
        return _file(files, request.path_params["name"], _KEPT_FOR_EVER)

    return Starlette(
        routes=[Route("/", page), Route("/page/{name}", file)],
        middleware=[Middleware(GZipMiddleware, minimum_size=1000)],
    )


def _files_of(folder: Path) -> dict[str, Path]:
    """The files of a folder that a page may ask for, by name."""
    if not folder.is_dir():
        return {}
    return {file.name: file for file in folder.iterdir() if file.suffix in _MEDIA_TYPES}


def _file(files: Mapping[str, Path], name: str, kept: Mapping[str, str]) -> Response:
    """One of these files; a name that is none of theirs never reaches the disk."""
    if name not in files:
        raise HTTPException(404)  # every application knows it; the envelope makes it ours
    # In pieces: who asks for a megabyte and never reads it must not hold it in memory.
    media_type = _MEDIA_TYPES[files[name].suffix]
    return FileResponse(files[name], media_type=media_type, headers={**_HEADERS, **kept})
