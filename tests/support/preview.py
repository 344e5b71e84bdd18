"""The HTTP side behind a real server, and a client of its live preview."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from httpx_ws import AsyncWebSocketSession, aconnect_ws
from starlette.types import ASGIApp

from service.http.policies import PREFIX

PREVIEW = f"{PREFIX}/preview"


class _Server(uvicorn.Server):
    """A server that leaves the signals of the test's process alone."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


@asynccontextmanager
async def serving(asgi: ASGIApp, max_bytes: int = 10 * 1024**2) -> AsyncIterator[str]:
    """Serve an application as the Bento does; its address."""
    config = uvicorn.Config(
        asgi,
        port=0,
        lifespan="off",
        log_config=None,
        ws="wsproto",
        ws_max_size=max_bytes,
        ws_per_message_deflate=False,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


class Socket:
    """A client's side of one preview."""

    def __init__(self, session: AsyncWebSocketSession) -> None:
        self.session = session

    async def told(self) -> dict[str, Any]:
        """The next message in words; a picture's files are under `files`."""
        message: dict[str, Any] = json.loads(await self.session.receive_text(timeout=20))
        if message["type"] == "picture":
            data, message["files"] = await self.session.receive_bytes(timeout=20), []
            for part in message["parts"]:
                message["files"].append(data[: part["bytes"]])
                data = data[part["bytes"] :]
            assert not data
        return message

    async def show(self, **wish: object) -> None:
        """Wish something."""
        await self.session.send_text(json.dumps(wish))

    async def send(self, data: bytes) -> None:
        """Send a picture."""
        await self.session.send_bytes(data)


@asynccontextmanager
async def connect(base: str, **more: Any) -> AsyncIterator[Socket]:
    """Open a preview and read what it is told first."""
    async with (
        httpx.AsyncClient(base_url=base, **more) as client,
        aconnect_ws(
            f"{base}{PREVIEW}",
            client,
            keepalive_ping_interval_seconds=None,
            max_message_size_bytes=2**26,
        ) as session,
    ):
        socket = Socket(session)
        ready = await socket.told()
        assert ready["type"] == "ready"
        yield socket
