"""Tasks stand back while callers wait, get on all the same, and run at full speed else."""

from __future__ import annotations

import asyncio
import time

import pytest

from service.removal.batch import open_batch_lane
from service.removal.bounds import RemoverConfig
from service.removal.options import RemovalOptions
from service.removal.ports import ServedModel
from service.removal.remover import BackgroundRemover
from service.removal.task_lane import TaskLane
from tests.support.matting import SPEC, FakeMattingClient
from tests.support.pictures import make_image

pytestmark = pytest.mark.anyio

_TASK_S = 0.05


async def many(lane: TaskLane, count: int) -> tuple[float, int]:
    """How long so many tasks take, and how many were inside at once at most."""
    inside, most, started = 0, 0, time.monotonic()

    async def one() -> None:
        nonlocal inside, most
        async with lane.hold():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(_TASK_S)
            inside -= 1

    await asyncio.gather(*(one() for _ in range(count)))
    return time.monotonic() - started, most


async def test_tasks_are_slow_while_callers_are_there_and_fast_when_they_are_not() -> None:
    client = FakeMattingClient(delay_s=0.03)
    remover = BackgroundRemover([ServedModel(SPEC, client)], RemoverConfig())
    remover.open_batch_lane(3)
    stopping = asyncio.Event()
    lane = TaskLane(remover, stopping)
    alone_s, most = await many(lane, 12)
    assert most == 3
    assert alone_s < 12 * _TASK_S

    async def call() -> None:
        while True:
            await remover.remove(make_image("PNG", 70, 70), RemovalOptions())

    calling = asyncio.create_task(call())
    await asyncio.sleep(0.1)
    beside_s, most = await many(lane, 6)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    assert beside_s > 5 * 3 * _TASK_S * 0.9, "two of three parts of the time are the callers'"
    assert most <= 3
    stopping.set()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await many(lane, 1)
    await remover.close()


@pytest.mark.parametrize("fault", [RuntimeError("nobody foresaw this"), MemoryError()], ids=str)
async def test_a_picture_tried_out_that_fails_keeps_nobody_waiting(fault: Exception) -> None:
    client = FakeMattingClient(faults=(fault,))
    remover = BackgroundRemover([ServedModel(SPEC, client)], RemoverConfig())
    await open_batch_lane(remover)
    assert client.calls == 1
    assert remover.batch_size == 1
    await remover.close()
