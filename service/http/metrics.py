"""What is counted for Prometheus, by route template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from service.http.exchange import Exchange

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 30.0, 60.0)

_SWITCHING_PROTOCOLS = 101


class Metrics:
    """What Prometheus scrapes of the public service.

    Labels are route templates, never paths, and ids of keys that are known, never what somebody
    shows as one: a stranger's addresses must not grow our memory.
    BentoML's own metrics are off for that reason.

    Args:
        registry: Where they are registered; None for the process's own.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # Deferred: the library decides at import whether several processes count together, and
        # BentoML says so only in the environment of its workers.
        import prometheus_client as client

        registry = registry or client.REGISTRY
        counter = partial(client.Counter, registry=registry)
        histogram = partial(client.Histogram, buckets=_SECONDS, registry=registry)
        self._requests = counter(
            "background_removal_requests_total",
            "Requests served, by route template, status and error code",
            ["route", "status", "error_code"],
        )
        self._key_requests = counter(
            "background_removal_key_requests_total",
            "Requests with an API key, without those that only read, by its id and status",
            ["key", "status"],
        )
        self._limit_fallbacks = counter(
            "background_removal_limit_fallbacks_total",
            "Questions about limits that this replica's memory answered in place of Redis",
        )
        self._in_progress = client.Gauge(
            "background_removal_requests_in_progress",
            "Requests being served now",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._latency = histogram(
            "background_removal_request_seconds",
            "From body complete to response ready",
            ["route"],
        )
        self._stage = histogram(
            "background_removal_stage_seconds",
            "Each stage of a removal; inference is the forward pass of the whole batch",
            ["stage"],
        )

    def begin(self) -> None:
        """Count a request that has begun."""
        self._in_progress.inc()

    def observe(self, exchange: Exchange) -> None:
        """Count a finished request."""
        self._in_progress.dec()
        route = exchange.policy.route
        self._requests.labels(route, str(exchange.status), exchange.error_code or "").inc()
        if exchange.caller.key_id and exchange.policy.cost:
            self._key_requests.labels(exchange.caller.key_id, str(exchange.status)).inc()
        if exchange.status != _SWITCHING_PROTOCOLS:  # how long a WebSocket lasts says nothing
            self._latency.labels(route).observe(exchange.processing_ms() / 1e3)

    def count_fallback(self) -> None:
        """Count an answer about limits that Redis should have given."""
        self._limit_fallbacks.inc()

    def observe_stages(self, stages_ms: Mapping[str, float]) -> None:
        """Count the stages of a removal."""
        for stage, milliseconds in stages_ms.items():
            self._stage.labels(stage).observe(milliseconds / 1e3)


def forget_dead_processes(alive: Callable[[int], bool]) -> None:
    """Take back what killed processes of this instance said of themselves while they lived.

    Args:
        alive: Whether a process, by its number, is one of ours and lives.
    """
    from prometheus_client import CollectorRegistry  # deferred, see Metrics
    from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

    try:
        folder = MultiProcessCollector(CollectorRegistry())._path  # type: ignore[no-untyped-call]
    except ValueError:  # only one process counts
        return
    for file in Path(folder).glob("gauge_live*_*.db"):
        number = int(file.stem.rpartition("_")[2])
        if not alive(number):
            mark_process_dead(number, folder)  # type: ignore[no-untyped-call]
