"""Lets nobody speak to the inference service who does not know its token.

What is sent to it is unpickled, and whoever has something unpickled runs code of his choice. So the
token is asked before a byte of the body is read.
"""

from __future__ import annotations

import hmac

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.policies import READINESS

# Whether it lives and is ready, which the machines that ask cannot show a token for.
_OPEN_PATHS = frozenset({"/livez", READINESS})
_OPEN_METHODS = frozenset({"GET", "HEAD"})


class TokenCheckMiddleware:
    """Refuses requests without `Authorization: Bearer TOKEN`, unread; probes are let through.

    Args:
        app: What it wraps.
        token: The token.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer 401."""
        if scope["type"] == "lifespan" or _is_probe(scope) or self._is_shown(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = {"WWW-Authenticate": "Bearer", "Connection": "close"}
            refusal = JSONResponse({"error": "the token is missing or wrong"}, 401, headers)
            await refusal(scope, receive, send)

    def _is_shown(self, scope: Scope) -> bool:
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(shown) == 1 and hmac.compare_digest(shown[0], self._expected)


def _is_probe(scope: Scope) -> bool:
    is_read = scope["type"] == "http" and scope["method"] in _OPEN_METHODS
    return is_read and scope["path"] in _OPEN_PATHS
