"""Who may send how much, seen from outside."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import httpx
import pytest

from service.access.rate_limit import RateLimitConfig
from tests.support.api import REMOVE, Api, ApiParts, open_api
from tests.support.matting import FakeMattingClient
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

MINUTE_ONLY = RateLimitConfig(per_minute=30, per_second=0, in_flight=0)


async def remove_with(client: httpx.AsyncClient, data: bytes, **headers: str) -> httpx.Response:
    """A removal by some client, with some headers."""
    files = {"image": ("p.png", data, "image/png")}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(REMOVE, files=files, headers=named)


@pytest.mark.slow
@pytest.mark.full
async def test_with_the_default_limits_30_sequential_requests_pass_and_the_31st_is_429(
    portrait_jpeg: bytes,
) -> None:
    async with open_api(ApiParts(limits=RateLimitConfig())) as api:
        started = time.monotonic()
        for i in range(30):
            response = await api.remove(portrait_jpeg)
            assert response.status_code == 200, f"request {i}: {response.text}"
        # 3 a second at most: shaped, never refused.
        assert time.monotonic() - started > 8.5
        response = await api.remove(portrait_jpeg)
        assert "rate limit" in assert_problem(response, "RATE_LIMIT_EXCEEDED")["detail"].lower()


async def test_the_31st_request_of_a_minute_has_every_field_and_header(portrait_png: bytes) -> None:
    async with open_api(ApiParts(limits=MINUTE_ONLY)) as api:
        for i in range(30):
            response = await api.remove(portrait_png)
            assert response.status_code == 200
            assert response.headers["x-ratelimit-limit"] == "30"
            assert response.headers["x-ratelimit-remaining"] == str(29 - i)
        response = await api.remove(portrait_png)
        body = assert_problem(response, "RATE_LIMIT_EXCEEDED")
        assert body["detail"] == "Rate limit exceeded: 30 requests per minute"
        assert 50 <= body["retry_after_seconds"] <= 60
        assert body["retry_after"] == body["retry_after_seconds"]
        assert body["requests_remaining"] == 0
        reset_at = datetime.strptime(body["limit_reset_at"], "%Y-%m-%dT%H:%M:%SZ")
        reset_in_s = (reset_at.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
        assert 45 <= reset_in_s <= 61
        assert response.headers["retry-after"] == str(body["retry_after_seconds"])
        assert response.headers["x-ratelimit-limit"] == "30"
        assert response.headers["x-ratelimit-remaining"] == "0"
        assert int(response.headers["x-ratelimit-reset"]) == pytest.approx(time.time() + 60, abs=5)


async def test_refused_pictures_count_and_429s_do_not(portrait_png: bytes) -> None:
    limits = RateLimitConfig(per_minute=3, per_second=0, in_flight=0)
    async with open_api(ApiParts(limits=limits)) as api:
        assert_problem(await api.remove(b"no picture"), "INVALID_FORMAT")
        assert_problem(await api.remove(b""), "EMPTY_FILE")
        response = await api.remove(portrait_png)
        assert response.headers["x-ratelimit-remaining"] == "0"
        first = assert_problem(await api.remove(portrait_png), "RATE_LIMIT_EXCEEDED")
        for _ in range(10):
            last = assert_problem(await api.remove(portrait_png), "RATE_LIMIT_EXCEEDED")
        # Were refusals counted, the window would move on with each.
        assert last["limit_reset_at"] == first["limit_reset_at"]


async def test_a_refused_upload_is_not_parsed(api: Api) -> None:
    async with open_api(ApiParts(limits=RateLimitConfig(1, 0, 0))) as limited:
        await limited.remove(b"no picture")
        response = await limited.client.post(REMOVE, content=b"not even a form")
        assert_problem(response, "RATE_LIMIT_EXCEEDED")


async def test_the_fourth_request_of_a_second_waits_and_succeeds(portrait_png: bytes) -> None:
    async with open_api(ApiParts(limits=RateLimitConfig(30, 3, 0))) as api:
        started = time.monotonic()
        answers = [await api.remove(portrait_png) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200] * 4
        assert 0.7 < time.monotonic() - started < 2.5


async def test_a_burst_over_what_shaping_can_place_is_429_with_a_short_advice(
    portrait_png: bytes,
) -> None:
    limits = RateLimitConfig(per_minute=30, per_second=2, in_flight=0, max_wait_s=0.3)
    async with open_api(ApiParts(limits=limits)) as api:
        answers = await asyncio.gather(*(api.remove(portrait_png) for _ in range(6)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 4
        for answer in refused:
            body = assert_problem(answer, "RATE_LIMIT_EXCEEDED")
            assert body["detail"] == "Rate limit exceeded: 2 requests per second"
            assert answer.headers["retry-after"] == "1"
        # They were refused for the second, and did not count for the minute.
        assert refused[-1].headers["x-ratelimit-remaining"] == "28"


async def test_reject_mode_refuses_the_fourth_request_of_a_second_at_once(
    portrait_png: bytes,
) -> None:
    limits = RateLimitConfig(30, 3, 0, shape=False)
    async with open_api(ApiParts(limits=limits)) as api:
        started = time.monotonic()
        answers = [await api.remove(portrait_png) for _ in range(4)]
        if time.monotonic() - started > 0.9:
            pytest.skip("this machine is too slow for four requests a second")
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


async def test_a_client_has_at_most_so_many_in_flight(portrait_png: bytes) -> None:
    limits = RateLimitConfig(per_minute=0, per_second=0, in_flight=2, shape=False)
    async with open_api(ApiParts(FakeMattingClient(delay_s=0.4), limits=limits)) as api:
        answers = await asyncio.gather(*(api.remove(portrait_png) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 429]
        refused = next(answer for answer in answers if answer.status_code == 429)
        body = assert_problem(refused, "RATE_LIMIT_EXCEEDED")
        assert body["detail"] == "Rate limit exceeded: 2 requests at once"
        assert {"retry_after_seconds", "requests_remaining", "limit_reset_at"} <= set(body)


async def test_shaping_waits_for_a_place_in_flight(portrait_png: bytes) -> None:
    matting = FakeMattingClient(delay_s=0.2)
    limits = RateLimitConfig(per_minute=0, per_second=0, in_flight=2)
    async with open_api(ApiParts(matting, limits=limits)) as api:
        answers = await asyncio.gather(*(api.remove(portrait_png) for _ in range(6)))
        assert [answer.status_code for answer in answers] == [200] * 6
        assert matting.most_at_once == 2


async def test_one_client_does_not_use_up_anothers_share(portrait_png: bytes) -> None:
    async with open_api(ApiParts(limits=RateLimitConfig(2, 0, 0))) as api:
        for _ in range(2):
            await api.remove(portrait_png)
        assert (await api.remove(portrait_png)).status_code == 429
        async with api.client_at("198.51.100.7") as other:
            assert (await remove_with(other, portrait_png)).status_code == 200


async def test_a_forged_forwarded_header_changes_nothing(portrait_png: bytes) -> None:
    async with open_api(ApiParts(limits=RateLimitConfig(2, 0, 0))) as api:
        answers = [
            await remove_with(api.client, portrait_png, X_Forwarded_For=f"203.0.113.{i}")
            for i in range(4)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]


async def test_behind_a_trusted_proxy_each_client_has_its_own_share(portrait_png: bytes) -> None:
    parts = ApiParts(
        limits=RateLimitConfig(1, 0, 0), trusted_proxies=("10.0.0.0/8",), peer="10.1.2.3"
    )
    async with open_api(parts) as api:
        for i in range(3):
            address = f"203.0.113.{i}"
            first = await remove_with(api.client, portrait_png, X_Forwarded_For=address)
            second = await remove_with(api.client, portrait_png, X_Forwarded_For=address)
            assert (first.status_code, second.status_code) == (200, 429)


async def test_behind_a_trusted_proxy_only_what_the_proxy_added_is_believed(
    portrait_png: bytes,
) -> None:
    parts = ApiParts(
        limits=RateLimitConfig(2, 0, 0), trusted_proxies=("10.0.0.0/8",), peer="10.1.2.3"
    )
    async with open_api(parts) as api:
        statuses = []
        for i in range(3):
            forged = f"198.51.100.{i}, 203.0.113.9"
            answer = await remove_with(api.client, portrait_png, X_Forwarded_For=forged)
            statuses.append(answer.status_code)
        assert statuses == [200, 200, 429]


@pytest.mark.parametrize(
    "limits",
    [RateLimitConfig(0, 5, 5), RateLimitConfig(50, 0, 5), RateLimitConfig(50, 5, 0)],
    ids=["minute", "second", "in-flight"],
)
async def test_zero_switches_one_limit_off_and_leaves_the_others(
    portrait_png: bytes, limits: RateLimitConfig
) -> None:
    async with open_api(ApiParts(limits=limits)) as api:
        response = await api.remove(portrait_png)
        assert response.status_code == 200
        assert ("x-ratelimit-limit" in response.headers) is (limits.per_minute > 0)


async def test_with_every_limit_off_a_hundred_requests_pass(portrait_png: bytes) -> None:
    async with open_api() as api:
        answers = await asyncio.gather(*(api.remove(portrait_png) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}


async def test_reset_forgets_what_was_sent(portrait_png: bytes) -> None:
    async with open_api(ApiParts(limits=RateLimitConfig(1, 0, 0))) as api:
        await api.remove(portrait_png)
        assert (await api.remove(portrait_png)).status_code == 429
        await api.limiter.reset()
        assert (await api.remove(portrait_png)).status_code == 200


async def test_reset_keeps_count_of_what_is_in_flight(portrait_png: bytes) -> None:
    limits = RateLimitConfig(0, 0, in_flight=1, shape=False)
    async with open_api(ApiParts(FakeMattingClient(delay_s=0.3), limits=limits)) as api:
        first = asyncio.create_task(api.remove(portrait_png))
        await asyncio.sleep(0.1)
        await api.limiter.reset()
        assert (await api.remove(portrait_png)).status_code == 429
        assert (await first).status_code == 200
        both = await asyncio.gather(*(api.remove(portrait_png) for _ in range(2)))
        assert sorted(answer.status_code for answer in both) == [200, 429]


async def test_a_client_that_leaves_gives_its_place_back(portrait_png: bytes) -> None:
    limits = RateLimitConfig(0, 0, in_flight=1, shape=False)
    async with open_api(ApiParts(FakeMattingClient(delay_s=0.3), limits=limits)) as api:
        leaving = asyncio.create_task(api.remove(portrait_png))
        await asyncio.sleep(0.1)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert (await api.remove(portrait_png)).status_code == 200
