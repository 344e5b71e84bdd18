"""The whole HTTP side in one process, wired as `service/public.py` wires it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bentoml
import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.types import ASGIApp

from models.errors import BackgroundRemovalError
from service.access.access import Access, AccessConfig
from service.access.rate_limit import ClientLimiter, RateLimitConfig
from service.http.app import create_app, render_problem
from service.http.bodies import IntakeConfig
from service.http.dependencies import Services
from service.http.foreign_doors import create_foreign_doors
from service.http.health import Requested
from service.http.metrics import Metrics
from service.http.pages import create_page_app
from service.http.policies import PREFIX
from service.library.library import Quota
from service.outbound.fetch import FetchConfig
from service.preview.previews import PreviewConfig
from service.removal.bounds import RemoverConfig
from service.removal.ports import ServedModel
from service.tasks.asked import TasksConfig
from service.wiring import HttpConfig, create_middlewares, create_services
from tests.support.matting import SPEC, FakeMattingClient

REMOVE = f"{PREFIX}/remove"
HEALTH = f"{PREFIX}/health"
NO_LIMITS = RateLimitConfig(per_minute=0, per_second=0, in_flight=0)
SWAGGER_UI = Path(bentoml.__file__).parent / "_internal/server/static_content"
MAX_FILE_BYTES = 10 * 1024**2


@dataclass
class ApiParts:
    """What an API is made of; every part can be replaced by a test."""

    matting: FakeMattingClient = field(default_factory=FakeMattingClient)
    others: tuple[ServedModel, ...] = ()
    remover: RemoverConfig = field(default_factory=RemoverConfig)
    limits: RateLimitConfig = NO_LIMITS
    intake: IntakeConfig = field(default_factory=IntakeConfig)
    wanted: Requested = field(default_factory=lambda: Requested("auto", (), SPEC.name))
    trusted_proxies: tuple[str, ...] = ()
    keys_file: Path | None = None
    require_key: bool = False
    redis_url: str = ""
    storage: str = ""
    backgrounds: Quota = field(default_factory=Quota)
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    fetching: FetchConfig | None = None
    tasks: TasksConfig | None = None
    previews: PreviewConfig = field(default_factory=PreviewConfig)
    is_warm: Callable[[], bool] = lambda: True
    peer: str = "192.0.2.1"


@dataclass
class Api:
    """A running API and the handles a test may pull."""

    client: httpx.AsyncClient
    app: FastAPI
    asgi: ASGIApp
    limiter: ClientLimiter
    draining: asyncio.Event
    registry: CollectorRegistry
    services: Services

    def client_at(self, peer: str) -> httpx.AsyncClient:
        """Another client, at another address."""
        transport = httpx.ASGITransport(self.asgi, client=(peer, 1234))
        return httpx.AsyncClient(transport=transport, base_url="http://service")

    async def remove(
        self,
        data: bytes,
        name: str = "portrait.png",
        media_type: str | None = "image/png",
        **options: str,
    ) -> httpx.Response:
        """Ask for a removal as a browser would."""
        files = {"image": (name, data, media_type)}
        return await self.client.post(REMOVE, files=files, data=options)


@asynccontextmanager
async def open_api(parts: ApiParts | None = None) -> AsyncIterator[Api]:
    """Put an API together, and take it apart again."""
    parts = parts or ApiParts()
    metrics = Metrics(registry := CollectorRegistry())
    config = HttpConfig(
        requested=parts.wanted,
        remover=parts.remover,
        access=AccessConfig(
            rates=parts.limits,
            keys_file=parts.keys_file,
            require_key=parts.require_key,
            redis_url=parts.redis_url,
            trusted_proxies=parts.trusted_proxies,
        ),
        intake=parts.intake,
        storage=parts.storage,
        backgrounds=parts.backgrounds,
        cors_origins=parts.cors_origins,
        allowed_hosts=parts.allowed_hosts,
        fetching=parts.fetching,
        tasks=parts.tasks,
        previews=parts.previews,
    )
    models = [ServedModel(SPEC, parts.matting), *parts.others]
    access, draining = Access(config.access, metrics.count_fallback), asyncio.Event()
    services = create_services(config, models, metrics.observe_stages, access, draining)
    services.health.is_warm = parts.is_warm
    app = create_app(services=services, swagger_ui=SWAGGER_UI, require_key=parts.require_key)
    outer = Starlette()
    outer.mount(PREFIX, app)
    doors = create_foreign_doors(lambda: services)
    outer.router.routes += doors.routes
    outer.add_exception_handler(BackgroundRemovalError, render_problem)
    outer.mount("/", create_page_app())
    wrapped: ASGIApp = outer
    for wrapper in reversed(create_middlewares(config, access, lambda: metrics, draining)):
        wrapped = wrapper.cls(wrapped, *wrapper.args, **wrapper.kwargs)
    transport = httpx.ASGITransport(wrapped, client=(parts.peer, 1234))
    running = asyncio.create_task(services.tasks.run())
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield Api(client, app, wrapped, access.limiter, draining, registry, services)
    finally:
        running.cancel()
        await services.tasks.close()
        await access.close()
        await services.remover.close()
