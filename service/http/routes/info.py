"""`GET /info`: every limit, format and option, so that no client has to know them by heart."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from service.access.caller import TIERS
from service.access.rate_limit import RateLimitConfig, rates_of
from service.http.dependencies import GivenServices, Services
from service.http.forms import FormOptions
from service.http.health import API_VERSION
from service.http.schemas import Formats, Info, Limits, Problem, RateLimits, TaskLimits
from service.imaging.encode import ENCODINGS, ZIP
from service.imaging.formats import READABLE
from service.removal.options import PRESETS
from service.tasks.asked import TasksConfig

router = APIRouter(tags=["info"])


@router.head("/info", include_in_schema=False)
@router.get(
    "/info", operation_id="readInfo", response_model=Info, responses={403: {"model": Problem}}
)
async def info(services: GivenServices) -> JSONResponse:
    """What this service takes and gives, with every limit."""
    return JSONResponse(describe(services).model_dump())


def describe(services: Services) -> Info:
    """What this service takes and gives."""
    config, rates = services.remover.config, services.rates
    limits = config.limits
    return Info(
        version=API_VERSION,
        models=list(services.remover.models),
        default_model=next(iter(services.remover.models)),
        options=list(FormOptions.model_fields),
        presets=list(PRESETS),
        formats=Formats(
            input=sorted({media for known in READABLE for media in known.media_types}),
            output=[*(kind.media_type for kind in ENCODINGS.values()), ZIP],
        ),
        limits=Limits(
            max_file_bytes=limits.max_bytes,
            max_pixels=limits.max_pixels,
            max_long_side=limits.max_long_side,
            max_short_side=limits.max_short_side,
            min_side=limits.min_side,
            max_frames=limits.max_frames,
            timeout_s=config.timeout_s,
        ),
        rate_limits=_limits_of(rates),
        tiers={tier: _limits_of(rates_of(tier, rates)) for tier in TIERS},
        max_batch_images=services.max_batch_images,
        image_url=services.fetcher is not None,
        max_previews=services.previews.config.most,
        tasks=_tasks_of(services.tasks.config),
    )


def _limits_of(rates: RateLimitConfig) -> RateLimits:
    return RateLimits(
        per_minute=rates.per_minute or None,
        per_second=rates.per_second or None,
        at_once=rates.in_flight or None,
    )


def _tasks_of(config: TasksConfig | None) -> TaskLimits | None:
    if config is None:
        return None
    return TaskLimits(
        max_tasks=config.most,
        max_tasks_per_client=config.most_per_caller or None,
        result_s=config.keep_s,
        webhooks=config.webhooks is not None,
    )
