"""BentoML's workers wait for nobody and keep nothing; look again with another version."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

import numpy as np
import pytest
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer
from bentoml._internal.server.http.traffic import TimeoutMiddleware

from service.processes.bentoml_patches import batch_without_waiting, end_timers_with_requests


def test_what_others_waited_is_not_learned() -> None:
    batch_without_waiting()
    optimizer = Optimizer(600.0)
    for _ in range(20):
        optimizer.log_outbound(n=1, wait=5.0, duration=0.1)
    optimizer.trigger_refresh()
    assert optimizer.wait == 0.0


@pytest.mark.anyio
async def test_a_batch_is_what_queued_up_while_the_last_one_ran() -> None:
    batch_without_waiting()
    sizes: list[int] = []

    async def slow(batches: list[np.ndarray]) -> list[np.ndarray]:
        sizes.append(len(batches))
        await asyncio.sleep(0.05)
        return batches

    dispatcher = CorkDispatcher(600_000, 4, fallback=lambda: None, get_batch_size=len)
    call = dispatcher(slow)
    one = np.zeros((1, 2))
    await asyncio.gather(*(call(one) for _ in range(9)))
    assert max(sizes) == 4
    started = time.perf_counter()
    for _ in range(12):  # past everything it would have learned from
        await call(one)
    assert sizes[-12:] == [1] * 12
    assert time.perf_counter() - started < 12 * 0.05 + 2.0
    dispatcher.shutdown()


@pytest.mark.anyio
async def test_nothing_of_a_request_outlives_it() -> None:
    end_timers_with_requests()

    class Request:
        """Something to keep hold of."""

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        await asyncio.sleep(0)

    middleware = TimeoutMiddleware(app, timeout=600)  # type: ignore[arg-type]
    request = Request()
    gone = weakref.ref(request)
    await middleware({"type": "http", "request": request}, None, None)  # type: ignore[arg-type]
    del request
    gc.collect()
    assert gone() is None


@pytest.mark.anyio
async def test_a_request_that_takes_too_long_is_ended() -> None:
    end_timers_with_requests()

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await TimeoutMiddleware(app, timeout=0.05)({"type": "http"}, None, None)  # type: ignore[arg-type]
