"""Who does not know the token of inference is answered before a byte of the body is read."""

from __future__ import annotations

from typing import Any

import pytest

from service.http.token_check import TokenCheckMiddleware

TOKEN = "ab" * 32
SHOWN = (b"authorization", f"Bearer {TOKEN}".encode())
LET_THROUGH = [{"type": "let through"}]


async def ask(kind: str, method: str, path: str, *headers: tuple[bytes, bytes]) -> list[Any]:
    """What is sent, of which the wrapped app sends one message; nobody may read."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(LET_THROUGH[0])

    async def receive() -> Any:
        pytest.fail("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "method": method, "path": path, "headers": list(headers)}
    await TokenCheckMiddleware(app, TOKEN)(scope, receive, send)
    return sent


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", TOKEN.encode())],
        [(b"authorization", SHOWN[1][:-1])],
        [(b"authorization", SHOWN[1] + b"x")],
        [(b"authorization", b"Bearer \xff")],
        [(b"x-api-key", TOKEN.encode())],
        [SHOWN, SHOWN],
        [(b"authorization", b"Bearer x"), SHOWN],
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/livez", "/readyz"])
async def test_a_post_without_the_token_is_refused_unread(
    path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    start, body = await ask("http", "POST", path, *headers)
    assert start["status"] == 401
    assert (b"www-authenticate", b"Bearer") in start["headers"]
    assert TOKEN.encode() not in body["body"]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/metrics", "/livez/", "/readyz/x", "//livez", "/healthz"])
async def test_only_the_two_probes_are_open(path: str) -> None:
    assert (await ask("http", "GET", path))[0]["status"] == 401
    assert await ask("http", "GET", "/livez") == LET_THROUGH
    assert await ask("http", "HEAD", "/readyz") == LET_THROUGH


@pytest.mark.anyio
async def test_a_websocket_without_the_token_is_closed() -> None:
    closed = [{"type": "websocket.close", "code": 1008}]
    assert await ask("websocket", "", "/livez") == closed
    assert await ask("websocket", "", "/livez", SHOWN) == LET_THROUGH


@pytest.mark.anyio
async def test_who_shows_the_token_is_let_through_and_so_is_the_start() -> None:
    assert await ask("http", "POST", "/predict", SHOWN) == LET_THROUGH
    assert await ask("lifespan", "", "") == LET_THROUGH
