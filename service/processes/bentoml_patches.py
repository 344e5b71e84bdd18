"""Changes what BentoML's workers do where BentoML has no setting for it.

This reaches into BentoML 1.4.39 (pinned); its test notices if another version has moved what it
leans on. What concerns the supervisor is in
`service/processes/supervisor.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer
from bentoml._internal.server.http.traffic import TimeoutMiddleware


def batch_without_waiting() -> None:
    """Have every dispatcher of this process take what is there as soon as the engine is free.

    As it comes, it holds a lone request back for as long as others have queued of late, hoping for
    company, and holds two of the first dozen back to learn from them: hundreds of milliseconds each
    on a CPU, for batches that gain nothing there.
    """
    Optimizer.wait = property(lambda self: 0.0, lambda self, value: None)  # type: ignore[assignment]
    CorkDispatcher.train_optimizer = _learn_nothing  # type: ignore[assignment]


def end_timers_with_requests() -> None:
    """Have a request's timer end with the request.

    As it comes, the timer runs on after the answer and keeps everything of the request in memory:
    5 to 18 KB in each process, for ten minutes.
    """
    TimeoutMiddleware.__call__ = _call_in_time  # type: ignore[method-assign]


async def _learn_nothing(*_: object) -> None:
    """There is nothing to learn for one who never waits."""


async def _call_in_time(self: Any, scope: Any, receive: Any, send: Any) -> None:
    """Serve one request; our own deadlines are shorter and answer first."""
    if scope["type"] != "http":
        await self.app(scope, receive, send)
        return
    async with asyncio.timeout(self.timeout):
        await self.app(scope, receive, send)
