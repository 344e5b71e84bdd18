"""What wraps mounted and native routes alike, as plain ASGI, for every method and for WebSockets.

`ExchangeMiddleware` gives every request its identity, and its place in log and metrics.
`IntakeMiddleware`, inside it, admits what the policy of the address lets through: method, caller,
rate, size, progress.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import Callable
from functools import partial

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import BackgroundRemovalError
from service.access.identity import Identifier, Shown
from service.access.rate_limit import ClientLimiter
from service.errors import MethodNotAllowed, ShuttingDown
from service.http.access_log import log_exchange
from service.http.bodies import BodyBudget, GuardedBody, IntakeConfig
from service.http.exchange import Exchange, attach, exchange_of, hold_nothing, method_of
from service.http.metrics import Metrics
from service.http.policies import READINESS, WEBSOCKET, RoutePolicies
from service.http.request_span import span_of_request, tell_outcome

_HARMLESS_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SWITCHING_PROTOCOLS = 101
_DRAIN_BYTES = 64 * 1024**2
_DRAIN_S = 5.0


class ExchangeMiddleware:
    """Identity, policy, access log and metrics of every request.

    Args:
        app: What it wraps.
        metrics: Makes the metrics, in the process that serves.
        policies: What each address lets through.
        identifier: Tells who sent a request.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Callable[[], Metrics],
        policies: RoutePolicies,
        identifier: Identifier | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics()
        self._policies = policies
        self._identifier = identifier or Identifier()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        exchange = self._open(scope)
        with span_of_request(scope, exchange) as span:
            exchange.trace_id = span.trace_id
            try:
                await self._app(scope, receive, partial(_note_and_send, exchange, send))
            finally:
                self._close(scope, exchange)
                tell_outcome(span, scope, exchange)

    def _open(self, scope: Scope) -> Exchange:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        peer = scope["client"][0] if scope.get("client") else "unknown"
        shown = Shown(
            peer,
            forwarded_for=headers.getlist("x-forwarded-for"),
            api_keys=headers.getlist("x-api-key"),
            authorizations=headers.getlist("authorization"),
        )
        identity = self._identifier.identify(shown)
        exchange = Exchange(
            request_id=given if _HARMLESS_ID.fullmatch(given) else uuid.uuid4().hex,
            caller=identity.caller,
            key_fault=identity.fault,
            policy=self._policies.of(scope["path"]),
        )
        attach(scope, exchange)
        self._metrics.begin()
        return exchange

    def _close(self, scope: Scope, exchange: Exchange) -> None:
        if exchange.policy.path == READINESS and exchange.status == 503:
            exchange.error_code = None  # "not yet" is an answer to that question, not a fault
        self._metrics.observe(exchange)
        log_exchange(scope, exchange, (time.perf_counter() - exchange.started) * 1e3)


async def _note_and_send(exchange: Exchange, send: Send, message: Message) -> None:
    """Send a message with the exchange's headers, and note what the log says of it."""
    kind = message["type"].removeprefix("websocket.")
    if kind in ("http.response.start", "accept"):
        exchange.status = message.get("status", _SWITCHING_PROTOCOLS)
        message.setdefault("headers", [])
        MutableHeaders(scope=message).update(
            {"X-Request-ID": exchange.request_id, **exchange.headers}
        )
    elif kind == "http.response.body":
        exchange.bytes_out += len(message.get("body", b""))
    elif kind == "send":
        exchange.bytes_out += len(message.get("bytes") or message.get("text") or b"")
    await send(message)


class IntakeMiddleware:
    """Admits requests before anything of theirs is parsed or stored.

    Args:
        app: What it wraps.
        limiter: Rates per caller.
        config: How bodies may arrive.
        draining: Set once the process has been told to stop.
    """

    def __init__(
        self, app: ASGIApp, limiter: ClientLimiter, config: IntakeConfig, draining: asyncio.Event
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._config = config
        self._budget = BodyBudget(config.max_bytes_in_memory)
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        refusal = exchange.policy.refusal(method_of(scope), exchange.caller)
        if refusal is None and exchange.policy.cost_of(method_of(scope)) == 0:
            await self._app(scope, receive, send)
            return
        refusal = exchange.key_fault or refusal
        body = GuardedBody(exchange, receive, self._config, self._budget, self._draining)
        exchange.hold = partial(self._budget.take, body)
        try:
            await self._admit(scope, body, send, refusal)
        except BackgroundRemovalError as error:
            exchange.headers.update(await self._limiter.headers(exchange.caller))
            if isinstance(error, MethodNotAllowed):
                exchange.headers["Allow"] = ", ".join(sorted(exchange.policy.methods - {WEBSOCKET}))
            body.let_go()
            if not _brings_body(scope):
                raise  # the envelope answers
            await _refuse(error, scope, body, send)
        finally:
            body.let_go()
            exchange.hold = hold_nothing  # else exchange and body hold each other

    async def _admit(
        self, scope: Scope, body: GuardedBody, send: Send, refusal: BackgroundRemovalError | None
    ) -> None:
        """Serve a request that counts; what is refused counts too, so that nobody can probe."""
        exchange = exchange_of(scope)
        cost = max(1, exchange.policy.cost)
        if self._draining.is_set():
            raise ShuttingDown
        async with self._limiter.admit(exchange.caller, cost) as headers:
            exchange.headers.update(headers)
            if refusal is not None:
                raise refusal
            if scope["type"] == "websocket":
                await self._app(scope, body.receive, send)
                return
            body.check_announced(Headers(scope=scope))
            await self._app(scope, body, body.unless_refused(send))
        if body.fault is not None:
            raise body.fault


async def _refuse(
    error: BackgroundRemovalError, scope: Scope, body: GuardedBody, send: Send
) -> None:
    """Answer at once, then read a bounded rest away, so that the caller gets to see the answer."""
    exchange = exchange_of(scope)
    exchange.error_code = error.code
    response = exchange.policy.render(error, exchange.request_id)
    response.headers["Connection"] = "close"
    await send(
        {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    if "expect" not in Headers(scope=scope):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await body.discard(_DRAIN_BYTES)
    await send({"type": "http.response.body", "body": b""})


def _brings_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    announced = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    return announced and scope["type"] == "http"
