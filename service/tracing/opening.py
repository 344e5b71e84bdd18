"""Begins tracing in a process that serves; where no collector is named, nothing is imported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


def start_tracing(endpoint: str, ratio: float, service: str) -> Callable[[], Awaitable[None]]:
    """Send spans of this process to a collector, if there is one.

    Args:
        endpoint: Its address; empty for none.
        ratio: Share of the traces begun here that are recorded.
        service: Name of this process's service, in every span.

    Returns:
        What ends it, sending what waits for two seconds at most.
    """
    if not endpoint:
        return _nothing
    from service.tracing.otlp import TraceConfig, open_tracer  # 20 MB and half a second

    return open_tracer(TraceConfig(endpoint, ratio), service).close


async def _nothing() -> None:
    """Nothing was begun."""
