"""A batch on a real server: streamed while it runs, whoever the client is, memory flat."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.pictures import make_image, make_noise, save
from tests.support.problems import assert_problem
from tests.support.server import (
    BOUNDARY,
    NO_LIMITS,
    PREFIX,
    BentoServer,
    Serve,
    mosaic_picture,
    slow_picture,
)

BATCH = f"{PREFIX}/remove-batch"


@pytest.fixture(scope="module")
def batch_server(serve: Serve) -> Iterator[BentoServer]:
    with serve(BIREFNET_MAX_BATCH_MB="40", BIREFNET_NUM_WORKERS="2", **NO_LIMITS) as server:
        yield server


def _files(*pictures: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", (f"{i}.png", data)) for i, data in enumerate(pictures)]


def _lines(answer: httpx.Response) -> Iterator[dict[str, object]]:
    for line in answer.iter_lines():
        yield json.loads(line)


def test_the_first_result_comes_long_before_the_last_is_begun(batch_server: BentoServer) -> None:
    slow = slow_picture(0.3)
    with httpx.stream(
        "POST", batch_server.url(BATCH), files=_files(*[slow] * 10), timeout=60
    ) as answer:
        lines, started = _lines(answer), time.monotonic()
        assert next(lines)["progress"] == {"done": 1, "total": 10}
        first_s = time.monotonic() - started
        told = list(lines)
        whole_s = time.monotonic() - started
    assert told[-1]["succeeded"] == 10
    assert first_s < whole_s / 2


def test_one_that_reads_while_it_sends_gets_everything(batch_server: BentoServer) -> None:
    picture = make_image("PNG")
    part = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\n".encode()
    )

    def body() -> Iterator[bytes]:
        for _ in range(20):
            yield part + picture + b"\r\n"
            time.sleep(0.02)
        yield f"--{BOUNDARY}--\r\n".encode()

    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    url = batch_server.url(BATCH)
    with httpx.stream("POST", url, content=body(), headers=headers, timeout=60) as answer:
        assert [line["status"] for line in _lines(answer)] == ["done"] * 20 + ["finished"]


def test_curl_gets_a_zip_it_can_open(batch_server: BentoServer, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl here")
    (tmp_path / "a.png").write_bytes(mosaic_picture(1000, 1000))
    sent = [word for _ in range(12) for word in ("-F", f"image=@{tmp_path / 'a.png'}")]
    out = tmp_path / "cutouts.zip"
    subprocess.run(
        [curl, "-sS", "-m", "60", "-H", "Accept: application/zip", *sent, "-o", out,
         batch_server.url(BATCH)],
        check=True,
    )  # fmt: skip
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 13


def test_a_caller_who_leaves_ends_the_batch(batch_server: BentoServer) -> None:
    slow = slow_picture(0.3)
    with httpx.stream(
        "POST", batch_server.url(BATCH), files=_files(*[slow] * 30), timeout=60
    ) as answer:
        next(_lines(answer))
    loaded = 'background_removal_removals{{phase="{}"}}'
    batch_server.wait_for(
        lambda: (
            not any(
                batch_server.metrics()[loaded.format(phase)] for phase in ("imaging", "inference")
            )
        ),
        4,
        "idle",
    )
    assert batch_server.remove(make_image("PNG")).status_code == 200


def test_too_much_is_refused_before_it_is_read(batch_server: BentoServer) -> None:
    large = save(Image.fromarray(make_noise(1000, 1000)), "PNG", compress_level=0)
    answer = httpx.post(batch_server.url(BATCH), files=_files(*[large] * 15), timeout=60)
    assert_problem(answer, "FILE_TOO_LARGE")


@pytest.mark.full
def test_interactive_callers_are_not_kept_waiting(batch_server: BentoServer) -> None:
    slow, over = slow_picture(0.2), threading.Event()

    def batches() -> None:
        while not over.is_set():
            httpx.post(batch_server.url(BATCH), files=_files(*[slow] * 20), timeout=60)

    callers = [threading.Thread(target=batches) for _ in range(3)]
    for caller in callers:
        caller.start()
    time.sleep(0.5)
    took = []
    for _ in range(5):
        started = time.monotonic()
        assert batch_server.remove(make_image("PNG")).status_code == 200
        took.append(time.monotonic() - started)
    over.set()
    for caller in callers:
        caller.join(60)
    assert max(took) < 5, took  # 60 pictures of 0.2 s lie before them


@pytest.mark.full
def test_memory_is_that_of_the_body_and_a_few_pictures(serve: Serve) -> None:
    picture = save(Image.fromarray(make_noise(1800, 2400)), "JPEG", quality=75)
    cap_mb = 40
    count = cap_mb * 10**6 // len(picture)
    with serve(BIREFNET_MAX_BATCH_MB=str(cap_mb), **NO_LIMITS) as server:
        server.remove(picture)
        idle, peak, over = server.public.memory_info().rss, 0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not over.is_set():
                peak = max(peak, server.public.memory_info().rss)
                time.sleep(0.02)

        watcher = threading.Thread(target=watch)
        watcher.start()
        for accept in ("application/x-ndjson", "application/zip"):
            answer = httpx.post(
                server.url(BATCH),
                files=_files(*[picture] * count),
                headers={"Accept": accept},
                timeout=120,
            )
            assert answer.status_code == 200
        over.set()
        watcher.join()
    four_pictures = 4 * 1800 * 2400 * 40
    print(f"{count} pictures of {len(picture) / 1e6:.1f} MB: {(peak - idle) / 1e6:.0f} MB more")
    assert peak - idle < cap_mb * 1024**2 + four_pictures
