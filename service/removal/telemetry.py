"""What is counted and told of removals, whichever entrance they came through."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from service.removal.options import RemovalResult
from service.tracing.spans import Attributes

#: Given the milliseconds of each stage of a removal.
StageObserver = Callable[[Mapping[str, float]], None]

_HOUR_S = 3600
_KEPT_LATENCIES = 1024


class Telemetry:
    """Counts finished removals.

    Args:
        observe_stages: Given the milliseconds of each stage.

    Attributes:
        hour: The last hour.
    """

    def __init__(self, observe_stages: StageObserver = lambda stages_ms: None) -> None:
        self.hour = SlidingHour()
        self._observe_stages = observe_stages

    def record(self, result: RemovalResult, took_ms: float) -> None:
        """Count a removal that has succeeded."""
        self.hour.record(took_ms)
        self._observe_stages(result.stages_ms)


def facts_of(result: RemovalResult) -> Attributes:
    """What the span of a removal says of it."""
    return {
        "birefnet.model": result.model,
        "birefnet.engine": result.engine.label,
        "birefnet.retried_on_cpu": result.retried_on_cpu,
        "birefnet.height": result.height,
        "birefnet.width": result.width,
        "birefnet.output_height": result.canvas[0],
        "birefnet.output_width": result.canvas[1],
    }


@dataclass(frozen=True)
class LatencySummary:
    """Latency of the latest removals, in milliseconds, and how many the last hour had."""

    avg_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float
    requests_last_hour: int


class SlidingHour:
    """Counts removals over exactly the last hour, in bounded memory.

    One counter per second of the hour; percentiles come from the latest 1,024 removals within it.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, int]] = deque()
        self._latencies: deque[tuple[int, float]] = deque(maxlen=_KEPT_LATENCIES)

    def record(self, latency_ms: float) -> None:
        """Note a finished removal."""
        second = int(self._clock())
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))
        self._latencies.append((second, latency_ms))
        self._forget(second)

    def summary(self) -> LatencySummary:
        """The hour that ends now; zeros if nothing happened in it."""
        self._forget(int(self._clock()))
        latencies = [latency_ms for _, latency_ms in self._latencies]
        if not latencies:
            return LatencySummary(0.0, 0.0, 0.0, 0)
        p95, p99 = np.percentile(latencies, (95, 99))
        return LatencySummary(
            avg_latency_ms=round(float(np.mean(latencies)), 1),
            p95_latency_ms=round(float(p95), 1),
            p99_latency_ms=round(float(p99), 1),
            requests_last_hour=sum(count for _, count in self._seconds),
        )

    def _forget(self, now: int) -> None:
        while self._seconds and self._seconds[0][0] <= now - _HOUR_S:
            self._seconds.popleft()
        while self._latencies and self._latencies[0][0] <= now - _HOUR_S:
            self._latencies.popleft()
