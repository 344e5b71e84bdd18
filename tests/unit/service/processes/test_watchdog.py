"""A process that answered once and then no more is replaced; one that starts is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import pytest

from models.engine import EngineInfo
from models.serving.status import EngineStatus
from models.spec import Precision
from service.errors import InferenceUnavailable
from service.processes.watchdog import WatchdogConfig, replace_when_hung
from service.removal.ports import InferenceStatus

CONFIG = WatchdogConfig(ask_every_s=0.01, ask_first_s=0.01, unanswered=5, busy_s=5.0)


def _status(pid: int, busy_s: float) -> InferenceStatus:
    engine = EngineInfo("fake", "fake 1", "cpu", Precision.F32, 1)
    return InferenceStatus(EngineStatus(engine, 0, 0.0, True, ()), pid, busy_s, {})


async def _watch(answer: Callable[[], InferenceStatus], for_s: float) -> list[int]:
    killed: list[int] = []

    async def describe() -> InferenceStatus:
        return answer()

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(for_s):
            await replace_when_hung(describe, killed.append, CONFIG)
    return killed


@pytest.mark.anyio
async def test_silence_after_an_answer_ends_the_process_once() -> None:
    told = iter([_status(7, 0.0)])

    def answer() -> InferenceStatus:
        for known in told:
            return known
        raise InferenceUnavailable

    assert await _watch(answer, 0.4) == [7]


@pytest.mark.anyio
async def test_a_question_that_took_very_long_is_one_question() -> None:
    """A container that was paused, or a debugger: time has passed, and nobody was asked."""
    told = iter([_status(7, 0.0), None])

    def answer() -> InferenceStatus:
        for known in told:
            if known is not None:
                return known
            time.sleep(0.3)
            raise InferenceUnavailable
        return _status(7, 0.0)

    assert await _watch(answer, 0.5) == []


@pytest.mark.anyio
async def test_a_process_that_has_never_answered_is_left_to_start() -> None:
    def answer() -> InferenceStatus:
        raise InferenceUnavailable

    assert await _watch(answer, 0.3) == []


@pytest.mark.anyio
async def test_short_silences_are_forgiven() -> None:
    count = 0

    def answer() -> InferenceStatus:
        nonlocal count
        count += 1
        if count % 4:
            raise InferenceUnavailable
        return _status(7, 4.9)

    assert await _watch(answer, 0.5) == []


@pytest.mark.anyio
async def test_a_batch_that_never_ends_ends_the_process() -> None:
    assert await _watch(lambda: _status(9, 5.1), 0.015) in ([], [9])
    assert set(await _watch(lambda: _status(9, 5.1), 0.2)) == {9}
