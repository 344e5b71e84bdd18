"""The library in S3: what it does in a folder, by the same calls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.http.policies import PREFIX
from service.library.library import Quota
from tests.support.api import REMOVE, ApiParts, open_api
from tests.support.keys import issue_key
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
        assert (await client.get(f"{url}/thumbnail", headers=mine)).status_code == 200
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
