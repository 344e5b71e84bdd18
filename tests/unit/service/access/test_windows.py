"""Moving windows: bounded in time and memory, and deaf to a clock that is set back."""

from __future__ import annotations

import pytest

from service.access.windows import MemoryWindows, SteadyClock

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_hit_counts_for_exactly_its_window() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    for _ in range(3):
        assert await windows.acquire_entry("a", limit=3, expiry=60)
        clock.now += 1
    assert not await windows.acquire_entry("a", limit=3, expiry=60)
    assert await windows.acquire_entry("b", limit=3, expiry=60)
    clock.now += 56.9
    assert not await windows.acquire_entry("a", limit=3, expiry=60)
    clock.now += 0.2  # the first of the three is over
    assert await windows.acquire_entry("a", limit=3, expiry=60)
    assert not await windows.acquire_entry("a", limit=3, expiry=60)


async def test_clients_are_forgotten_and_none_makes_another_slower() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    for number in range(20_000):
        await windows.acquire_entry(str(number), limit=30, expiry=60)
    assert len(windows) == 20_000
    clock.now += 61
    for number in range(200):
        await windows.acquire_entry(f"later {number}", limit=30, expiry=60)
    assert len(windows) == 200


async def test_two_limits_of_one_client_are_two_windows() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    assert await windows.acquire_entry("a", limit=1, expiry=1)
    assert await windows.acquire_entry("a", limit=2, expiry=60)
    clock.now += 1.5
    assert await windows.acquire_entry("a", limit=1, expiry=1)
    assert await windows.acquire_entry("a", limit=2, expiry=60)
    assert not await windows.acquire_entry("a", limit=2, expiry=60)
    assert await windows.get("a") == 3
    await windows.clear("a")
    assert await windows.get("a") == 0


async def test_counters_of_limits_work_as_well() -> None:
    windows = MemoryWindows(Clock())
    assert [await windows.incr("a", 60), await windows.incr("a", 60, amount=2)] == [1, 3]
    assert await windows.reset() == 1
    assert (await windows.get("a"), await windows.check()) == (0, True)


def test_the_clock_goes_on_while_the_machine_sleeps_and_never_back() -> None:
    monotonic, wall = Clock(), Clock()
    clock = SteadyClock(monotonic, wall)
    monotonic.now += 2
    wall.now += 2
    assert clock() == 2
    wall.now -= 3600
    assert clock() == 2
    monotonic.now += 5
    wall.now += 5
    assert clock() == 7
    wall.now += 3600  # asleep
    assert clock() == 3607
