"""Moving windows in Redis, which many replicas share; in each one's memory while Redis is gone."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from limits.util import WindowStats

from service.access.windows import MemoryWindows

log = logging.getLogger(__name__)

T = TypeVar("T")

_PREFIX = "birefnet"  # of all keys in Redis
_ANSWER_S = 0.25
_PAUSE_S = 1.0


class SharedWindows(MovingWindowRateLimiter):
    """The windows of `limits` in Redis, and the same limits over memory while it does not answer.

    After a fault Redis is left alone for a second, and then asked by one request at a time, so that
    no other one waits for it.

    Args:
        url: Of Redis: `redis://`, `rediss://` or `redis+unix://`.
        on_fallback: Told of each answer that came from memory.
    """

    def __init__(self, url: str, on_fallback: Callable[[], None] = lambda: None) -> None:
        self._redis = open_redis(url)
        super().__init__(self._redis)
        self._shared = MovingWindowRateLimiter(self._redis)
        self._local = MovingWindowRateLimiter(MemoryWindows())
        self._on_fallback = on_fallback
        self._ask_again_at = float("-inf")
        self._gone_for: str | None = None  # why Redis does not answer

    async def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Note hits unless they are too many; see `limits`."""
        return await self._either(lambda windows: windows.hit(item, *identifiers, cost=cost))

    async def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Whether hits would not be too many; see `limits`."""
        return await self._either(lambda windows: windows.test(item, *identifiers, cost=cost))

    async def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """When the window is empty again, and how much is left; see `limits`."""
        return await self._either(lambda windows: windows.get_window_stats(item, *identifiers))

    async def is_shared(self) -> bool:
        """Whether Redis answers; asked anew, unless it was a moment ago."""
        await self._ask(lambda: self._redis.get("any"))
        return self._gone_for is None

    async def close(self) -> None:
        """Close the connections."""
        client: Any = self._redis.bridge
        await client.get_connection().aclose()

    async def _either(self, question: Callable[[MovingWindowRateLimiter], Awaitable[T]]) -> T:
        answer = await self._ask(lambda: question(self._shared))
        if answer is not None:
            return answer
        self._on_fallback()
        return await question(self._local)

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """What Redis says; None if it does not answer, or did not a moment ago."""
        if self._gone_for is not None:
            if time.monotonic() < self._ask_again_at:
                return None
            self._ask_again_at = time.monotonic() + _PAUSE_S  # nobody else asks meanwhile
        try:
            async with asyncio.timeout(2 * _ANSWER_S):
                answer = await question()
        except (StorageError, OSError) as fault:  # a TimeoutError is an OSError
            self._lose(fault)
            return None
        if self._gone_for is not None:
            self._gone_for = None
            log.info("Redis answers again; replicas share their limits")
        return answer

    def _lose(self, fault: Exception) -> None:
        self._ask_again_at = time.monotonic() + _PAUSE_S
        reason = _reason(fault)
        if reason != self._gone_for:
            self._gone_for = reason
            log.warning(
                "Redis does not answer (%s); this replica's memory keeps the limits", reason
            )


def _reason(fault: BaseException) -> str:
    """Why, without the address; of a certificate also what is wrong with it."""
    while before := fault.__cause__ or fault.__context__:
        fault = before
    if isinstance(fault, asyncio.CancelledError | TimeoutError):
        return "too slow"  # `asyncio` ends what waits too long by cancelling it
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {fault.verify_message}"
    return type(fault).__name__


def open_redis(url: str) -> RedisStorage:
    """The storage of `limits` in Redis; connects at its first use.

    Raises:
        ModuleNotFoundError: If the package `redis` is not installed.
    """
    from redis.asyncio.retry import Retry  # deferred: an extra
    from redis.backoff import NoBackoff

    options: dict[str, Any] = {
        "socket_timeout": _ANSWER_S,
        "socket_connect_timeout": _ANSWER_S,
        "retry": Retry(NoBackoff(), 0),
    }
    return RedisStorage(
        f"async+{url}",
        implementation="redispy",
        wrap_exceptions=True,
        key_prefix=_PREFIX,
        **options,
    )
