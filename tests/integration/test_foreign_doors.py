"""The addresses of remove.bg and rembg: their requests, the same pictures as of our own."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access.rate_limit import RateLimitConfig
from tests.support.api import Api, ApiParts, open_api
from tests.support.keys import issue_key
from tests.support.pictures import make_image, make_solid

pytestmark = pytest.mark.anyio

REMOVEBG, REMBG = "/v1.0/removebg", "/api/remove"
PNG = make_image("PNG", 100, 120)
#: The fake matte is the green channel: nothing is found in it.
EMPTY = make_solid("PNG", 96, 96, (200, 0, 0))


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as opened:
        yield opened


async def removebg(api: Api, data: bytes = PNG, **fields: str) -> httpx.Response:
    return await api.client.post(REMOVEBG, files={"image_file": ("a.png", data)}, data=fields)


async def rembg(api: Api, **fields: str) -> httpx.Response:
    return await api.client.post(REMBG, files={"file": ("a.png", PNG)}, data=fields)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"size": "auto", "type": "auto", "semitransparency": "true"}, {}),
        ({"size": "preview"}, {"size": "preview"}),
        ({"size": "50MP", "format": "webp"}, {"format": "webp"}),
        ({"channels": "alpha"}, {"output": "mask"}),
        ({"format": "zip"}, {"output": "parts"}),
        ({"format": "jpg"}, {"format": "jpeg", "bg_color": "white"}),
        ({"bg_color": "81d4fa"}, {"bg_color": "#81d4fa", "format": "jpeg"}),
        ({"bg_color": "green", "format": "png"}, {"bg_color": "green"}),
        ({"crop": "true", "crop_margin": "10%"}, {"crop": "true", "crop_margin": "10%"}),
        ({"scale": "50%", "position": "center"}, {"scale": "50", "position": "center"}),
        ({"position": "20% 80%"}, {"position": "20%,80%"}),
        ({"position": "30%"}, {"position": "30%,30%"}),
        ({"add_shadow": "true"}, {"shadow": "contact"}),
        ({"bg_color": "", "roi": "0% 0% 100% 100%", "scale": "original"}, {}),
    ],
)
async def test_their_options_are_ours(
    api: Api, theirs: dict[str, str], ours: dict[str, str]
) -> None:
    answer = await removebg(api, **theirs)
    assert answer.status_code == 200, answer.text
    own = await api.remove(PNG, **ours)
    assert answer.content == own.content
    assert answer.headers["content-type"] == own.headers["content-type"]
    width, height = own.headers["x-output-size"].split("x")
    assert (answer.headers["x-width"], answer.headers["x-height"]) == (width, height)
    left, top, *_ = own.headers["x-subject-box"].split(",")
    assert answer.headers["x-foreground-left"] == left
    assert answer.headers["x-foreground-top"] == top
    assert answer.headers["x-credits-charged"] == "0"


async def test_the_picture_may_come_in_each_of_their_ways(api: Api) -> None:
    own = (await api.remove(PNG)).content
    text = base64.b64encode(PNG).decode()
    for how in ({"json": {"image_file_b64": text}}, {"data": {"image_file_b64": text}}):
        answer = await api.client.post(REMOVEBG, **how)
        assert (answer.status_code, answer.content) == (200, own), answer.text
    behind = make_image("PNG", 90, 90)
    files = {"image_file": ("a.png", PNG), "bg_image_file": ("b.png", behind)}
    answer = await api.client.post(REMOVEBG, files=files, data={"format": "png"})
    files = {"image": ("a.png", PNG), "bg_image": ("b.png", behind)}
    assert (
        answer.content
        == (await api.client.post("/api/background-removal/remove", files=files)).content
    )


async def test_their_json_has_the_file_in_it(api: Api) -> None:
    answer = await api.client.post(
        REMOVEBG, files={"image_file": PNG}, headers={"Accept": "application/json"}
    )
    told = answer.json()["data"]
    assert base64.b64decode(told["result_b64"]) == (await api.remove(PNG)).content
    assert told["foreground_width"] > 0


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"type": "person"}, "type"),
        ({"type_level": "2"}, "type_level"),
        ({"roi": "10% 10% 50% 50%"}, "roi"),
        ({"semitransparency": "false"}, "semitransparency"),
        ({"bg_image_url": "https://example.com/a.jpg"}, "bg_image_url"),
        ({"size": "medium"}, "size"),
        ({"channels": "rgb"}, "channels"),
        ({"format": "gif"}, "format"),
        ({"format": "zip", "channels": "alpha"}, "format"),
        ({"bg_color": "no colour"}, "bg_color"),
        ({"crop": "perhaps"}, "crop"),
        ({"scale": "5%"}, "scale"),
        ({"position": "left"}, "position"),
        ({"add_shadow": "x"}, "add_shadow"),
        ({"shadow_type": "3D"}, "shadow_type"),
        ({"image_url": "https://example.com/a.jpg"}, "image_file"),
        ({"n" * 5000: "x"}, "n" * 64),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(
    api: Api, fields: dict[str, str], name: str
) -> None:
    answer = await removebg(api, **fields)
    (error, *_) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (422, "invalid_request")
    assert error["title"].startswith(f"{name}: ")
    assert error["detail"]["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"image_file_b64": {"a": 1}}'),
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"image_file_b64": "%"}'),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(1000))),
        ("application/x-www-form-urlencoded", b"\xff=\xff"),
        ("application/x-www-form-urlencoded", b""),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken"),
        ("text/plain", b"hello"),
        ("", b""),
    ],
)
@pytest.mark.parametrize("path", [REMOVEBG, REMBG])
async def test_a_body_that_is_none_is_refused(
    api: Api, path: str, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type}
    answer = await api.client.post(path, content=body, headers=headers)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("path", [REMOVEBG, REMBG])
@pytest.mark.parametrize(
    "name",
    ["image_file", "image_file_b64", "image_url", "bg_image_file", "size", "file", "model", "bgc"],
)
async def test_a_text_as_a_file_and_a_file_as_a_text_are_refused(
    api: Api, path: str, name: str
) -> None:
    as_file = await api.client.post(path, files={name: ("a.txt", b"text")})
    assert 400 <= as_file.status_code < 500, as_file.text
    as_text = await api.client.post(path, files={name: (None, b"text")})
    assert 400 <= as_text.status_code < 500, as_text.text


@pytest.mark.parametrize(("path", "name"), [(REMOVEBG, "image_file"), (REMBG, "file")])
async def test_of_two_pictures_none_is_passed_over(api: Api, path: str, name: str) -> None:
    answer = await api.client.post(path, files=[(name, ("a.png", PNG)), (name, ("b.png", PNG))])
    assert answer.status_code == 422
    assert name in answer.text


async def test_errors_have_their_shape(api: Api) -> None:
    for data, status, code in (
        (b"no picture", 400, "invalid_format"),
        (EMPTY, 400, "unknown_foreground"),
        (bytes(11 * 1024**2), 413, "file_too_large"),
    ):
        answer = await removebg(api, data)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    answer = await api.client.post(REMOVEBG, data={"image_url": "https://example.com/a.jpg"})
    assert answer.json()["errors"][0]["code"] == "image_url_disabled"
    answer = await api.client.get(REMOVEBG)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_limits_and_keys_are_those_of_every_request(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = {"X-Api-Key": issue_key(file)[0]}
    parts = ApiParts(keys_file=file, limits=RateLimitConfig(per_minute=1, per_second=0))
    async with open_api(parts) as api:
        assert (await removebg(api)).headers["x-ratelimit-remaining"] == "0"
        for answer in (await removebg(api), await rembg(api)):
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) > 0
        answer = await api.client.get(REMBG, params={"url": "https://example.com/a.jpg"})
        assert answer.status_code == 429, "a GET there is a removal, and counts"
        account = "/v1.0/account"
        told: dict[str, Any] = (await api.client.get(account, headers=key)).json()["data"]
        assert told["attributes"]["credits"]["total"] == 0
        assert told["attributes"]["api"]["free_calls"] > 0
    async with open_api(ApiParts(keys_file=file)) as api:
        answer = await api.client.get(account)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "api_key_required")
        wrong = await api.client.post(
            REMOVEBG, files={"image_file": PNG}, headers={"X-Api-Key": "bgr_no_key"}
        )
        assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({}, {}),
        ({"a": "true", "af": "240", "ab": "10", "ae": "10", "ppm": "true", "extras": "{}"}, {}),
        ({"om": "true"}, {"output": "mask"}),
        ({"bgc": "255,0,10,255"}, {"bg_color": "#ff000a"}),
        ({"bgc": "0,0,0,0"}, {}),
        ({"model": "FAKE-net"}, {"model": "fake-net"}),
    ],
)
async def test_rembgs_options_are_ours(
    api: Api, theirs: dict[str, str], ours: dict[str, str]
) -> None:
    answer = await rembg(api, **theirs)
    assert answer.status_code == 200, answer.text
    assert answer.content == (await api.remove(PNG, **ours)).content


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"bgc": "1,2,3"}, "bgc"),
        ({"bgc": "1,2,3,128"}, "bgc"),
        ({"bgc": "1,2,3,9999999999999999999999"}, "bgc"),
        ({"a": "x"}, "a"),
        ({"af": "-1"}, "af"),
        ({"extras": '{"sam_prompt": []}'}, "extras"),
        ({"model": "sam"}, "model"),
        ({"other": "1"}, "other"),
    ],
)
async def test_what_rembg_can_and_we_cannot_is_refused_by_name(
    api: Api, fields: dict[str, str], name: str
) -> None:
    answer = await rembg(api, **fields)
    assert (answer.status_code, answer.json()["error_code"]) == (422, "INVALID_REQUEST")
    assert name in answer.json()["detail"]


async def test_rembgs_address_of_a_picture_is_the_operators_to_allow(api: Api) -> None:
    url = {"url": "https://example.com/a.jpg"}
    answer = await api.client.get(REMBG, params=url)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "IMAGE_URL_DISABLED")
    assert (await api.client.get(REMBG)).status_code == 422
    assert (await api.client.head(REMBG, params=url)).status_code == 405
