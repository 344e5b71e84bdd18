"""Tasks: taken on at once, done later, told of, given out, and taken back; whatever is sent."""

from __future__ import annotations

import asyncio
import re
import subprocess
import threading
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access.rate_limit import RateLimitConfig
from service.errors import InferenceUnavailable, ServiceBusy
from service.http.policies import PREFIX
from service.tasks.asked import TasksConfig
from service.tasks.dbos_queue import QueueConfig
from tests.support.api import REMOVE, Api, ApiParts, open_api
from tests.support.keys import issue_key
from tests.support.matting import FakeMattingClient
from tests.support.pictures import make_image
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

LATER = f"{REMOVE}-async"
PNG = make_image("PNG", 100, 120)
TASK_ID = re.compile(r"[0-9a-f]{32}")


def config_in(folder: Path, **changed: Any) -> TasksConfig:
    queue = QueueConfig(f"sqlite:///{folder / 'storage' / 'tasks.db'}")
    return replace(TasksConfig(queue, str(folder / "storage"), sweep_s=0.2), **changed)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(ApiParts(tasks=config_in(tmp_path))) as opened:
        yield opened


async def send(api: Api, data: bytes = PNG, **options: str) -> httpx.Response:
    return await api.client.post(LATER, files={"image": ("a.png", data)}, data=options)


async def wait_for(
    api: Api, accepted: httpx.Response | dict[str, Any], within_s: float = 20
) -> dict[str, Any]:
    """What is told of a task once it is finished."""
    if isinstance(accepted, httpx.Response):
        assert accepted.status_code == 202, accepted.text
    task = accepted.json() if isinstance(accepted, httpx.Response) else accepted
    give_up = time.monotonic() + within_s
    while True:
        told: dict[str, Any] = (await api.client.get(task["check_url"])).json()
        if told["status"] != "processing":
            return told
        assert time.monotonic() < give_up, told
        await asyncio.sleep(0.05)


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


async def test_a_task_gives_what_a_removal_gives(api: Api, tmp_path: Path) -> None:
    accepted = await send(api, bg_color="#102030", format="webp")
    body = accepted.json()
    assert TASK_ID.fullmatch(body["task_id"])
    assert body["status"] == "processing"
    assert body["state"] == "queued"
    assert body["position"] == 0
    assert body["check_url"] == f"{PREFIX}/status/{body['task_id']}" == accepted.headers["location"]
    told = await wait_for(api, accepted)
    assert (told["status"], told["state"], told["error"]) == ("completed", "succeeded", None)
    assert told["position"] is None
    assert told["created_at"] <= told["started_at"] <= told["finished_at"] < told["expires_at"]
    assert told["processing_info"]["original_size"] == "120x100"
    assert api.services.tasks.tally.tasks == {"succeeded": 1, "failed": 0}
    assert api.services.tasks.n_unfinished == 0
    given = await api.client.get(told["result_url"])
    at_once = await api.remove(PNG, bg_color="#102030", format="webp")
    assert given.content == at_once.content
    for name in ("content-type", "x-output-size", "x-applied", "x-engine", "x-subject-box"):
        assert given.headers.get(name) == at_once.headers.get(name)
    for path in (body["check_url"], told["result_url"]):
        head = await api.client.head(path)
        assert (head.status_code, head.headers["cache-control"]) == (200, "no-store")
    task = f"storage/tasks/{body['task_id']}"
    assert [name for name in files_in(tmp_path) if body["task_id"] in name] == [f"{task}/out"]


async def test_a_background_picture_comes_along(api: Api) -> None:
    behind = make_image("JPEG", 90, 90)
    files = {"image": ("a.png", PNG), "bg_image": ("b.jpg", behind)}
    told = await wait_for(api, await api.client.post(LATER, files=files))
    given = await api.client.get(told["result_url"])
    assert given.content == (await api.client.post(REMOVE, files=files)).content
    told = await wait_for(api, await send(api, background_id="bokeh-warm"))
    given = await api.client.get(told["result_url"])
    assert given.content == (await api.remove(PNG, background_id="bokeh-warm")).content


