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
from service.tasks.tasks import Tasks

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
            now = measure(await parts.health.check(), parts, own_usage())
        text, media_type = await asyncio.to_thread(_expose, now)
        return Response(text, headers={"Content-Type": media_type})

    return Starlette(routes=[Route(METRICS, metrics)])


def measure(checkup: Checkup, parts: Services, public: Mapping[str, float]) -> list[Metric]:
    """What is true now, as metrics.

    Args:
        checkup: Health, and what the inference processes say.
        parts: The parts behind the routes.
        public: What the public process takes; see `service.resources`.

    Returns:
        The metrics; label values are few and fixed.
    """
    health, told = checkup.health, checkup.told.values()
    usages = {"public": public, **{status.service: status.usage for status in told}}
    return [
        _gauge(
            "health",
            "1 for the state the service is in",
            {name: float(name == health.status) for name in get_args(HealthState)},
            "state",
        ),
        _gauge(
            "gpu_memory_free_bytes",
            "Free memory of the GPU, 0 without one",
            {"": health.gpu_memory_free_mb * 1024**2},
        ),
        *_info(health, checkup.told),
        *_load(parts),
        *_tasks(parts.tasks),
        *_batches(told),
        *_processes(usages),
    ]


def _gauge(name: str, text: str, values: Mapping[str, float], label: str = "") -> Metric:
    """A gauge: its values by those of one label, or under an empty name without a label."""
    from prometheus_client.core import GaugeMetricFamily  # deferred, see service.http.metrics

    gauge = GaugeMetricFamily(f"background_removal_{name}", text, labels=[label] if label else [])
    for value in values:
        gauge.add_metric([value] if label else [], values[value])
    return gauge


def _counter(name: str, text: str, values: Mapping[str, float], label: str) -> Metric:
    """A counter by the values of one label."""
    from prometheus_client.core import CounterMetricFamily

    counter = CounterMetricFamily(f"background_removal_{name}", text, labels=[label])
    for value in values:
        counter.add_metric([value], values[value])
    return counter


def _info(health: Health, told: Mapping[str, InferenceStatus]) -> Iterable[Metric]:
    """What runs, in labels."""
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
    engines = GaugeMetricFamily(
        "background_removal_engine_info",
        "Always 1; what runs a model is in the labels",
        labels=["process", "model", "engine", "precision", "device", "runtime"],
    )
    for model, status in told.items():
        info = status.status.engine
        runs = (info.name, info.precision.value, info.device, info.runtime)
        engines.add_metric([status.service, model, *runs], 1)
    return build, engines


def _load(parts: Services) -> Iterable[Metric]:
    """What is under way, and how much may be."""
    remover, lanes = parts.remover, parts.remover.lanes()
    budget = remover.budget
    yield _gauge(
        "removals",
        "Removals under way, by what they wait for or are in",
        remover.load(),
        "phase",
    )
    inside = {lane: n_inside for lane, (n_inside, _) in lanes.items()}
    yield _gauge("lane_pictures", "Pictures inside, by lane", inside, "lane")
    most = {lane: n_most for lane, (_, n_most) in lanes.items()}
    yield _gauge("lane_pictures_max", "Most pictures inside at once, by lane", most, "lane")
    memory = {"": float(budget.held + budget.kept)}
    yield _gauge("picture_memory_bytes", "Memory that pictures are counted with", memory)
    largest = {"": float(remover.config.max_bytes)}
    yield _gauge("picture_memory_max_bytes", "Most memory that pictures may take", largest)
    yield _gauge("previews_open", "Live previews that are open", {"": parts.previews.n_open})


def _tasks(tasks: Tasks) -> Iterable[Metric]:
    """Tasks and their webhooks."""
    most = 0 if tasks.config is None else tasks.config.most
    yield _gauge("tasks_unfinished", "Tasks that are not finished", {"": tasks.n_unfinished})
    yield _gauge(
        "tasks_unfinished_max", "Most unfinished tasks, 0 where none are taken", {"": most}
    )
    yield _counter("tasks", "Tasks that ended here", tasks.tally.tasks, "outcome")
    webhooks = tasks.tally.webhooks
    yield _counter("webhook_attempts", "Attempts to deliver an event", webhooks, "outcome")


def _batches(told: Iterable[InferenceStatus]) -> Iterable[Metric]:
    """The batches of the inference processes."""
    for name, text, values in (
        (
            "engine_batch_size_max",
            "Largest batch of one forward pass",
            {one.service: float(one.status.engine.max_batch) for one in told},
        ),
        (
            "batch_age_seconds",
            "What the present batch has taken, 0 between two",
            {one.service: one.busy_s for one in told},
        ),
        (
            "batches_failed_in_a_row",
            "Batches that came to nothing since the last that did not",
            {one.service: float(one.status.failures_in_a_row) for one in told},
        ),
    ):
        yield _gauge(name, text, values, "process")


def _processes(usages: Mapping[str, Mapping[str, float]]) -> Iterable[Metric]:
    """What every process that answers takes, and what of it there is where it runs."""
    for key, make, name, text in (
        ("memory_bytes", _gauge, "memory_bytes", "Resident memory"),
        ("memory_available_bytes", _gauge, "memory_available_bytes", "Memory nobody has yet"),
        ("memory_limit_bytes", _gauge, "memory_limit_bytes", "Memory that all may have together"),
        ("cpu_seconds", _counter, "cpu_seconds", "Processor time"),
        ("started", _gauge, "start_time_seconds", "When it started, in seconds since 1970"),
    ):
        values = {process: usage[key] for process, usage in usages.items()}
        yield make(f"process_{name}", text, values, "process")


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
