"""One open WebSocket of a preview: what arrives goes in, what was made goes out, as fast as read.

Two tasks share it. One reads: a picture or a wish replaces one that waits, so nothing piles up
however fast a caller sends. The other answers, and waits while its caller does not read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from models.errors import BackgroundRemovalError
from service.errors import RequestError
from service.http.dependencies import Services
from service.http.exchange import exchange_of
from service.http.preview_messages import read_wish, told_picture, told_problem, told_ready
from service.imaging.guard import file_too_large
from service.preview.asked import Failed, Picture, Shown
from service.preview.session import Preview

#: RFC 6455, section 7.4.1, and its registry: going away, a policy was violated, service restart.
_IDLE, _MISUSED, _RESTART = 1001, 1008, 1012
_MOST_FAULTS = 100


class PreviewSocket:
    """Serves one open WebSocket until either side ends it.

    Args:
        socket: The WebSocket, accepted.
        preview: The preview.
        services: The parts behind the routes.
    """

    def __init__(self, socket: WebSocket, preview: Preview, services: Services) -> None:
        self._socket, self._preview, self._services = socket, preview, services
        self._exchange = exchange_of(socket.scope)
        self._writing = asyncio.Lock()
        self._n_pictures = self._n_faults = 0

    async def run(self) -> None:
        """Serve it."""
        config = self._services.remover.config
        idle_s = self._services.previews.config.idle_s
        with suppress(WebSocketDisconnect):  # of whoever leaves while it is written to
            ready = told_ready(self._exchange.request_id, config.limits.max_bytes, idle_s)
            await self._socket.send_text(ready)
            tasks = [asyncio.create_task(one) for one in (self._read(), self._answer())]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
            for end in ends:
                if isinstance(end, Exception):
                    raise end
                if isinstance(end, int):
                    await self._socket.close(end)
                    return

    async def _read(self) -> int | None:
        """Take what arrives until the caller leaves; a code to close with where it misbehaves."""
        while self._n_faults < _MOST_FAULTS:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            try:
                await self._take(message.get("bytes"), message.get("text"))
            except BackgroundRemovalError as error:
                self._n_faults += isinstance(error, RequestError)
                await self._tell_problem(error, None)
        return _MISUSED

    async def _take(self, data: bytes | None, text: str | None) -> None:
        """Take a picture or a wish.

        Raises:
            RequestError: If it is neither, or too much.
        """
        self._exchange.bytes_in += len(data if data is not None else text or "")
        if data is None:
            self._preview.show(read_wish(text or ""))
            return
        limit = self._services.remover.config.limits.max_bytes
        if len(data) > limit:
            raise file_too_large(len(data), limit)
        if self._n_pictures:  # connecting has paid for the first
            await self._services.limiter.charge(self._exchange.caller)
        self._n_pictures += 1
        self._preview.take(Picture(data))

    async def _answer(self) -> int:
        """Answer until there is nothing more to answer; the code to close with."""
        async for answer in self._preview.answers():
            if isinstance(answer, Failed):
                await self._tell_problem(answer.error, answer.seq)
            else:
                await self._send(answer)
        return _RESTART if self._services.stopping.is_set() else _IDLE

    async def _send(self, shown: Shown) -> None:
        self._exchange.stages_ms = shown.result.stages_ms
        async with self._writing:
            await self._socket.send_text(told_picture(shown))
            await self._socket.send_bytes(b"".join(one.data for one in shown.files))

    async def _tell_problem(self, error: BackgroundRemovalError, seq: int | None) -> None:
        self._exchange.error_code = error.code
        async with self._writing:
            await self._socket.send_text(told_problem(error, self._exchange.request_id, seq))