@pytest.mark.parametrize(
    ("data", "options", "code"),
    [
        (b"", {}, "EMPTY_FILE"),
        (b"no picture", {}, "INVALID_FORMAT"),
        (make_image("PNG", 10, 10), {}, "RESOLUTION_TOO_SMALL"),
        (PNG, {"model": "another"}, "INVALID_REQUEST"),
        (PNG, {"return_base64": "true"}, "INVALID_REQUEST"),
        (PNG, {"background_id": "bg_" + "0" * 32}, "BACKGROUND_NOT_FOUND"),
        (PNG, {"format": "jpeg"}, "INVALID_REQUEST"),
    ],
)
async def test_what_a_removal_refuses_is_refused_at_once_and_nothing_is_kept(
    api: Api, tmp_path: Path, data: bytes, options: dict[str, str], code: str
) -> None:
    assert_problem(await send(api, data, **options), code)
    assert files_in(tmp_path) == []


async def test_a_picture_that_cannot_be_decoded_fails_with_its_reason(api: Api) -> None:
    told = await wait_for(api, await send(api, make_image("JPEG")[:-300]))
    assert (told["status"], told["state"]) == ("failed", "failed")
    assert told["error"]["error_code"] == "CORRUPT_IMAGE"
    assert told["result_url"] is None
    assert api.services.tasks.tally.tasks == {"succeeded": 0, "failed": 1}
    assert_problem(
        await api.client.get(f"{PREFIX}/status/{told['task_id']}/result"), "CORRUPT_IMAGE"
    )


async def test_until_the_first_task_there_is_nothing(api: Api, tmp_path: Path) -> None:
    assert_problem(await api.client.get(f"{PREFIX}/status/{'0' * 32}"), "TASK_NOT_FOUND")
    assert (await api.remove(PNG)).status_code == 200
    assert files_in(tmp_path) == []


async def test_an_id_that_is_none_is_not_found(api: Api) -> None:
    await wait_for(api, await send(api))
    for task_id in ("0" * 32, "..%2F..%2Fetc", "%00", "A" * 32, "x" * 5000, "'"):
        for method, end in (("GET", ""), ("DELETE", ""), ("GET", "/result")):
            answer = await api.client.request(method, f"{PREFIX}/status/{task_id}{end}")
            assert answer.status_code == 404, answer.text


