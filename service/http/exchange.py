"""What is known of one request while it is served; travels in the ASGI scope."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from service.access.caller import Caller
from service.errors import RequestError
from service.http.policies import CLOSED, WEBSOCKET, RoutePolicy

_KEY = "background_removal.exchange"


def hold_nothing(n_bytes: int) -> None:
    """Of a request whose memory nobody counts."""


@dataclass
class Exchange:
    """One request and what became of it.

    Attributes:
        request_id: Its identifier, the caller's own if it is a harmless one.
        caller: Who sent it.
        policy: What its address lets through.
        started: `time.perf_counter()` when its head arrived.
        body_complete: The same when its body was complete, or None while it is not.
        bytes_in: Bytes of body received.
        bytes_out: Bytes of body sent.
        status: Status sent, or 0 before.
        error_code: Code of the problem sent, if one was.
        stages_ms: What each stage of a removal took.
        headers: Headers to add to the response, whatever it will be.
        hold: Told of bytes that are kept for it beside its body, before they are; raises where
            memory has no room.
        trace_id: Of its trace; empty where it is not traced.
        key_fault: Why the API key it showed, or none, is not enough for what counts; or None.
    """

    request_id: str
    caller: Caller
    policy: RoutePolicy = CLOSED
    started: float = field(default_factory=time.perf_counter)
    body_complete: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    status: int = 0
    error_code: str | None = None
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    hold: Callable[[int], None] = hold_nothing
    trace_id: str = ""
    key_fault: RequestError | None = None

    def processing_ms(self) -> float:
        """Milliseconds since the body was complete."""
        return (time.perf_counter() - (self.body_complete or self.started)) * 1e3


def attach(scope: Mapping[str, Any], exchange: Exchange) -> None:
    """Put the record into a scope."""
    cast("dict[str, Any]", scope)[_KEY] = exchange


def exchange_of(scope: Mapping[str, Any]) -> Exchange:
    """The record of a scope; a fresh one where no middleware made it (in unit tests of the app)."""
    if _KEY not in scope:
        attach(scope, Exchange(request_id="none", caller=Caller("unknown")))
    return cast("Exchange", scope[_KEY])


def method_of(scope: Mapping[str, Any]) -> str:
    """The method of a request, `WEBSOCKET` of a WebSocket's handshake."""
    return WEBSOCKET if scope["type"] == "websocket" else str(scope["method"])
