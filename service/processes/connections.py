"""Who may stay connected, and for how long; uvicorn by itself waits for everybody for ever.

A connection costs a file and a little memory, and a process has a bounded number of files. Whoever
connects and says nothing, or half a head, or reads nothing of an answer, is let go in time; and
where the connections are all taken, the one that has been silent the longest makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn

_LOOK_S = 1.0
_LOOK_WHILE_STOPPING_S = 0.1
_UNREAD_WHILE_STOPPING_S = 5.0
_MESSAGE_BYTES = 64 * 1024  # so that a picture a little too large is told so, and not cut off


@dataclass(frozen=True)
class ConnectionConfig:
    """How long a connection may do nothing, and how many there may be.

    Attributes:
        keep_alive_s: Seconds a connection is kept after an answer, for the next request.
        head_s: Seconds the head of a request may take to arrive.
        unread_s: Seconds a caller may take to read nothing of an answer.
        max_open: Most connections; lowered to half of the files the process may open.
        max_silent_per_client: Most connections of one address without a request under way.
        trusted_proxies: Networks whose addresses stand for many clients.
    """

    keep_alive_s: int = 75
    head_s: float = 30.0
    unread_s: float = 30.0
    max_open: int = 1000
    max_silent_per_client: int = 100
    trusted_proxies: Sequence[str] = ()


class ConnectionKeeper:
    """Watches the connections of one server.

    Made before the server listens; `run` then has to run for as long as it serves.

    Args:
        server: The server.
        config: Limits.
        stopping: Set once the process has been told to stop.
    """

    def __init__(
        self, server: uvicorn.Server, config: ConnectionConfig, stopping: asyncio.Event
    ) -> None:
        self._server, self._config, self._stopping = server, config, stopping
        trusted = config.trusted_proxies
        self._proxies = [ipaddress.ip_network(entry, strict=False) for entry in trusted]
        self._silent_since: dict[Any, float] = {}
        self._unread: dict[Any, tuple[int, float]] = {}  # bytes waiting, and since when
        n_files = _allow_files()
        self._max_open = max(1, min(config.max_open, n_files // 2))
        server.config.timeout_keep_alive = config.keep_alive_s
        # So many are accepted before one of them is looked at.
        server.config.backlog = min(server.config.backlog, max(16, n_files // 4))
        server.config.http_protocol_class = _welcomed(server.config.http_protocol_class, self)

    async def run(self) -> None:
        """Let go of whoever makes us wait, until cancelled."""
        while True:
            stopping = self._stopping.is_set()
            await asyncio.sleep(_LOOK_WHILE_STOPPING_S if stopping else _LOOK_S)
            now = time.monotonic()
            self._drop_unread(now)
            self._drop_silent(now)

    def make_room(self, newcomer: Any) -> None:
        """Close the connection that has been silent the longest, where there are too many."""
        self._silent_since[newcomer] = time.monotonic()
        others = [known for known in self._open() if known is not newcomer]
        silent = [known for known in others if _is_silent(known)]
        same = [known for known in silent if _address(known) == _address(newcomer)]
        if len(same) >= self._config.max_silent_per_client and not self._is_proxy(newcomer):
            self._longest_silent(same).transport.abort()
        elif len(others) >= self._max_open:
            (self._longest_silent(silent) if silent else newcomer).transport.abort()

    def _open(self) -> list[Any]:
        connections = self._server.server_state.connections
        return [known for known in connections if not known.transport.is_closing()]

    def _longest_silent(self, connections: Sequence[Any]) -> Any:
        return min(connections, key=lambda known: self._silent_since.get(known, float("inf")))

    def _is_proxy(self, connection: Any) -> bool:
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(_address(connection))
            return any(address in network for network in self._proxies)
        return False

    def _drop_silent(self, now: float) -> None:
        """Let go of callers who do not get a request together."""
        since = {}
        for connection in self._open():
            if _is_silent(connection):
                since[connection] = self._silent_since.get(connection, now)
                kept_s = self._config.keep_alive_s if connection.cycle else 0.0
                if now - since[connection] > kept_s + self._config.head_s:
                    connection.transport.abort()
        self._silent_since = since

    def _drop_unread(self, now: float) -> None:
        """Let go of callers who read nothing of their answer."""
        stopping = self._stopping.is_set()
        patience_s = _UNREAD_WHILE_STOPPING_S if stopping else self._config.unread_s
        unread = {}
        for connection in list(self._server.server_state.connections):  # those that close, too
            waiting = connection.transport.get_write_buffer_size()
            size, since = self._unread.get(connection, (0, now))
            if waiting and waiting == size and now - since > patience_s:
                connection.transport.abort()
            elif waiting:
                unread[connection] = (waiting, since if waiting == size else now)
        self._unread = unread


def _is_silent(connection: Any) -> bool:
    """Whether no request is under way; one whose head has not arrived whole is not yet."""
    if not hasattr(connection, "cycle"):  # a WebSocket
        return False
    return connection.cycle is None or bool(connection.cycle.response_complete)


def _address(connection: Any) -> str:
    return connection.client[0] if connection.client else ""


def _welcomed(protocol: Any, keeper: ConnectionKeeper) -> Any:
    """The server's protocol, which tells the keeper of every new connection."""

    class Welcomed(protocol):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            keeper.make_room(self)

    return Welcomed


def _allow_files() -> int:
    """Allow this process as many open files as the system lets it have; how many."""
    if sys.platform == "win32":
        return 8192  # handles are bounded by memory there
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 65536)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return int(soft)


def tame_websockets(server: uvicorn.Config, max_file_bytes: int) -> None:
    """Take no message larger than a picture, and compress none: pictures are compressed already.

    Args:
        server: What the process serves with.
        max_file_bytes: Of the largest picture.
    """
    server.ws_max_size = max_file_bytes + _MESSAGE_BYTES
    server.ws_per_message_deflate = False
