"""What the specification shows as examples (7.1, 7.3, 10), run as a reader would run it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.d_id import KEY, StandIn
from tests.support.pictures import make_image, make_portrait, open_image, pixels_of, save
from tests.support.server import REPOSITORY, BentoServer, Serve

EXAMPLES = REPOSITORY / "examples"
PHOTO = make_image("PNG", 96, 128)
GREEN = (0, 177, 64)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    file.write_bytes(PHOTO)
    return file


def run(
    name: str, *words: str | Path, timeout: float = 60, **more: str
) -> subprocess.CompletedProcess[str]:
    starts = {".sh": "bash", ".py": sys.executable}
    return subprocess.run(
        [starts[Path(name).suffix], str(EXAMPLES / name), *map(str, words)],
        env={"PATH": os.environ["PATH"], **more},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.mark.parametrize("name", ["curl.sh", "one_picture.py", "retry.py"])
def test_one_picture(name: str, fake_server: BentoServer, photo: Path) -> None:
    out = photo.with_name("out.png")
    ran = run(name, photo, out, fake_server.url(""))
    assert ran.returncode == 0, ran.stderr
    assert out.read_bytes() == fake_server.remove(PHOTO).content
    if name != "retry.py":
        assert "128x96" in ran.stdout
        assert "u2netp" in ran.stdout


@pytest.mark.parametrize("name", ["curl.sh", "one_picture.py", "retry.py"])
def test_a_refusal_is_told_in_the_service_s_words_and_is_no_file(
    name: str, fake_server: BentoServer, photo: Path
) -> None:
    photo.write_bytes(b"%PDF-1.7 no picture")
    out = photo.with_name("out.png")
    ran = run(name, photo, out, fake_server.url(""))
    assert ran.returncode == (22 if name == "curl.sh" else 1)
    assert "Unsupported file format" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not out.exists()


class Busy:
    """A service that is busy a number of times, then answers."""

    def __init__(self, times: int, *headers: tuple[str, str]) -> None:
        self.moments: list[float] = []
        moments = self.moments

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                moments.append(time.monotonic())
                assert b"PNG" in self.rfile.read(int(self.headers["Content-Length"]))
                busy = len(moments) <= times
                self.send_response(503 if busy else 200)
                for header in headers if busy else ():
                    self.send_header(*header)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"busy" if busy else b"done")

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Busy:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("name", ["retry.py", pytest.param("curl.sh", marks=pytest.mark.full)])
def test_a_busy_service_is_asked_again_when_it_says_with_the_whole_picture(
    name: str, photo: Path
) -> None:
    out = photo.with_name("out.png")
    with Busy(2, ("Retry-After", "1")) as busy:
        ran = run(name, photo, out, busy.url)
    assert ran.returncode == 0, ran.stderr
    assert out.read_bytes() == b"done"
    first, second, third = busy.moments
    assert min(second - first, third - second) > 0.9
    assert third - first < 5


def test_a_folder_goes_on_where_it_was_stopped_and_one_bad_picture_keeps_no_other(
    fake_server: BentoServer, tmp_path: Path
) -> None:
    sources, targets = tmp_path / "in", tmp_path / "out"
    sources.mkdir()
    targets.mkdir()
    for name in ("a.png", "a.jpg", "b.webp", "there.png"):
        (sources / name).write_bytes(PHOTO)
    (sources / "bad.jpg").write_bytes(b"no picture")
    (sources / "notes.txt").write_text("not sent")
    (targets / "there.png.png").write_bytes(b"mine")
    ran = run("batch.py", sources, targets, fake_server.url(""))
    assert (ran.returncode, ran.stdout) == (1, "4 of 5 are done\n"), ran.stderr
    assert ran.stderr.startswith("bad.jpg: ")
    assert "Unsupported file format" in ran.stderr
    made = {file.name for file in targets.iterdir()}
    assert made == {"a.png.png", "a.jpg.png", "b.webp.png", "there.png.png"}
    assert (targets / "there.png.png").read_bytes() == b"mine"
    assert open_image((targets / "a.jpg.png").read_bytes()).size == (128, 96)


@pytest.mark.full
@pytest.mark.timeout(420)
def test_a_hundred_files_finish_at_thirty_a_minute(serve: Serve, tmp_path: Path) -> None:
    sources, targets = tmp_path / "in", tmp_path / "out"
    sources.mkdir()
    for number in range(100):
        (sources / f"{number:02}.png").write_bytes(PHOTO)
    with serve() as server:  # with the limits as an operator leaves them
        ran = run("batch.py", sources, targets, server.url(""), timeout=400)
        asked = server.metrics()
    assert (ran.returncode, ran.stdout) == (0, "100 of 100 are done\n"), ran.stderr
    assert len(list(targets.iterdir())) == 100
    refused = sum(
        count
        for name, count in asked.items()
        if name.startswith("background_removal_requests_total") and 'status="429"' in name
    )
    assert refused < 40  # three wait for the moment at which one may be sent; 18 were counted


@pytest.mark.parametrize(
    ("background", "mode", "started"),
    [("#00b140", "RGB", 0), pytest.param("none", "RGBA", 1, marks=pytest.mark.full)],
)
def test_a_portrait_speaks(
    background: str, mode: str, started: int, fake_server: BentoServer, photo: Path
) -> None:
    photo.write_bytes(save(Image.fromarray(make_portrait()), "PNG"))
    with StandIn(started=started) as d_id:
        words = (
            photo,
            "Hello!",
            fake_server.url(""),
            "--did",
            d_id.url,
            "--background",
            background,
        )
        ran = run("did_video.py", *words, D_ID_API_KEY=KEY)
    assert (ran.returncode, ran.stdout) == (0, "https://d-id.example/tlk_1/portrait.mp4\n"), (
        ran.stderr
    )
    (sent,) = d_id.pictures
    picture = open_image(sent)
    assert (picture.format, picture.mode, picture.size) == ("PNG", mode, (160, 120))
    if mode == "RGB":
        assert tuple(pixels_of(sent)[0, 0]) == GREEN
    said = {"type": "text", "input": "Hello!"}
    assert d_id.talks == [
        {"source_url": "s3://d-id-images-prod/img_1/portrait.png", "script": said}
    ]


@pytest.mark.parametrize(
    ("ends", "key", "words"),
    [
        ("error", KEY, "face not detected"),
        ("done", "wrong-key", "user unauthenticated"),
        ("done", "", "set D_ID_API_KEY"),
    ],
)
def test_why_there_is_no_video_is_told_without_the_key(
    ends: str, key: str, words: str, fake_server: BentoServer, photo: Path
) -> None:
    with StandIn(ends) as d_id:
        given = (photo, "Hello!", fake_server.url(""), "--did", d_id.url)
        ran = run("did_video.py", *given, D_ID_API_KEY=key)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert words in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not key or key not in ran.stderr
