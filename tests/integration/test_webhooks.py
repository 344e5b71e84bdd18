"""Webhooks: signed, delivered at least once, only where callers may reach, without a picture."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from service.access.caller import Caller
from service.blobs.blobs import Blobs
from service.http.policies import PREFIX
from service.outbound.destinations import read_destination
from service.tasks import dbos_workflows
from service.tasks.pictures import TaskPictures
from service.tasks.webhooks import WebhookConfig, Webhooks
from tests.integration.test_tasks import LATER, PNG, config_in, files_in
from tests.support.api import Api, ApiParts, open_api
from tests.support.keys import issue_key
from tests.support.matting import FakeMattingClient
from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.server import free_port

pytestmark = pytest.mark.anyio


@dataclass
class Receiver:
    """A server that takes webhooks, and answers with these statuses, then with 204."""

    port: int
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": self.url} if status == 302 else {})

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.got) < count:
                await asyncio.sleep(0.05)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver(free_port())
    app = web.Application()
    app.router.add_post("/hook", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    yield made
    await runner.cleanup()


@pytest.fixture
def parts(tmp_path: Path, receiver: Receiver) -> ApiParts:
    own = (read_destination(f"127.0.0.1:{receiver.port}"),)
    config = config_in(tmp_path, webhooks=WebhookConfig(PREFIX, own, total_s=1))
    return ApiParts(tasks=config, keys_file=tmp_path / "keys.json")


@pytest.fixture
def key(tmp_path: Path) -> dict[str, str]:
    return {"X-API-Key": issue_key(tmp_path / "keys.json")[0]}


async def send(api: Api, url: str, key: dict[str, str], data: bytes = PNG) -> str:
    headers = {**key, "Webhook-URL": url}
    answer = await api.client.post(LATER, files={"image": ("a.png", data)}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


async def test_an_event_is_signed_and_holds_no_picture(
    parts: ApiParts, receiver: Receiver, key: dict[str, str], tmp_path: Path
) -> None:
    other = {"X-API-Key": issue_key(tmp_path / "keys.json")[0]}
    async with open_api(parts) as api:
        secret = (await api.client.get(f"{PREFIX}/webhook-secret", headers=key)).json()["secret"]
        done = await send(api, receiver.url, key)
        await receiver.wait_for(1)
        failed = await send(api, receiver.url, key, make_image("JPEG")[:-300])
        await receiver.wait_for(2)
        events = [Webhook(secret).verify(body, headers) for headers, body in receiver.got]
        assert [event["type"] for event in events] == ["task.completed", "task.failed"]
        assert [event["data"]["task_id"] for event in events] == [done, failed]
        assert [event["data"]["error_code"] for event in events] == [None, "CORRUPT_IMAGE"]
        assert events[0]["data"]["result_url"] == f"{PREFIX}/status/{done}/result"
        assert events[1]["data"]["result_url"] is None
        assert len({headers["Webhook-Id"] for headers, _ in receiver.got}) == 2
        assert max(len(body) for _, body in receiver.got) < 500
        await asyncio.sleep(0.3)
        assert [name for name in files_in(tmp_path) if name.endswith("webhook")] == []
        assert receiver.url.encode() not in (tmp_path / "storage/tasks.db").read_bytes()
        told = (await api.client.get(f"{PREFIX}/webhook-secret", headers=other)).json()
        assert told["secret"] != secret


async def test_the_secret_is_told_also_while_the_queue_is_full(
    parts: ApiParts, key: dict[str, str]
) -> None:
    assert parts.tasks is not None
    parts.tasks = replace(parts.tasks, most=1)
    parts.matting = FakeMattingClient(delay_s=3)
    async with open_api(parts) as api:
        assert (await api.client.post(LATER, files={"image": PNG})).status_code == 202
        refused = await api.client.post(LATER, files={"image": PNG})
        assert_problem(refused, "QUEUE_FULL")
        told = await api.client.get(f"{PREFIX}/webhook-secret", headers=key)
        assert told.status_code == 200, told.text


@pytest.mark.full
async def test_what_is_not_taken_is_sent_again_and_is_the_same_event(
    parts: ApiParts, receiver: Receiver, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbos_workflows, "_DELAYS_S", (0, 0.2, 0.2, 0.2))
    receiver.statuses = [500, 302]
    async with open_api(parts) as api:
        await send(api, receiver.url, key)
        await receiver.wait_for(3)
        await asyncio.sleep(1.5)
        assert len(receiver.got) == 3, "a redirect is not followed, and what was taken is done"
        assert api.services.tasks.tally.webhooks == {"failed": 2, "taken": 1}
        assert len({headers["Webhook-Id"] for headers, _ in receiver.got}) == 1
        assert len({body for _, body in receiver.got}) == 1


@pytest.mark.full
async def test_whoever_wants_no_more_gets_no_more_and_so_does_who_takes_the_task_back(
    parts: ApiParts, receiver: Receiver, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbos_workflows, "_DELAYS_S", (0, 0.5, 0.5))
    receiver.statuses = [410, 500]
    async with open_api(parts) as api:
        await send(api, receiver.url, key)
        await receiver.wait_for(1)
        taken_back = await send(api, receiver.url, key)
        await receiver.wait_for(2)
        await api.client.delete(f"{PREFIX}/status/{taken_back}")
        await asyncio.sleep(2.5)
        assert len(receiver.got) == 2


@pytest.mark.full
async def test_an_event_waits_for_the_next_start(
    parts: ApiParts, receiver: Receiver, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbos_workflows, "_DELAYS_S", (0, 2, 2))
    receiver.statuses = [503]
    async with open_api(parts) as api:
        await send(api, receiver.url, key)
        await receiver.wait_for(1)
    async with open_api(parts):
        await receiver.wait_for(2)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "localhost"])
async def test_no_server_inside_is_told(tmp_path: Path, host: str) -> None:
    config = WebhookConfig(PREFIX, (read_destination("10.255.255.1:1"),), total_s=1)
    pictures = TaskPictures(Blobs(str(tmp_path / "storage")))
    pictures.make_place()
    webhooks, sockets = Webhooks(config, pictures), list[str]()
    watching = [True]

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect" and watching:
            sockets.append(repr(arguments))

    sys.addaudithook(watch)
    for task_id in (f"{number:032x}" for number in range(3)):
        await webhooks.keep(task_id, f"http://{host}/hook", Caller("key:a", "pro", "a"))
        event = {"task_id": task_id, "type": "task.failed", "timestamp": ""}
        assert not await webhooks.deliver({**event, "data": {"error_code": "X"}})
    watching.clear()
    assert sockets == []


async def test_what_cannot_be_told_is_refused_at_once(
    parts: ApiParts, receiver: Receiver, key: dict[str, str]
) -> None:
    files = {"image": ("a.png", PNG)}
    async with open_api(parts) as api:
        for url in ("ftp://x.test/", "x", "http://u:p@x.test/", "http://x.test:22/", "http://a b/"):
            headers = {**key, "Webhook-URL": url}
            answer = await api.client.post(LATER, files=files, headers=headers)
            assert_problem(answer, "INVALID_REQUEST")
        headers = {"Webhook-URL": receiver.url}
        answer = await api.client.post(LATER, files=files, headers=headers)
        assert_problem(answer, "API_KEY_REQUIRED")
    assert parts.tasks is not None
    async with open_api(replace(parts, tasks=replace(parts.tasks, webhooks=None))) as api:
        headers = {**key, "Webhook-URL": receiver.url}
        answer = await api.client.post(LATER, files=files, headers=headers)
        assert_problem(answer, "WEBHOOKS_DISABLED")
        answer = await api.client.get(f"{PREFIX}/webhook-secret", headers=key)
        assert_problem(answer, "WEBHOOKS_DISABLED")
    assert json.dumps(receiver.got) == "[]"
