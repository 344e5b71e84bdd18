"""Looks names up in threads of its own, which hold nothing up when a name server is silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from service.errors import ServiceBusy

_MOST_ADDRESSES = 8  # of a name; whoever owns it chooses how many it has


class Resolver(AbstractResolver):
    """Asks the operating system.

    The loop's own threads are shared with other work, and the process waits for them at its end:
    a few names whose server never answers would keep all of them.

    Args:
        at_once: Most look-ups under way, given up ones among them.
    """

    def __init__(self, at_once: int = 32) -> None:
        self._at_once = at_once
        self._under_way = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of a name; none of them has been judged.

        Raises:
            OSError: If it has none.
            ServiceBusy: If too many look-ups are under way.
        """
        if self._under_way >= self._at_once:
            raise ServiceBusy("Too many addresses are looked up; try again shortly", retry_after=5)
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Any]] = loop.create_future()

        def look_up() -> None:
            answer: list[Any] = []
            with contextlib.suppress(OSError, ValueError):  # ValueError: no name at all
                flags = socket.AI_ADDRCONFIG
                answer = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._tell, found, answer)

        self._under_way += 1
        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        answer = await found
        if not answer:
            raise OSError("the name has no address")
        return [_result(host, entry) for entry in answer[:_MOST_ADDRESSES]]

    def _tell(self, found: asyncio.Future[list[Any]], answer: list[Any]) -> None:
        self._under_way -= 1
        if not found.done():
            found.set_result(answer)

    async def close(self) -> None:
        """Nothing is kept."""


def _result(name: str, entry: Any) -> ResolveResult:
    family, _, protocol, _, address = entry
    return ResolveResult(
        hostname=name,
        host=address[0],
        port=address[1],
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
