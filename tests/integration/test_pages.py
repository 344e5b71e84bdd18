"""The two pages and their files, as they are sent."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from starlette.types import Message

from service.http.pages import create_page_app
from service.http.policies import PREFIX
from tests.support.api import Api
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

PAGES = ["/", f"{PREFIX}/docs"]
# Names of XML vocabularies in Swagger UI's and our own files; nobody fetches them.
NAMES_ONLY = "http://www.w3.org/"


class _References(HTMLParser):
    """Everything a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note its addresses."""
        self.found += [
            (tag, value) for name, value in attrs if name in ("href", "src", "action") and value
        ]


def references(page: httpx.Response) -> list[tuple[str, str]]:
    """Tag and address of every reference of a page."""
    reader = _References()
    reader.feed(page.text)
    return reader.found


@pytest.mark.parametrize("path", PAGES)
async def test_everything_a_page_needs_is_of_the_service_itself(api: Api, path: str) -> None:
    page = await api.client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    needed = [url for tag, url in references(page) if tag in ("script", "link")]
    assert len(needed) >= 3
    for url in needed:
        file = await api.client.get(urljoin(path, url))
        assert file.status_code == 200, url
        assert file.content


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_holds_no_script_or_style_of_its_own_and_says_who_may_be_asked(
    api: Api, path: str
) -> None:
    page = await api.client.get(path)
    policy = page.headers["content-security-policy"]
    assert re.match(r"default-src '(self|none)'", policy)
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=", page.text)
    assert page.headers["x-content-type-options"] == "nosniff"


async def test_the_documentation_is_not_sent_to_a_validator(api: Api) -> None:
    script = await api.client.get(f"{PREFIX}/static/docs.js")
    assert "validatorUrl: null" in script.text


@pytest.mark.parametrize("name", ["docs.js", "icon.svg"])
async def test_our_own_files_name_no_other_host(api: Api, name: str) -> None:
    file = await api.client.get(f"{PREFIX}/static/{name}")
    assert file.status_code == 200
    assert "://" not in file.text.replace(NAMES_ONLY, "").replace(r"http:\/\/", "")


@pytest.mark.parametrize(
    "name",
    ["nothing.js", "docs.html", "..%2fpages.py", "%00", "%ff", "a" * 5000, ".", "con", ""],
    ids=lambda name: name[:10],
)
async def test_a_file_there_is_none_of_is_not_found(api: Api, name: str) -> None:
    for folder in (f"{PREFIX}/static", "/page"):
        assert_problem(await api.client.get(f"{folder}/{name}"), "NOT_FOUND")


async def test_a_large_file_is_sent_in_pieces_that_wait_for_their_reader(api: Api) -> None:
    sizes = []

    async def send(message: Message) -> None:
        sizes.append(len(message.get("body", b"")))

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    path = f"{PREFIX}/static/swagger-ui-bundle.js"
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    await api.asgi(scope, receive, send)
    assert sum(sizes) > 1_000_000
    assert max(sizes) <= 64 * 1024


async def test_pages_that_ask_others_are_not_there(api: Api) -> None:
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert_problem(await api.client.get(PREFIX + path), "NOT_FOUND")


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_can_only_be_read(api: Api, path: str) -> None:
    response = await api.client.put(path)
    assert_problem(response, "METHOD_NOT_ALLOWED")
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_the_form_of_the_page_removes_a_background(api: Api, portrait_png: bytes) -> None:
    (action,) = [url for tag, url in references(await api.client.get("/")) if tag == "form"]
    response = await api.client.post(urljoin("/", action), files={"image": ("a.png", portrait_png)})
    assert response.status_code == 200


async def test_the_page_is_light_and_kept_for_ever_by_its_hash(api: Api) -> None:
    page = await api.client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    wire = int(page.headers["content-length"])
    for _, url in (found for found in references(page) if found[0] in ("script", "link")):
        async with api.client.stream("GET", urljoin("/", url)) as file:
            assert "immutable" in file.headers["cache-control"]
            wire += sum([len(piece) async for piece in file.aiter_raw()])
    assert wire <= 130_000


async def test_the_built_page_names_no_other_host(root: Path) -> None:
    for file in (root / "service/http/page/page").glob("*.[cj]s*"):
        hosts = set(re.findall(r"https?://([\w.-]+)", file.read_text(encoding="utf-8")))
        assert hosts <= {"www.w3.org", "react.dev"}, file  # names of XML, and of React's errors


async def test_without_a_built_page_the_service_starts_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_page_app(tmp_path)
    assert "`make web` builds it" in caplog.text
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/page/index.js")).status_code == 404


async def test_pages_are_counted_by_their_routes(api: Api) -> None:
    for path in (*PAGES, "/page/nothing.js", f"{PREFIX}/static/docs.js"):
        await api.client.get(path)
    routes = {
        sample.labels["route"]
        for metric in api.registry.collect()
        for sample in metric.samples
        if "route" in sample.labels
    }
    assert routes == {"/", "/page", "/docs", "/static"}
