"""Adds our headers to every response, and sends any error as flat JSON."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from models.errors import BackgroundRemovalError
from service.http.exchange import Exchange
from service.http.problems import from_status, render


class EnvelopeSender:
    """Adds the exchange's headers, and turns errors that are not ours into problems.

    Attributes:
        started: Whether a response is on its way.
    """

    def __init__(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        self._exchange, self._scope, self._receive, self._send = exchange, scope, receive, send
        self._swallow = False
        self.started = False

    async def __call__(self, message: Message) -> None:
        """Pass a message of the application on."""
        exchange = self._exchange
        if message["type"] == "http.response.start":
            status = exchange.status = _without_redirect(message["status"])
            if status >= 400 and exchange.error_code is None:
                self._swallow = True
                allow = Headers(raw=message["headers"]).get("allow")
                await self.problem(from_status(status), status, allow)
                return
            self.started = True
            message.setdefault("headers", [])
            MutableHeaders(scope=message).update(
                {"X-Request-ID": exchange.request_id, **exchange.headers}
            )
        elif self._swallow:
            return
        elif message["type"] == "http.response.body":
            exchange.bytes_out += len(message.get("body", b""))
        await self._send(message)

    async def problem(
        self, error: BackgroundRemovalError, status: int | None = None, allow: str | None = None
    ) -> None:
        """Send an error of ours, unless a response is already on its way."""
        if self.started:
            return
        self._swallow = False
        self._exchange.error_code = error.code
        response = render(error, self._exchange.request_id, status)
        if allow:
            response.headers["Allow"] = allow
        await response(self._scope, self._receive, self)
        self._swallow = True


def _without_redirect(status: int) -> int:
    """A router's guess at a missing slash is 404: it leads to plain HTTP, also from behind TLS."""
    return 404 if status in (301, 302, 303, 307, 308) else status
