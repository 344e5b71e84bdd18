"""What wraps every route, seen from the ASGI side: messages, not HTTP clients."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from service.access.caller import ANONYMOUS, FREE, PRO, Caller
from service.access.rate_limit import ClientLimiter, RateLimitConfig
from service.errors import AccessDenied, ServiceBusy
from service.http.bodies import IntakeConfig
from service.http.envelope import EnvelopeMiddleware
from service.http.metrics import Metrics
from service.http.middleware import ExchangeMiddleware, IntakeMiddleware
from service.http.policies import RoutePolicies, RoutePolicy

pytestmark = pytest.mark.anyio
PUBLIC = frozenset({ANONYMOUS})
POLICIES = RoutePolicies(
    (
        RoutePolicy("/x", "/x", frozenset({"POST"}), PUBLIC, max_file_bytes=100),
        RoutePolicy("/live", "/live", frozenset({"WEBSOCKET", "GET"}), PUBLIC),
        RoutePolicy("/small", "/small", frozenset({"POST"}), PUBLIC, form_bytes=10),
        RoutePolicy("/keys", "/keys", frozenset({"POST"}), frozenset({"pro"})),
    )
)
BODY_BYTES = POLICIES.of("/x").max_body_bytes("")


def make_scope(method: str = "POST", path: str = "/x") -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [],
        "client": ("192.0.2.1", 1),
    }


async def exchange(app: Any, scope: Scope, *messages: Message) -> list[Message]:
    """Run an application on some messages; what it sent."""
    incoming, sent = list(messages), []

    async def receive() -> Message:
        if not incoming:
            await asyncio.sleep(3600)
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    metrics = Metrics(CollectorRegistry())
    wrapped = ExchangeMiddleware(EnvelopeMiddleware(app), lambda: metrics, POLICIES)
    await wrapped(scope, receive, send)
    return sent


async def test_a_caller_that_leaves_still_gets_its_exchange_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"

    with caplog.at_level(logging.INFO, "service.http.access_log"):
        sent = await exchange(silent, make_scope(), {"type": "http.disconnect"})
    assert sent[0]["status"] == 500
    assert "POST /x 500" in caplog.text


async def test_a_response_under_way_is_not_answered_twice() -> None:
    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("too late")

    sent = await exchange(breaks, make_scope())
    assert [message["type"] for message in sent].count("http.response.start") == 1


async def test_control_characters_in_an_address_never_reach_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fine(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with caplog.at_level(logging.INFO, "service.http.access_log"):
        await exchange(fine, make_scope("GET", "/a\nFORGED 200 \x1b[31m"))
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert "\x1b" not in record.getMessage()


async def test_a_refused_body_is_read_away_so_that_the_answer_arrives() -> None:
    async def greedy(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass

    limiter = ClientLimiter(RateLimitConfig(0, 0, 0))
    config = IntakeConfig()
    app = IntakeMiddleware(greedy, limiter, config, asyncio.Event())
    chunks: list[Message] = [
        {"type": "http.request", "body": bytes(BODY_BYTES // 9), "more_body": i < 9}
        for i in range(10)
    ]
    chunked = {**make_scope(), "headers": [(b"transfer-encoding", b"chunked")]}
    sent = await exchange(app, chunked, *chunks)
    assert sent[0]["status"] == 413
    assert b'"FILE_TOO_LARGE"' in sent[1]["body"]
    assert sent[-1] == {"type": "http.response.body", "body": b""}


async def test_what_an_application_makes_of_a_refused_body_is_not_sent() -> None:
    async def swallows(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
        except Exception:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"all is well"})

    limiter = ClientLimiter(RateLimitConfig(0, 0, 0))
    config = IntakeConfig()
    app = IntakeMiddleware(swallows, limiter, config, asyncio.Event())
    sent = await exchange(
        app,
        make_scope(),
        {"type": "http.request", "body": bytes(BODY_BYTES + 1), "more_body": False},
    )
    assert [m["status"] for m in sent if m["type"] == "http.response.start"] == [413]
    assert not any(b"all is well" in m.get("body", b"") for m in sent)


def make_handshake(path: str = "/live") -> dict[str, Any]:
    scope = {**make_scope(path=path), "type": "websocket"}
    del scope["method"]
    return {**scope, "extensions": {"websocket.http.response": {}}}


async def handshake(app: Any, path: str = "/live") -> list[Message]:
    """What a WebSocket's handshake is answered, through everything that wraps a route."""
    limiter = ClientLimiter(RateLimitConfig())
    wrapped = IntakeMiddleware(app, limiter, IntakeConfig(), asyncio.Event())
    return await exchange(wrapped, make_handshake(path), {"type": "websocket.connect"})


