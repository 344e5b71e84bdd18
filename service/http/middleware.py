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
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import BackgroundRemovalError
from service.errors import ShuttingDown, UploadTimeout
from service.http.envelope import EnvelopeSender
from service.http.exchange import Exchange, attach, exchange_of
from service.http.metrics import Metrics
from service.http.problems import render
from service.http.rate_limit import ClientLimiter, client_key
from service.imaging.guard import file_too_large

log = logging.getLogger(__name__)

_HARMLESS_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DRAIN_BYTES = 64 * 1024**2
_DRAIN_S = 5.0
_LENGTH_DIGITS = 18  # of a Content-Length; Python refuses to read absurdly long numbers


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
        attach(scope, exchange)
        self._metrics.begin()
        return exchange

    def _close(self, scope: Scope, exchange: Exchange) -> None:
        self._metrics.observe(exchange)
        log.info(
            "%s %s %d %.1fms in=%d out=%d client=%s id=%s%s",
            scope["method"],
            scope["path"].encode("unicode_escape").decode(),
            exchange.status,
            (time.perf_counter() - exchange.started) * 1e3,
            exchange.bytes_in,
            exchange.bytes_out,
            exchange.client,
            exchange.request_id,
            f" error={exchange.error_code}" if exchange.error_code else "",
        )
        if exchange.stages_ms:
            stages = " ".join(f"{name}={ms:.1f}" for name, ms in exchange.stages_ms.items())
            log.debug("stages of %s in ms: %s", exchange.request_id, stages)


@dataclass(frozen=True)
class IntakeConfig:
    """How a body may arrive.

    Attributes:
        max_file_bytes: Largest uploaded file.
        overhead_bytes: What a form may weigh beside its file.
        stall_s: Seconds without a byte after which an upload is given up.
        total_s: Seconds after which it is given up however steadily it trickles.
    """

    max_file_bytes: int
    overhead_bytes: int = 256 * 1024
    stall_s: float = 30.0
    total_s: float = 300.0


class IntakeMiddleware:
    """Admits uploads before anything of theirs is parsed or stored.

    Args:
        app: What it wraps.
        limiter: Rates per client.
        config: How a body may arrive.
        draining: Set once the process has been told to stop.
    """

    def __init__(
        self, app: ASGIApp, limiter: ClientLimiter, config: IntakeConfig, draining: asyncio.Event
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._config = config
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        body = _GuardedBody(exchange, receive, self._config, self._draining)
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
            exchange.headers.update(self._limiter.headers(exchange.client))
            await _refuse(error, scope, body, send)


async def _refuse(
    error: BackgroundRemovalError, scope: Scope, body: _GuardedBody, send: Send
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


class _GuardedBody:
    """A `receive` that counts, times and gives up.

    Attributes:
        fault: Why the body was given up; whatever the application makes of it, this is the answer.
    """

    def __init__(
        self, exchange: Exchange, receive: Receive, config: IntakeConfig, draining: asyncio.Event
    ) -> None:
        self._exchange, self._receive, self._config = exchange, receive, config
        self._draining = draining
        self._give_up_at = time.monotonic() + config.total_s
        self._max_bytes = config.max_file_bytes + config.overhead_bytes
        self.fault: BackgroundRemovalError | None = None

    def unless_refused(self, send: Send) -> Send:
        """A `send` that drops what the application says about a body we gave up."""

        async def guarded(message: Message) -> None:
            if self.fault is None:
                await send(message)

        return guarded

    def check_announced(self, headers: Headers) -> None:
        """Refuse by `Content-Length` before a byte is read."""
        announced = headers.get("content-length", "")
        n_bytes = int(announced[:_LENGTH_DIGITS]) if announced.isdecimal() else 0
        if n_bytes > self._max_bytes:
            raise file_too_large(n_bytes, self._config.max_file_bytes)

    async def __call__(self) -> Message:
        """The next message, or an error of ours."""
        if self._exchange.body_complete is not None:
            return await self._receive()
        try:
            message = await self._next_or_give_up()
            if message["type"] == "http.request":
                self._count(message)
        except BackgroundRemovalError as fault:
            self.fault = fault
            raise
        return message

    def _count(self, message: Message) -> None:
        self._exchange.bytes_in += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._exchange.body_complete = time.perf_counter()
        if self._exchange.bytes_in > self._max_bytes:
            raise file_too_large(self._exchange.bytes_in, self._config.max_file_bytes)

    async def _next_or_give_up(self) -> Message:
        """Wait for bytes, for the stop, or for the end of our patience."""
        patience_s = min(self._config.stall_s, self._give_up_at - time.monotonic())
        arriving = asyncio.ensure_future(self._receive())
        stopping = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait(
                (arriving, stopping), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            if arriving.done():
                return arriving.result()
            if stopping.done():
                raise ShuttingDown
            raise UploadTimeout
        finally:
            arriving.cancel()
            stopping.cancel()
            await asyncio.wait((arriving, stopping))  # nobody may receive twice at once

    async def discard(self, max_bytes: int) -> None:
        """Read and forget up to so many bytes of what is still coming."""
        seen = 0
        while self._exchange.body_complete is None and seen < max_bytes:
            message = await self._receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
            seen += len(message.get("body", b""))
