"""Every promise of the run two by two is broken here once, and the judge says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from birefnet_client.errors import NOT_OURS
from scripts.command import Unusable
from scripts.replicas.balancer import Passed, observed, read_log, with_servers
from scripts.replicas.callers import Try
from scripts.replicas.course import Course
from scripts.replicas.expected import Known
from scripts.replicas.judge import faults_of
from scripts.replicas.sharing import Limited, Tasks
from tests.support.pictures import make_solid
from tests.support.server import REPOSITORY

GOOD = Try(1.0, 2.0, 200, "", False)
BUSY = Try(1.0, 2.0, 503, "INFERENCE_UNAVAILABLE", True)
OF_PROXY = Try(9.0, 11.0, 502, NOT_OURS, False)
CUT_OFF = Try(9.0, 11.0, 0, "Server disconnected without sending a response.", False)
COURSE = Course(
    asked=2,
    made=2,
    wrong=[],
    failed=[],
    took_s=20.0,
    events=[],
    killed_s=(10.0, 10.5),
    tries=[GOOD, BUSY, OF_PROXY, CUT_OFF, GOOD],
    front=[
        Passed("public1", 200, "--", 10),
        Passed("public2", 503, "--", 10),
        Passed("public1", 502, "SH", 10),
        Passed("public3", 200, "--", 10),
    ],
    between=[Passed("inference3", 200, "--", 10)],
    joined_s=0.0,
    afterwards=[GOOD],
    afterwards_by={"public2": 1},
    limits=[Limited({"public1": 10, "public2": 20}, 10.0, True)],
    tasks=[Tasks(3, 2, 3, 60.0)],
    health={"public2": {"status": "degraded", "reasons": ["a light model"]}},
)
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a picture is missing": ({"made": 1}, "1 of 2 pictures came"),
    "a picture is another's": ({"wrong": ["cat"]}, "not the picture of cat"),
    "the client gave up": ({"failed": ["cat: 502"]}, "the client gave up: cat"),
    "an error of the service": (
        {"tries": [*COURSE.tries, Try(1.0, 2.0, 500, "INFERENCE_FAILED", False)]},
        "a caller saw: 500 INFERENCE_FAILED",
    ),
    "busy without a time": (
        {"tries": [*COURSE.tries, replace(BUSY, has_retry_after=False)]},
        "a caller saw: 503",
    ),
    "cut off before the kill": (
        {"tries": [*COURSE.tries, replace(CUT_OFF, ended_s=9.5)]},
        "a caller saw: connection broke",
    ),
    "cut off after the kill": (
        {"tries": [*COURSE.tries, replace(CUT_OFF, began_s=10.6)]},
        "a caller saw: connection broke",
    ),
    "a gateway timeout": (
        {"tries": [*COURSE.tries, replace(OF_PROXY, status=504)]},
        "a caller saw: 504, of the proxy",
    ),
    "the proxy's own for another": (
        {"front": [*COURSE.front[:2], Passed("public2", 502, "SH", 1), COURSE.front[3]]},
        "the proxy answered 502 (SH) for public2",
    ),
    "nobody to be sent to": (
        {"front": [*COURSE.front[:2], Passed("<NOSRV>", 503, "SC", 1), COURSE.front[3]]},
        "for <NOSRV>",
    ),
    "the proxy tells of none": ({"front": COURSE.front[3:]}, "1 answers of the proxy's own"),
    "not well afterwards": ({"afterwards": [BUSY]}, "once all was well a caller saw: 503"),
    "the new public is idle": ({"front": COURSE.front[:3]}, "public3 joined and had nothing"),
    "the new inference is idle": ({"between": []}, "inference3 joined and had nothing"),
    "limits are each their own": (
        {"limits": [Limited({"public1": 30, "public2": 30}, 20.0, True)]},
        "a key that may send 30 a minute sent",
    ),
    "one accepts nothing": (
        {"limits": [Limited({"public1": 30, "public2": 0}, 10.0, True)]},
        "a public accepted nothing",
    ),
    "a refusal without a time": (
        {"limits": [Limited({"public1": 10, "public2": 20}, 10.0, False)]},
        "does not say when to try again",
    ),
    "a task is lost": ({"tasks": [Tasks(3, 2, 2, 60.0)]}, "2 of 3 tasks have their picture"),
    "health": (
        {"health": {"public2": {"status": "unhealthy", "reasons": ["no inference"]}}},
        "public2 is unhealthy",
    ),
}


def test_a_course_as_promised_has_no_faults() -> None:
    assert faults_of(COURSE) == []


@pytest.mark.parametrize("promise", BROKEN)
def test_a_broken_promise_is_seen(promise: str) -> None:
    changes, expected = BROKEN[promise]
    found = faults_of(replace(COURSE, **changes))
    assert any(expected in one for one in found), found


def test_a_picture_is_known_by_its_pixels() -> None:
    known = Known("red", b"", make_solid("PNG", 8, 8, (200, 0, 0)))
    near, far = (make_solid("PNG", 8, 8, (red, 0, 0)) for red in (202, 205))
    assert known.is_cutout(known.cutout, 0)
    assert known.is_cutout(near, 2)
    for wrong in (far, b"no picture", make_solid("PNG", 8, 9, (200, 0, 0))):
        assert not known.is_cutout(wrong, 2)
    assert not known.is_cutout(near, 0)


@pytest.mark.parametrize(
    "name", ["deploy/proxy/haproxy.cfg", "deploy/kubernetes/overlays/split/haproxy.cfg"]
)
def test_servers_stand_where_names_were(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    made = observed(with_servers(text, {"one": "10.0.0.1:80"}), Path("/door"))
    assert "server-template" not in made
    assert made.count("    server one 10.0.0.1:80\n") == 1
    assert "stats socket /door" in made
    with pytest.raises(Unusable):
        with_servers(made, {})


def test_lines_of_the_log_are_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a notice\nrequest a 200 -- 12\nrequest <NOSRV> 503 SC 0\n")
    one, other = read_log(tmp_path / "log")
    assert one == Passed("a", 200, "--", 12)
    assert not one.was_answered_by_proxy
    assert other.was_answered_by_proxy
