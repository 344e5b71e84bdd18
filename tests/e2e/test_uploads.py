"""Large, endless and broken uploads: never stored, never held, never in the way of a stop."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET

import httpx
import pytest
from PIL import Image

from tests.support.pictures import make_image, make_noise, save
from tests.support.problems import assert_problem
from tests.support.server import NO_LIMITS, BentoServer, Serve, multipart, slow_picture

MB = 1024**2
NINE_MB = save(Image.fromarray(make_noise(1750, 1750)), "PNG", compress_level=0)


@dataclass
class Footprint:
    """What the public process did while it was watched."""

    grown_bytes: int = 0
    written_bytes: int = 0
    largest_file_bytes: int = 0


@contextmanager
def _watched(server: BentoServer) -> Iterator[Footprint]:
    """Watch memory, writes and the temporary folder; unlinked files show in the writes."""
    public = server.public
    footprint, over = Footprint(), threading.Event()
    memory, written = public.memory_full_info().pss, public.io_counters().write_chars

    def watch() -> None:
        while not over.wait(0.02):
            grown = public.memory_full_info().pss - memory
            footprint.grown_bytes = max(footprint.grown_bytes, grown)
            sizes = [f.stat().st_size for f in server.tmp.rglob("*") if f.is_file()]
            footprint.largest_file_bytes = max(footprint.largest_file_bytes, *sizes, 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield footprint
    finally:
        over.set()
        watcher.join()
        footprint.written_bytes = public.io_counters().write_chars - written


def _settle(server: BentoServer) -> None:
    """Wait until memory stands still: a server that has just started still tries its batches."""
    seen: list[int] = []

    def is_still() -> bool:
        seen.append(server.public.memory_info().rss)
        return len(seen) > 20 and max(seen[-20:]) - min(seen[-20:]) < MB

    server.wait_for(is_still, 60, "settled")


def _chunks(n_bytes: int) -> Iterator[bytes]:
    start = multipart(b"")[:-20]
    yield start
    for _ in range(n_bytes // MB):
        yield bytes(MB)


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_a_sixty_megabyte_body_is_refused_without_being_kept(
    fake_server: BentoServer, chunked: bool
) -> None:
    assert fake_server.remove(make_image("PNG")).status_code == 200
    headers = {"Content-Type": "multipart/form-data; boundary=e2e-boundary"}
    if not chunked:
        headers["Content-Length"] = str(sum(map(len, _chunks(60 * MB))))
    _settle(fake_server)
    with _watched(fake_server) as footprint:
        answer = httpx.post(
            fake_server.url(), content=_chunks(60 * MB), headers=headers, timeout=30
        )
    assert_problem(answer, "FILE_TOO_LARGE")
    assert footprint.grown_bytes < 20 * MB
    assert footprint.written_bytes < MB
    assert footprint.largest_file_bytes < MB


def test_an_accepted_upload_never_touches_the_disk(fake_server: BentoServer) -> None:
    before = set(fake_server.tmp.rglob("*"))
    with _watched(fake_server) as footprint:
        assert fake_server.remove(NINE_MB).status_code == 200
    assert footprint.written_bytes < MB
    assert set(fake_server.tmp.rglob("*")) == before


def _in_progress(server: BentoServer) -> float:
    """Requests in progress, without the one that asks."""
    return server.metrics()["background_removal_requests_in_progress"] - 1


def test_callers_who_leave_do_not_hold_up_the_stop(serve: Serve) -> None:
    with serve(**NO_LIMITS) as server:
        half = multipart(NINE_MB)[: 2 * MB]
        for number in range(50):
            leaver = server.begin_upload(half, share=0.5, announced=len(NINE_MB))
            if number % 2:  # with a reset instead of an orderly end
                leaver.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            leaver.close()
        for _ in range(20):  # the body is complete, the answer nobody's
            server.begin_upload(multipart(slow_picture(0.1)), share=1).close()
        server.wait_for(lambda: _in_progress(server) == 0, 30, "idle")
        assert server.remove(make_image("PNG")).status_code == 200
        assert server.health()["reasons"] == [
            "BIREFNET_ENGINE=fake: no model runs, mattes are made up"
        ]
        assert server.stop() < 5


def test_callers_who_leave_during_the_stop_do_not_hold_it_up(serve: Serve) -> None:
    with serve(**NO_LIMITS) as server:
        leavers = [
            server.begin_upload(multipart(slow_picture(0.2)), share=share)
            for share in (0.5, 1.0) * 10
        ]
        server.terminate()
        for leaver in leavers:
            leaver.close()
        assert server.stop() < 10


@pytest.mark.full
@pytest.mark.full
def test_a_caller_who_never_reads_does_not_hold_up_the_stop(serve: Serve) -> None:
    with serve() as server, server.begin_upload(multipart(NINE_MB), share=1):
        answered = 'background_removal_requests_total{error_code="",route="/remove",status="200"}'
        server.wait_for(lambda: server.metrics().get(answered) == 1, 20, "answered")
        assert server.stop() < 15
