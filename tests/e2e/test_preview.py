"""A live preview of the served Bento: the stop, large pictures, the examples."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pytest
from httpx_ws import WebSocketDisconnect, WebSocketSession, connect_ws
from PIL import Image
from playwright.sync_api import Browser

from tests.support.pictures import make_image, make_noise, open_image, pixels_of, save
from tests.support.server import NO_LIMITS, REPOSITORY, BentoServer, Serve, free_port, slow_picture

PREVIEW = "/api/background-removal/preview"
EXAMPLES = REPOSITORY / "examples"


@contextmanager
def preview_of(server: BentoServer, **headers: str) -> Iterator[WebSocketSession]:
    """One open preview."""
    with (
        httpx.Client(timeout=30, headers=headers) as client,
        connect_ws(server.url(PREVIEW), client, max_message_size_bytes=2**26) as socket,
    ):
        assert told(socket)["type"] == "ready"
        yield socket


def told(socket: WebSocketSession) -> dict[str, Any]:
    """The next message in words; the bytes that follow a picture are under `data`."""
    message: dict[str, Any] = json.loads(socket.receive_text(timeout=60))
    if message["type"] == "picture":
        message["data"] = socket.receive_bytes(timeout=60)
    return message


def end_of(socket: WebSocketSession) -> int:
    """The code a preview is closed with."""
    try:
        while True:
            told(socket)
    except WebSocketDisconnect as end:
        return int(end.code)


def test_a_large_picture_passes_uncompressed_and_a_larger_one_than_any_does_not(
    fake_server: BentoServer,
) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    large = save(Image.fromarray(make_noise(1000, 1000)), "PNG")  # 3 MB
    with preview_of(fake_server, **offer) as socket:
        assert "sec-websocket-extensions" not in socket.response.headers
        socket.send_bytes(large)
        assert [told(socket)["size"] for _ in range(2)] == ["small", "full"]
        socket.send_bytes(bytes(11 * 1024**2))
        assert end_of(socket) == 1009
    fake_server.wait_for(lambda: _open(fake_server) == 0, 10, "closed")
    lines = [line for line in fake_server.log().splitlines() if PREVIEW in line]
    assert all("WEBSOCKET" in line for line in lines), lines  # one each, and none of the server's


def _open(server: BentoServer) -> float:
    return server.metrics()["background_removal_previews_open"]


def test_a_page_of_another_origin_is_refused_and_one_of_ours_served(
    fake_server: BentoServer,
) -> None:
    own = fake_server.url("")
    with preview_of(fake_server, Origin=own):
        assert _open(fake_server) == 1
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Origin": "https://evil.test",
    }
    answer = httpx.get(fake_server.url(PREVIEW), headers=handshake, timeout=10)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "ORIGIN_NOT_ALLOWED")
    line = f"WEBSOCKET {PREVIEW} 403 "
    fake_server.wait_for(lambda: line in fake_server.log(), 5, "logged")


@pytest.mark.full
def test_a_stop_lets_a_busy_preview_answer_and_ends_within_its_bound(serve: Serve) -> None:
    with serve(**NO_LIMITS) as server, ThreadPoolExecutor() as pool:
        with preview_of(server) as idle, preview_of(server) as busy:
            busy.send_bytes(slow_picture(2))
            time.sleep(0.7)
            started = time.monotonic()
            closed = pool.submit(end_of, idle)
            server.supervisor.send_signal(signal.SIGTERM)
            assert [told(busy)["size"] for _ in range(2)] == ["small", "full"]
            assert (end_of(busy), closed.result()) == (1012, 1012)
        server.supervisor.wait(20)
        assert time.monotonic() - started < 15


def test_the_python_client_keeps_the_retouched_cutout(
    fake_server: BentoServer, tmp_path: Path
) -> None:
    strokes, target = tmp_path / "strokes.json", tmp_path / "cutout.png"
    photo = EXAMPLES / "photos" / "coffee.jpg"
    scripted = json.loads((EXAMPLES / "strokes" / "strokes.json").read_text())["faults"]
    drawn = [one["strokes"][0] for one in scripted if one["picture"] == "coffee"]
    cutouts = []
    for wanted in ([], drawn):
        strokes.write_text(json.dumps(wanted))
        words = (EXAMPLES / "preview/client.py", photo, strokes, target, fake_server.url(""))
        ran = subprocess.run(
            [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 0, ran.stderr
        cutouts.append(target.read_bytes())
    assert cutouts[0] == fake_server.remove(photo.read_bytes()).content
    before, after = (pixels_of(one)[..., 3].astype(int) for one in cutouts)
    assert np.abs(before - after).max() > 100


def test_the_python_client_says_in_one_line_what_is_wrong(
    fake_server: BentoServer, tmp_path: Path
) -> None:
    (tmp_path / "strokes.json").write_text("[]")
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    words = ("a.jpg", "strokes.json", "out.png", fake_server.url(""))
    ran = subprocess.run(
        [sys.executable, EXAMPLES / "preview/client.py", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 1
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr


@pytest.fixture
def page() -> Iterator[str]:
    """The example page, served at an origin of its own."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

    handler = partial(Quiet, directory=str(EXAMPLES / "preview"))
    server = ThreadingHTTPServer(("127.0.0.1", free_port()), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.services
def test_the_page_shows_a_picture_and_what_is_drawn_on_it(
    serve: Serve, page: str, browser: Browser, tmp_path: Path
) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(make_image("PNG", 300, 400))
    with serve(BIREFNET_CORS_ORIGINS=page, **NO_LIMITS) as server:
        tab = browser.new_page()
        tab.goto(f"{page}/?service={server.url('')}")
        tab.set_input_files("#file", picture)
        tab.wait_for_function("document.getElementById('status').textContent.startsWith('small')")
        shown = "document.getElementById('canvas').toDataURL()"
        before = tab.evaluate(shown)
        tab.locator("#feather").fill("12")
        tab.wait_for_function("!document.getElementById('download').hidden")
        tab.locator("#behind").check()
        tab.wait_for_function("document.getElementById('status').textContent.startsWith('full')")
        box = tab.locator("#canvas").bounding_box()
        assert box is not None
        tab.mouse.move(box["x"] + 8, box["y"] + 8)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 40, box["y"] + 10, steps=4)
        tab.mouse.up()
        tab.wait_for_timeout(500)
        assert tab.evaluate(shown) != before
        assert open_image(downloaded(tab)).size == (400, 300)
        tab.close()


def downloaded(tab: Any) -> bytes:
    """The file behind the page's download."""
    numbers = tab.evaluate(
        "fetch(document.getElementById('download').href).then((r) => r.arrayBuffer())"
        ".then((b) => Array.from(new Uint8Array(b)))"
    )
    return bytes(numbers)
