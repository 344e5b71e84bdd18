"""Any method or WebSocket at any address: identified, limited, logged, refused as a POST is."""

from __future__ import annotations

import base64
import os
import socket

import httpx
import pytest

from tests.support.problems import assert_problem
from tests.support.server import PREFIX, BentoServer, Serve

KNOWN = {f"{PREFIX}/remove": "POST", f"{PREFIX}/health": "GET, HEAD", "/remove_background": "POST"}
UNKNOWN = ("/nowhere", f"{PREFIX}/nowhere", "/static_content/index.html")
METHODS = ("PUT", "DELETE", "PATCH", "WEBSOCKET")


def _ask(server: BentoServer, method: str, path: str, source: str) -> httpx.Response:
    """One request of a caller's own address; a handshake is read as the HTTP answer it gets."""
    headers = {"X-Request-ID": f"by-{source}"}
    if method == "WEBSOCKET":
        method = "GET"
        headers |= {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(transport=transport, timeout=20) as client:
        return client.request(method, server.url(path), headers=headers)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", [*KNOWN, *UNKNOWN])
def test_what_an_address_does_not_take_is_refused_as_a_post_is(
    limited_server: BentoServer, method: str, path: str
) -> None:
    place = METHODS.index(method) * 10 + [*KNOWN, *UNKNOWN].index(path)
    source = f"127.0.3.{place + 1}"
    answer = _ask(limited_server, method, path, source)
    if path in KNOWN:
        assert_problem(answer, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == KNOWN[path]
    else:
        assert_problem(answer, "NOT_FOUND")
    assert answer.headers["x-request-id"] == f"by-{source}"
    assert answer.headers["x-ratelimit-remaining"] == "29"
    limited_server.wait_for(lambda: f"id=by-{source} " in limited_server.log(), 5, "logged")
    (line,) = (line for line in limited_server.log().splitlines() if f"id=by-{source} " in line)
    assert f"{method} {path} {answer.status_code}" in line
    assert f"client={source} " in line
    assert answer.json()["error_code"] in line


@pytest.mark.parametrize("method", [*METHODS, "GET", "OPTIONS"])
def test_nobody_may_search_for_addresses_without_limit(
    limited_server: BentoServer, method: str
) -> None:
    source = f"127.0.4.{[*METHODS, 'GET', 'OPTIONS'].index(method) + 1}"
    statuses = [_ask(limited_server, method, f"/{i}", source).status_code for i in range(31)]
    assert statuses == [404] * 30 + [429]
    answer = _ask(limited_server, method, "/nowhere", source)
    assert assert_problem(answer, "RATE_LIMIT_EXCEEDED")["retry_after_seconds"] > 0


def test_what_is_only_read_is_never_limited(limited_server: BentoServer) -> None:
    path = f"{PREFIX}/health"
    assert {_ask(limited_server, "GET", path, "127.0.5.1").status_code for _ in range(40)} == {200}


@pytest.mark.full
def test_handshakes_that_are_refused_leave_nothing_behind(serve: Serve) -> None:
    with serve(BIREFNET_RATE_LIMIT_PER_MINUTE="0", BIREFNET_RATE_LIMIT_PER_SECOND="0") as server:
        before = server.public.num_fds()
        for _ in range(50):
            assert _ask(server, "WEBSOCKET", "/nowhere", "127.0.6.1").status_code == 404
        with socket.create_connection(("127.0.0.1", server.port)) as half:
            half.sendall(b"GET /nowhere HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n")
        server.wait_for(lambda: server.public.num_fds() <= before + 2, 10, "closed")
        assert server.stop() < 5
