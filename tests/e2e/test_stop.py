"""SIGTERM: a picture that had arrived is returned, later callers hear so at once, nothing stays."""

from __future__ import annotations

import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from tests.support.pictures import make_image
from tests.support.server import (
    NO_LIMITS,
    BentoServer,
    Serve,
    mosaic_picture,
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


def test_every_picture_that_had_arrived_is_returned_whatever_stage_it_was_in(serve: Serve) -> None:
    seen: set[str] = set()
    for _ in range(4):  # which stages a stop meets is chance, more so on a busy machine
        seen = _stop_in_full_flight(serve)
        if seen >= set(PHASES.values()):
            return
    pytest.fail(f"the stop met pictures only {seen}")


def _stop_in_full_flight(serve: Serve) -> set[str]:
    """Stop amid many requests, none of which may be lost; the phases it met them in."""
    large, slow = mosaic_picture(3000, 4000), slow_picture(0.6)
    sent: list[Sent] = []
    with (
        serve(LOG_LEVEL="debug", BIREFNET_NUM_WORKERS="8", **NO_LIMITS) as server,
        ThreadPoolExecutor(40) as threads,
    ):

        def send(data: bytes) -> None:
            name = f"request-{len(sent)}"
            answer = threads.submit(server.remove, data, headers={"X-Request-ID": name})
            sent.append(Sent(name, time.time(), answer))

        with server.begin_upload(multipart(large), share=0.5) as half:
            while not any(request.answer.done() for request in sent):  # some encode, some decode
                send(large)
                if len(sent) % 4 == 0:
                    send(slow)  # one at a time: the others queue
                time.sleep(0.1)
                assert len(sent) < 34
            for _ in range(4):  # however quick the machine is: not all of them are decoded yet
                send(large)
            time.sleep(0.1)  # the last body has arrived
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
            server.remove(slow)
        assert time.time() - moment < 8
        lost = [r.answer.result().text for r in sent if r.answer.result().status_code != 200]
        assert lost == [], server.log()
        assert server.wait_for_end() == 0
        assert server.survivors(within_s=1) == []
        return {_phase_at(server, request, moment) for request in sent}


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
