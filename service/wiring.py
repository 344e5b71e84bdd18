"""Puts the HTTP side together from settings: what the Bento serves, and what tests serve."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service.access.access import Access, AccessConfig
from service.access.rate_limit import RateLimitConfig
from service.blobs.blobs import Blobs, folder_of
from service.bounds import bounds_of
from service.errors import CannotStart
from service.http.app import EXPOSED_HEADERS
from service.http.bodies import IntakeConfig
from service.http.dependencies import Services
from service.http.envelope import EnvelopeMiddleware
from service.http.health import HealthReporter, Requested
from service.http.host_check import HostCheckMiddleware
from service.http.metrics import Metrics
from service.http.middleware import ExchangeMiddleware, IntakeMiddleware
from service.http.origin_check import OriginCheckMiddleware
from service.http.policies import PREFIX, create_policies
from service.http.target import TargetMiddleware
from service.library.library import BackgroundLibrary, Quota
from service.outbound.destinations import read_destination
from service.outbound.fetch import FetchConfig, Fetcher
from service.preview.previews import PreviewConfig, Previews
from service.processes.connections import ConnectionConfig
from service.removal.bounds import RemoverConfig
from service.removal.ports import ServedModel
from service.removal.remover import BackgroundRemover
from service.removal.telemetry import StageObserver, Telemetry
from service.settings import Settings
from service.tasks.asked import TasksConfig
from service.tasks.dbos_queue import QueueConfig
from service.tasks.tasks import Tasks
from service.tasks.webhooks import WebhookConfig

_FETCH_S = 10.0


@dataclass(frozen=True)
class HttpConfig:
    """What the HTTP side is told.

    Attributes:
        remover: Bounds of the remover.
        access: Who may send what.
        intake: How bodies may arrive.
        connections: How connections are kept.
        requested: What the operator asked for, for health.
        max_batch_images: Most pictures of a batch.
        max_batch_bytes: Most bytes of them.
        storage: Where what callers upload lies; nobody can, where this is empty or there are no
            keys.
        backgrounds: How many backgrounds one key may keep.
        fetching: How pictures are fetched from addresses; None for never.
        tasks: How tasks are kept; None where none are taken.
        previews: Bounds of previews.
        cors_origins: Origins whose pages may call.
        allowed_hosts: Host names a browser may use beside local ones.
        has_page: Whether there is a page at `/`.
    """

    requested: Requested
    remover: RemoverConfig = field(default_factory=RemoverConfig)
    access: AccessConfig = field(default_factory=AccessConfig)
    intake: IntakeConfig = field(default_factory=IntakeConfig)
    connections: ConnectionConfig = field(default_factory=ConnectionConfig)
    max_batch_images: int = 50
    max_batch_bytes: int = 100 * 1024**2
    storage: str = ""
    backgrounds: Quota = field(default_factory=Quota)
    fetching: FetchConfig | None = None
    tasks: TasksConfig | None = None
    previews: PreviewConfig = field(default_factory=PreviewConfig)
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    has_page: bool = True


def configure(settings: Settings) -> HttpConfig:
    """What settings mean for the HTTP side."""
    return HttpConfig(
        requested=Requested(settings.device, settings.wants_of_gpu, settings.model),
        remover=bounds_of(settings),
        access=AccessConfig(
            rates=RateLimitConfig(
                per_minute=settings.rate_limit_per_minute,
                per_second=settings.rate_limit_per_second,
                in_flight=settings.max_in_flight_per_client,
                shape=settings.rate_limit_mode == "shape",
            ),
            keys_file=settings.keys_file,
            require_key=settings.require_key,
            redis_url=settings.redis_url,
            trusted_proxies=settings.trusted_proxies,
        ),
        intake=IntakeConfig(max_bytes_in_memory=settings.max_upload_memory_mb * 1024**2),
        connections=ConnectionConfig(
            keep_alive_s=settings.keep_alive_sec,
            max_open=settings.max_connections,
            trusted_proxies=settings.trusted_proxies,
        ),
        max_batch_images=settings.max_batch_images,
        max_batch_bytes=settings.max_batch_mb * 1024**2,
        storage=settings.storage_url,
        backgrounds=_quota(settings),
        fetching=_fetching(settings),
        tasks=_tasks(settings),
        previews=PreviewConfig(most=settings.max_previews),
        cors_origins=settings.cors_origins,
        allowed_hosts=settings.allowed_hosts,
        has_page=settings.page,
    )


def _fetching(settings: Settings) -> FetchConfig | None:
    """How pictures are fetched; the time is part of the removal's own."""
    if not settings.image_url:
        return None
    return FetchConfig(
        own=tuple(map(read_destination, settings.image_url_servers)),
        max_bytes=int(settings.max_image_size_mb * 1024**2),
        total_s=min(_FETCH_S, settings.processing_timeout_sec / 2),
    )


