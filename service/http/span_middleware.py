"""In the inference service: continues the trace that the public service tells of."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from service.tracing.spans import root

_PATH = "/predict"


class SpanMiddleware:
    """One span for each picture that inference is asked about in a trace.

    Args:
        app: What it wraps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        told = traceparent_of(scope) if scope.get("path") == _PATH else ""
        if not told:
            await self._app(scope, receive, send)
            return
        with root("predict", told):
            await self._app(scope, receive, send)


def traceparent_of(scope: Scope) -> str:
    """The caller's span as a request tells of it; empty where it does not, or tells of several."""
    told = [value for name, value in scope["headers"] if name == b"traceparent"]
    return told[0].decode("latin-1") if len(told) == 1 else ""
