"""A worker whose socket has lost its name listens under it again, and serves as before."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
from pathlib import Path

import httpx
import pytest
import uvicorn

from service.processes.own_socket import keep_reachable


async def _answer(scope, receive, send):  # type: ignore[no-untyped-def]
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _status(path: Path) -> int:
    transport = httpx.AsyncHTTPTransport(uds=str(path), verify=False)
    async with httpx.AsyncClient(transport=transport) as client:
        with contextlib.suppress(httpx.ConnectError):
            return (await client.get("http://worker/")).status_code
    return 0


@pytest.mark.anyio
@pytest.mark.parametrize("lost", ["name", "folder", "listener"])
async def test_a_lost_name_comes_back(lost: str) -> None:
    with tempfile.TemporaryDirectory(prefix="o-") as folder:
        path = Path(folder, "sockets", "1.sock")
        path.parent.mkdir()
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        server = uvicorn.Server(uvicorn.Config(_answer, log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        if lost == "name":
            path.unlink()
        elif lost == "folder":
            shutil.rmtree(path.parent)
        else:  # a name that a dead process left there
            path.unlink()
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
        assert await _status(path) == 0
        keeping = asyncio.create_task(keep_reachable(server, path, look_every_s=0.05))
        await asyncio.sleep(0.3)
        assert await _status(path) == 204
        keeping.cancel()
        server.should_exit = True
        await serving
