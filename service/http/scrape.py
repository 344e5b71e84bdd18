"""`GET /metrics`: what was counted in all our processes, and what is true at the moment of asking.

Health, load, memory and processor time are asked for at each scrape, not kept: a value that is kept
grows old when nobody asks, and outlives the process that wrote it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, cast, get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.http.dependencies import Services
from service.http.health import Checkup
from service.http.policies import METRICS
from service.http.schemas import Health, HealthState
from service.removal.ports import InferenceStatus
from service.resources import own_usage

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.registry import Collector


def create_metrics_app(services: Callable[[], Services | None]) -> Starlette:
    """An application with one route, `GET /metrics`.

    Args:
        services: The parts behind the routes; None while the process does not serve yet.
    """

    async def metrics(request: Request) -> Response:
        parts = services()
        now: list[Metric] = []
        if parts is not None:
            now = measure(await parts.health.check(), parts.remover.load(), own_usage())
        text, media_type = await asyncio.to_thread(_expose, now)
        return Response(text, headers={"Content-Type": media_type})

    return Starlette(routes=[Route(METRICS, metrics)])


def measure(checkup: Checkup, load: Mapping[str, int], public: Mapping[str, float]) -> list[Metric]:
    """What is true now, as metrics.

    Args:
        checkup: Health, and what the inference process takes.
        load: Removals by what they wait for or are in.
        public: What the public process takes; see `service.resources`.

    Returns:
        The metrics; label values are few and fixed.
    """
    from prometheus_client.core import GaugeMetricFamily  # deferred, see service.http.metrics

    health = checkup.health
    state = GaugeMetricFamily(
        "background_removal_health", "1 for the state the service is in", labels=["state"]
    )
    for name in get_args(HealthState):
        state.add_metric([name], float(name == health.status))
    removals = GaugeMetricFamily(
        "background_removal_removals",
        "Removals under way, by what they wait for or are in",
        labels=["phase"],
    )
    for phase, count in load.items():
        removals.add_metric([phase], count)
    gpu = GaugeMetricFamily(
        "background_removal_gpu_memory_free_bytes",
        "Free memory of the GPU, 0 without one",
        value=health.gpu_memory_free_mb * 1024**2,
    )
    return [state, removals, gpu, _build(health), *_processes(public, checkup.told)]


def _build(health: Health) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    labels = {
        "version": health.version,
        "model": health.model,
        "engine": health.engine,
        "bentoml": version("bentoml"),
    }
    build = GaugeMetricFamily(
        "background_removal_build_info", "Always 1; what runs is in the labels", labels=[*labels]
    )
    build.add_metric([*labels.values()], 1)
    return build


def _processes(
    public: Mapping[str, float], told: Mapping[str, InferenceStatus]
) -> Iterable[Metric]:
    """Memory, processor time and start of every process that answers."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    families: Mapping[str, GaugeMetricFamily | CounterMetricFamily] = {
        "memory_bytes": GaugeMetricFamily(
            "background_removal_process_memory_bytes", "Resident memory", labels=["process"]
        ),
        "cpu_seconds": CounterMetricFamily(
            "background_removal_process_cpu_seconds", "Processor time", labels=["process"]
        ),
        "started": GaugeMetricFamily(
            "background_removal_process_start_time_seconds",
            "When it started, in seconds since 1970",
            labels=["process"],
        ),
    }
    usages = {status.service: status.usage for status in told.values()}
    for process, usage in {"public": public, **usages}.items():
        for name, value in usage.items():
            families[name].add_metric([process], value)
    return families.values()


class _Measured:
    """Metrics that are known already, as a registry wants them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._metrics


def _expose(now: Iterable[Metric]) -> tuple[bytes, str]:
    """Everything as text, and its media type."""
    import prometheus_client as client
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = client.CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(cast("Collector", _Measured(now)))
    return client.generate_latest(registry), client.CONTENT_TYPE_LATEST
