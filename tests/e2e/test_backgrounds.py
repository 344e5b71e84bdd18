"""The library on a real server: a process that is killed, a disk that is full or gone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.keys import issue_key
from tests.support.pictures import make_image, make_noise, save
from tests.support.problems import assert_problem
from tests.support.server import NO_LIMITS, PREFIX, BentoServer, Serve

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

BACKGROUNDS = f"{PREFIX}/backgrounds"
LARGE = save(Image.fromarray(make_noise(1500, 1500)), "JPEG", quality=90)


class Caller:
    """Holder of a key at a server."""

    def __init__(self, server: BentoServer, key: str) -> None:
        self._server, self.headers = server, {"X-API-Key": key}

    def upload(self, data: bytes = LARGE) -> httpx.Response:
        url, files = self._server.url(BACKGROUNDS), {"image": ("a.jpg", data)}
        return httpx.post(url, files=files, headers=self.headers, timeout=60)

    def uploads(self) -> list[str]:
        told = httpx.get(self._server.url(BACKGROUNDS), headers=self.headers, timeout=60).json()
        return [one["id"] for one in told["backgrounds"] if one["kind"] == "upload"]

    def remove(self, path: str = f"{PREFIX}/remove", **options: str) -> httpx.Response:
        picture = make_image("PNG", 100, 100)
        return self._server.remove(picture, path=path, headers=self.headers, **options)


def _settings(folder: Path, storage: Path) -> tuple[str, dict[str, str]]:
    key, _ = issue_key(folder / "keys.json")
    keys = {"BIREFNET_KEYS_FILE": str(folder / "keys.json")}
    limits = {"BIREFNET_MAX_BACKGROUND_MB_PER_KEY": "1000"}
    return key, {**NO_LIMITS, **keys, **limits, "BIREFNET_STORAGE_URL": str(storage)}


def test_no_half_of_an_upload_outlives_a_process_that_is_killed(
    serve: Serve, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    key, settings = _settings(tmp_path, storage)
    (storage / "backgrounds/0123456789ab").mkdir(parents=True)
    old = storage / "backgrounds/0123456789ab/bg_0#1"
    old.write_bytes(b"half")
    os.utime(old, (time.time() - 100,) * 2)
    confirmed: list[str] = []

    def upload(caller: Caller) -> None:
        with suppress(httpx.HTTPError):
            answer = caller.upload()
            if answer.status_code == 201:
                confirmed.append(answer.json()["id"])

    with serve(**settings) as server, ThreadPoolExecutor(4) as threads:
        assert not old.exists()
        caller = Caller(server, key)
        upload(caller)
        for _ in range(3):
            at_work = [threads.submit(upload, caller) for _ in range(4)]
            _wait_for_a_write(storage, at_work)
            server.public.send_signal(signal.SIGKILL)
            for one in at_work:
                one.result()
            server.wait_until_ready()
        listed = caller.uploads()
        assert set(confirmed) <= set(listed)
        for background_id in listed:
            assert caller.remove(background_id=background_id).status_code == 200
        native = caller.remove("/remove_background", background_id=listed[0])
        assert native.status_code == 200
        for leftover in storage.rglob("*#*"):
            os.utime(leftover, (time.time() - 100,) * 2)
        upload(caller)
        assert list(storage.rglob("*#*")) == []
        assert server.health()["status"] != "unhealthy"


def _wait_for_a_write(storage: Path, at_work: Sequence[Future[None]]) -> None:
    """Until a file is being written, or everything was."""
    while not all(one.done() for one in at_work):
        for folder in storage.glob("backgrounds/*"):
            with os.scandir(folder) as entries:
                if any("#" in entry.name for entry in entries):
                    return


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_and_one_that_is_gone_hurt_uploads_alone(
    serve: Serve, tmp_path: Path, small_disk: Path
) -> None:
    key, settings = _settings(tmp_path, small_disk / "storage")
    with serve(**settings) as server:
        caller = Caller(server, key)
        kept = caller.upload(make_image("JPEG", 200, 200)).json()["id"]
        while (answer := caller.upload()).status_code == 201:
            pass
        assert_problem(answer, "STORAGE_FULL")
        assert "the storage is full" in server.health()["reasons"]
        assert caller.remove().status_code == 200
        assert caller.remove(background_id=kept).status_code == 200
        (small_disk / "storage").rename(small_disk / "away")
        assert_problem(caller.remove(background_id=kept), "STORAGE_UNAVAILABLE")
        assert_problem(caller.upload(), "STORAGE_UNAVAILABLE")
        server.wait_for(
            lambda: "does not answer" in " ".join(server.health()["reasons"]), 20, "degraded"
        )
        assert caller.remove(background_id="studio-gray").status_code == 200
        server.public.send_signal(signal.SIGKILL)  # it must start without its storage, too
        server.wait_until_ready()
        assert caller.remove().status_code == 200
        (small_disk / "away").rename(small_disk / "storage")
        assert caller.remove(background_id=kept).status_code == 200
        server.wait_for(
            lambda: "does not answer" not in " ".join(server.health()["reasons"]), 20, "well"
        )


def test_a_storage_that_cannot_be_is_refused_at_the_start(
    model_store: Path, tmp_path: Path
) -> None:
    _, settings = _settings(tmp_path, tmp_path / "file" / "below")
    (tmp_path / "file").touch()
    server = BentoServer(model_store, {"BIREFNET_ENGINE": "fake", **settings})
    try:
        server.launch()
        assert server.wait_for_end() != 0
        assert "BIREFNET_STORAGE_URL" in server.log()
        assert "Traceback" not in server.log()
    finally:
        server.close()
