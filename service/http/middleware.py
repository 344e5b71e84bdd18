"""Everything that wraps mounted and native routes alike, as plain ASGI.

`ExchangeMiddleware` gives every request its identifier, its place in log and metrics, and the flat
JSON of any error, whoever made it. `IntakeMiddleware`, inside it, admits uploads: rate, size,
progress.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
import uuid
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import BackgroundRemovalError
from service.access.caller import client_key
from service.access.rate_limit import ClientLimiter
from service.errors import MemoryExhausted, ShuttingDown
from service.http.access_log import log_exchange
from service.http.bodies import BodyBudget, GuardedBody, IntakeConfig
from service.http.envelope import EnvelopeSender
from service.http.exchange import PROBES, READINESS, Exchange, attach, exchange_of
from service.http.metrics import Metrics
from service.http.problems import render

log = logging.getLogger(__name__)

_HARMLESS_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DRAIN_BYTES = 64 * 1024**2
_DRAIN_S = 5.0


class ExchangeMiddleware:
    """Identity, error envelope, access log and metrics of every request.

    Args:
        app: What it wraps.
        metrics: Makes the metrics, in the process that serves.
        trusted_proxies: Networks whose `X-Forwarded-For` is believed.
    """

    def __init__(
        self, app: ASGIApp, metrics: Callable[[], Metrics], trusted_proxies: Sequence[str] = ()
    ) -> None:
        self._app = app
        self._metrics = metrics()
        self._trusted = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = self._open(scope)
        sender = EnvelopeSender(exchange, scope, receive, send)
        try:
            await self._app(scope, receive, sender)
        except BackgroundRemovalError as error:
            await sender.problem(error)
        except MemoryError:
            log.exception("no memory for request %s", exchange.request_id)
            await sender.problem(MemoryExhausted(retry_after=5))
        except Exception:
            log.exception("unhandled fault in request %s", exchange.request_id)
            await sender.problem(BackgroundRemovalError())
        finally:
            if not sender.started:  # the caller left; the framework still waits for a response
                with contextlib.suppress(Exception):
                    await sender.problem(BackgroundRemovalError())
            self._close(scope, exchange)

    def _open(self, scope: Scope) -> Exchange:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        exchange = Exchange(
            request_id=given if _HARMLESS_ID.fullmatch(given) else uuid.uuid4().hex,
            client=client_key(
                scope["client"][0] if scope.get("client") else "unknown",
                headers.getlist("x-forwarded-for"),
                self._trusted,
            ),
        )
        if scope["path"] in PROBES:  # BentoML's own, which do not say their template
            exchange.route = scope["path"]
        attach(scope, exchange)
        self._metrics.begin()
        return exchange

    def _close(self, scope: Scope, exchange: Exchange) -> None:
        if exchange.route == READINESS and exchange.status == 503:
            exchange.error_code = None  # "not yet" is an answer to that question, not a fault
        self._metrics.observe(exchange)
        log_exchange(scope, exchange, (time.perf_counter() - exchange.started) * 1e3)


class IntakeMiddleware:
    """Admits uploads before anything of theirs is parsed or stored.

    Args:
        app: What it wraps.
        limiter: Rates per client.
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
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        body = GuardedBody(exchange, receive, self._config, self._budget, self._draining)
        try:
            if self._draining.is_set():
                raise ShuttingDown
            async with self._limiter.admit(exchange.client) as headers:
                exchange.headers.update(headers)
                body.check_announced(Headers(scope=scope))
                await self._app(scope, body, body.unless_refused(send))
            if body.fault is not None:
                raise body.fault
        except BackgroundRemovalError as error:
            exchange.headers.update(await self._limiter.headers(exchange.client))
            body.let_go()
            await _refuse(error, scope, body, send)
        finally:
            body.let_go()


async def _refuse(
    error: BackgroundRemovalError, scope: Scope, body: GuardedBody, send: Send
) -> None:
    """Answer at once, then read a bounded rest away, so that the caller gets to see the answer."""
    exchange = exchange_of(scope)
    exchange.error_code = error.code
    response = render(error, exchange.request_id)
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
