"""Which requests are worth a line, at which level, and what their lines hold."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.types import Message, Receive, Scope, Send

from service.http.envelope import EnvelopeMiddleware
from service.http.metrics import Metrics
from service.http.middleware import ExchangeMiddleware
from service.http.policies import create_policies
from service.logs import JsonFormatter

pytestmark = pytest.mark.anyio
POLICIES = create_policies(10 * 1024**2, 100 * 1024**2)
LOGGER = "service.http.access_log"


async def served(path: str, status: int = 200, method: str = "GET") -> CollectorRegistry:
    """Answer one request; the metrics after it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"."})

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        pass

    registry = CollectorRegistry()
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [],
        "client": ("192.0.2.1", 1),
    }
    wrapped = EnvelopeMiddleware(app)
    await ExchangeMiddleware(wrapped, lambda: Metrics(registry), POLICIES)(scope, receive, send)
    return registry


@pytest.mark.parametrize(
    ("path", "status", "level"),
    [
        ("/readyz", 200, logging.DEBUG),
        ("/livez", 200, logging.DEBUG),
        ("/healthz", 200, logging.DEBUG),
        ("/metrics", 200, logging.DEBUG),
        ("/readyz", 503, logging.DEBUG),
        ("/readyz", 500, logging.INFO),
        ("/livez", 503, logging.INFO),
        ("/metrics", 500, logging.INFO),
        ("/readyz/../x", 200, logging.INFO),
        ("/anything", 200, logging.INFO),
    ],
)
async def test_a_probe_that_is_answered_is_logged_in_debugging_only(
    path: str, status: int, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, LOGGER):
        await served(path, status)
    assert [one.levelno for one in caplog.records] == [level]


async def test_a_service_that_is_not_ready_yet_has_made_no_error() -> None:
    registry = await served("/readyz", 503)
    labels = {"route": "/readyz", "status": "503", "error_code": ""}
    assert registry.get_sample_value("background_removal_requests_total", labels) == 1


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz", "/metrics"])
async def test_a_probe_has_a_route_of_its_own(path: str) -> None:
    assert f'route="{path}"' in generate_latest(await served(path)).decode()


async def test_other_addresses_grow_no_labels() -> None:
    text = generate_latest(await served("/readyz/of/a/stranger")).decode()
    assert 'route="unmatched"' in text
    assert "stranger" not in text


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/a b", "/a%20b"),
        ("/x 200 1.0ms in=0 out=0 client=203.0.113.9", "/x%20200%201.0ms"),
        ("/\n2026-11-27T00:00:00.000Z INFO", "/%0A2026-11-27T00:00:00.000Z%20INFO"),
        ("/\u2028\x1b[2J", "/%E2%80%A8%1B%5B2J"),
        ("/\udcff", "/%5Cudcff"),
        ("/ü", "/%C3%BC"),
    ],
)
async def test_a_path_cannot_write_a_field_or_a_line(
    path: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        await served(path, 404)
    message = caplog.records[0].getMessage()
    assert message.startswith(f"GET {logged}")
    assert message.split(" ")[2] == "404"


async def test_an_endless_path_makes_no_endless_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        await served("/" + "a" * 60_000, 404)
    assert len(caplog.records[0].getMessage()) < 800


async def test_the_line_has_its_facts_as_keys_of_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        await served("/x", 404, "DELETE")
    entry = json.loads(JsonFormatter("public").format(caplog.records[0]))
    assert entry["message"].startswith("DELETE /x 404 ")
    known = {"method": "DELETE", "path": "/x", "status": 404, "client": "192.0.2.1", "in": 0}
    assert {name: entry[name] for name in known} == known
    assert entry["out"] > 0
    assert entry["ms"] >= 0
    assert entry["error_code"] == "NOT_FOUND"
    assert len(entry["request_id"]) == 32
    assert (entry["stages"], entry["route"]) == ({}, "unmatched")
