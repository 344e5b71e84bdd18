"""Names are looked up without holding anything else up."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from service.errors import ServiceBusy
from service.outbound.resolver import Resolver

pytestmark = pytest.mark.anyio


async def test_a_name_has_its_addresses_in_numbers() -> None:
    found = await Resolver().resolve("localhost", 80, socket.AF_UNSPEC)
    assert {entry["host"] for entry in found} <= {"127.0.0.1", "::1"}
    assert {entry["port"] for entry in found} == {80}


@pytest.mark.parametrize("name", ["a" * 64 + ".test", "a..test", "", "\ud800.test", "a\0b"])
async def test_what_is_no_name_has_none(name: str) -> None:
    with pytest.raises(OSError, match="no address"):
        await Resolver().resolve(name or ".", 80)


async def test_look_ups_that_nobody_waits_for_any_more_count_until_they_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()

    def silent(*asked: Any, **more: Any) -> list[Any]:
        answered.wait(5)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    resolver = Resolver(at_once=40)
    for _ in range(40):  # more than the loop has threads
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolver.resolve("silent.test"), 0.001)
    with pytest.raises(ServiceBusy):
        await resolver.resolve("silent.test")
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "still here"), 1) == "still here"
    answered.set()
    async with asyncio.timeout(2):
        while resolver._under_way:
            await asyncio.sleep(0.01)
