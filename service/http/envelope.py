"""Sends any error, whoever made it, in the shape that the address promises."""

from __future__ import annotations

import contextlib
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import BackgroundRemovalError
from service.errors import MemoryExhausted
from service.http.exchange import exchange_of
from service.http.problems import from_status

log = logging.getLogger(__name__)

_CLOSED_NORMALLY, _CLOSED_BY_FAULT = 1000, 1011  # RFC 6455, section 7.4.1


class EnvelopeMiddleware:
    """Turns exceptions, and error responses that are not ours, into problems.

    Args:
        app: What it wraps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        sender = _EnvelopeSender(scope, receive, send)
        request_id = exchange_of(scope).request_id
        try:
            await self._app(scope, receive, sender)
        except BackgroundRemovalError as error:
            await sender.problem(error)
        except MemoryError:
            log.exception("no memory for request %s", request_id)
            await sender.problem(MemoryExhausted(retry_after=5))
        except Exception:
            log.exception("unhandled fault in request %s", request_id)
            await sender.problem(BackgroundRemovalError())
        finally:
            await sender.finish()


class _EnvelopeSender:
    """A `send` that replaces responses which are errors and not ours."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._exchange = exchange_of(scope)
        self._started = self._swallow = False
        self._open = False  # an accepted WebSocket that nobody has closed

    async def __call__(self, message: Message) -> None:
        """Pass a message of the application on."""
        kind = message["type"].removeprefix("websocket.")
        if kind == "close" and not self._started:  # a handshake that is refused
            message, kind = {**message, "status": 403}, "http.response.start"
        if kind == "http.response.start":
            status = _without_redirect(message["status"])
            if status >= 400 and self._exchange.error_code is None:
                await self.problem(from_status(status), status)
                self._swallow = True
                return
            self._started = True
        elif self._swallow:
            return
        elif kind in ("accept", "close"):
            self._started, self._open = True, kind == "accept"
        await self._send(message)

    async def problem(self, error: BackgroundRemovalError, status: int | None = None) -> None:
        """Send an error, unless a response is already on its way."""
        if self._open:
            self._exchange.error_code = error.code
            await self._close(_CLOSED_BY_FAULT, error.code)
        if self._started:
            return
        exchange = self._exchange
        exchange.error_code = error.code
        response = exchange.policy.render(error, exchange.request_id, status)
        await response(self._scope, self._receive, self)

    async def finish(self) -> None:
        """End what the application has left open: the framework would wait for it."""
        with contextlib.suppress(Exception):  # the caller may have left
            if self._open:
                await self._close(_CLOSED_NORMALLY)
            await self.problem(BackgroundRemovalError())

    async def _close(self, code: int, reason: str = "") -> None:
        await self({"type": "websocket.close", "code": code, "reason": reason})


def _without_redirect(status: int) -> int:
    """A router's guess at a missing slash is 404: it leads to plain HTTP, also from behind TLS."""
    return 404 if status in (301, 302, 303, 307, 308) else status
