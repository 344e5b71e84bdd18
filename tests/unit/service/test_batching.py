"""BentoML's dispatcher never holds a lone request back; look again with another version."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer

from service.batching import batch_without_waiting


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
