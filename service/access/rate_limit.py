"""How much a client may send: per minute (hard), per second (shaped), and at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.aio.strategies import MovingWindowRateLimiter

from service.access.caller import Caller
from service.access.windows import MemoryWindows
from service.errors import RateLimited

_POLL_S = 0.05


@dataclass(frozen=True)
class RateLimitConfig:
    """How much a client may send; 0 turns a limit off.

    Attributes:
        per_minute: Requests in any minute.
        per_second: Requests in any second.
        in_flight: Requests at once.
        shape: Whether a client over the last two is kept waiting before it is refused.
        max_wait_s: How long at most.
    """

    per_minute: int = 30
    per_second: int = 3
    in_flight: int = 3
    shape: bool = True
    max_wait_s: float = 2.0


class ClientLimiter:
    """Admits the requests of each client.

    The moving windows are those of `limits`, the library under slowapi, over a storage of ours; the
    shaping over them is ours, since slowapi's decorators can only refuse (`docs/decisions/`).

    Args:
        config: The limits.
    """

    def __init__(self, config: RateLimitConfig) -> None:
        self._config = config
        self._storage = MemoryWindows()
        self._windows = MovingWindowRateLimiter(self._storage)
        self._in_flight: Counter[str] = Counter()
        self._minute = RateLimitItemPerMinute(config.per_minute) if config.per_minute else None
        self._second = RateLimitItemPerSecond(config.per_second) if config.per_second else None

    async def reset(self) -> None:
        """Forget what every client has sent; what is in flight stays so."""
        await self._storage.reset()

    @asynccontextmanager
    async def admit(self, caller: Caller, cost: int = 1) -> AsyncIterator[Mapping[str, str]]:
        """Let one request of a caller in, or refuse it.

        Args:
            caller: Who sent it.
            cost: Requests of the caller's minute that it counts as.

        Yields:
            `X-RateLimit-*` headers for the response.

        Raises:
            RateLimited: With everything the client needs to do better.
        """
        client = caller.key
        if self._minute and not await self._windows.test(self._minute, client, cost=cost):
            raise await self._refusal(self._minute, client, "minute")
        await self._wait_for_slot(client)
        try:
            if self._minute and not await self._windows.hit(self._minute, client, cost=cost):
                raise await self._refusal(self._minute, client, "minute")
            yield await self.headers(caller)
        finally:
            self._leave(client)

    async def charge(self, caller: Caller) -> None:
        """Count one more request of a caller who is in already, such as a picture of a batch.

        Raises:
            RateLimited: With everything the client needs to do better.
        """
        if self._minute and not await self._windows.hit(self._minute, caller.key):
            raise await self._refusal(self._minute, caller.key, "minute")

    async def headers(self, caller: Caller) -> dict[str, str]:
        """State of a caller's minute, as headers; empty without a limit."""
        if self._minute is None:
            return {}
        reset_at, remaining = await self._windows.get_window_stats(self._minute, caller.key)
        return {
            "X-RateLimit-Limit": str(self._minute.amount),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(math.ceil(reset_at)),
        }

    async def _wait_for_slot(self, client: str) -> None:
        """Take one of the client's places, and one of its slots of this second."""
        give_up = time.monotonic() + (self._config.max_wait_s if self._config.shape else 0.0)
        while True:
            full = 0 < self._config.in_flight <= self._in_flight[client]
            if not full:
                self._in_flight[client] += 1  # before another one's turn
                if self._second is None or await self._windows.hit(self._second, client):
                    return
                self._leave(client)
            if time.monotonic() >= give_up:
                if full or self._second is None:
                    raise RateLimited(
                        f"Rate limit exceeded: {self._config.in_flight} requests at once",
                        **_advice(1, 0, time.time() + 1),
                    )
                raise await self._refusal(self._second, client, "second")
            await asyncio.sleep(_POLL_S)

    def _leave(self, client: str) -> None:
        """Give one of the client's places back."""
        self._in_flight[client] -= 1
        if not self._in_flight[client]:
            del self._in_flight[client]

    async def _refusal(self, limit: RateLimitItem, client: str, window: str) -> RateLimited:
        reset_at, remaining = await self._windows.get_window_stats(limit, client)
        seconds = max(1, math.ceil(reset_at - time.time()))
        return RateLimited(
            f"Rate limit exceeded: {limit.amount} requests per {window}",
            **_advice(seconds, remaining, reset_at),
        )


def _advice(seconds: int, remaining: int, reset_at: float) -> dict[str, object]:
    """The specification's fields, and Appendix A's."""
    return {
        "retry_after_seconds": seconds,
        "retry_after": seconds,
        "requests_remaining": remaining,
        "limit_reset_at": datetime.fromtimestamp(reset_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
