"""What is known of one request while it is served; travels in the ASGI scope."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

_KEY = "background_removal.exchange"
# What orchestrators and Prometheus ask, over and over; the paths are BentoML's and our own.
READINESS = "/readyz"
HEALTH = "/health"
METRICS = "/metrics"
PROBES = frozenset({READINESS, "/livez", "/healthz", HEALTH, METRICS})


@dataclass
class Exchange:
    """One request and what became of it.

    Attributes:
        request_id: Its identifier, the caller's own if it is a harmless one.
        client: Address of the caller, after trusted proxies.
        started: `time.perf_counter()` when its head arrived.
        body_complete: The same when its body was complete, or None while it is not.
        bytes_in: Bytes of body received.
        bytes_out: Bytes of body sent.
        status: Status sent, or 0 before.
        route: Template of the route that served it.
        error_code: Code of the problem sent, if one was.
        stages_ms: What each stage of a removal took.
        headers: Headers to add to the response, whatever it will be.
    """

    request_id: str
    client: str
    started: float = field(default_factory=time.perf_counter)
    body_complete: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    status: int = 0
    route: str = "unmatched"
    error_code: str | None = None
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def processing_ms(self) -> float:
        """Milliseconds since the body was complete."""
        return (time.perf_counter() - (self.body_complete or self.started)) * 1e3


def attach(scope: Mapping[str, Any], exchange: Exchange) -> None:
    """Put the record into a scope."""
    cast("dict[str, Any]", scope)[_KEY] = exchange


def exchange_of(scope: Mapping[str, Any]) -> Exchange:
    """The record of a scope; a fresh one where no middleware made it (in unit tests of the app)."""
    if _KEY not in scope:
        attach(scope, Exchange(request_id="none", client="unknown"))
    return cast("Exchange", scope[_KEY])
