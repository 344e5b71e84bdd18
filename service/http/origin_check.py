"""Lets foreign pages open no WebSocket: the rules of CORS do not hold for those.

A browser sends a request of a foreign page and hides the answer; what a WebSocket of such a page is
told, the page would read. All that tells one is its `Origin`.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import RequestError

_PORTS = {"http": ":80", "https": ":443"}


class OriginNotAllowed(RequestError):
    """A page of another origin opened a WebSocket."""

    code = "ORIGIN_NOT_ALLOWED"
    public_message = (
        "Pages of this origin may not call this service; its operator can add the origin to "
        "BIREFNET_CORS_ORIGINS"
    )


class OriginCheckMiddleware:
    """Refuses WebSockets of pages that are neither our own nor allowed to call us.

    Programs send no origin and are let through: no stranger's page steers them.

    Args:
        app: What it wraps.
        allowed: Origins whose pages may call, such as `https://app.example`; `*` for all.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(origin.lower() for origin in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            OriginNotAllowed: If the page is a stranger's.
        """
        if scope["type"] == "websocket":
            headers = Headers(scope=scope)
            if not self._may(headers.getlist("origin"), headers.get("host", "")):
                raise OriginNotAllowed
        await self._app(scope, receive, send)

    def _may(self, origins: list[str], host: str) -> bool:
        if not origins or "*" in self._allowed:
            return True
        origin = origins[0].strip().lower()
        if len(origins) > 1:
            return False
        return origin in self._allowed or _is_own(origin, host.strip().lower())


def _is_own(origin: str, host: str) -> bool:
    """Whether a page came from the host that is called; in front of us may be one that ends TLS."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in _PORTS or parts.path or parts.query or parts.fragment or not host:
        return False
    port = _PORTS[parts.scheme]
    return parts.netloc.removesuffix(port) == host.removesuffix(port)
