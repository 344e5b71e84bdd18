"""Turns a request's target, however a client wrote it, into the path that routes match."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_ABSOLUTE = re.compile(rb"(?:http|ws)s?://([^/?#]*)", re.IGNORECASE)


class TargetMiddleware:
    """Makes one path of the ways to write it.

    A target in absolute form (`POST http://host/path`), which RFC 9112 says a server must take, is
    served by its path, and its host is the request's. A slash at the end means nothing; the router
    would redirect, to plain HTTP even where the caller came over TLS.

    Args:
        app: What it wraps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in ("http", "websocket"):
            scope = _with_plain_path(scope)
        await self._app(scope, receive, send)


def _with_plain_path(scope: Scope) -> Scope:
    path, headers = scope["path"], scope["headers"]
    absolute = _ABSOLUTE.match(scope.get("raw_path") or b"")
    if absolute is not None:
        path = unquote(scope["raw_path"][absolute.end() :].decode("latin-1")) or "/"
        others = [header for header in headers if header[0] != b"host"]
        headers = [(b"host", absolute[1]), *others]
    path = path.rstrip("/") or "/"
    return {**scope, "path": path, "headers": headers}
