"""The memory of pictures never exceeds the budget, except for one picture alone."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import Future

import pytest

from service.removal.admission import MemoryBudget

pytestmark = pytest.mark.anyio


async def test_what_fits_is_let_in_at_once() -> None:
    budget = MemoryBudget(100)
    async with budget.hold(60), budget.hold(40):
        assert budget.held == 100
    assert budget.held == 0


async def test_what_does_not_fit_waits_until_it_does() -> None:
    budget = MemoryBudget(100)
    entered = asyncio.Event()

    async def wait() -> None:
        async with budget.hold(50):
            entered.set()

    async with budget.hold(60):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.02)
        assert not entered.is_set()
    await asyncio.wait_for(waiting, 1)
    assert entered.is_set()


async def test_a_picture_larger_than_the_budget_is_let_through_alone() -> None:
    budget = MemoryBudget(100)
    async with budget.hold(1000):
        assert budget.held == 100
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), budget.hold(1):
                pass
    async with asyncio.timeout(1), budget.hold(1):
        pass


async def test_the_sum_never_exceeds_the_budget() -> None:
    budget, dice, most = MemoryBudget(100), random.Random(3), 0

    async def work(pixels: int, seconds: float) -> None:
        nonlocal most
        async with budget.hold(pixels):
            most = max(most, budget.held)
            await asyncio.sleep(seconds)

    jobs = [work(dice.randint(1, 150), dice.random() / 200) for _ in range(200)]
    await asyncio.wait_for(asyncio.gather(*jobs), 20)
    assert 80 <= most <= 100
    assert budget.held == 0


async def test_a_waiter_that_gives_up_holds_nothing() -> None:
    budget = MemoryBudget(100)
    async with budget.hold(100):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), budget.hold(50):
                pass
    assert budget.held == 0
    async with asyncio.timeout(1), budget.hold(100):
        pass


async def test_a_place_is_kept_until_the_thread_that_uses_it_is_done() -> None:
    budget, work = MemoryBudget(100), Future[None]()
    work.set_running_or_notify_cancel()
    async with budget.hold(70) as held:
        held.work = work
    assert budget.held == 70
    work.set_result(None)
    await asyncio.sleep(0.02)
    assert budget.held == 0