async def test_holders_of_a_key_list_their_own_tasks(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    mine, theirs = ({"X-API-Key": issue_key(file)[0]} for _ in range(2))
    parts = ApiParts(tasks=config_in(tmp_path), keys_file=file)
    async with open_api(parts) as api:
        own = f"{PREFIX}/tasks"
        assert_problem(await api.client.get(own), "API_KEY_REQUIRED")
        assert (await api.client.get(own, headers=mine)).json() == {"tasks": []}
        await wait_for(api, await send(api))
        files = {"image": ("a.png", PNG)}
        sent = await api.client.post(LATER, files=files, headers=mine)
        await wait_for(api, sent)
        (task,) = (await api.client.get(own, headers=mine)).json()["tasks"]
        assert (task["task_id"], task["state"]) == (sent.json()["task_id"], "succeeded")
        assert (await api.client.get(own, headers=theirs)).json() == {"tasks": []}


async def test_a_result_waits_for_its_task(tmp_path: Path) -> None:
    parts = ApiParts(FakeMattingClient(delay_s=0.4), tasks=config_in(tmp_path))
    async with open_api(parts) as api:
        accepted = await send(api)
        early = await api.client.get(f"{accepted.json()['check_url']}/result")
        assert_problem(early, "TASK_NOT_FINISHED")
        assert early.headers["retry-after"]
        await wait_for(api, accepted)


@pytest.mark.full
async def test_what_is_taken_back_is_not_done_and_leaves_nothing(tmp_path: Path) -> None:
    parts = ApiParts(FakeMattingClient(delay_s=0.5), tasks=config_in(tmp_path))
    async with open_api(parts) as api:
        accepted = [await send(api) for _ in range(16)]
        await asyncio.sleep(1.0)
        for one in accepted:
            deleted = await api.client.delete(one.json()["check_url"])
            assert (deleted.status_code, deleted.content) == (204, b"")
            gone = await api.client.get(one.json()["check_url"])
            assert_problem(gone, "TASK_NOT_FOUND")
        calls = parts.matting.calls
        await asyncio.sleep(1.5)
        assert parts.matting.calls == calls < 16
        assert [name for name in files_in(tmp_path) if "tasks/" in name] == []
        told = await wait_for(api, await send(api))
        assert told["status"] == "completed"


async def test_no_more_wait_than_may(tmp_path: Path) -> None:
    config = config_in(tmp_path, most=4, most_per_caller=3)
    async with open_api(ApiParts(FakeMattingClient(delay_s=0.4), tasks=config)) as api:
        accepted = [await send(api) for _ in range(3)]
        refused = await send(api)
        assert_problem(refused, "TOO_MANY_TASKS")
        assert refused.headers["retry-after"]
        async with api.client_at("192.0.2.7") as other:
            sent = await other.post(LATER, files={"image": ("a.png", PNG)})
            assert sent.status_code == 202
            sent = await other.post(LATER, files={"image": ("a.png", PNG)})
            assert_problem(sent, "QUEUE_FULL")
        for one in accepted:
            assert (await wait_for(api, one))["status"] == "completed"
        assert (await send(api)).status_code == 202


async def test_the_bounds_of_tasks_are_told(api: Api) -> None:
    assert (await api.client.get(f"{PREFIX}/info")).json()["tasks"] == {
        "max_tasks": 1000,
        "max_tasks_per_client": 100,
        "result_s": 3600.0,
        "webhooks": False,
    }


async def test_a_service_may_take_none() -> None:
    async with open_api() as api:
        assert (await api.client.get(f"{PREFIX}/info")).json()["tasks"] is None
        for answer in (
            await send(api),
            await api.client.get(f"{PREFIX}/status/{'0' * 32}"),
            await api.client.get(f"{PREFIX}/status/{'0' * 32}/result"),
            await api.client.delete(f"{PREFIX}/status/{'0' * 32}"),
        ):
            assert_problem(answer, "TASKS_DISABLED")


@pytest.mark.full
async def test_a_result_goes_after_its_time(tmp_path: Path) -> None:
    async with open_api(ApiParts(tasks=config_in(tmp_path, keep_s=5))) as api:
        told = await wait_for(api, await send(api))
        async with asyncio.timeout(60):
            while (gone := await api.client.get(told["result_url"])).status_code == 200:
                await asyncio.sleep(0.2)
            assert_problem(gone, "TASK_NOT_FOUND")
            while any("tasks/" in name for name in files_in(tmp_path)):
                await asyncio.sleep(0.2)


async def test_what_waits_is_done_after_a_restart_and_what_was_done_is_still_there(
    tmp_path: Path,
) -> None:
    config = config_in(tmp_path)
    async with open_api(ApiParts(tasks=config)) as api:
        done = await wait_for(api, await send(api))
    async with open_api(ApiParts(FakeMattingClient(delay_s=5), tasks=config)) as api:
        waiting = [await send(api) for _ in range(6)]
        await asyncio.sleep(1)
    assert not [name for name in files_in(tmp_path) if "begun" in name], "a stop is no suspicion"
    async with open_api(ApiParts(tasks=config)) as api:
        for one in waiting:
            assert (await wait_for(api, one))["status"] == "completed"
        assert (await api.client.get(done["result_url"])).status_code == 200


@pytest.mark.full
async def test_tasks_that_wait_during_an_upgrade_are_done_after_it(
    root: Path, tmp_path: Path
) -> None:
    """`tasks-1.zip` is what the first release with tasks left when all of it was killed.

    Four tasks had been begun, and two of them were being worked on; one waited. What is kept may
    change only so that these can still be read.
    """
    with zipfile.ZipFile(root / "tests/data/tasks-1.zip") as left:
        left.extractall(tmp_path)
    tasks = [path.parent.name for path in (tmp_path / "storage/tasks").glob("*/in")]
    assert len(tasks) == 5
    async with open_api(ApiParts(tasks=config_in(tmp_path))) as api:
        kinds = Counter[tuple[str, str]]()
        for task_id in tasks:
            told = await wait_for(api, {"check_url": f"{PREFIX}/status/{task_id}"})
            given = await api.client.get(told["result_url"])
            applied = given.headers["x-applied"].split(", ")[-1]
            kinds[given.headers["content-type"], applied] += 1
    assert kinds == {
        ("image/png", "decontaminate"): 3,
        ("image/webp", "bg_color"): 1,
        ("image/png", "bg_image"): 1,
    }


@pytest.mark.full
async def test_what_is_short_for_a_while_is_tried_again(tmp_path: Path) -> None:
    faults = (ServiceBusy(), InferenceUnavailable())
    parts = ApiParts(FakeMattingClient(faults=faults), tasks=config_in(tmp_path))
    async with open_api(parts) as api:
        told = await wait_for(api, await send(api))
        assert told["status"] == "completed"
        assert parts.matting.calls == 3


async def test_a_picture_that_ends_its_process_three_times_is_given_up(tmp_path: Path) -> None:
    faults = tuple(InferenceUnavailable() for _ in range(3))
    parts = ApiParts(FakeMattingClient(faults=faults), tasks=config_in(tmp_path))
    async with open_api(parts) as api:
        told = await wait_for(api, await send(api))
        assert told["error"]["error_code"] == "TASK_ENDS_PROCESS"
        assert parts.matting.calls == 3
        assert (await wait_for(api, await send(api)))["status"] == "completed"


async def test_the_id_of_a_task_is_in_no_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    told = await wait_for(api, await send(api))
    await api.client.get(told["result_url"])
    await api.client.get(told["check_url"] + "/typo")
    await api.client.delete(told["check_url"])
    assert "/status/-" in caplog.text
    ours = [line.getMessage() for line in caplog.records if line.name != "httpx"]  # the client's
    assert not [line for line in ours if told["task_id"] in line]


async def test_the_same_key_of_the_same_caller_is_the_same_task(api: Api, tmp_path: Path) -> None:
    async def sent(
        key: str, client: httpx.AsyncClient = api.client, **options: str
    ) -> httpx.Response:
        files = {"image": ("a.png", PNG)}
        return await client.post(LATER, files=files, data=options, headers={"Idempotency-Key": key})

    answers = await asyncio.gather(*(sent("order-1") for _ in range(6)))
    assert {answer.status_code for answer in answers} == {202}
    (task_id,) = {answer.json()["task_id"] for answer in answers}
    told = await wait_for(api, answers[0])
    again = (await sent("order-1")).json()
    assert (again["task_id"], again["status"]) == (task_id, "completed")
    assert_problem(await sent("order-1", format="webp"), "IDEMPOTENCY_CONFLICT")
    async with api.client_at("192.0.2.9") as other:
        assert (await sent("order-1", other)).json()["task_id"] != task_id
    assert (await sent("order-2")).json()["task_id"] != task_id
    assert (await api.client.delete(told["check_url"])).status_code == 204
    (anew,) = {(await sent("order-1")).json()["task_id"] for _ in range(2)}
    assert anew == task_id
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"order-1" not in kept
    assert b"192.0.2" not in kept


async def test_a_batch_becomes_a_task_for_each_picture(api: Api) -> None:
    async def sent(pictures: list[bytes]) -> list[dict[str, Any]]:
        files = [("image", (f"{n}.png", data)) for n, data in enumerate(pictures)]
        headers = {"Idempotency-Key": "order-1"}
        answer = await api.client.post(
            f"{REMOVE}-batch-async", files=files, data={"format": "webp"}, headers=headers
        )
        assert answer.status_code == 202, answer.text
        told: list[dict[str, Any]] = answer.json()["tasks"]
        return told

    pictures = [PNG, b"no picture", make_image("JPEG", 90, 80)]
    tasks = await sent(pictures)
    assert [(one["index"], one["filename"]) for one in tasks] == [
        (0, "0.png"),
        (1, "1.png"),
        (2, "2.png"),
    ]
    assert (tasks[1]["task"], tasks[1]["error"]["error_code"]) == (None, "INVALID_FORMAT")
    for one, data in ((tasks[0], pictures[0]), (tasks[2], pictures[2])):
        assert one["error"] is None
        told = await wait_for(api, one["task"])
        given = await api.client.get(told["result_url"])
        assert given.content == (await api.remove(data, format="webp")).content
    again = await sent([PNG, pictures[2], pictures[2]])
    assert again[0]["task"]["task_id"] == tasks[0]["task"]["task_id"]
    assert again[1]["task"] is not None, "what was not taken on has used up no key"
    assert again[2]["task"]["task_id"] == tasks[2]["task"]["task_id"]
    assert (await sent([PNG, PNG, PNG]))[2]["error"]["error_code"] == "IDEMPOTENCY_CONFLICT"


async def test_a_batch_of_tasks_counts_as_many_requests_as_pictures(tmp_path: Path) -> None:
    limits = RateLimitConfig(per_minute=4, per_second=0)
    async with open_api(ApiParts(tasks=config_in(tmp_path), limits=limits)) as api:
        files = [("image", ("a.png", PNG))] * 6
        tasks = (await api.client.post(f"{REMOVE}-batch-async", files=files)).json()["tasks"]
        assert [one["task"] is not None for one in tasks] == [True] * 4 + [False] * 2
        assert tasks[5]["error"]["error_code"] == "RATE_LIMIT_EXCEEDED"
        assert tasks[5]["error"]["retry_after_seconds"] > 0


@pytest.mark.parametrize("key", ["x" * 256, "two words", "caf\xe9", "../../etc/x\t"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode("latin-1")}
    answer = await api.client.post(LATER, files={"image": ("a.png", PNG)}, headers=headers)
    assert_problem(answer, "INVALID_REQUEST")


async def test_a_result_may_go_with_its_download(api: Api, tmp_path: Path) -> None:
    told = await wait_for(api, await send(api))
    url = told["result_url"] + "?delete_after_download=true"
    assert (await api.client.head(url)).status_code == 200
    assert (await api.client.get(url)).status_code == 200
    assert_problem(await api.client.get(url), "TASK_NOT_FOUND")
    assert [name for name in files_in(tmp_path) if "tasks/" in name] == []


@pytest.mark.full
async def test_pictures_may_lie_encrypted(tmp_path: Path) -> None:
    config = config_in(tmp_path, key=bytes(range(32)))
    async with open_api(ApiParts(FakeMattingClient(delay_s=0.5), tasks=config)) as api:
        accepted = await send(api)
        inside = next((tmp_path / "storage/tasks").rglob("in")).read_bytes()
        assert PNG[:8] not in inside
        assert PNG[100:200] not in inside
        told = await wait_for(api, accepted)
        given = await api.client.get(told["result_url"])
        assert given.content == (await api.remove(PNG)).content
        assert b"PNG" not in next((tmp_path / "storage/tasks").rglob("out")).read_bytes()[:100]
    config = config_in(tmp_path, key=bytes(32))
    async with open_api(ApiParts(tasks=config)) as api:
        assert_problem(await api.client.get(told["result_url"]), "STORAGE_UNAVAILABLE")


async def test_no_task_is_taken_on_where_its_result_may_not_fit(tmp_path: Path) -> None:
    disk = tmp_path / "storage"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    try:
        async with open_api(ApiParts(tasks=config_in(tmp_path))) as api:
            assert_problem(await send(api), "STORAGE_FULL")
            assert files_in(tmp_path) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def test_a_stop_while_tasks_are_begun_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from dbos._core import execute_dequeued_workflow as begin

    begun = threading.Event()

    def begin_late(*claimed: Any) -> Any:
        begun.set()
        time.sleep(0.2)
        return begin(*claimed)

    monkeypatch.setattr("dbos._queue.execute_dequeued_workflow", begin_late)
    async with open_api(ApiParts(tasks=config_in(tmp_path))) as api:
        await send(api)
        assert await asyncio.to_thread(begun.wait, 5)
    told = [one.message for one in caplog.records if one.levelname == "ERROR"]
    assert told == []
