"""Bodies as they arrive: counted, timed, and bounded one by one and together."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Send

from models.errors import BackgroundRemovalError
from service.errors import ServiceBusy, ShuttingDown, UploadTimeout
from service.http.exchange import Exchange

_LENGTH_DIGITS = 18  # of a Content-Length; Python refuses to read absurdly long numbers
_SETTLED_S = 5.0  # before that nobody can say how fast an upload is


@dataclass(frozen=True)
class IntakeConfig:
    """How a body may arrive.

    Attributes:
        stall_s: Seconds without a byte after which an upload is given up.
        total_s: Seconds after which it is given up however steadily it trickles.
        max_bytes_in_memory: Most bytes of all bodies in this process, until they are answered.
    """

    stall_s: float = 30.0
    total_s: float = 300.0
    max_bytes_in_memory: int = 256 * 1024**2


class BodyBudget:
    """Bounds the bytes of all bodies in this process.

    Where they do not fit, the upload that arrives the slowest makes room: else a few that have
    stalled would keep everybody out.

    Args:
        max_bytes: Most bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held: dict[GuardedBody, int] = {}
        self._sum = 0

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._sum

    def take(self, body: GuardedBody, n_bytes: int) -> None:
        """Hold more bytes for a body.

        Raises:
            ServiceBusy: If they do not fit, and no slow upload can make room.
        """
        while self._sum + n_bytes > self._max_bytes:
            others = [other for other in self._held if other is not body]
            slowest = min(others, key=lambda other: other.bytes_per_s, default=None)
            if slowest is None or slowest.bytes_per_s == math.inf:
                raise _no_room()
            slowest.revoke()
            self.release(slowest)
        self._held[body] = self._held.get(body, 0) + n_bytes
        self._sum += n_bytes

    def release(self, body: GuardedBody) -> None:
        """Hold nothing for a body any more."""
        self._sum -= self._held.pop(body, 0)


def _no_room() -> ServiceBusy:
    return ServiceBusy("Too many uploads are under way; try again shortly", retry_after=5)


class GuardedBody:
    """A `receive` that counts, times and gives up.

    Args:
        exchange: The request it belongs to; its policy says how large the body may be.
        receive: Where its messages come from.
        config: How it may arrive.
        budget: What all bodies share.
        draining: Set once the process has been told to stop.

    Attributes:
        fault: Why the body was given up; whatever the application makes of it, this is the answer.
    """

    def __init__(
        self,
        exchange: Exchange,
        receive: Receive,
        config: IntakeConfig,
        budget: BodyBudget,
        draining: asyncio.Event,
    ) -> None:
        self._exchange, self.receive, self._config = exchange, receive, config
        self._budget, self._draining = budget, draining
        self._revoked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began = time.monotonic()
        self._give_up_at = self._began + config.total_s
        self._max_bytes = exchange.policy.max_body_bytes("")
        self.fault: BackgroundRemovalError | None = None

    @property
    def bytes_per_s(self) -> float:
        """How fast it has arrived so far; infinite for one that is complete or has just begun."""
        age_s = time.monotonic() - self._began
        if self._exchange.body_complete is not None or age_s < _SETTLED_S:
            return math.inf
        return self._exchange.bytes_in / age_s

    def revoke(self) -> None:
        """Have it given up for want of memory, wherever it waits."""
        if not self._revoked.done():
            self._revoked.set_result(None)

    def let_go(self) -> None:
        """Give its share of the budget back."""
        self._budget.release(self)

    def unless_refused(self, send: Send) -> Send:
        """A `send` that drops what the application says about a body we gave up."""

        async def guarded(message: Message) -> None:
            if self.fault is None:
                await send(message)

        return guarded

    def check_announced(self, headers: Headers) -> None:
        """Refuse by `Content-Length` before a byte is read."""
        announced = headers.get("content-length", "")
        n_bytes = int(announced[:_LENGTH_DIGITS]) if announced.isdecimal() else 0
        self._max_bytes = self._exchange.policy.max_body_bytes(headers.get("content-type", ""))
        self._check(n_bytes)

    async def __call__(self) -> Message:
        """The next message, or an error of ours."""
        if self._exchange.body_complete is not None:
            return await self.receive()
        try:
            message = await self._next_or_give_up()
            if message["type"] == "http.request":
                self._count(message)
        except BackgroundRemovalError as fault:
            self.fault = fault
            raise
        return message

    def _count(self, message: Message) -> None:
        n_bytes = len(message.get("body", b""))
        self._exchange.bytes_in += n_bytes
        self._budget.take(self, n_bytes)
        if not message.get("more_body", False):
            self._exchange.body_complete = time.perf_counter()
        self._check(self._exchange.bytes_in)

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self._max_bytes:
            raise self._exchange.policy.too_large(n_bytes)

    async def _next_or_give_up(self) -> Message:
        """Wait for bytes, for the stop, or for the end of our patience."""
        patience_s = min(self._config.stall_s, self._give_up_at - time.monotonic())
        arriving = asyncio.ensure_future(self.receive())
        stopping = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait(
                (arriving, stopping, self._revoked),
                timeout=patience_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if self._revoked.done():
                raise _no_room()
            if arriving.done():
                return arriving.result()
            if stopping.done():
                raise ShuttingDown
            raise UploadTimeout
        finally:
            arriving.cancel()
            stopping.cancel()
            await asyncio.wait((arriving, stopping))  # nobody may receive twice at once

    async def discard(self, max_bytes: int) -> None:
        """Read and forget up to so many bytes of what is still coming."""
        seen = 0
        while self._exchange.body_complete is None and seen < max_bytes:
            message = await self.receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
            seen += len(message.get("body", b""))
