"""The addresses of other services' APIs, for clients that were written for those.

`POST /v1.0/removebg` and `GET /v1.0/account` are remove.bg's, `/api/remove` is rembg's. All of them
lead to the same removal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models.errors import BackgroundRemovalError
from service.errors import InferenceUnavailable, UnknownForeground
from service.http.app import render_problem
from service.http.dependencies import Services
from service.http.exchange import exchange_of
from service.http.foreign_form import ForeignForm, read_foreign_form
from service.http.negotiation import accepted
from service.http.rembg import read_rembg
from service.http.removebg import answer_removebg, read_removebg
from service.http.removing import remove_asked

_JSON = "application/json"


class _Doors:
    """What answers at those addresses.

    Args:
        services: The parts behind the routes; None while the process does not serve yet.
    """

    def __init__(self, services: Callable[[], Services | None]) -> None:
        self._services = services

    @property
    def _parts(self) -> Services:
        parts = self._services()
        if parts is None:
            raise InferenceUnavailable
        return parts

    async def removebg(self, request: Request) -> Response:
        """remove.bg's removal."""
        # In a thread: it may have megabytes of base64 to read.
        asked = await asyncio.to_thread(read_removebg, await read_foreign_form(request))
        result = await remove_asked(asked, asked.options, request, self._parts)
        if result.subject is None:
            raise UnknownForeground
        accept = ", ".join(request.headers.getlist("accept"))
        as_json = accepted(accept, (result.media_type, _JSON)) == _JSON
        return await asyncio.to_thread(answer_removebg, result, as_json)

    async def account(self, request: Request) -> Response:
        """remove.bg's account: nothing is paid for, and limits are of each minute."""
        told = await self._parts.limiter.headers(exchange_of(request.scope).caller)
        left = int(told.get("X-RateLimit-Remaining", 0))
        credits = {"total": 0, "subscription": 0, "payg": 0, "enterprise": 0}
        api = {"free_calls": left, "sizes": "all"}
        return JSONResponse({"data": {"attributes": {"credits": credits, "api": api}}})

    async def rembg(self, request: Request) -> Response:
        """Rembg's removal, of a file or of the picture at an address."""
        parts, url = self._parts, None
        if request.method == "GET":
            values = dict(request.query_params)
            url, form = values.pop("url", ""), ForeignForm(values, {})
        else:
            form = await read_foreign_form(request)
        asked = read_rembg(form, parts.remover.models, url)
        result = await remove_asked(asked, asked.options, request, parts)
        return Response(result.file, media_type=result.media_type)


def create_foreign_doors(services: Callable[[], Services | None]) -> Starlette:
    """An application with those addresses; see `_Doors`."""
    doors = _Doors(services)
    rembg = Route("/api/remove", doors.rembg, methods=["GET", "POST"])
    rembg.methods = {"GET", "POST"}  # a HEAD would do all the work, and throw it away
    return Starlette(
        routes=[
            Route("/v1.0/removebg", doors.removebg, methods=["POST"]),
            Route("/v1.0/account", doors.account),
            rembg,
        ],
        exception_handlers={BackgroundRemovalError: render_problem},
    )
