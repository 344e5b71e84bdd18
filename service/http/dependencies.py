"""What the routes are given."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from service.access.rate_limit import ClientLimiter, RateLimitConfig
from service.http.health import HealthReporter
from service.library.library import BackgroundLibrary
from service.outbound.fetch import Fetcher
from service.removal.remover import BackgroundRemover


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
    fetcher: Fetcher | None = None


def services_of(request: Request) -> Services:
    """The parts the application was started with."""
    return cast("Services", request.app.state.services)


GivenServices = Annotated[Services, Depends(services_of)]