async def _never(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("not reached")


async def _accept(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    await _accept(scope, receive, send)
    await send({"type": "websocket.send", "text": "12345"})


async def _break_before_accepting(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a bug")


async def _break_afterwards(scope: Scope, receive: Receive, send: Send) -> None:
    await _accept(scope, receive, send)
    raise ServiceBusy


async def _refuse_handshake(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close"})


async def _return_in_silence(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


@pytest.mark.parametrize(
    ("app", "path", "status", "code"),
    [
        (_never, "/nowhere", 404, b"NOT_FOUND"),
        (_never, "/x", 405, b"METHOD_NOT_ALLOWED"),
        (_never, "/keys", 405, b"METHOD_NOT_ALLOWED"),
        (_break_before_accepting, "/live", 500, b"INTERNAL_ERROR"),
        (_refuse_handshake, "/live", 403, b"BAD_REQUEST"),
        (_return_in_silence, "/live", 500, b"INTERNAL_ERROR"),
    ],
)
async def test_a_websocket_that_is_not_accepted_is_answered_as_a_request_is(
    app: Any, path: str, status: int, code: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.http.access_log"):
        start, body = await handshake(app, path)
    assert (start["type"], body["type"]) == (
        "websocket.http.response.start",
        "websocket.http.response.body",
    )
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert start["status"] == status
    assert code in body["body"]
    assert headers["x-request-id"] in body["body"].decode()
    assert headers["x-ratelimit-remaining"] == "29"
    assert f"WEBSOCKET {path} {status}" in caplog.text
    assert "client=192.0.2.1" in caplog.text


@pytest.mark.parametrize(
    ("app", "close", "reason"),
    [(_echo, 1000, ""), (_accept, 1000, ""), (_break_afterwards, 1011, "SERVICE_BUSY")],
)
async def test_a_websocket_that_was_accepted_is_closed_whatever_happens(
    app: Any, close: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.http.access_log"):
        accepted, *_, last = await handshake(app)
    assert dict(accepted["headers"])[b"x-ratelimit-remaining"] == b"29"
    assert (last["type"], last["code"], last["reason"]) == ("websocket.close", close, reason)
    assert "WEBSOCKET /live 101" in caplog.text
    assert ("out=5" in caplog.text) == (app is _echo)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/keys", "API_KEY_REQUIRED"),
        ("GET", "/keys", "METHOD_NOT_ALLOWED"),
        ("DELETE", "/nowhere", "NOT_FOUND"),
    ],
)
async def test_what_a_policy_does_not_name_is_refused(method: str, path: str, code: str) -> None:
    limiter = ClientLimiter(RateLimitConfig())
    app = IntakeMiddleware(_never, limiter, IntakeConfig(), asyncio.Event())
    sent = await exchange(app, make_scope(method, path))
    assert json.loads(sent[1]["body"])["error_code"] == code


async def test_an_address_for_keys_asks_for_one_and_refuses_those_without_the_right() -> None:
    limiter = ClientLimiter(RateLimitConfig())
    app = IntakeMiddleware(_never, limiter, IntakeConfig(), asyncio.Event())
    start, _ = await exchange(app, make_scope(path="/keys"))
    assert start["status"] == 401
    challenge = (b"www-authenticate", b'Bearer realm="background-removal"')
    assert challenge in [(name.lower(), value) for name, value in start["headers"]]
    row = POLICIES.of("/keys")
    assert isinstance(row.refusal("POST", Caller("key:1", FREE, "1")), AccessDenied)
    assert row.refusal("POST", Caller("key:2", PRO, "2")) is None


async def test_an_address_that_takes_no_file_says_so_of_a_large_body() -> None:
    limiter = ClientLimiter(RateLimitConfig())
    app = IntakeMiddleware(_never, limiter, IntakeConfig(), asyncio.Event())
    scope = {**make_scope(path="/small"), "headers": [(b"content-length", b"11")]}
    sent = await exchange(app, scope, {"type": "http.request", "body": bytes(11)})
    assert json.loads(sent[1]["body"])["error_code"] == "BODY_TOO_LARGE"


async def test_a_stopping_service_takes_no_websocket() -> None:
    stopping = asyncio.Event()
    stopping.set()
    limiter = ClientLimiter(RateLimitConfig())
    app = IntakeMiddleware(_never, limiter, IntakeConfig(), stopping)
    start, body = await exchange(app, make_handshake())
    assert start["status"] == 503
    assert b"SHUTTING_DOWN" in body["body"]
