"""A picture that is named by its address, through the whole API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from service.access.rate_limit import RateLimitConfig
from service.http.bodies import IntakeConfig
from service.http.policies import PREFIX
from service.outbound.destinations import read_destination
from service.outbound.fetch import FetchConfig
from service.removal.bounds import RemoverConfig
from tests.support.api import REMOVE, Api, ApiParts, open_api
from tests.support.matting import FakeMattingClient
from tests.support.picture_server import PictureServer, open_picture_server, redirect, whole
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server(portrait_png: bytes) -> AsyncIterator[PictureServer]:
    """A server with one picture."""
    async with open_picture_server() as opened:
        opened.answers["/picture.png"] = whole(portrait_png, "Content-Type: image/png")
        yield opened


def allowing(server: PictureServer, **bounds: Any) -> FetchConfig:
    """The server is allowed, on 127.0.0.1 only."""
    times = {"total_s": 5.0, "unreachable_s": 0.1, **bounds}
    return FetchConfig(own=(read_destination(f"127.0.0.1:{server.port}"),), **times)


@pytest.fixture
async def fetching(server: PictureServer) -> AsyncIterator[Api]:
    """An API that fetches."""
    async with open_api(ApiParts(fetching=allowing(server))) as opened:
        yield opened


async def test_an_address_gives_the_same_bytes_as_the_file(
    fetching: Api, server: PictureServer, portrait_png: bytes
) -> None:
    url = server.url()
    uploaded = await fetching.remove(portrait_png, crop="true")
    form = await fetching.client.post(REMOVE, data={"image_url": url, "crop": "true"}, files={})
    assert_problem(form, "INVALID_REQUEST")  # no form of files, as httpx sends it without one
    empty = {"image": ("", b"", "application/octet-stream")}  # as a browser sends it
    for sent in (
        {"data": {"image_url": f" {url} ", "crop": "true"}, "files": empty},
        {"files": {"image_url": (None, url), "crop": (None, "true")}},
        {"json": {"image_url": url, "crop": True}},
        {"json": {"image_url": url, "crop": True, "image": None}},
    ):
        answer = await fetching.client.post(REMOVE, **sent)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        assert answer.content == uploaded.content
    assert server.connections == 4


async def test_it_is_off_unless_it_is_switched_on(api: Api, server: PictureServer) -> None:
    for sent in ({"json": {"image_url": server.url()}}, {"files": {"image_url": (None, "x")}}):
        assert_problem(await api.client.post(REMOVE, **sent), "IMAGE_URL_DISABLED")  # type: ignore[arg-type]
    assert server.connections == 0
    assert (await api.client.get(f"{PREFIX}/info")).json()["image_url"] is False


async def test_info_says_that_it_is_on(fetching: Api) -> None:
    assert (await fetching.client.get(f"{PREFIX}/info")).json()["image_url"] is True


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"json": {"image_url": "ftp://a.test/a.png"}}, "http://"),
        ({"json": {"image_url": "http://u:p@a.test/a.png"}}, "no user"),
        ({"json": {"image_url": "http://a.test:22/a.png"}}, "port"),
        ({"json": {"image_url": ["http://a.test"]}}, "Expected an address"),
        ({"json": {"image_url": 7}}, "Expected an address"),
        ({"json": {"image_url": "http://a.test", "image": "aGFsbG8="}}, "either"),
        ({"files": {"image_url": (None, "http://a.test"), "image": b"x"}}, "either"),
        ({"files": {"image_url": ("a.png", b"x")}}, "not a file"),
        (
            {"params": {"image_url": "http://a.test"}, "content": b"x"}
            | {"headers": {"Content-Type": "image/png"}},
            "without a picture",
        ),
    ],
)
async def test_what_is_wrong_with_it_is_said_of_the_field(
    fetching: Api, sent: dict[str, Any], told: str
) -> None:
    problem = assert_problem(await fetching.client.post(REMOVE, **sent), "INVALID_REQUEST")
    (error,) = (one for one in problem["errors"] if one["loc"][1] == "image_url")
    assert told in error["msg"]
    assert "a.test" not in problem["detail"]


async def test_neither_image_nor_address_is_a_missing_image(fetching: Api) -> None:
    for sent in ({"json": {}}, {"json": {"image_url": ""}}, {"files": {"image_url": (None, "")}}):
        problem = assert_problem(await fetching.client.post(REMOVE, **sent), "INVALID_REQUEST")  # type: ignore[arg-type]
        assert problem["detail"] == "image: Field required"


async def test_a_batch_takes_files_only(
    fetching: Api, server: PictureServer, portrait_png: bytes
) -> None:
    answer = await fetching.client.post(
        f"{PREFIX}/remove-batch",
        files=[("image", portrait_png), ("image_url", (None, server.url()))],
    )
    assert "image_url: A batch" in assert_problem(answer, "INVALID_REQUEST")["detail"]
    assert server.connections == 0


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (whole(b"<html>sign in</html>", "Content-Type: text/html"), "INVALID_FORMAT"),
        (whole(b"<html>sign in</html>"), "INVALID_FORMAT"),
        (whole(b""), "EMPTY_FILE"),
        (whole(b"", status="404 Not Found"), "IMAGE_URL_FAILED"),
        (whole(bytes(2 * 1024**2)), "FILE_TOO_LARGE"),
        (redirect("http://127.0.0.2/"), "IMAGE_URL_UNREACHABLE"),
        (redirect("/bad"), "IMAGE_URL_FAILED"),
        (b"", "IMAGE_URL_UNREACHABLE"),
    ],
)
async def test_what_comes_is_judged_as_an_upload_is(
    server: PictureServer, answer: Any, code: str
) -> None:
    server.answers["/bad"] = answer
    total_s = 5.0 if answer else 0.5  # nothing at all comes only after all of it
    config = allowing(server, max_bytes=1024**2, total_s=total_s)
    async with open_api(ApiParts(fetching=config)) as api:
        response = await api.client.post(REMOVE, json={"image_url": server.url("/bad")})
        detail = assert_problem(response, code)["detail"]
        assert "127.0.0" not in detail


async def test_a_document_is_refused_as_an_upload_of_it_is(
    fetching: Api, server: PictureServer, portrait_png: bytes
) -> None:
    server.answers["/document"] = whole(portrait_png, "Content-Type: application/pdf")
    answer = await fetching.client.post(REMOVE, json={"image_url": server.url("/document")})
    uploaded = await fetching.remove(portrait_png, media_type="application/pdf")
    assert answer.json()["detail"] == uploaded.json()["detail"]


async def test_the_time_of_fetching_is_part_of_the_deadline(
    server: PictureServer, portrait_png: bytes
) -> None:
    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(whole(portrait_png))

    server.answers["/late"] = late
    parts = ApiParts(
        FakeMattingClient(delay_s=0.5),
        remover=RemoverConfig(timeout_s=0.7),
        fetching=allowing(server, total_s=0.9),
    )
    async with open_api(parts) as api:
        assert (await api.remove(portrait_png)).status_code == 200
        answer = await api.client.post(REMOVE, json={"image_url": server.url("/late")})
        problem = assert_problem(answer, "PROCESSING_TIMEOUT")
        assert problem["elapsed_seconds"] == pytest.approx(0.7, abs=0.2)


async def test_nothing_is_fetched_any_more_once_the_caller_has_left(
    server: PictureServer,
) -> None:
    server.answers["/silent"] = b""
    body = json.dumps({"image_url": server.url("/silent")}).encode()
    left = asyncio.Event()
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": REMOVE,
        "raw_path": REMOVE.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"host", b"service")],
        "client": ("192.0.2.1", 1),
        "server": ("service", 80),
        "scheme": "http",
        "http_version": "1.1",
    }
    async with (
        open_api(ApiParts(fetching=allowing(server, total_s=30))) as api,
        asyncio.timeout(5),
    ):
        asking = asyncio.create_task(api.asgi(scope, receive, send))  # type: ignore[arg-type]
        while not server.heads:
            await asyncio.sleep(0.01)
        left.set()
        await asking
        while not server.closed:
            await asyncio.sleep(0.01)


async def test_fetched_bytes_count_in_the_memory_for_uploads(server: PictureServer) -> None:
    server.answers["/large"] = whole(bytes(300_000))
    parts = ApiParts(intake=IntakeConfig(max_bytes_in_memory=200_000), fetching=allowing(server))
    async with open_api(parts) as api:
        for _ in range(2):  # what was held is given back
            small = await api.client.post(REMOVE, json={"image_url": server.url()})
            assert small.status_code == 200
            large = await api.client.post(REMOVE, json={"image_url": server.url("/large")})
            assert_problem(large, "SERVICE_BUSY")


async def test_it_counts_as_one_request_whatever_becomes_of_it(server: PictureServer) -> None:
    limits = RateLimitConfig(per_minute=3, per_second=0, in_flight=0)
    async with open_api(ApiParts(limits=limits, fetching=allowing(server))) as api:
        urls = [server.url(), server.url("/missing"), "http://127.0.0.2/", server.url()]
        answers = [await api.client.post(REMOVE, json={"image_url": url}) for url in urls]
    assert [answer.status_code for answer in answers] == [200, 400, 400, 429]
    assert server.connections == 2
