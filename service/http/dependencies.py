"""What the routes are given."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.access.rate_limit import ClientLimiter, RateLimitConfig
from service.http.health import HealthReporter
from service.library.library import BackgroundLibrary
from service.outbound.fetch import Fetcher
from service.preview.previews import Previews
from service.removal.remover import BackgroundRemover
from service.tasks.tasks import Tasks


@dataclass(frozen=True)
class Services:
    """The parts behind the routes, wired by the composition root; no fetcher, no `image_url`."""

    remover: BackgroundRemover
    health: HealthReporter
    rates: RateLimitConfig
    limiter: ClientLimiter
    stopping: asyncio.Event
    max_batch_images: int
    backgrounds: BackgroundLibrary
    tasks: Tasks
    previews: Previews
    fetcher: Fetcher | None = None


def services_of(connection: HTTPConnection) -> Services:
    """The parts the application was started with."""
    return cast("Services", connection.app.state.services)


GivenServices = Annotated[Services, Depends(services_of)]
