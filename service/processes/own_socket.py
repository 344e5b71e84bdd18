"""Keeps the name of a worker's Unix socket alive: without it nobody can reach the worker."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path

import uvicorn

log = logging.getLogger(__name__)

_LOOK_S = 2.0


async def keep_reachable(server: uvicorn.Server, path: Path, look_every_s: float = _LOOK_S) -> None:
    """Listen anew under the same name wherever it is gone, for as long as this runs.

    Args:
        server: The server of this worker.
        path: Name of its socket.
        look_every_s: Seconds between two looks.
    """
    while True:
        await asyncio.sleep(look_every_s)
        try:
            if not _answers(path):
                await _listen_again(server, path)
                log.warning("the name of inference's socket was gone; it is there again")
        except OSError as refused:
            log.error("the name of inference's socket is gone and cannot be made: %s", refused)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except BlockingIOError:  # there, with a long queue
            return True
    return True


async def _listen_again(server: uvicorn.Server, path: Path) -> None:
    def create_protocol() -> asyncio.Protocol:
        return server.config.http_protocol_class(  # type: ignore[call-arg]
            config=server.config,
            server_state=server.server_state,
            app_state=server.lifespan.state,
        )

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    loop = asyncio.get_running_loop()
    server.servers.append(await loop.create_unix_server(create_protocol, str(path)))
