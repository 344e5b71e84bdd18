"""What is tried again and when, step by step: the calls are generators, so nothing is sent."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import pytest

from birefnet_client.errors import RemovalError
from birefnet_client.exchange import Exchange, Pace
from birefnet_client.steps import Answer, Ask, ConnectionLost, Wait

POST = Ask("POST", "/remove")
UPLOAD = Ask("POST", "/backgrounds", may_repeat=False)
OK = Answer(200, {}, b"made")


def problem(
    status: int, code: str, headers: Mapping[str, str] | None = None, **fields: Any
) -> Answer:
    told = {"detail": "why", "error_code": code, "request_id": "r1", **fields}
    return Answer(status, headers or {}, json.dumps(told).encode())


class Clock:
    """Goes on when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def converse(
    ask: Ask, *answers: Answer | ConnectionLost, patience_s: float = 60, pace: Pace | None = None
) -> tuple[Answer, list[float]]:
    """Have a request answered; what it returned, and how long it waited between."""
    pace = pace or Pace(Clock())
    steps, waits, left = Exchange(patience_s, pace).ask(ask), [], list(answers)
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                waits.append(step.seconds)
                pace.clock.now += step.seconds  # type: ignore[attr-defined]
                step = steps.send(None)
            elif isinstance(left[0], ConnectionLost):
                step = steps.throw(left.pop(0))  # type: ignore[arg-type]
            else:
                step = steps.send(left.pop(0))
    except StopIteration as end:
        assert not left
        return end.value, waits


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "CORRUPT_IMAGE"),
        (401, "INVALID_API_KEY"),
        (409, "TASK_NOT_FINISHED"),
        (413, "FILE_TOO_LARGE"),
        (422, "INVALID_REQUEST"),
        (500, "INTERNAL_ERROR"),
        (503, "TASKS_DISABLED"),
        (504, "PROCESSING_TIMEOUT"),
        (507, "STORAGE_FULL"),
    ],
)
def test_what_will_not_pass_is_told_at_once(status: int, code: str) -> None:
    with pytest.raises(RemovalError) as told:
        converse(POST, problem(status, code, {"retry-after": "3"}, max_size_mb=10))
    error = told.value
    assert (error.code, error.status, error.request_id) == (code, status, "r1")
    assert (error.retry_after_s, error.fields) == (3.0, {"max_size_mb": 10})
    assert str(error) == "why"


@pytest.mark.parametrize(
    ("status", "code"),
    [(408, "UPLOAD_TIMEOUT"), (503, "SERVICE_BUSY"), (503, "SHUTTING_DOWN"), (503, "QUEUE_FULL")],
)
def test_what_passes_is_tried_again_after_what_the_service_says(status: int, code: str) -> None:
    answer, waits = converse(POST, problem(status, code, {"retry-after": "7"}), OK)
    assert (answer, waits) == (OK, [7.0])


def test_a_connection_that_breaks_is_tried_again_ever_more_slowly() -> None:
    lost = [ConnectionLost("gone", was_sent=True) for _ in range(5)]
    _, waits = converse(POST, *lost, OK)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_patience_ends() -> None:
    with pytest.raises(RemovalError, match="gone") as told:
        converse(POST, ConnectionLost("gone", was_sent=False), patience_s=0)
    assert (told.value.code, told.value.status) == ("CONNECTION_LOST", 0)
    with pytest.raises(RemovalError, match="why"):
        converse(POST, problem(503, "SERVICE_BUSY", {"retry-after": "61"}), patience_s=60)


def test_a_limit_is_waited_for_longer_than_a_fault_and_by_all() -> None:
    pace = Pace(Clock())
    refused = problem(429, "RATE_LIMIT_EXCEEDED", {"retry-after": "45"})
    alone = Exchange(1, pace).ask(POST)
    next(alone)
    assert alone.send(refused) == Wait(45)
    assert converse(POST, OK, pace=pace) == (OK, [45])


def test_a_limit_that_is_over_in_hours_is_told() -> None:
    with pytest.raises(RemovalError):
        converse(POST, problem(429, "RATE_LIMIT_EXCEEDED", {"retry-after": "86400"}))


def test_once_the_minute_is_used_up_the_next_request_waits_for_the_reset() -> None:
    pace, now = Pace(Clock()), 1_762_526_700  # by the service's clock, which may be wrong
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(now + 20),
        "date": formatdate(now, usegmt=True),
    }
    converse(POST, Answer(200, headers, b""), pace=pace)
    assert pace.pause_s() == 20
    _, waits = converse(Ask("GET", "/info"), OK, pace=pace)
    assert waits == []  # reading costs nothing


@pytest.mark.parametrize("reset", ["", "soon", "1e999", "-5", "nan"])
def test_a_reset_that_is_none_holds_nobody_up_for_long(reset: str) -> None:
    pace, headers = Pace(Clock()), {"x-ratelimit-remaining": "0", "date": formatdate(usegmt=True)}
    converse(POST, Answer(200, {**headers, "x-ratelimit-reset": reset}, b""), pace=pace)
    assert 0 <= pace.pause_s() <= 60


def test_what_must_not_be_done_twice_is_sent_again_only_if_it_was_not_begun() -> None:
    answer, _ = converse(UPLOAD, ConnectionLost("refused", was_sent=False), OK)
    assert answer == OK
    answer, _ = converse(UPLOAD, problem(503, "SERVICE_BUSY"), OK)
    assert answer == OK
    with pytest.raises(RemovalError, match="broke"):
        converse(UPLOAD, ConnectionLost("broke", was_sent=True))
    with pytest.raises(RemovalError, match="why"):
        converse(UPLOAD, problem(503, "STORAGE_UNAVAILABLE"))


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"<html>"), (302, b""), (403, b'["no"]'), (400, b'{"detail": "x"}')]
)
def test_an_answer_of_somebody_else_is_named_as_such(status: int, body: bytes) -> None:
    with pytest.raises(RemovalError, match="not the service's own") as told:
        converse(POST, Answer(status, {}, body))
    assert told.value.code == "NOT_OURS"


def test_a_proxy_whose_service_is_away_is_asked_again() -> None:
    away = Answer(502, {"retry-after": formatdate(time.time() + 5, usegmt=True)}, b"Bad Gateway")
    answer, waits = converse(POST, away, OK)
    assert answer == OK
    assert 3 < waits[0] <= 5
