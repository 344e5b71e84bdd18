"""The ways to write a request's target come out as one path."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from service.http.target import TargetMiddleware

pytestmark = pytest.mark.anyio


async def seen(raw_path: bytes, path: str, **scope: Any) -> Scope:
    """The scope an application is called with."""
    got: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(scope)

    given = {"type": "http", "path": path, "raw_path": raw_path, "headers": [(b"host", b"a")]}
    await TargetMiddleware(app)({**given, **scope}, None, None)  # type: ignore[arg-type]
    return got[0]


@pytest.mark.parametrize(
    ("raw", "path", "host"),
    [
        (b"http://h:55433/api/remove", "/api/remove", b"h:55433"),
        (b"HTTPS://[::1]:1/api/remove/", "/api/remove", b"[::1]:1"),
        (b"http://h", "/", b"h"),
        (b"http://h/", "/", b"h"),
        (b"http:///a%20b%2f", "/a b", b""),
        (b"http://user@h/%ff", "/\ufffd", b"user@h"),
    ],
)
async def test_an_absolute_target_is_its_path_and_its_host(
    raw: bytes, path: str, host: bytes
) -> None:
    scope = await seen(raw, raw.decode(), headers=[(b"host", b"other"), (b"x", b"y")])
    assert scope["path"] == path
    assert scope["headers"] == [(b"host", host), (b"x", b"y")]


@pytest.mark.parametrize(
    ("given", "path"),
    [("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a//", "/a"), ("//", "/"), ("*", "*"), ("", "/")],
)
async def test_a_slash_at_the_end_means_nothing(given: str, path: str) -> None:
    scope = await seen(given.encode(), given)
    assert scope["path"] == path
    assert scope["headers"] == [(b"host", b"a")]


async def test_other_schemes_are_left_to_the_router() -> None:
    assert (await seen(b"ftp://h/a", "ftp://h/a"))["path"] == "ftp://h/a"


async def test_what_is_no_request_passes() -> None:
    assert (await seen(b"/a/", "/a/", type="lifespan"))["path"] == "/a/"
