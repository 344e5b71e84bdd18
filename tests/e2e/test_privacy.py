"""Nothing leaves the machine and nothing rests on it: processes speak to callers alone."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.pictures import make_image
from tests.support.server import NO_LIMITS, PREFIX, REPOSITORY, BentoServer, Serve

# Python runs it before anything else in every process of the server.
WATCH = """
import json, os, sys, time

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def note(event, arguments):
    if event == "open" and os.environ["TEST_WATCH"] not in str(arguments[0]):
        path, mode, flags = arguments
        if isinstance(flags, int) and flags & WRITES:
            event = "write"
    if event == "write":
        with open(os.environ["TEST_WATCH"] + ".writes", "a") as file:
            file.write(json.dumps([time.time(), str(path)]) + "\\n")
    if event in ("socket.getaddrinfo", "socket.connect", "urllib.Request"):
        with open(os.environ["TEST_WATCH"], "a") as file:
            file.write(json.dumps([event, repr(arguments)]) + "\\n")

sys.addaudithook(note)
"""
OUR_OWN = ("127.0.0.1", "localhost", "0.0.0.0", ".sock", "bentoml-uds", "'::1'")


@pytest.mark.full
def test_a_server_asks_no_network_for_anything_and_leaves_no_file_at_home(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH)
    noted = tmp_path / "noted"
    environment = {
        "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{REPOSITORY}",
        "TEST_WATCH": str(noted),
        "HOME": str(tmp_path / "home"),
        "BENTOML_DO_NOT_TRACK": "",  # as by hand, without the Makefile
        "CI": "",
        "BIREFNET_ENGINE": "openvino",
    }
    with serve(**NO_LIMITS, **environment) as server:
        assert server.remove(make_image("PNG")).status_code == 200
        server.finish(server.send_task(make_image("PNG")))
    seen = [json.loads(line) for line in noted.read_text().splitlines()]
    assert seen, "nothing was watched"
    assert [call for call in seen if not any(name in call[1] for name in OUR_OWN)] == []
    assert [file for file in (tmp_path / "home").rglob("*") if file.is_file()] == []


@pytest.mark.full
def test_no_request_writes_a_file_whatever_it_asks_for(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    environment = {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}",
        "TEST_WATCH": str(tmp_path / "noted"),
    }
    picture, behind = make_image("JPEG", 300, 400), make_image("PNG", 200, 200)
    with serve(**NO_LIMITS, **environment) as server:
        server.remove(picture)  # whatever is opened once has been
        assert not (server.folder / "storage").exists(), "there was no task"
        server.finish(server.send_task(picture))
        kept = _files_in(server.folder / "storage")
        from_now = time.time()
        for options in (
            *({}, {"preset": "studio"}, {"output": "parts"}, {"format": "avif"}),
            {"background_id": "bokeh-warm"},
        ):
            for path in (f"{PREFIX}/remove", "/remove_background"):
                assert server.remove(picture, path=path, **options).status_code == 200
        files = {"image": ("a.jpg", picture), "bg_image": ("b.png", behind)}
        assert httpx.post(server.url(), files=files).status_code == 200
        encoded = base64.b64encode(picture).decode()
        assert httpx.post(server.url(), json={"image": encoded}).status_code == 200
        headers = {"Content-Type": "image/jpeg"}
        assert httpx.post(server.url(), content=picture, headers=headers).status_code == 200
        until = time.time()
        assert _files_in(server.folder / "storage") == kept
    seen = [json.loads(line) for line in (tmp_path / "noted.writes").read_text().splitlines()]
    assert seen, "nothing was watched"
    written = [path for moment, path in seen if from_now < moment < until]
    assert [path for path in written if not path.endswith((".db", "/dev/null"))] == []


def _files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file but the queue's own, which it looks into all the time; with its time and size."""
    files = [file for file in folder.rglob("*") if file.is_file() and "tasks.db" not in file.name]
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in files}


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg", "avif"])
def test_no_format_carries_what_the_picture_knew_of_its_maker(
    fake_server: BentoServer, kind: str
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera of mine"
    exif.get_ifd(0x8825)[1] = "N"
    picture = make_image("JPEG", 200, 200, exif=exif.tobytes(), comment=b"my words")
    assert b"a camera of mine" in picture
    answer = fake_server.remove(picture, format=kind, bg_color="white")
    for secret in (b"a camera of mine", b"my words", b"Exif", b"ICC_PROFILE", b"http"):
        assert secret not in answer.content
