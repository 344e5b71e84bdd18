"""What an operator sees while it happens: the queue, and changes of health."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from models.errors import BackgroundRemovalError
from service.removal.bounds import RemoverConfig
from tests.support.api import HEALTH, ApiParts, open_api
from tests.support.matting import FakeMattingClient
from tests.support.pictures import make_image

pytestmark = pytest.mark.anyio
LOGGER = "service.http.health"
IDLE = {"memory": 0, "imaging": 0, "inference": 0}


async def until(what: object, expected: object) -> None:
    async with asyncio.timeout(10):
        while what() != expected:  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_the_queue_shows_who_waits_for_memory_and_who_for_inference() -> None:
    one_at_a_time = RemoverConfig(max_bytes=96 * 128, workers=1)
    parts = ApiParts(matting=FakeMattingClient(delay_s=0.5), remover=one_at_a_time)
    async with open_api(parts) as api:
        load = api.services.remover.load
        assert load() == IDLE
        removals = [asyncio.create_task(api.remove(make_image("PNG"))) for _ in range(3)]
        await until(load, {"memory": 2, "imaging": 0, "inference": 1})
        assert {(await one).status_code for one in removals} == {200}
        assert load() == IDLE


async def test_the_queue_is_empty_again_after_faults() -> None:
    parts = ApiParts(matting=FakeMattingClient(faults=(BackgroundRemovalError(),)))
    async with open_api(parts) as api:
        assert (await api.remove(make_image("PNG"))).status_code == 500
        assert (await api.remove(b"no picture")).status_code == 400
        assert api.services.remover.load() == IDLE


async def test_a_change_of_health_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    matting = FakeMattingClient()
    warm = False
    async with open_api(ApiParts(matting=matting, is_warm=lambda: warm)) as api:
        with caplog.at_level(logging.INFO, LOGGER):
            for _ in range(2):
                await api.client.get(HEALTH)
            warm = True
            for _ in range(2):
                await api.client.get(HEALTH)
            matting.status = replace(matting.status, notes=("no GPU is used: no driver",))
            await api.client.get(HEALTH)
            matting.describe_fault = BackgroundRemovalError()
            for _ in range(2):
                await api.client.get(HEALTH)
    told = [(one.levelname, one.getMessage()) for one in caplog.records if one.name == LOGGER]
    assert told == [
        ("INFO", "health is unhealthy: the service is warming up"),
        ("INFO", "health is healthy, was unhealthy"),
        ("INFO", "health is degraded, was healthy: no GPU is used: no driver"),
        (
            "WARNING",
            "health is unhealthy, was degraded: the inference service does not answer",
        ),
    ]
