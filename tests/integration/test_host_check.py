"""A browser's request to this machine is served under local names only."""

from __future__ import annotations

import httpx
import pytest

from tests.support.api import HEALTH, REMOVE, Api, ApiParts, open_api
from tests.support.problems import assert_problem

pytestmark = pytest.mark.anyio

BROWSER = {"Sec-Fetch-Site": "same-origin"}
LOOPBACK = "http://127.0.0.1:55433"


async def ask(
    api: Api, host: str | None, method: str = "GET", path: str = HEALTH, **more: object
) -> httpx.Response:
    """A browser's request to a loopback address under a name."""
    server = str(more.pop("server", LOOPBACK))
    headers = {**more.pop("headers", BROWSER)}  # type: ignore[dict-item]
    if host is not None:
        headers["Host"] = host.encode("latin-1")
    return await api.client.request(method, server + path, headers=headers, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:55433",
        "127.0.0.1",
        "[::1]:55433",
        "[::1]",
        "192.168.1.20:55433",
        "[fd00::1]",
        "localhost",
        "LocalHost:55433",
        "localhost.",
        "app.localhost:1",
        "127.0.0.1:",
    ],
)
async def test_a_browser_may_use_addresses_and_local_names(api: Api, host: str) -> None:
    assert (await ask(api, host)).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:55433",
        "localhost.evil.test",
        "127.0.0.1.evil.test",
        "evil.test@127.0.0.1",
        "127.0.0.1@evil.test",
        "localhost:55433:1",
        "notlocalhost",
        "127.1",
        "0x7f000001",
        "[::1",
        "[evil.test]",
        "[]",
        "",
        ":55433",
        " ",
        "b\xfccher.test",
        "a" * 5000,
        "localhost evil",
        "localhost:port",
    ],
    ids=lambda host: host[:20],
)
async def test_any_other_name_and_any_that_cannot_be_read_are_refused(api: Api, host: str) -> None:
    assert_problem(await ask(api, host), "HOST_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", HEALTH),
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("POST", REMOVE),
        ("POST", "/remove_background"),
        ("OPTIONS", REMOVE),
        ("DELETE", "/metrics"),
    ],
)
async def test_every_method_of_every_route_is_checked(api: Api, method: str, path: str) -> None:
    assert_problem(await ask(api, "evil.test", method, path), "HOST_NOT_ALLOWED")


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "none"}]
)
async def test_a_browser_is_known_by_either_header(api: Api, headers: dict[str, str]) -> None:
    assert_problem(await ask(api, "evil.test", headers=headers), "HOST_NOT_ALLOWED")


async def test_a_program_may_use_any_name(api: Api) -> None:
    assert (await ask(api, "cutout.example", headers={})).status_code == 200


@pytest.mark.parametrize(
    ("server", "status"),
    [
        ("http://127.8.9.10", 403),
        ("http://[::1]", 403),
        ("http://[::ffff:127.0.0.1]", 403),
        ("http://192.0.2.7", 200),
        ("http://[2001:db8::1]", 200),
    ],
)
async def test_only_what_comes_to_a_loopback_address_is_checked(
    api: Api, server: str, status: int
) -> None:
    assert (await ask(api, "cutout.example", server=server)).status_code == status


async def test_a_name_of_the_operators_is_allowed_and_its_subdomains_are_not() -> None:
    async with open_api(ApiParts(allowed_hosts=("cutout.example",))) as api:
        assert (await ask(api, "Cutout.Example:8080")).status_code == 200
        assert_problem(await ask(api, "a.cutout.example"), "HOST_NOT_ALLOWED")


async def test_the_host_of_two_must_not_be_chosen(api: Api) -> None:
    headers = [("Host", "localhost"), ("Host", "evil.test"), ("Origin", "http://evil.test")]
    response = await api.client.get(LOOPBACK + HEALTH, headers=headers)
    assert_problem(response, "HOST_NOT_ALLOWED")
