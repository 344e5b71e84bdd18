"""What wraps every route, seen from the ASGI side: messages, not HTTP clients."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from service.access.rate_limit import ClientLimiter, RateLimitConfig
from service.http.bodies import IntakeConfig
from service.http.metrics import Metrics
from service.http.middleware import ExchangeMiddleware, IntakeMiddleware

pytestmark = pytest.mark.anyio


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

    wrapped = ExchangeMiddleware(app, lambda: Metrics(CollectorRegistry()))
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


async def test_a_websocket_passes_through() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await exchange(app, {"type": "websocket"})
    assert seen == ["websocket"]


async def test_a_refused_body_is_read_away_so_that_the_answer_arrives() -> None:
    async def greedy(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass

    limiter = ClientLimiter(RateLimitConfig(0, 0, 0))
    config = IntakeConfig(max_file_bytes=100, overhead_bytes=0)
    app = IntakeMiddleware(greedy, limiter, config, asyncio.Event())
    chunks: list[Message] = [
        {"type": "http.request", "body": bytes(60), "more_body": i < 9} for i in range(10)
    ]
    sent = await exchange(app, make_scope(), *chunks)
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
    config = IntakeConfig(max_file_bytes=10, overhead_bytes=0)
    app = IntakeMiddleware(swallows, limiter, config, asyncio.Event())
    sent = await exchange(
        app, make_scope(), {"type": "http.request", "body": bytes(60), "more_body": False}
    )
    assert [m["status"] for m in sent if m["type"] == "http.response.start"] == [413]
    assert not any(b"all is well" in m.get("body", b"") for m in sent)
