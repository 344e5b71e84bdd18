"""API keys and tiers, seen from outside."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import httpx
import pytest

from service.access.keys import KeyTier
from service.access.rate_limit import RateLimitConfig
from tests.support.api import HEALTH, REMOVE, Api, ApiParts, open_api
from tests.support.keys import WRONG_KEY, issue_key, revoke_key
from tests.support.matting import FakeMattingClient
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

MINUTE_ONLY = RateLimitConfig(per_minute=30, per_second=0, in_flight=0)
CHALLENGE = 'Bearer realm="background-removal"'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of keys with nobody's key in it."""
    issue_key(tmp_path / "keys.json", name="another")
    return tmp_path / "keys.json"


async def remove_with(
    api: Api, data: bytes, key: str | None = None, **headers: str
) -> httpx.Response:
    """A removal by somebody who shows a key."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    shown = {"X-API-Key": key} if key is not None else {}
    return await api.client.post(REMOVE, files={"image": data}, headers={**shown, **named})


@pytest.mark.parametrize(("tier", "limit"), [("free", 30), ("basic", 100), ("pro", 1000)])
async def test_each_tier_has_the_specifications_minute(
    file: Path, portrait_png: bytes, tier: KeyTier, limit: int
) -> None:
    key, _ = issue_key(file, tier)
    async with open_api(ApiParts(limits=MINUTE_ONLY, keys_file=file)) as api:
        for headers in ({"X_API_Key": key}, {"Authorization": f"Bearer {key}"}):
            response = await remove_with(api, portrait_png, **headers)
            assert response.status_code == 200
            assert response.headers["x-ratelimit-tier"] == tier
            assert response.headers["x-ratelimit-limit"] == str(limit)
        assert response.headers["x-ratelimit-remaining"] == str(limit - 2)
        anonymous = await remove_with(api, portrait_png)
        assert anonymous.headers["x-ratelimit-tier"] == "anonymous"
        assert anonymous.headers["x-ratelimit-remaining"] == "29"


async def test_a_free_key_has_30_requests_of_its_own_wherever_it_calls_from(
    file: Path, portrait_png: bytes
) -> None:
    key, _ = issue_key(file, "free")
    async with open_api(ApiParts(limits=MINUTE_ONLY, keys_file=file)) as api:
        for _ in range(30):
            assert (await remove_with(api, b"no picture", key)).status_code == 400
        refused = await remove_with(api, portrait_png, key)
        assert_problem(refused, "RATE_LIMIT_EXCEEDED")
        assert refused.headers["x-ratelimit-tier"] == "free"
        async with api.client_at("198.51.100.7") as elsewhere:
            answer = await elsewhere.post(
                REMOVE, files={"image": portrait_png}, headers={"X-API-Key": key}
            )
            assert answer.status_code == 429
        assert (await remove_with(api, portrait_png)).status_code == 200


async def test_seconds_and_places_in_flight_grow_with_the_tier(
    file: Path, portrait_png: bytes
) -> None:
    basic, _ = issue_key(file, "basic")
    limits = RateLimitConfig(per_minute=30, per_second=3, in_flight=3, shape=False)
    parts = ApiParts(FakeMattingClient(delay_s=0.5), limits=limits, keys_file=file)
    async with open_api(parts) as api:
        sending = [remove_with(api, portrait_png, basic) for _ in range(7)]
        statuses = [answer.status_code for answer in await asyncio.gather(*sending)]
        assert sorted(statuses) == [200] * 6 + [429]
        sending = [remove_with(api, portrait_png) for _ in range(4)]
        statuses = [answer.status_code for answer in await asyncio.gather(*sending)]
        assert sorted(statuses) == [200] * 3 + [429]


async def test_a_key_never_has_less_than_nobody(file: Path, portrait_png: bytes) -> None:
    key, _ = issue_key(file, "free")
    async with open_api(ApiParts(limits=RateLimitConfig(60, 0, 0), keys_file=file)) as api:
        answer = await remove_with(api, portrait_png, key)
        assert answer.headers["x-ratelimit-limit"] == "60"
    async with open_api(ApiParts(keys_file=file)) as api:
        answer = await remove_with(api, portrait_png, key)
        assert answer.status_code == 200
        assert "x-ratelimit-limit" not in answer.headers
        assert answer.headers["x-ratelimit-tier"] == "free"


async def test_fake_keys_and_forged_headers_get_no_more_than_an_anonymous_caller(
    file: Path, portrait_png: bytes
) -> None:
    async with open_api(ApiParts(limits=MINUTE_ONLY, keys_file=file)) as api:
        statuses = []
        for number in range(60):
            fake = f"bgr_{number:012x}_{'A' * 43}"
            forged = {"X_Forwarded_For": f"203.0.113.{number}", "X_RateLimit_Tier": "pro"}
            shown = {"X_API_Key": fake} if number % 2 else {"Authorization": f"Bearer {fake}"}
            answer = await remove_with(api, portrait_png, **shown, **forged)
            statuses.append(answer.status_code)
            assert answer.headers["x-ratelimit-tier"] == "anonymous"
        assert statuses == [401] * 30 + [429] * 30
        assert (await remove_with(api, portrait_png)).status_code == 429
        assert len(api.limiter.windows.storage) == 1  # type: ignore[arg-type]


async def test_a_wrong_key_is_401_and_is_neither_repeated_nor_logged(
    file: Path, portrait_png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    key, key_id = issue_key(file)
    async with open_api(ApiParts(limits=MINUTE_ONLY, keys_file=file)) as api:
        with caplog.at_level(logging.DEBUG):
            for shown in (WRONG_KEY, key[:-1], "", "nonsense"):
                answer = await remove_with(api, portrait_png, shown)
                body = assert_problem(answer, "INVALID_API_KEY")
                assert body["detail"] == "The API key is not valid"
                assert answer.headers["www-authenticate"] == CHALLENGE
            assert (await remove_with(api, portrait_png, key)).status_code == 200
        assert f"client=key:{key_id} " in caplog.text
        assert "client=192.0.2.1 " in caplog.text
        assert key[-40:] not in caplog.text
        assert WRONG_KEY[-40:] not in caplog.text


async def test_two_different_keys_are_refused_by_name(file: Path, portrait_png: bytes) -> None:
    key, _ = issue_key(file)
    async with open_api(ApiParts(keys_file=file)) as api:
        answer = await remove_with(api, portrait_png, key, Authorization=f"Bearer {WRONG_KEY}")
        detail = assert_problem(answer, "CONFLICTING_API_KEYS")["detail"]
        assert "X-API-Key" in detail
        assert "Authorization" in detail
        assert key not in answer.text
        both = await remove_with(api, portrait_png, key, Authorization=f"Bearer {key}")
        assert both.status_code == 200


async def test_where_keys_are_required_what_counts_needs_one_and_reading_does_not(
    file: Path, portrait_png: bytes
) -> None:
    key, _ = issue_key(file, "free")
    parts = ApiParts(limits=MINUTE_ONLY, keys_file=file, require_key=True)
    async with open_api(parts) as api:
        answer = await remove_with(api, portrait_png)
        assert_problem(answer, "API_KEY_REQUIRED")
        assert answer.headers["www-authenticate"] == CHALLENGE
        assert_problem(await remove_with(api, portrait_png, WRONG_KEY), "INVALID_API_KEY")
        assert_problem(await api.client.put(REMOVE), "API_KEY_REQUIRED")
        assert_problem(await api.client.get("/nowhere"), "API_KEY_REQUIRED")
        assert answer.headers["x-ratelimit-remaining"] == "29"  # refusals count
        for path in (HEALTH, "/", f"{HEALTH[:-7]}/models", f"{HEALTH[:-7]}/docs"):
            for shown in ({}, {"X-API-Key": WRONG_KEY}):
                assert (await api.client.get(path, headers=shown)).status_code == 200, path
        assert (await remove_with(api, portrait_png, key)).status_code == 200
        for _ in range(26):
            await remove_with(api, portrait_png)
        assert_problem(await remove_with(api, portrait_png), "RATE_LIMIT_EXCEEDED")
        assert (await remove_with(api, portrait_png, key)).status_code == 200


async def test_a_service_without_a_file_of_keys_looks_at_none(
    api: Api, portrait_png: bytes
) -> None:
    for headers in ({"X_API_Key": WRONG_KEY}, {"Authorization": "Bearer of.somebody.else"}):
        answer = await remove_with(api, portrait_png, **headers)
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-tier"] == "anonymous"


async def test_a_key_counts_and_stops_within_two_seconds_of_a_change(
    file: Path, portrait_png: bytes
) -> None:
    async with open_api(ApiParts(keys_file=file)) as api:
        assert (await remove_with(api, portrait_png, WRONG_KEY)).status_code == 401
        key, key_id = issue_key(file)
        assert await _seconds_until(200, api, portrait_png, key) < 2
        revoke_key(file, key_id)
        assert await _seconds_until(401, api, portrait_png, key) < 2


async def _seconds_until(status: int, api: Api, data: bytes, key: str) -> float:
    started = time.monotonic()
    while (await remove_with(api, data, key)).status_code != status:
        assert time.monotonic() - started < 10
        await asyncio.sleep(0.05)
    return time.monotonic() - started


async def test_a_bad_file_degrades_health_and_keeps_the_last_good_keys(
    file: Path, portrait_png: bytes
) -> None:
    key, _ = issue_key(file)
    async with open_api(ApiParts(keys_file=file)) as api:
        assert (await remove_with(api, portrait_png, key)).status_code == 200
        assert (await api.client.get(HEALTH)).json()["status"] == "healthy"
        good = file.read_bytes()
        file.write_text("{")
        await asyncio.sleep(1.1)
        health = (await api.client.get(HEALTH)).json()
        assert health["status"] == "degraded"
        assert health["reasons"] == [
            "the file of API keys cannot be used; the last good keys count"
        ]
        assert (await remove_with(api, portrait_png, key)).status_code == 200
        file.write_bytes(good)
        await asyncio.sleep(1.1)
        assert (await api.client.get(HEALTH)).json()["status"] == "healthy"


async def test_use_is_counted_by_the_ids_of_keys_that_exist(
    file: Path, portrait_png: bytes
) -> None:
    key, key_id = issue_key(file)
    async with open_api(ApiParts(keys_file=file)) as api:
        await remove_with(api, portrait_png, key)
        await remove_with(api, b"no picture", key)
        await api.client.get(HEALTH, headers={"X-API-Key": key})
        for number in range(20):
            await remove_with(api, portrait_png, f"bgr_{number:012x}_{'A' * 43}")
        counted = {
            (sample.labels["key"], sample.labels["status"]): sample.value
            for metric in api.registry.collect()
            for sample in metric.samples
            if sample.name == "background_removal_key_requests_total"
        }
    assert counted == {(key_id, "200"): 1, (key_id, "400"): 1}


async def test_a_page_may_send_a_key_after_a_preflight(file: Path, portrait_png: bytes) -> None:
    key, _ = issue_key(file)
    parts = ApiParts(keys_file=file, require_key=True, cors_origins=("https://page.test",))
    async with open_api(parts) as api:
        origin = {"Origin": "https://page.test"}
        preflight = await api.client.options(
            REMOVE,
            headers={
                **origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,x-api-key",
            },
        )
        assert preflight.status_code == 200
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert {"authorization", "x-api-key"} <= set(allowed.split(","))
        answer = await remove_with(api, portrait_png, key, **origin)
        assert answer.status_code == 200
        refused = await remove_with(api, portrait_png, **origin)
        assert_problem(refused, "API_KEY_REQUIRED")
        assert refused.headers["access-control-allow-origin"] == "https://page.test"
