"""Suspects are alone; everybody else is together."""

from __future__ import annotations

import asyncio

import pytest

from service.tasks.quarantine import Quarantine

pytestmark = pytest.mark.anyio


async def test_a_suspect_is_alone_and_everybody_gets_a_turn() -> None:
    quarantine, inside, together = Quarantine(), set[str](), set[frozenset[str]]()

    async def work(name: str, alone: bool) -> None:
        async with quarantine.enter(alone=alone):
            inside.add(name)
            together.add(frozenset(inside))
            await asyncio.sleep(0.01)
            together.add(frozenset(inside))
            inside.remove(name)

    names = [f"{'suspect' if number % 4 == 3 else 'good'} {number}" for number in range(16)]
    await asyncio.gather(*(work(name, name.startswith("suspect")) for name in names))
    assert {name for group in together for name in group} == set(names)
    assert max(map(len, together)) > 1
    for group in together:
        assert len(group) == 1 or not any(name.startswith("suspect") for name in group), group


async def test_whoever_gives_up_waiting_holds_nobody_up() -> None:
    quarantine = Quarantine()
    async with quarantine.enter(alone=False):
        waiting = asyncio.create_task(quarantine.enter(alone=True).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(1), quarantine.enter(alone=False):
            pass
    async with asyncio.timeout(1), quarantine.enter(alone=True):
        pass
