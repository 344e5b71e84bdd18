"""A web server on this machine that counts who connects, and answers as badly as it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp.abc import AbstractResolver, ResolveResult

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def whole(body: bytes, *headers: str, status: str = "200 OK", charset: str = "latin-1") -> bytes:
    """An answer with its length."""
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(lines).encode(charset) + body


def redirect(to: str) -> bytes:
    """An answer that leads elsewhere."""
    return whole(b"", f"Location: {to}", status="302 Found")


@dataclass
class PictureServer:
    """What is served, and what was seen.

    Attributes:
        port: Where it listens, on every address of this machine.
        answers: Path to an answer: bytes as they are, or a function that writes them.
        connections: How many there were.
        closed: How many of them the other end has closed.
        heads: The head of every request.
    """

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    connections: int = 0
    closed: int = 0
    heads: list[str] = field(default_factory=list)

    def url(self, path: str = "/picture.png", host: str = "127.0.0.1") -> str:
        """Address of a path."""
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and wait until the other end closes."""
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            answer = self.answers.get(head.split()[1], whole(b"", status="404 Not Found"))
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed += 1
            with contextlib.suppress(OSError):
                writer.close()


@asynccontextmanager
async def open_picture_server(
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[PictureServer]:
    """Serve until the block ends, over TLS if that is given."""
    state = PictureServer()
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    listening = socket.create_server(
        ("", 0), family=family, dualstack_ipv6=family == socket.AF_INET6
    )
    state.port = listening.getsockname()[1]
    server = await asyncio.start_server(state.serve, sock=listening, ssl=context)
    try:
        yield state
    finally:
        server.close()


class Names(AbstractResolver):
    """A resolver whose names stand for what a test says, in turn; the last answer stays.

    Args:
        answers: Name to the addresses it stands for: of the first look-up, the second, ...
    """

    def __init__(self, answers: dict[str, Sequence[Sequence[str]]]) -> None:
        self._answers = {name: list(turns) for name, turns in answers.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of this look-up."""
        self.asked.append(host)
        turns = self._answers.get(host)
        if not turns:
            raise OSError("no such name")
        addresses = turns.pop(0) if len(turns) > 1 else turns[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept."""
