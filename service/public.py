"""Bento service 2, `background_removal`: composition root, mounted routes, native endpoint."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import bentoml
import click
from bentoml._internal.utils.analytics.usage_stats import do_not_track
from bentoml.validators import ContentType
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request

from models.errors import BackgroundRemovalError
from service.access.rate_limit import ClientLimiter, RateLimitConfig
from service.container_image import Flavour, describe_image
from service.environment import (
    MODEL_TAG,
    distrust_forwarded_headers,
    private_folders,
    send_nothing,
)
from service.http.app import EXPOSED_HEADERS, PREFIX, create_app, problem_response
from service.http.bodies import IntakeConfig
from service.http.dependencies import Services
from service.http.exchange import exchange_of
from service.http.health import HealthReporter, Requested
from service.http.host_check import HostCheckMiddleware
from service.http.metrics import Metrics, forget_dead_processes
from service.http.middleware import ExchangeMiddleware, IntakeMiddleware
from service.http.pages import create_index_app
from service.http.routes.remove import answer_removal
from service.http.scrape import create_metrics_app
from service.http.target import TargetMiddleware
from service.imaging.guard import ImageLimits
from service.inference import (
    LONGER_THAN_ANY_DEADLINE_S,
    Inference,
    log_config,
    stop_within_s,
)
from service.logs import LogConfig, set_up_logging
from service.matting_client import BentoMattingClient
from service.processes.bentoml_patches import end_timers_with_requests
from service.processes.connections import ConnectionConfig, ConnectionKeeper
from service.processes.instance import open_instance
from service.processes.supervisor import tame_supervisor
from service.processes.watchdog import replace_when_hung
from service.processes.workers import PUBLIC, end_with_supervisor, is_sibling, kill_sibling, serving
from service.removal.options import RemovalOptions
from service.removal.remover import BackgroundRemover, RemoverConfig
from service.removal.telemetry import Telemetry
from service.resources import allowed_bytes
from service.settings import Settings, read_settings
from service.shutdown import announce_stop
from service.startup import check_address, check_folder, check_log_file, choose_model

log = logging.getLogger(__name__)

_WARM_UP_RETRY_S = 1.0

_settings = read_settings()
_model = choose_model(_settings)
_stopping = asyncio.Event()
end_timers_with_requests()
distrust_forwarded_headers()
send_nothing()
do_not_track.cache_clear()  # it was asked as the command started, and remembers


@cache
def _metrics() -> Metrics:
    """Made in the process that serves, after BentoML has said where its workers count together."""
    forget_dead_processes(is_sibling)
    return Metrics()


def _log_config(process: str, file: Path | None = None) -> LogConfig:
    return LogConfig(_settings.log_level, file, _settings.log_format, process)


def _limits(settings: Settings) -> ImageLimits:
    return ImageLimits(
        max_bytes=int(settings.max_image_size_mb * 1024**2),
        max_pixels=int(settings.max_megapixels * 1e6),
        max_ratio=settings.max_decompression_ratio,
    )


def _picture_bytes(settings: Settings) -> int:
    """Memory for pictures; what nobody has set leaves as much again to everything else."""
    if settings.max_picture_memory_mb is not None:
        return settings.max_picture_memory_mb * 1024**2
    return min(settings.num_workers * 1024**3, allowed_bytes() // 2)


def _remover_config(settings: Settings) -> RemoverConfig:
    return RemoverConfig(
        limits=_limits(settings),
        timeout_s=settings.processing_timeout_sec,
        workers=settings.num_workers,
        max_queue=settings.max_queue,
        max_bytes=_picture_bytes(settings),
    )


def _connection_config(settings: Settings) -> ConnectionConfig:
    return ConnectionConfig(
        keep_alive_s=settings.keep_alive_sec,
        max_open=settings.max_connections,
        trusted_proxies=settings.trusted_proxies,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """From the first byte served to the last."""
    end_with_supervisor()
    server = serving()
    announce_stop(_stopping)
    inference, wanted = bentoml.get_current_service().inference, _model.spec.input
    client = BentoMattingClient(inference, wanted.height, wanted.width)
    telemetry = Telemetry(_metrics().observe_stages)
    remover = BackgroundRemover(client, _model.spec, _remover_config(_settings), telemetry)
    warming = asyncio.create_task(_warm_up(remover))
    warming.add_done_callback(_tell_of_failure)
    background = [warming, asyncio.create_task(replace_when_hung(client.describe, kill_sibling))]
    if server is not None:
        keeper = ConnectionKeeper(server, _connection_config(_settings), _stopping)
        background.append(asyncio.create_task(keeper.run()))
    app.state.services = _services(client, remover, warming)
    yield
    for task in background:
        task.cancel()
    if not await remover.close():
        log.error("imaging threads did not come back; this process ends without them")
        os._exit(1)  # the interpreter would wait for them for ever


def _services(
    client: BentoMattingClient, remover: BackgroundRemover, warming: asyncio.Task[None]
) -> Services:
    health = HealthReporter(
        client,
        _model.spec,
        Requested(_settings.device, _settings.wants_of_gpu, _settings.model),
        remover.telemetry.hour,
        is_warm=lambda: _succeeded(warming),
        overdue=lambda: (remover.overdue, remover.config.workers),
    )
    return Services(remover, health)


async def _warm_up(remover: BackgroundRemover) -> None:
    """Run one full removal as soon as inference answers."""
    while True:
        try:
            await remover.warm_up()
        except BackgroundRemovalError as early:
            log.info("warming up: %s", early)
            await asyncio.sleep(_WARM_UP_RETRY_S)
        else:
            log.info("ready: %s on http://%s:%d", _model.tag, _settings.host, _settings.port)
            return


def _succeeded(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _tell_of_failure(task: asyncio.Task[None]) -> None:
    """A warm-up that fails for a reason nobody foresaw leaves the service unready; say why."""
    if not task.cancelled() and task.exception() is not None:
        log.error("the warm-up failed, the service cannot become ready", exc_info=task.exception())


# BentoML brings the files of Swagger UI for its own page, which loads scripts of third parties.
_SWAGGER_UI = Path(bentoml.__file__).parent / "_internal/server/static_content"
app = create_app(_lifespan, swagger_ui=_SWAGGER_UI)


class RemovalInput(bentoml.IODescriptor, RemovalOptions):
    """The native endpoint's form, as its schema and the Python client see it.

    The request itself is read by the same code as the mounted route's: BentoML's own would write
    the file to disk, and would fetch a URL that a caller sends in its place.
    """

    image: Path

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Self:
        """Leave the body alone."""
        return cls.model_construct(image=Path())


@bentoml.asgi_app(create_index_app(PREFIX), path="/")
@bentoml.asgi_app(create_metrics_app(lambda: getattr(app.state, "services", None)), path="/")
@bentoml.asgi_app(app, path=PREFIX)
@bentoml.service(
    name=PUBLIC,
    image=describe_image(bentoml.use_arguments(Flavour)),
    workers=1,
    threads=1,
    traffic={"timeout": LONGER_THAN_ANY_DEADLINE_S},
    endpoints={"livez": f"{PREFIX}/health"},
    http={"host": _settings.host, "port": _settings.port},
    logging={"access": {"enabled": False}},
    runner_probe={"enabled": False},  # a 500 where inference hangs; `__is_ready__` asks it
    metrics={"enabled": False},  # its labels are raw paths; ours are in service.http.metrics
)
class BackgroundRemoval:
    """Removes the background of a picture."""

    inference = bentoml.depends(Inference)

    def __init__(self) -> None:
        set_up_logging(_log_config("public", _settings.log_file))

    @bentoml.on_deployment
    @staticmethod
    def check_surroundings() -> None:
        """In the supervisor: refuse what would make it start its workers over and over."""
        set_up_logging(_log_config("supervisor"))
        command = click.get_current_context(silent=True)  # `bentoml serve --port` wins over ours
        given = command.params if command else {}
        check_address(given.get("host") or _settings.host, given.get("port") or _settings.port)
        check_folder(_settings.cache_dir, "BIREFNET_CACHE_DIR")
        for file in (_settings.log_file, log_config(_settings).file):
            if file is not None:
                check_log_file(file)
        instance = open_instance(private_folders(_settings))
        tame_supervisor(instance, stop_within_s(_settings), {MODEL_TAG: _model.tag})

    @bentoml.api(input_spec=RemovalInput)
    async def remove_background(
        self, ctx: bentoml.Context, image: Path, **options: Any
    ) -> Annotated[Path, ContentType("image/png")]:
        """Remove the background of one picture; the form and every limit are those of `/remove`."""
        request: Any = ctx.request
        exchange_of(request.scope).route = "/remove_background"
        try:
            response = await answer_removal(request, app.state.services)
        except BackgroundRemovalError as error:
            response = problem_response(request, error)
        ctx.response.status_code = response.status_code  # BentoML overwrites the response's own
        return response  # type: ignore[return-value]  # a finished response is sent as it is

    async def __is_ready__(self) -> bool:
        """Ready means one full removal has run, and inference answers."""
        return await app.state.services.health.is_ready()


BackgroundRemoval.add_asgi_middleware(TargetMiddleware)
if _settings.cors_origins:
    BackgroundRemoval.add_asgi_middleware(
        CORSMiddleware,
        allow_origins=list(_settings.cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=list(EXPOSED_HEADERS),
    )
BackgroundRemoval.add_asgi_middleware(
    ExchangeMiddleware, metrics=_metrics, trusted_proxies=_settings.trusted_proxies
)
BackgroundRemoval.add_asgi_middleware(HostCheckMiddleware, allowed_hosts=_settings.allowed_hosts)
BackgroundRemoval.add_asgi_middleware(
    IntakeMiddleware,
    limiter=ClientLimiter(
        RateLimitConfig(
            per_minute=_settings.rate_limit_per_minute,
            per_second=_settings.rate_limit_per_second,
            in_flight=_settings.max_in_flight_per_client,
            shape=_settings.rate_limit_mode == "shape",
        )
    ),
    config=IntakeConfig(
        max_file_bytes=_limits(_settings).max_bytes,
        max_bytes_in_memory=_settings.max_upload_memory_mb * 1024**2,
    ),
    draining=_stopping,
)
