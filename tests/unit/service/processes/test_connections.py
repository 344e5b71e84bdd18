"""Whoever says nothing, half a head, or reads nothing is let go, and the longest silent first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from service.processes.connections import ConnectionConfig, ConnectionKeeper

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _answer(scope, receive, send):  # type: ignore[no-untyped-def]
    body = b"x" * 40_000_000 if scope["path"] == "/large" else b"x"
    length = str(len(body)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def _served(config: ConnectionConfig) -> AsyncIterator[int]:
    server = uvicorn.Server(uvicorn.Config(_answer, port=0, log_config=None, lifespan="off"))
    server.config.load()
    stopping = asyncio.Event()
    keeping = asyncio.create_task(ConnectionKeeper(server, config, stopping).run())
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        stopping.set()
        server.should_exit = True
        await serving
        keeping.cancel()


async def _open(port: int, first: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    await writer.drain()
    return reader, writer


async def _is_closed(streams: Streams, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            assert await streams[0].read() == b""
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    streams[1].close()
    return True


async def _answers(port: int) -> bool:
    reader, writer = await _open(port, HEAD + b"\r\n")
    async with asyncio.timeout(3):
        line = await reader.readline()
    writer.close()
    return line.startswith(b"HTTP/1.1 200")


@pytest.mark.anyio
async def test_who_does_not_get_a_head_together_is_let_go() -> None:
    async with _served(ConnectionConfig(keep_alive_s=60, head_s=1.5)) as port:
        silent, half, drip = await _open(port), await _open(port, HEAD), await _open(port, b"GET")
        for _ in range(4):
            await asyncio.sleep(0.5)
            drip[1].write(b" ")
        for streams in (silent, half, drip):
            assert await _is_closed(streams, 2.0)


@pytest.mark.anyio
async def test_a_connection_is_kept_for_the_next_request_as_long_as_set() -> None:
    async with _served(ConnectionConfig(keep_alive_s=2, head_s=0.2)) as port:
        reader, writer = await _open(port, HEAD + b"\r\n")
        await reader.readuntil(b"\r\n\r\nx")
        await asyncio.sleep(1.3)
        writer.write(HEAD + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\nx")).startswith(b"HTTP/1.1 200")
        assert await _is_closed((reader, writer), 4.0)


@pytest.mark.anyio
async def test_the_longest_silent_makes_room_and_everybody_is_answered() -> None:
    for config in (ConnectionConfig(max_open=8), ConnectionConfig(max_silent_per_client=8)):
        async with _served(config) as port:
            held = []
            for _ in range(20):
                held.append(await _open(port))
                assert await _answers(port)
            assert await _is_closed(held[0], 1.0)
            assert not await _is_closed(held[-1], 0.3)
            for _, writer in held[1:]:
                writer.close()


@pytest.mark.anyio
async def test_connections_of_a_trusted_proxy_are_not_counted_as_one_clients() -> None:
    config = ConnectionConfig(max_silent_per_client=4, trusted_proxies=("127.0.0.0/8",))
    async with _served(config) as port:
        held = [await _open(port) for _ in range(12)]
        await asyncio.sleep(0.2)
        assert not await _is_closed(held[0], 0.3)
        for _, writer in held:
            writer.close()


@pytest.mark.anyio
async def test_who_reads_nothing_of_an_answer_is_let_go() -> None:
    async with _served(ConnectionConfig(unread_s=1.0)) as port:
        deaf = await _open(port, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        deaf[1].transport.pause_reading()
        await asyncio.sleep(4)
        deaf[1].transport.resume_reading()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await deaf[0].readexactly(40_000_000)
        deaf[1].close()
