"""`WS /preview` behind a real server: what is told, limited, logged, refused, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from pathlib import Path

import httpx
import numpy as np
import pytest
from httpx_ws import WebSocketDisconnect, WebSocketNetworkError
from PIL import Image

from service.access.rate_limit import RateLimitConfig
from service.errors import InvalidRequest
from service.http.preview_messages import read_wish
from service.preview.previews import PreviewConfig
from tests.support.api import Api, ApiParts, open_api
from tests.support.keys import issue_key
from tests.support.matting import FakeMattingClient
from tests.support.pictures import make_image, make_portrait, pixels_of, save
from tests.support.preview import PREVIEW, Socket, connect, serving

pytestmark = pytest.mark.anyio

PICTURE = make_image("PNG")
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


async def refused(base: str, **headers: str) -> httpx.Response:
    """The answer to a handshake that is refused."""
    async with httpx.AsyncClient(headers=UPGRADE | headers) as client:
        return await client.get(f"{base}{PREVIEW}")


async def wait_until_closed(api: Api) -> None:
    """Wait until no preview is open."""
    async with asyncio.timeout(10):
        while api.services.previews.n_open:
            await asyncio.sleep(0.01)


async def test_a_picture_is_shown_small_then_full_and_changed_without_the_network() -> None:
    async with open_api() as api, serving(api.asgi) as base, connect(base) as socket:
        await socket.send(PICTURE)
        small, full = await socket.told(), await socket.told()
        assert (small["size"], full["size"], small["seq"]) == ("small", "full", 0)
        assert [part["media_type"] for part in small["parts"]] == ["image/jpeg", "image/png"]
        assert full["files"] == [(await api.remove(PICTURE)).content]
        await socket.show(seq=5, options={"bg_color": "#00ff00", "feather": 2}, full=False)
        changed = await socket.told()
        assert (changed["seq"], changed["size"]) == (5, "small")
        assert pixels_of(changed["files"][0]).shape == (full["height"], full["width"], 3)
        strokes = [{"kind": "keep", "points": [[0.1, 0.1]], "radius": 0.05}]
        await socket.show(seq=6, strokes=strokes)
        assert [(await socket.told())["size"] for _ in range(2)] == ["small", "full"]
        assert api.services.previews.n_open == 1
        assert api.services.remover.models["fake-net"].client.calls == 2  # with that of /remove


async def test_an_edge_that_is_moved_far_out_after_a_look_has_the_subjects_colours_there() -> None:
    picture = save(Image.fromarray(make_portrait(480, 640)), "PNG")
    far = {"feather": 30, "shift_edge": 10, "bg_color": "#00ff00"}
    async with open_api() as api, serving(api.asgi) as base, connect(base) as socket:
        await socket.send(picture)
        assert [(await socket.told())["size"] for _ in range(2)] == ["small", "full"]
        await socket.show(seq=1, options=far)
        small, full = [pixels_of((await socket.told())["files"][0]) for _ in range(2)]
    apart = np.abs(small[..., :3].astype(int) - full[..., :3])
    assert np.percentile(apart, 99.9) <= 14  # a JPEG's


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "message"),
        ("[]", "message"),
        ('{"seq": -1}', "seq"),
        ('{"seq": "1"}', "seq"),
        ('{"options": {"feather": 1000}}', "feather"),
        ('{"options": {"feather": NaN}}', "feather"),
        ('{"options": {"fether": 1}}', "fether"),
        ('{"options": {"bg_image": "abc"}}', "bg_image"),
        ('{"options": {"return_base64": true}}', "return_base64"),
        ('{"options": {"output": "cutout", "bg_color": "red"}}', "output"),
        ('{"strokes": [{"kind": "paint", "points": [[0, 0]], "radius": 0.1}]}', "strokes.0.kind"),
        ('{"strokes": [{"kind": "keep", "points": [], "radius": 0.1}]}', "strokes.0.points"),
        (
            '{"strokes": [{"kind": "keep", "points": [[0, 1e9]], "radius": 0.1}]}',
            "strokes.0.points",
        ),
        ('{"strokes": [{"kind": "keep", "points": [[0, 0]], "radius": 0}]}', "strokes.0.radius"),
        ('{"wish": 1}', "wish"),
        ("[" * 100_000, "message"),
        ('{"options": ' + '{"a":' * 50_000, "message"),
        ("x" * 300_000, "message"),
    ],
    ids=range(18),
)
def test_a_wish_that_is_none_is_refused_with_where(text: str, where: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_wish(text)
    places = [str(entry["loc"][1]) for entry in refusal.value.fields["errors"]]
    assert any(place.startswith(where) for place in places), places


def make_malformed(rng: random.Random) -> str:
    """A wish with something broken in it."""
    points = [[rng.uniform(-1, 2), rng.uniform(-1, 2)] for _ in range(rng.randint(1, 4))]
    wish = {
        "seq": rng.randint(0, 99),
        "options": {"feather": 3, "bg_color": "#fff", "smoothing": True, "size": "full"},
        "strokes": [{"kind": "keep", "points": points, "radius": 0.01}],
        "full": False,
    }
    values = [None, -1, 1e308, 2**70, "\ud800", "", "\x00", [], {}, [[]], True, "nan", "9" * 5000]
    kind = rng.randrange(4)
    if kind == 0:
        place = rng.choice([wish, wish["options"], wish["strokes"][0]])  # type: ignore[index]
        place[rng.choice([*place, "x"])] = rng.choice(values)  # type: ignore[index, misc]
        return json.dumps(wish)
    text = json.dumps(wish)
    at = rng.randrange(len(text))
    if kind == 1:
        return text[:at]
    if kind == 2:
        return text[:at] + rng.choice(['"', "{", "]", "\\u", "\x07", "é", "9"]) + text[at + 1 :]
    return "".join(chr(rng.choice((rng.randrange(32, 127), 233, 0x4E00))) for _ in range(at))


def test_ten_thousand_malformed_wishes_are_refused_or_read_and_never_a_crash() -> None:
    rng, refusals = random.Random(5), 0
    for _ in range(10_000):
        try:
            read_wish(make_malformed(rng))
        except InvalidRequest as refusal:
            json.dumps(refusal.fields)
            refusals += 1
    assert refusals > 8_000


async def _bombard(socket: Socket, rng: random.Random) -> None:
    """Send two hundred malformed messages while reading what comes, until shown the door."""

    async def send() -> None:
        for _ in range(200):
            if rng.random() < 0.2:
                await socket.send(rng.randbytes(rng.randrange(300)))
            else:
                text = make_malformed(rng).encode("utf-8", "replace").decode()
                await socket.session.send_text(text)

    sending = asyncio.create_task(send())
    try:
        while True:
            await socket.told()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.full
async def test_ten_thousand_malformed_messages_leave_a_service_that_serves() -> None:
    rng = random.Random(6)
    async with open_api() as api, serving(api.asgi) as base:
        for _ in range(100):
            async with connect(base) as socket:
                with contextlib.suppress(WebSocketDisconnect, WebSocketNetworkError):
                    await _bombard(socket, rng)
        await wait_until_closed(api)
        async with connect(base) as socket:
            await socket.send(PICTURE)
            assert (await socket.told())["size"] == "small"


async def test_what_is_wrong_is_told_and_the_preview_goes_on() -> None:
    async with open_api() as api, serving(api.asgi) as base, connect(base) as socket:
        for data in (b"", b"no picture"):
            await socket.send(data)
            problem = await socket.told()
            assert problem["type"] == "problem"
            assert problem["request_id"]
        await socket.session.send_text("{")
        assert (await socket.told())["error_code"] == "INVALID_REQUEST"
        await socket.send(PICTURE)
        assert (await socket.told())["size"] == "small"


async def test_whoever_sends_nothing_but_nonsense_is_shown_the_door() -> None:
    async with open_api() as api, serving(api.asgi) as base, connect(base) as socket:
        for _ in range(100):
            await socket.session.send_text("{")
            assert (await socket.told())["type"] == "problem"
        with pytest.raises(WebSocketDisconnect) as end:
            await socket.told()
        assert end.value.code == 1008
        await wait_until_closed(api)


async def test_a_message_larger_than_any_picture_ends_the_preview() -> None:
    async with open_api() as api, serving(api.asgi, 100_000) as base, connect(base) as socket:
        await socket.send(bytes(100_001))
        with pytest.raises(WebSocketDisconnect) as end:
            await socket.told()
        assert end.value.code == 1009
        await wait_until_closed(api)


async def test_previews_are_limited_as_requests_are() -> None:
    limits = RateLimitConfig(per_minute=3, per_second=0, in_flight=2, max_wait_s=0)
    async with open_api(ApiParts(limits=limits)) as api, serving(api.asgi) as base:
        async with connect(base) as socket, connect(base):
            answer = await refused(base)  # two at once
            assert (answer.status_code, answer.json()["error_code"]) == (429, "RATE_LIMIT_EXCEEDED")
            await socket.send(PICTURE)
            assert [(await socket.told())["size"] for _ in range(2)] == ["small", "full"]
            await socket.send(PICTURE)  # the second picture: one more request
            assert [(await socket.told())["size"] for _ in range(2)] == ["small", "full"]
            await socket.send(PICTURE)
            problem = await socket.told()
            assert (problem["type"], problem["error_code"]) == ("problem", "RATE_LIMIT_EXCEEDED")
            assert problem["retry_after_seconds"] > 0
        await wait_until_closed(api)
        answer = await refused(base)
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (429, "0")


async def test_keys_count_for_previews_as_for_requests(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key, _ = issue_key(file)
    async with (
        open_api(ApiParts(keys_file=file, require_key=True)) as api,
        serving(api.asgi) as base,
    ):
        answer = await refused(base)
        assert (answer.status_code, answer.json()["error_code"]) == (401, "API_KEY_REQUIRED")
        assert (await refused(base, **{"X-API-Key": "bgr_no_no"})).status_code == 401
        async with connect(base, headers={"X-API-Key": key}) as socket:
            await socket.send(PICTURE)
            assert (await socket.told())["size"] == "small"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "http://127.0.0.1:1",
        "null",
        "",
        "file://",
        "http://127.0.0.1:{port}.evil.test",
        "http://evil.test@127.0.0.1:{port}",
        "http://127.0.0.1:{port}/",
        "http://[",
    ],
)
async def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    parts = ApiParts(cors_origins=("https://app.example",))
    async with open_api(parts) as api, serving(api.asgi) as base:
        port = base.rpartition(":")[2]
        answer = await refused(base, Origin=origin.replace("{port}", port))
        assert (answer.status_code, answer.json()["error_code"]) == (403, "ORIGIN_NOT_ALLOWED")
        assert api.services.previews.n_open == 0


async def test_our_own_pages_and_those_that_may_call_us_are_served() -> None:
    parts = ApiParts(cors_origins=("https://app.example",))
    async with open_api(parts) as api, serving(api.asgi) as base:
        for origin in (base, "https://app.example"):
            async with connect(base, headers={"Origin": origin}):
                pass


async def test_a_browser_under_a_strangers_name_is_refused() -> None:
    async with open_api() as api, serving(api.asgi) as base:
        headers = {"Host": "evil.test", "Origin": "http://evil.test"}
        answer = await refused(base, **headers)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "HOST_NOT_ALLOWED")


async def test_too_many_and_none_at_all_are_refused_before_they_are_accepted() -> None:
    for most, status, code in ((1, 503, "SERVICE_BUSY"), (0, 403, "PREVIEWS_DISABLED")):
        parts = ApiParts(previews=PreviewConfig(most=most))
        async with open_api(parts) as api, serving(api.asgi) as base:
            if most:
                async with connect(base):
                    answer = await refused(base)
            else:
                answer = await refused(base)
            assert (answer.status_code, answer.json()["error_code"]) == (status, code)
            assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_a_request_without_an_upgrade_is_told_so() -> None:
    async with open_api() as api:
        answer = await api.client.get(PREVIEW)
        assert answer.json()["error_code"] == "METHOD_NOT_ALLOWED"


async def test_a_preview_has_its_line_in_the_log_and_its_place_in_the_metrics(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "service.http.access_log"):
        async with open_api() as api, serving(api.asgi) as base:
            async with connect(base, headers={"X-Request-ID": "mine"}) as socket:
                await socket.send(PICTURE)
                small = await socket.told()
                await socket.told()
            await wait_until_closed(api)
            await asyncio.sleep(0.05)
            sample = api.registry.get_sample_value(
                "background_removal_requests_total",
                {"route": "/preview", "status": "101", "error_code": ""},
            )
            in_progress = api.registry.get_sample_value("background_removal_requests_in_progress")
    (line,) = (one.getMessage() for one in caplog.records if "id=mine" in one.getMessage())
    assert line.startswith(f"WEBSOCKET {PREVIEW} 101 ")
    assert f"in={len(PICTURE)} " in line
    assert int(line.partition("out=")[2].split()[0]) > sum(map(len, small["files"]))
    assert (sample, in_progress) == (1, 0)


async def test_an_idle_preview_is_closed() -> None:
    parts = ApiParts(previews=PreviewConfig(idle_s=0.2))
    async with open_api(parts) as api, serving(api.asgi) as base, connect(base) as socket:
        with pytest.raises(WebSocketDisconnect) as end:
            await socket.told()
        assert end.value.code == 1001


async def test_a_stop_lets_busy_previews_answer_and_closes_idle_ones() -> None:
    parts = ApiParts(matting=FakeMattingClient(delay_s=0.4))
    async with open_api(parts) as api, serving(api.asgi) as base:
        async with connect(base) as idle, connect(base) as busy:
            await busy.send(PICTURE)
            await asyncio.sleep(0.15)
            api.draining.set()
            with pytest.raises(WebSocketDisconnect) as end:
                await idle.told()
            assert end.value.code == 1012
            assert [(await busy.told())["size"] for _ in range(2)] == ["small", "full"]
            with pytest.raises(WebSocketDisconnect) as end:
                await busy.told()
            assert end.value.code == 1012
        await api.services.previews.ended()
        assert (await refused(base)).json()["error_code"] == "SHUTTING_DOWN"


async def _drop(base: str, stage: int) -> None:
    """Open a preview and leave it at some stage, without a word or with one."""
    if stage == 0:  # amid the handshake
        _, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
        writer.write(b"GET " + PREVIEW.encode() + b" HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n")
        await writer.drain()
        writer.transport.abort()
        return
    async with connect(base) as socket:
        if stage >= 2:
            await socket.send(PICTURE)
        if stage == 3:
            await socket.told()
        if stage == 4:
            await socket.told()
            await socket.show(seq=1, options={"feather": 5})
        if stage >= 3 and hasattr(socket.session.stream, "aclose"):
            await socket.session.stream.aclose()  # without a closing handshake


@pytest.mark.parametrize("n_previews", [40, pytest.param(200, marks=pytest.mark.full)])
async def test_previews_dropped_at_every_stage_leave_nothing(n_previews: int) -> None:
    parts = ApiParts(matting=FakeMattingClient(delay_s=0.01))
    async with open_api(parts) as api, serving(api.asgi) as base:
        for first in range(0, n_previews, 8):
            drops = [_drop(base, number % 5) for number in range(first, first + 8)]
            await asyncio.gather(*drops, return_exceptions=True)
        await wait_until_closed(api)
        remover = api.services.remover
        async with asyncio.timeout(10):
            while remover.budget.held or remover.overdue or not remover.is_idle:
                await asyncio.sleep(0.01)
        assert (remover.budget.kept, api.services.previews.n_open) == (0, 0)
        assert not api.limiter._in_flight
        await asyncio.sleep(0.1)
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
        assert not [name for name in names if "Preview" in name or "run_asgi" in name], names


async def test_newer_wishes_replace_those_that_wait_while_nobody_reads() -> None:
    async with open_api() as api, serving(api.asgi) as base, connect(base) as socket:
        await socket.send(PICTURE)
        await socket.told()
        await socket.told()
        for seq in range(1, 301):
            await socket.show(seq=seq, options={"feather": seq % 100}, full=False)
        seen = [await socket.told()]
        while seen[-1]["seq"] < 300:
            seen.append(await socket.told())
        assert [one["seq"] for one in seen] == sorted({one["seq"] for one in seen})
        assert len(seen) < 300