def _quota(settings: Settings) -> Quota:
    """How many backgrounds one key may keep."""
    return Quota(settings.max_backgrounds_per_key, settings.max_background_mb_per_key * 1024**2)


def _tasks(settings: Settings) -> TasksConfig | None:
    """How tasks are kept."""
    if settings.tasks == "off":
        return None
    url, executor = settings.tasks, f"{socket.gethostname()}:{settings.port}"
    if url == "sqlite":
        folder = folder_of(settings.storage_url)
        if folder is None:
            raise CannotStart(
                "BIREFNET_TASKS=sqlite needs a folder, and BIREFNET_STORAGE_URL is a bucket; "
                "set BIREFNET_TASKS to sqlite:////a/path, postgresql://... or off"
            )
        url = f"sqlite:///{folder / 'tasks.db'}"
    if url.startswith("sqlite"):
        executor = ""
    return TasksConfig(
        queue=QueueConfig(_address(url), executor),
        storage=settings.storage_url,
        key=bytes.fromhex(settings.tasks_key),
        webhooks=WebhookConfig(PREFIX, tuple(map(read_destination, settings.webhook_servers)))
        if settings.webhooks
        else None,
        most=settings.max_tasks,
        most_per_caller=settings.max_tasks_per_client,
        keep_s=settings.task_result_sec,
    )


def _address(url: str) -> str:
    """An address as SQLAlchemy reads it; text is text, whatever a database is encoded in."""
    if url.startswith("sqlite"):
        return url
    url = re.sub("^postgres(ql)?:", "postgresql+psycopg:", url)
    if "client_encoding=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}client_encoding=utf8"


def create_services(
    config: HttpConfig,
    models: Sequence[ServedModel],
    observe_stages: StageObserver,
    access: Access,
    stopping: asyncio.Event,
) -> Services:
    """Make the parts behind the routes.

    Args:
        config: What they are told.
        models: The models that are served, the default one first.
        observe_stages: Told what each stage of a removal took, in milliseconds.
        access: Who may send what.
        stopping: Set once the process has been told to stop.
    """
    remover = BackgroundRemover(models, config.remover, Telemetry(observe_stages))
    may_upload = config.access.keys_file is not None and config.storage
    blobs = Blobs(config.storage) if may_upload else None
    backgrounds = BackgroundLibrary(remover, blobs, config.backgrounds)
    tasks = Tasks(remover, config.tasks, stopping)

    async def notes() -> list[str]:
        return [*await access.notes(), *await backgrounds.notes(), *await tasks.notes()]

    health = HealthReporter(
        models,
        config.requested,
        remover.telemetry.hour,
        is_warm=lambda: remover.is_warm,
        overdue=lambda: (remover.overdue, remover.config.workers),
        batch_size=lambda: remover.batch_size,
        notes=notes,
    )
    return Services(
        remover,
        health,
        config.access.rates,
        access.limiter,
        stopping,
        config.max_batch_images,
        backgrounds,
        tasks,
        Previews(remover, config.previews, stopping),
        Fetcher(config.fetching) if config.fetching else None,
    )


def create_middlewares(
    config: HttpConfig,
    access: Access,
    metrics: Callable[[], Metrics],
    draining: asyncio.Event,
) -> list[Middleware]:
    """What wraps every route, the outermost first.

    Args:
        config: What they are told.
        access: Who may send what.
        metrics: Makes the metrics, in the process that serves.
        draining: Set once the process has been told to stop.
    """
    policies = create_policies(
        config.remover.limits.max_bytes, config.max_batch_bytes, config.has_page
    )
    wrappers = [
        Middleware(TargetMiddleware),
        Middleware(
            ExchangeMiddleware,
            metrics=metrics,
            policies=policies,
            identifier=access.identifier,
        ),
        Middleware(EnvelopeMiddleware),
        Middleware(HostCheckMiddleware, allowed_hosts=config.allowed_hosts),
        Middleware(OriginCheckMiddleware, allowed=config.cors_origins),
        Middleware(
            IntakeMiddleware, limiter=access.limiter, config=config.intake, draining=draining
        ),
    ]
    if config.cors_origins:  # around the envelope: a page may read what an error says
        cors = Middleware(
            CORSMiddleware,
            allow_origins=list(config.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=list(EXPOSED_HEADERS),
        )
        wrappers.insert(2, cors)
    return wrappers
