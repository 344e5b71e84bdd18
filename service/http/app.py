"""The FastAPI application that is mounted under `/api/background-removal`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI, Request
from starlette.responses import Response

from models.errors import BackgroundRemovalError
from service.http.dependencies import Services
from service.http.exchange import exchange_of
from service.http.health import API_VERSION
from service.http.key_schema import add_key_schemes
from service.http.pages import add_docs_page
from service.http.routes import (
    backgrounds,
    batch,
    health,
    info,
    models,
    preview,
    remove,
    remove_async,
    tasks,
)

# What a browser may read across origins, beside the few headers it always may.
EXPOSED_HEADERS = (
    "Content-Disposition",
    "Location",
    "Retry-After",
    "X-Applied",
    "X-Engine",
    "X-Model-Version",
    "X-Original-Size",
    "X-Output-Size",
    "X-Processing-Time-Ms",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-RateLimit-Tier",
    "X-Request-ID",
    "X-Subject-Box",
    "X-Subject-Found",
)

# FastAPI would send every path and query, and errors with their text, where the environment has it.
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    lifespan: Lifespan | None = None,
    services: Services | None = None,
    swagger_ui: Path | None = None,
    require_key: bool = False,
) -> FastAPI:
    """Wire routes and error rendering.

    Args:
        lifespan: Sets `app.state.services` once the process serves.
        services: The same, where they are known already.
        swagger_ui: Folder with the distribution of Swagger UI; None for no `/docs`.
        require_key: What the schema says of keys: whether nothing that counts is served without.

    Returns:
        The application.
    """
    app = _App(
        require_key,
        title="BiRefNet Background Removal API",
        version=API_VERSION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load their scripts from a third party
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
    )
    if services is not None:
        app.state.services = services
    app.add_exception_handler(BackgroundRemovalError, render_problem)
    app.include_router(health.router)
    app.include_router(info.router)
    app.include_router(models.router)
    app.include_router(remove.router)
    app.include_router(batch.router)
    app.include_router(backgrounds.router)
    app.include_router(remove_async.router)
    app.include_router(tasks.router)
    app.include_router(preview.router)
    if swagger_ui is not None:
        add_docs_page(app, swagger_ui)
    return app


class _App(FastAPI):
    """An application whose schema also says where API keys count."""

    def __init__(self, require_key: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._require_key = require_key

    def openapi(self) -> dict[str, Any]:
        """The schema; made once."""
        if self.openapi_schema is None:
            add_key_schemes(super().openapi(), self._require_key)
        return super().openapi()


async def render_problem(request: Request, error: Exception) -> Response:
    """Any error of ours as a problem."""
    return problem_response(request, cast("BackgroundRemovalError", error))


def problem_response(request: Request, error: BackgroundRemovalError) -> Response:
    """An error of ours as a problem, noted in the exchange."""
    exchange = exchange_of(request.scope)
    exchange.error_code = error.code
    return exchange.policy.render(error, exchange.request_id)
