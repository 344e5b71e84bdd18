"""Bodies share a budget: a slow upload makes room, a picture being worked on does not."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from service.access.caller import Caller
from service.errors import ServiceBusy
from service.http import bodies
from service.http.bodies import BodyBudget, GuardedBody, IntakeConfig
from service.http.exchange import Exchange
from service.http.policies import RoutePolicy

pytestmark = pytest.mark.anyio
CONFIG = IntakeConfig()


def _body(budget: BodyBudget, *pieces: bytes, complete: bool = False) -> GuardedBody:
    messages = itertools.chain(
        ({"type": "http.request", "body": piece, "more_body": True} for piece in pieces),
        [{"type": "http.request", "body": b"", "more_body": False}] if complete else [],
    )

    async def receive() -> dict[str, object]:
        for message in messages:
            return message
        await asyncio.sleep(60)
        raise AssertionError

    exchange = Exchange("x", Caller("y"), RoutePolicy(max_file_bytes=10_000))
    return GuardedBody(exchange, receive, CONFIG, budget, asyncio.Event())  # type: ignore[arg-type]


async def test_what_does_not_fit_is_refused_and_what_is_answered_makes_room() -> None:
    budget = BodyBudget(max_bytes=1000)
    first, second = _body(budget, bytes(600)), _body(budget, bytes(300), bytes(200))
    await first()
    await second()
    with pytest.raises(ServiceBusy, match="Too many uploads"):
        await second()
    second.let_go()
    assert budget.held == 600
    first.let_go()
    first.let_go()
    assert budget.held == 0


async def test_the_slowest_upload_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SETTLED_S", 0.05)
    budget = BodyBudget(max_bytes=1000)
    slow, slower = _body(budget, bytes(400)), _body(budget, bytes(300))
    done = _body(budget, bytes(200), complete=True)
    for body in (slow, slower, done, done):
        await body()
    stalled = asyncio.create_task(slower())
    await asyncio.sleep(0.1)
    newcomer = _body(budget, bytes(250))
    await newcomer()
    with pytest.raises(ServiceBusy, match="Too many uploads"):
        await stalled
    assert budget.held == 850
    await _body(budget, bytes(400))()  # in the place of the other slow one
    assert budget.held == 850
    with pytest.raises(ServiceBusy):  # nobody who is left is slow
        await _body(budget, bytes(400))()


async def test_a_body_larger_than_the_budget_ends_in_a_refusal() -> None:
    with pytest.raises(ServiceBusy):
        await _body(BodyBudget(max_bytes=10), bytes(100))()
