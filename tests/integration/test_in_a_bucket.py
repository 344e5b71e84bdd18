"""The library and the pictures of tasks in S3: what they do in a folder, by the same calls."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.http.policies import PREFIX
from service.library.library import Quota
from service.tasks.asked import TasksConfig
from service.tasks.dbos_queue import QueueConfig
from tests.support.api import REMOVE, ApiParts, open_api
from tests.support.keys import issue_key
from tests.support.matting import FakeMattingClient
from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.s3 import S3Server

pytestmark = [pytest.mark.anyio, pytest.mark.services]

BACKGROUNDS = f"{PREFIX}/backgrounds"
PICTURE = make_image("PNG", 120, 160)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        before = {name: os.environ.get(name) for name in server.environment}
        os.environ.update(server.environment)
        yield server
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


async def test_the_library_lives_in_a_bucket_and_tells_when_it_is_gone(
    s3: S3Server, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    (ada, _), (bob, _) = issue_key(keys), issue_key(keys)
    parts = ApiParts(keys_file=keys, storage="s3://bucket/some/prefix", backgrounds=Quota(most=3))
    async with open_api(parts) as api:
        client, mine, other = api.client, {"X-API-Key": ada}, {"X-API-Key": bob}
        answers = await asyncio.gather(
            *(client.post(BACKGROUNDS, files={"image": PICTURE}, headers=mine) for _ in range(5))
        )
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 2
        background_id = next(a.json()["id"] for a in answers if a.status_code == 201)
        url = f"{BACKGROUNDS}/{background_id}"
        for end in ("thumbnail", "picture"):
            assert (await client.get(f"{url}/{end}", headers=mine)).status_code == 200
        sent = {"files": {"image": PICTURE}, "data": {"background_id": background_id}}
        assert (await client.post(REMOVE, headers=mine, **sent)).status_code == 200
        stranger = await client.post(REMOVE, headers=other, **sent)
        assert_problem(stranger, "BACKGROUND_NOT_FOUND")
        assert (await client.delete(url, headers=mine)).status_code == 204
        assert_problem(await client.delete(url, headers=mine), "BACKGROUND_NOT_FOUND")
        listed = (await client.get(BACKGROUNDS, headers=mine)).json()
        assert listed["quota"]["backgrounds"] == 2
        assert (await client.get(f"{PREFIX}/health")).json()["status"] == "healthy"
        s3.stop()
        assert_problem(await client.get(BACKGROUNDS, headers=mine), "STORAGE_UNAVAILABLE")
        assert (await client.post(REMOVE, files={"image": PICTURE})).status_code == 200
        s3.start()
        again = await client.post(BACKGROUNDS, files={"image": PICTURE}, headers=mine)
        assert again.status_code == 201


async def test_the_pictures_of_tasks_lie_in_a_bucket_and_wait_where_it_is_gone(
    s3: S3Server, tmp_path: Path
) -> None:
    queue = QueueConfig(f"sqlite:///{tmp_path / 'tasks.db'}")
    config = TasksConfig(queue, "s3://bucket/tasks-of-ours", sweep_s=0.2)
    matting = FakeMattingClient(delay_s=1.0)
    async with open_api(ApiParts(matting, tasks=config)) as api:

        async def told_of(accepted: httpx.Response, within_s: float) -> dict[str, Any]:
            assert accepted.status_code == 202, accepted.text
            give_up = time.monotonic() + within_s
            while True:
                told: dict[str, Any] = (await api.client.get(accepted.json()["check_url"])).json()
                if told["status"] != "processing":
                    return told
                assert time.monotonic() < give_up, told
                await asyncio.sleep(0.1)

        async def send() -> httpx.Response:
            headers = {"Idempotency-Key": "once"}
            return await api.client.post(
                f"{REMOVE}-async", files={"image": PICTURE}, headers=headers
            )

        first = await send()
        assert (await send()).json()["task_id"] == first.json()["task_id"]
        told = await told_of(first, 20)
        given = await api.client.get(told["result_url"])
        assert given.content == (await api.remove(PICTURE)).content
        assert (await api.client.delete(told["check_url"])).status_code == 204
        second = await send()
        await asyncio.sleep(0.5)
        s3.stop()
        await asyncio.sleep(3)
        state = (await api.client.get(second.json()["check_url"])).json()["state"]
        assert state in ("queued", "running")
        refused = await api.client.post(f"{REMOVE}-async", files={"image": PICTURE})
        assert_problem(refused, "STORAGE_UNAVAILABLE")
        s3.start()  # empty: what was sent is gone with the bucket
        ended = await told_of(second, 60)
        assert ended["state"] in ("succeeded", "failed")
    assert {file.name for file in tmp_path.iterdir()} == {"tasks.db", "tasks.db.0.lock"}
