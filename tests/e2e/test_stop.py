"""SIGTERM: a picture that had arrived is returned, later callers hear so at once, nothing stays."""

from __future__ import annotations

import contextlib
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
from PIL import Image

from models.arrays import U8Array
from tests.support.pictures import make_image, save
from tests.support.server import (
    NO_LIMITS,
    BentoServer,
    Serve,
    mosaic_picture,
    mosaic_pixels,
    multipart,
    slow_picture,
)

# How a removal spends its time, in order: the stages of the debug log, and the phase each is of.
# "matte" is the way to inference: the hop, the queue before the batch, the batch, the way back.
PHASES = {
    **dict.fromkeys(("guard", "admission", "decode", "fit"), "before inference"),
    "matte": "in inference or its queue",
    **dict.fromkeys(("refine", "smooth", "foreground", "compose", "encode"), "after inference"),
}


LOAD = ("imaging", "inference")


@dataclass
class Sent:
    """One request and when it was sent, on this machine's clock."""

    name: str
    at: float
    answer: Future[httpx.Response]


def _phase_at(server: BentoServer, sent: Sent, moment: float) -> str:
    """What a request was in the middle of at a moment, by the debug log."""
    line = re.search(rf"stages of {sent.name} in ms: (.*)", server.log())
    assert line is not None, f"{sent.name} has no stages"
    took_ms = dict(pair.split("=") for pair in line[1].split())
    passed = sent.at
    for stage, phase in PHASES.items():
        passed += float(took_ms.get(stage, 0)) / 1e3
        if passed > moment:
            return phase
    return "done"


def _load_of(server: BentoServer) -> dict[str, float]:
    """Removals that wait for or are in an imaging thread, and in inference or its queue."""
    metrics = server.metrics()
    return {p: metrics[f'background_removal_removals{{phase="{p}"}}'] for p in LOAD}


def _ask_for_time(picture: U8Array, seconds: float) -> bytes:
    """A picture that the fake engine takes so long for; see `models.engines.fake`."""
    picture[:40, :40] = (255, 0, round(seconds * 50))
    return save(Image.fromarray(picture), "PNG", compress_level=1)


class _NotThere(Exception):
    """The requests never were where the test wanted them: the machine is too busy."""


def test_every_picture_that_had_arrived_is_returned_whatever_stage_it_was_in(serve: Serve) -> None:
    for _ in range(4):
        with contextlib.suppress(_NotThere):
            _stop_at_every_stage(serve)
            return
    pytest.fail("the requests were never all where the test wants them")


def _stop_at_every_stage(serve: Serve) -> None:
    """With one imaging thread each request is where the test wants it."""
    dear = _ask_for_time(mosaic_pixels(4320, 7680), 4)
    sent: list[Sent] = []
    settings = {"BIREFNET_NUM_WORKERS": "1", "LOG_LEVEL": "debug"}
    settings["BIREFNET_PROCESSING_TIMEOUT_SEC"] = "120"
    settings["BIREFNET_MAX_PICTURE_MEMORY_MB"] = "4096"  # none waits for another's memory
    with serve(**settings, **NO_LIMITS) as server, ThreadPoolExecutor(8) as threads:

        def send(data: bytes, **options: str) -> None:
            name = f"request-{len(sent)}"
            answer = threads.submit(server.remove, data, headers={"X-Request-ID": name}, **options)
            sent.append(Sent(name, time.time(), answer))

        def wait_until(imaging: int, inference: int) -> None:
            wanted = dict(zip(LOAD, (imaging, inference), strict=True))
            give_up = time.monotonic() + 12
            while _load_of(server) != wanted:
                if time.monotonic() > give_up:
                    raise _NotThere
                time.sleep(0.05)

        with server.begin_upload(multipart(mosaic_picture(3000, 4000)), share=0.5) as half:
            send(dear, format="avif")  # some seconds of encoding, for the others to arrive in
            wait_until(imaging=0, inference=1)
            time.sleep(0.3)  # it is a batch now, which nothing joins
            send(slow_picture(5))
            wait_until(imaging=0, inference=2)
            wait_until(imaging=1, inference=1)  # the dear one is being finished
            for _ in range(2):
                send(make_image("JPEG"))  # small, for it must arrive at once
            wait_until(imaging=3, inference=1)  # these wait for the thread
            server.terminate()
            moment = time.time()
            answer = b""
            while b"SHUTTING_DOWN" not in answer:
                piece = half.recv(4000)
                assert piece, answer
                answer += piece
            assert b" 503 " in answer
            assert time.time() - moment < 5  # long before the work under way is done
        with pytest.raises(httpx.ConnectError):
            server.remove(make_image("JPEG"))
        assert time.time() - moment < 8
        lost = [r.answer.result().text for r in sent if r.answer.result().status_code != 200]
        assert lost == [], server.log()
        assert server.wait_for_end() == 0
        assert server.survivors(within_s=1) == []
        assert {_phase_at(server, request, moment) for request in sent} == set(PHASES.values())


def test_a_stop_without_work_is_quick(serve: Serve) -> None:
    with serve(**NO_LIMITS) as server, httpx.Client() as idle:
        assert idle.get(server.url("/readyz")).status_code == 200  # and keep the connection
        assert server.stop() < 3
        assert list(server.tmp.iterdir()) == []


def test_the_workers_end_when_their_supervisor_is_killed(serve: Serve) -> None:
    with serve(**NO_LIMITS) as server, ThreadPoolExecutor(4) as threads:
        assert set(server.workers()) == {"background_removal", "inference"}
        answers = [threads.submit(server.remove, make_image("PNG")) for _ in range(4)]
        assert [answer.result().status_code for answer in answers] == [200] * 4
        server.supervisor.kill()
        assert server.survivors(within_s=5) == []
