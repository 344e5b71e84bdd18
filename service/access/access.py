"""Who may send what: the keys, who shows them, and the limits, made together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.access.identity import Identifier
from service.access.key_file import KeyFile
from service.access.rate_limit import ClientLimiter, RateLimitConfig
from service.access.shared_windows import SharedWindows


@dataclass(frozen=True)
class AccessConfig:
    """What access is told.

    Attributes:
        rates: How much a caller without a key may send.
        keys_file: File of API keys; None for none.
        require_key: Whether a request without a key is refused.
        redis_url: Redis that replicas keep limits in together; empty for none.
        trusted_proxies: Networks whose `X-Forwarded-For` is believed.
    """

    rates: RateLimitConfig = field(default_factory=RateLimitConfig)
    keys_file: Path | None = None
    require_key: bool = False
    redis_url: str = field(default="", repr=False)
    trusted_proxies: Sequence[str] = ()


class Access:
    """The parts that decide who may send what.

    Args:
        config: What they are told.
        on_fallback: Told of each answer about limits that Redis should have given.

    Attributes:
        identifier: Tells who sent a request.
        limiter: Rates per caller.
    """

    def __init__(self, config: AccessConfig, on_fallback: Callable[[], None]) -> None:
        self._keys = KeyFile(config.keys_file) if config.keys_file else None
        url = config.redis_url
        self._shared = SharedWindows(url, on_fallback) if url else None
        self.identifier = Identifier(config.trusted_proxies, self._keys, config.require_key)
        self.limiter = ClientLimiter(config.rates, self._shared)

    async def notes(self) -> list[str]:
        """What is not as it was asked for, one sentence each."""
        notes = []
        if self._keys is not None:
            self._keys.refresh()
            notes += [self._keys.fault] if self._keys.fault else []
        if self._shared is not None and not await self._shared.is_shared():
            notes.append("Redis does not answer; each replica keeps the limits by itself")
        return notes

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._shared is not None:
            await self._shared.close()
