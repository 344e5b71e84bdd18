"""Fetches a picture from an address that a caller gave, within bounds of time and size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver

from service.errors import ServiceBusy
from service.imaging.guard import file_too_large
from service.outbound.destinations import Destination
from service.outbound.errors import ImageUrlFailed, ImageUrlUnreachable
from service.outbound.gate import Gate, UrlFault

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
_PIECE = 64 * 1024


@dataclass(frozen=True)
class FetchConfig:
    """Bounds of fetching.

    Attributes:
        own: Servers that callers may reach beside the public internet.
        max_bytes: Largest file.
        total_s: Seconds that one picture may take, redirects included.
        unreachable_s: An address that cannot be reached is answered after so many seconds or
            after `total_s`: when exactly it was known would tell of networks behind us.
        at_once: Most pictures fetched at once.
    """

    own: tuple[Destination, ...] = ()
    max_bytes: int = 10 * 1024**2
    total_s: float = 10.0
    unreachable_s: float = 1.0
    at_once: int = 16


@dataclass(frozen=True)
class Fetched:
    """A file from somewhere else. Everything in it is untrusted.

    Attributes:
        data: Its bytes; nobody has looked at them.
        media_type: What its server said it is, or None.
    """

    data: bytes
    media_type: str | None


class Fetcher:
    """Fetches pictures.

    Args:
        config: Bounds.
        resolver: Looks names up; unset: the operating system.

    Attributes:
        config: Bounds.
    """

    def __init__(self, config: FetchConfig, resolver: AbstractResolver | None = None) -> None:
        self.config = config
        self._gate = Gate(config.own, resolver)
        self._under_way = 0

    def fault_of(self, url: str) -> str | None:
        """What is wrong with an address as it is written, in a sentence; or None."""
        try:
            self._gate.read_url(url)
        except UrlFault as fault:
            return str(fault)
        return None

    async def fetch(self, url: str, hold: Callable[[int], None]) -> Fetched:
        """Fetch a file.

        Args:
            url: An address that `fault_of` finds nothing wrong with.
            hold: Told of every byte before it is kept; may raise.

        Raises:
            ImageUrlUnreachable: If no server that may be asked answers, whatever the reason.
            ImageUrlFailed: If one answered, and not with a whole file.
            FileTooLarge: If the file is larger than an upload may be.
            ServiceBusy: If too many are under way.
        """
        if self._under_way >= self.config.at_once:
            raise ServiceBusy("Too many pictures are fetched; try again shortly", retry_after=1)
        ends = asyncio.get_running_loop().time() + self.config.total_s
        self._under_way += 1
        try:
            async with self._gate.open_session() as session:
                answer = await self._ask_in_time(session, url, ends)
                try:
                    return await self._read_in_time(answer, hold, ends)
                finally:
                    answer.close()
        except ImageUrlUnreachable:
            await self._hush(ends)
            raise
        finally:
            self._under_way -= 1

    async def _ask_in_time(
        self, session: aiohttp.ClientSession, url: str, ends: float
    ) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout_at(ends):
                return await self._ask(session, url)
        except (aiohttp.ClientError, OSError, ValueError, UrlFault) as failure:
            raise ImageUrlUnreachable from failure

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> aiohttp.ClientResponse:
        """The answer at the end of all redirects; each hop is judged as the first one is."""
        at = self._gate.read_url(url)
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await session.get(at, allow_redirects=False)
            if answer.status not in _REDIRECTS:
                return answer
            answer.close()
            at = self._gate.read_url(answer.headers.get("Location", "\n"), base=at)
        raise ImageUrlFailed(f"The address redirects more than {_MAX_REDIRECTS} times")

    async def _read_in_time(
        self, answer: aiohttp.ClientResponse, hold: Callable[[int], None], ends: float
    ) -> Fetched:
        try:
            async with asyncio.timeout_at(ends):
                return await self._read(answer, hold)
        except TimeoutError as late:
            seconds = f"{self.config.total_s:g}"
            raise ImageUrlFailed(f"The picture did not arrive in {seconds} seconds") from late
        except (aiohttp.ClientError, OSError) as broken:
            raise ImageUrlFailed("The server's answer broke off") from broken

    async def _read(self, answer: aiohttp.ClientResponse, hold: Callable[[int], None]) -> Fetched:
        """The body, counted as it arrives: what was announced may be a lie."""
        if answer.status != 200:
            raise ImageUrlFailed(f"The server answered with status {answer.status}")
        if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise ImageUrlFailed("The server sent its answer compressed, unasked")
        max_bytes = self.config.max_bytes
        if (answer.content_length or 0) > max_bytes:
            raise file_too_large(answer.content_length or 0, max_bytes)
        data = bytearray()  # not a list: pieces may be of one byte each
        async for piece in answer.content.iter_chunked(_PIECE):
            hold(len(piece))
            data += piece
            if len(data) > max_bytes:
                raise file_too_large(len(data), max_bytes)
        return Fetched(bytes(data), answer.headers.get("Content-Type"))

    async def _hush(self, ends: float) -> None:
        """Wait until nobody can tell from the time why an address was not reached."""
        now, at_first = asyncio.get_running_loop().time, ends - self.config.total_s
        early = at_first + self.config.unreachable_s
        await asyncio.sleep(max(0.0, (early if now() < early else ends) - now()))
