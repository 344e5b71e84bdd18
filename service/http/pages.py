"""Our two pages, `/` and `/docs`, and their files; they load nothing from elsewhere."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from service.errors import NotFound

_STATIC = Path(__file__).parent / "static"
_SWAGGER_UI = ("swagger-ui.css", "swagger-ui-bundle.js")
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# blob: shows a cutout, data: is how Swagger UI's style sheet brings its icons.
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_KEPT = {"Cache-Control": "max-age=3600"}


def add_pages(app: FastAPI, swagger_ui: Path) -> None:
    """Add `/docs` and the files of both pages.

    Args:
        app: The application whose schema is shown.
        swagger_ui: Folder with the distribution of Swagger UI.
    """
    ours = [file for file in _STATIC.iterdir() if file.suffix in _MEDIA_TYPES]
    files = {file.name: file for file in (*ours, *(swagger_ui / name for name in _SWAGGER_UI))}

    async def docs(request: Request) -> Response:
        return await _page("docs.html", request.scope["root_path"])

    async def static(request: Request) -> Response:
        return _file(files, request.path_params["name"])

    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route("/static/{name}", static, include_in_schema=False)


def create_index_app(prefix: str) -> Starlette:
    """An application with one page, for `/`.

    Args:
        prefix: Where the application with the routes and files is mounted.
    """

    async def index(request: Request) -> Response:
        return await _page("index.html", request.scope.get("root_path", "") + prefix)

    return Starlette(routes=[Route("/", index)])


async def _page(name: str, base: str) -> Response:
    """A page, with the address its files are under."""
    text = await asyncio.to_thread((_STATIC / name).read_text, encoding="utf-8")
    text = text.replace("{base}", html.escape(base))
    return Response(text, media_type="text/html", headers=_HEADERS)


def _file(files: Mapping[str, Path], name: str) -> Response:
    """One of these files; a name that is none of theirs never reaches the disk."""
    if name not in files:
        raise NotFound
    # In pieces: who asks for a megabyte and never reads it must not hold it in memory.
    media_type = _MEDIA_TYPES[files[name].suffix]
    return FileResponse(files[name], media_type=media_type, headers={**_HEADERS, **_KEPT})
