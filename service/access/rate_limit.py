"""How much a client may send: per minute (hard), per second (shaped), and at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.aio.strategies import MovingWindowRateLimiter

from service.access.caller import BASIC, FREE, PRO, TIERS, Caller
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


#: What a key's tier may send: the specification's minutes, and seconds in the same proportion. More
#: at once than these would only wait for the imaging threads, and fill the queue for others.
_OF_TIERS = {
    FREE: RateLimitConfig(per_minute=30, per_second=3, in_flight=3),
    BASIC: RateLimitConfig(per_minute=100, per_second=10, in_flight=6),
    PRO: RateLimitConfig(per_minute=1000, per_second=100, in_flight=16),
}


def rates_of(tier: str, anonymous: RateLimitConfig) -> RateLimitConfig:
    """How much a caller of a tier may send: nothing less than one without a key.

    Args:
        tier: One of `TIERS`.
        anonymous: How much a caller without a key may send; what is off there is off for all.
    """
    own = _OF_TIERS.get(tier, anonymous)
    return replace(
        anonymous,
        per_minute=_at_least(anonymous.per_minute, own.per_minute),
        per_second=_at_least(anonymous.per_second, own.per_second),
        in_flight=_at_least(anonymous.in_flight, own.in_flight),
    )


def _at_least(least: int, number: int) -> int:
    return max(least, number) if least else 0


class _TierLimits:
    """The limits of a tier, as `limits` wants them; None for what is off."""

    def __init__(self, rates: RateLimitConfig) -> None:
        self.in_flight = rates.in_flight
        self.minute = RateLimitItemPerMinute(rates.per_minute) if rates.per_minute else None
        self.second = RateLimitItemPerSecond(rates.per_second) if rates.per_second else None


class ClientLimiter:
    """Admits the requests of each client.

    The moving windows are those of `limits`, the library under slowapi, over a storage of ours or
    Redis; the shaping over them is ours, since slowapi's decorators can only refuse
    (`docs/decisions/`). What is in flight is counted here, for this process alone.

    Args:
        config: The limits of callers without a key.
        windows: Keeps what was sent; None for this process's memory.
    """

    def __init__(
        self, config: RateLimitConfig, windows: MovingWindowRateLimiter | None = None
    ) -> None:
        self._config = config
        self.windows = windows or MovingWindowRateLimiter(MemoryWindows())
        self._in_flight: Counter[str] = Counter()
        self._limits = {tier: _TierLimits(rates_of(tier, config)) for tier in TIERS}

    async def reset(self) -> None:
        """Forget what every client has sent; what is in flight stays so."""
        await self.windows.storage.reset()

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
        client, minute = caller.key, self._limits[caller.tier].minute
        if minute and not await self.windows.test(minute, client, cost=cost):
            raise await self._refusal(minute, client, "minute")
        await self._wait_for_slot(caller)
        try:
            if minute and not await self.windows.hit(minute, client, cost=cost):
                raise await self._refusal(minute, client, "minute")
            yield await self.headers(caller)
        finally:
            self._leave(client)

    async def charge(self, caller: Caller) -> None:
        """Count one more request of a caller who is in already, such as a picture of a batch.

        Raises:
            RateLimited: With everything the client needs to do better.
        """
        minute = self._limits[caller.tier].minute
        if minute and not await self.windows.hit(minute, caller.key):
            raise await self._refusal(minute, caller.key, "minute")

    async def headers(self, caller: Caller) -> dict[str, str]:
        """A caller's tier, and the state of its minute if that is limited, as headers."""
        tier, minute = {"X-RateLimit-Tier": caller.tier}, self._limits[caller.tier].minute
        if minute is None:
            return tier
        reset_at, remaining = await self.windows.get_window_stats(minute, caller.key)
        return {
            **tier,
            "X-RateLimit-Limit": str(minute.amount),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(math.ceil(reset_at)),
        }

    async def _wait_for_slot(self, caller: Caller) -> None:
        """Take one of the client's places, and one of its slots of this second."""
        client, limits = caller.key, self._limits[caller.tier]
        give_up = time.monotonic() + (self._config.max_wait_s if self._config.shape else 0.0)
        while True:
            full = 0 < limits.in_flight <= self._in_flight[client]
            if not full:
                self._in_flight[client] += 1  # before another one's turn
                if limits.second is None or await self.windows.hit(limits.second, client):
                    return
                self._leave(client)
            if time.monotonic() >= give_up:
                if full or limits.second is None:
                    raise RateLimited(
                        f"Rate limit exceeded: {limits.in_flight} requests at once",
                        **_advice(1, 0, time.time() + 1),
                    )
                raise await self._refusal(limits.second, client, "second")
            await asyncio.sleep(_POLL_S)

    def _leave(self, client: str) -> None:
        """Give one of the client's places back."""
        self._in_flight[client] -= 1
        if not self._in_flight[client]:
            del self._in_flight[client]

    async def _refusal(self, limit: RateLimitItem, client: str, window: str) -> RateLimited:
        reset_at, remaining = await self.windows.get_window_stats(limit, client)
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
