"""The queue's own file on a disk that fills just as a task ends: its end is not lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.tasks.dbos_queue import QueueConfig, open_queue
from service.tasks.ports import Order, TaskState
from tests.support.disk import fill, small_disk

pytestmark = pytest.mark.anyio


class HeldWork:
    """Work that ends when it is let go; see `service.tasks.ports.Work`."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def make(self, order: Order) -> Mapping[str, Any]:
        self.begun.set()
        await self.may_end.wait()
        return {"made": order.task_id}

    async def finish(self, order: Order) -> None:
        return

    async def notify(self, event: Mapping[str, Any]) -> bool:
        return True


@pytest.mark.full
async def test_a_task_that_ends_while_nothing_can_be_written_is_finished_later(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        work = HeldWork()
        queue = await open_queue(QueueConfig(f"sqlite:///{disk / 'tasks.db'}"), work)
        try:
            await queue.submit(Order("0" * 32, "somebody", 1, None, {"text": "x" * 5000}))
            await asyncio.wait_for(work.begun.wait(), 20)
            fill(disk / "others")
            work.may_end.set()
            await asyncio.sleep(3)
            (disk / "others").unlink()
            give_up = time.monotonic() + 30
            while True:
                record = await queue.find("0" * 32)
                assert record is not None
                if record.finished is not None:
                    break
                assert time.monotonic() < give_up, record
                await queue.take_over(60)
                await asyncio.sleep(0.5)
            assert record.state is TaskState.SUCCEEDED, record
            assert record.outcome == {"made": "0" * 32}
        finally:
            await queue.close()
