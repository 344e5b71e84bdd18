"""No bytes of a caller's are an internal error, wherever in a request they stand.

A few hundred requests made of fragments that parsers, codecs and number readers trip over; the same
ones in every run.
"""

from __future__ import annotations

import random
from urllib.parse import quote

import httpx
import pytest

from tests.support.api import HEALTH, REMOVE, Api
from tests.support.pictures import make_image

pytestmark = pytest.mark.anyio

REQUESTS = 60  # per place and seed
TOKENS = [
    b"", b" ", b"\t", b"a", b"image", b"smoothing", b"true", b"form-data", b"multipart/form-data",
    b";", b"=", b'"', b'\\"', b"\\", b"'", b"''", b",", b":", b"/", b"//", b"..", b"*", b"*0*=",
    b"%", b"%00", b"%zz", b"%ff%fe", b"%C3%9C", b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff\xfe",
    b"\xed\xa0\x80", "\u202e\u00b2\u0663".encode(), b"\xb2\xb3", b"0", b"-1", b"9" * 5000, b"1e999",
    b"0x10", b"nan", b"boundary=B", b"boundary=", b"charset=", b"undefined", b"idna", b"punycode",
    b"unicode_escape", b"hex", b"rot13", b"zlib", b"utf-7", b"utf-16", b"xn--a", b"x" * 300,
    b"name=", b"name*=", b"filename=", b"filename*=", b"filename*0*=", b"utf-8''", b"; ", b"bytes=",
    b"0-", b"-0", b"Thu, 32 Foo 99999 99:99:99 +99999", b"application/", b"gzip", b"chunked",
    b"[", b"]", b"[::1]", b"@", b"?", b"#", b"&", b"00-ff-01", b"{", b"}", b"<", b">",
]  # fmt: skip
HEADERS = [
    "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Baggage", "Connection",
    "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Type",
    "Cookie", "Expect", "Forwarded", "Host", "If-Modified-Since", "If-None-Match", "If-Range",
    "Origin", "Range", "Referer", "Sec-Fetch-Site", "TE", "Traceparent", "Tracestate",
    "Transfer-Encoding", "Upgrade", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host",
    "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Real-IP", "X-Request-ID",
]  # fmt: skip
PICTURE = make_image("PNG")


def nasty(chance: random.Random) -> bytes:
    """A few fragments in a row, without the end of a line."""
    return b"".join(chance.choices(TOKENS, k=chance.randint(1, 6)))


def part(disposition: bytes, data: bytes, *more: bytes) -> bytes:
    head = b"\r\n".join((b"Content-Disposition: " + disposition, *more))
    return b"--B\r\n" + head + b"\r\n\r\n" + data + b"\r\n"


def image(disposition: bytes = b'form-data; name="image"; filename="a.png"', *more: bytes) -> bytes:
    return part(disposition, PICTURE, *more)


def assert_a_callers_fault_at_most(response: httpx.Response, *sent: object) -> None:
    assert response.status_code < 500, (response.status_code, response.text, sent)
    if response.status_code >= 400:
        assert isinstance(response.json()["detail"], str)
        assert response.json()["error_code"]
        assert response.json()["detail"].isprintable(), sent


@pytest.mark.parametrize("seed", range(2))
async def test_the_type_of_a_form(api: Api, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(REQUESTS):
        kind = b"multipart/form-data; boundary=B; charset=" + nasty(chance)
        if chance.random() < 0.3:
            kind = nasty(chance)
        response = await _post(api, image(b"form-data; name=image; filename=\xc3\xff.png"), kind)
        assert_a_callers_fault_at_most(response, kind)


@pytest.mark.parametrize("seed", range(2))
async def test_the_head_of_a_part(api: Api, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(REQUESTS):
        heads = [
            (b'form-data; name="image"; filename="' + nasty(chance) + b'"',),
            (b"form-data; name=image; filename*=" + nasty(chance),),
            (b"form-data; name=image; " + nasty(chance) + b"=" + nasty(chance),),
            (nasty(chance),),
            (b"form-data; name=image; filename=a", b"Content-Type: " + nasty(chance)),
            (b"form-data; name=image; filename=a", nasty(chance) + b": " + nasty(chance)),
        ]
        head = chance.choice(heads)
        assert_a_callers_fault_at_most(await _post(api, image(*head)), head)


async def test_the_name_and_the_value_of_a_field(api: Api) -> None:
    chance = random.Random(0)
    for _ in range(REQUESTS):
        name = chance.choice([b"smoothing", b"return_base64", nasty(chance)])
        form = image() + part(b'form-data; name="' + name + b'"', nasty(chance))
        assert_a_callers_fault_at_most(await _post(api, form), form[-200:])


async def test_any_header(api: Api) -> None:
    chance = random.Random(0)
    for name in HEADERS * 5:
        value = nasty(chance).replace(b"\x00", b"")
        path = chance.choice([HEALTH, "/", f"{HEALTH[:-7]}/docs", f"{HEALTH[:-7]}/static/docs.js"])
        response = await api.client.get(path, headers=[(name.encode(), value)])
        assert_a_callers_fault_at_most(response, name, value)
        headers = [(b"Content-Type", b"multipart/form-data; boundary=B"), (name.encode(), value)]
        request = api.client.build_request("POST", REMOVE, content=image() + b"--B--")
        request.headers = httpx.Headers([*request.headers.raw, *headers])
        assert_a_callers_fault_at_most(await api.client.send(request), name, value)


async def test_any_address(api: Api) -> None:
    chance = random.Random(0)
    for _ in range(2 * REQUESTS):
        base = chance.choice(["/", f"{HEALTH}/", f"{HEALTH[:-7]}/static/"])
        path, query = (quote(nasty(chance), safe="/%;:=@*,'&") for _ in range(2))
        for method in ("GET", "POST"):
            response = await api.client.request(method, f"{base}{path}?{query}")
            assert_a_callers_fault_at_most(response, path, query)


async def _post(
    api: Api, form: bytes, kind: bytes = b"multipart/form-data; boundary=B"
) -> httpx.Response:
    headers = [(b"Content-Type", kind)]
    return await api.client.post(REMOVE, content=form + b"--B--\r\n", headers=headers)
