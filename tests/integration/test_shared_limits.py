"""Limits that replicas keep in a real Redis, which can go, hang and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.access.rate_limit import RateLimitConfig
from tests.support.api import HEALTH, Api, ApiParts, open_api
from tests.support.problems import assert_problem
from tests.support.redis import RedisServer

pytestmark = pytest.mark.anyio
with_redis = pytest.mark.services

FIVE = RateLimitConfig(per_minute=5, per_second=0, in_flight=0)
GONE = "Redis does not answer; each replica keeps the limits by itself"


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer() as server:
        yield server


async def statuses(api: Api, count: int, data: bytes) -> list[int]:
    """Of so many removals, one after the other."""
    return [(await api.remove(data)).status_code for _ in range(count)]


async def health(api: Api) -> dict[str, Any]:
    told: dict[str, Any] = (await api.client.get(HEALTH)).json()
    return told


async def until_healthy(*apis: Api) -> None:
    async with asyncio.timeout(30):
        for api in apis:
            while (await health(api))["status"] != "healthy":
                await asyncio.sleep(0.2)


def fallbacks(api: Api) -> float:
    name = "background_removal_limit_fallbacks_total"
    value = api.registry.get_sample_value(name)
    assert value is not None
    return value


@with_redis
async def test_two_replicas_share_a_callers_limits(redis: RedisServer, portrait_png: bytes) -> None:
    parts = ApiParts(limits=FIVE, redis_url=redis.url)
    async with open_api(parts) as one, open_api(parts) as other:
        assert await statuses(one, 3, portrait_png) == [200] * 3
        answer = await other.remove(portrait_png)
        assert answer.headers["x-ratelimit-remaining"] == "1"
        assert int(answer.headers["x-ratelimit-reset"]) == pytest.approx(time.time() + 60, abs=5)
        assert await statuses(one, 2, portrait_png) == [200, 429]
        refused = await other.remove(portrait_png)
        assert 50 <= assert_problem(refused, "RATE_LIMIT_EXCEEDED")["retry_after_seconds"] <= 60
        async with one.client_at("198.51.100.7") as elsewhere:
            answer = await elsewhere.post("/api/background-removal/remove")
            assert answer.headers["x-ratelimit-remaining"] == "4"
        assert fallbacks(one) == fallbacks(other) == 0
        assert (await health(one))["status"] == "healthy"
        names = redis.ask("keys", "*").splitlines()
        assert len(names) == 2
        assert all(name.startswith("birefnet:") for name in names)
        assert all(0 < int(redis.ask("ttl", name)) <= 60 for name in names)


@with_redis
async def test_seconds_are_shared_and_shaped_as_in_memory(
    redis: RedisServer, portrait_png: bytes
) -> None:
    parts = ApiParts(limits=RateLimitConfig(0, 3, 0), redis_url=redis.url)
    async with open_api(parts) as one, open_api(parts) as other:
        started = time.monotonic()
        sending = [api.remove(portrait_png) for api in (one, other) for _ in range(3)]
        assert {answer.status_code for answer in await asyncio.gather(*sending)} == {200}
        assert time.monotonic() - started > 0.7


@with_redis
async def test_redis_killed_means_the_same_limits_per_replica_until_it_is_back(
    redis: RedisServer, portrait_png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    parts = ApiParts(limits=FIVE, redis_url=redis.url)
    async with open_api(parts) as one, open_api(parts) as other:
        assert await statuses(one, 2, portrait_png) == [200] * 2
        redis.kill()
        assert await statuses(one, 6, portrait_png) == [200] * 5 + [429]
        assert await statuses(other, 6, portrait_png) == [200] * 5 + [429]
        assert fallbacks(one) > 0
        told = await health(one)
        assert (told["status"], told["reasons"]) == ("degraded", [GONE])
        assert caplog.text.count("Redis does not answer") >= 2  # once per replica, and health
        redis.start()
        await asyncio.sleep(1.1)
        assert (await health(one))["status"] == "healthy"  # without a request that counts
        counted = fallbacks(one)
        assert await statuses(one, 3, portrait_png) == [200] * 3
        assert await statuses(other, 3, portrait_png) == [200, 200, 429]
        assert fallbacks(one) == counted


@with_redis
async def test_a_redis_that_hangs_costs_one_request_half_a_second_at_most(
    redis: RedisServer, portrait_png: bytes
) -> None:
    parts = ApiParts(limits=FIVE, redis_url=redis.url)
    async with open_api(parts) as api:
        assert await statuses(api, 1, portrait_png) == [200]
        redis.suspend()
        try:
            started = time.monotonic()
            assert await statuses(api, 1, portrait_png) == [200]
            assert time.monotonic() - started < 1.0
            started = time.monotonic()
            assert await statuses(api, 3, portrait_png) == [200] * 3
            assert time.monotonic() - started < 0.75
            await asyncio.sleep(1.1)  # it is asked again, by one of these alone
            started = time.monotonic()
            answers = await asyncio.gather(*(api.remove(portrait_png) for _ in range(4)))
            assert sorted(answer.status_code for answer in answers) == [200, 429, 429, 429]
            assert time.monotonic() - started < 1.0
            assert (await health(api))["reasons"] == [GONE]
        finally:
            redis.resume()
        await asyncio.sleep(1.1)
        assert (await health(api))["status"] == "healthy"


@with_redis
async def test_a_redis_that_refuses_is_as_one_that_is_gone(
    redis: RedisServer, portrait_png: bytes
) -> None:
    redis.ask("config", "set", "maxmemory", "1")  # it then writes nothing any more
    async with open_api(ApiParts(limits=FIVE, redis_url=redis.url)) as api:
        assert await statuses(api, 6, portrait_png) == [200] * 5 + [429]
        assert fallbacks(api) > 0


@with_redis
async def test_redis_over_tls_is_shared_where_its_certificate_is_trusted(
    portrait_png: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisServer(tls=True) as server:
        trusting = f"{server.url}?ssl_ca_certs={server.certificate}"
        parts = ApiParts(limits=FIVE, redis_url=trusting)
        async with open_api(parts) as one, open_api(parts) as other:
            await until_healthy(one, other)  # a busy machine may miss the time that a handshake has
            before = fallbacks(one) + fallbacks(other)
            assert await statuses(one, 3, portrait_png) == [200] * 3
            assert await statuses(other, 3, portrait_png) == [200, 200, 429]
            assert fallbacks(one) + fallbacks(other) == before
        async with open_api(ApiParts(limits=FIVE, redis_url=server.url)) as api:
            assert await statuses(api, 1, portrait_png) == [200]
            async with asyncio.timeout(30):
                while (
                    "(its certificate is not trusted: self-signed certificate)" not in caplog.text
                ):
                    assert (await health(api))["reasons"] == [GONE]
                    await asyncio.sleep(0.2)
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        async with open_api(ApiParts(limits=FIVE, redis_url=server.url)) as api:
            await until_healthy(api)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+unix"])
async def test_a_redis_that_never_was_there_stops_nothing(
    tmp_path: Path, portrait_png: bytes, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = (
        f"redis+unix://{tmp_path}/redis.sock" if "unix" in scheme else f"{scheme}://:pw@127.0.0.1:9"
    )
    async with open_api(ApiParts(limits=FIVE, redis_url=url)) as api:
        assert await statuses(api, 6, portrait_png) == [200] * 5 + [429]
        told = await health(api)
        assert (told["status"], told["reasons"]) == ("degraded", [GONE])
    assert ":pw" not in caplog.text
