"""API keys on a real server: every entrance, a file that changes, replicas that share a Redis."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.keys import WRONG_KEY, issue_key
from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.redis import RedisServer
from tests.support.server import PREFIX, REPOSITORY, BentoServer, Serve

PICTURE = make_image("PNG", 64, 64)
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of keys of the strict server."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    issue_key(file, name="another")
    return file


@pytest.fixture(scope="module")
def strict_server(serve: Serve, file: Path) -> Iterator[BentoServer]:
    """Nobody without a key, thirty a minute, unshaped."""
    settings = {
        "BIREFNET_KEYS_FILE": str(file),
        "BIREFNET_REQUIRE_KEY": "true",
        "BIREFNET_RATE_LIMIT_PER_SECOND": "0",
        "LOG_LEVEL": "debug",
    }
    with serve(**settings) as server:
        yield server


def _ask(
    server: BentoServer, method: str, path: str, source: str, headers: dict[str, str]
) -> httpx.Response:
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(transport=transport, timeout=20) as client:
        return client.request(method, server.url(path), headers=headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{PREFIX}/remove"),
        ("POST", "/remove_background"),
        ("POST", "/read_info"),
        ("PUT", f"{PREFIX}/remove"),
        ("GET", "/nowhere"),
        ("WEBSOCKET", f"{PREFIX}/remove"),
        ("WEBSOCKET", "/nowhere"),
    ],
)
def test_every_entrance_that_counts_asks_for_a_key(
    strict_server: BentoServer, method: str, path: str
) -> None:
    handshake = HANDSHAKE if method == "WEBSOCKET" else {}
    method = "GET" if method == "WEBSOCKET" else method
    for shown, code in (({}, "API_KEY_REQUIRED"), ({"X-API-Key": WRONG_KEY}, "INVALID_API_KEY")):
        answer = _ask(strict_server, method, path, "127.0.7.1", {**handshake, **shown})
        assert_problem(answer, code)
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert answer.headers["x-ratelimit-tier"] == "anonymous"


def test_reading_asks_for_none(strict_server: BentoServer) -> None:
    for path in ("/", "/readyz", "/livez", "/metrics", f"{PREFIX}/health", f"{PREFIX}/info"):
        for shown in ({}, {"X-API-Key": WRONG_KEY}):
            assert _ask(strict_server, "GET", path, "127.0.7.2", shown).status_code == 200, path


def test_guessing_is_limited_as_an_anonymous_caller_is(strict_server: BentoServer) -> None:
    statuses = [
        strict_server.remove(
            PICTURE, source="127.0.7.3", headers={"X-API-Key": f"bgr_{number:012x}_{'A' * 43}"}
        ).status_code
        for number in range(32)
    ]
    assert statuses == [401] * 30 + [429] * 2


def test_a_key_of_the_command_counts_and_stops_while_the_service_runs(
    strict_server: BentoServer, file: Path
) -> None:
    def command(*words: str) -> str:
        asked = [sys.executable, "-m", "scripts.keys", "--file", str(file), *words]
        return subprocess.run(
            asked, cwd=REPOSITORY, check=True, capture_output=True, text=True
        ).stdout.strip()

    def status(path: str = f"{PREFIX}/remove") -> int:
        answer = strict_server.remove(
            PICTURE, path=path, source="127.0.7.4", headers={"Authorization": f"Bearer {key}"}
        )
        return answer.status_code

    def seconds_until(wanted: int) -> float:
        started = time.monotonic()
        while status() != wanted:
            assert time.monotonic() - started < 10
            time.sleep(0.2)  # guesses count: not more than there are in a minute
        return time.monotonic() - started

    key = command("add", "--name", "Ada", "--tier", "pro")
    key_id = key.split("_")[1]
    assert seconds_until(200) < 2
    assert status("/remove_background") == 200
    metrics = strict_server.metrics()
    name = "background_removal_key_requests_total"
    assert metrics[f'{name}{{key="{key_id}",status="200"}}'] == 2
    command("revoke", key_id)
    assert seconds_until(401) < 2
    log = strict_server.log()
    assert f"client=key:{key_id} " in log
    assert key[-43:] not in log
    assert WRONG_KEY[-43:] not in log


@pytest.mark.services
def test_two_replicas_share_limits_in_redis_and_keep_them_without_it(serve: Serve) -> None:
    def ask(server: BentoServer) -> httpx.Response:
        return server.remove(PICTURE, source="127.0.7.5")

    with RedisServer() as redis:
        settings = {
            "BIREFNET_REDIS_URL": redis.url,
            "BIREFNET_RATE_LIMIT_PER_MINUTE": "6",
            "BIREFNET_RATE_LIMIT_PER_SECOND": "0",
        }
        with serve(**settings) as one, serve(**settings) as other:
            statuses = [ask(one if turn % 2 else other).status_code for turn in range(8)]
            assert statuses == [200] * 6 + [429] * 2
            redis.kill()
            assert [ask(one).status_code for _ in range(7)] == [200] * 6 + [429]
            assert "Redis does not answer" in " ".join(one.health()["reasons"])
            assert one.metrics()["background_removal_limit_fallbacks_total"] > 0
            redis.start()
            one.wait_for(
                lambda: "Redis" not in " ".join(one.health()["reasons"]), 5, "back in Redis"
            )
            assert ask(one).headers["x-ratelimit-remaining"] == "5"
            assert one.stop() < 10
