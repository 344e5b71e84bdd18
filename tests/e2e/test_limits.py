"""Who counts as one client: addresses, proxies, and both doors together.

Loopback is 127.0.0.0/8: every test calls from an address of its own and so is a client of its own.
127.0.0.1 is the one whose forwarded headers uvicorn would believe by default.
"""

from __future__ import annotations

from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.server import BentoServer

PICTURE = make_image("PNG", 64, 64)


def test_a_forged_forwarded_header_changes_nothing(limited_server: BentoServer) -> None:
    answers = [
        limited_server.remove(
            PICTURE, source="127.0.0.1", headers={"X-Forwarded-For": f"198.51.100.{number}"}
        )
        for number in range(31)
    ]
    assert [answer.status_code for answer in answers] == [200] * 30 + [429]
    body = assert_problem(answers[-1], "RATE_LIMIT_EXCEEDED")
    assert int(answers[-1].headers["retry-after"]) == body["retry_after_seconds"] <= 60


def test_a_trusted_proxy_speaks_for_different_clients(limited_server: BentoServer) -> None:
    def ask(client: str) -> int:
        return limited_server.remove(
            PICTURE, source="127.0.0.9", headers={"X-Forwarded-For": client}
        ).status_code

    assert [ask(f"198.51.100.{number}") for number in range(31)] == [200] * 31
    assert [ask("203.0.113.7") for _ in range(31)] == [200] * 30 + [429]


def test_both_doors_count_together(limited_server: BentoServer) -> None:
    paths = ["/api/background-removal/remove", "/remove_background"]
    answers = [
        limited_server.remove(PICTURE, path=paths[number % 2], source="127.0.0.6")
        for number in range(32)
    ]
    assert [answer.status_code for answer in answers] == [200] * 30 + [429] * 2
    for refused in answers[30:]:
        assert_problem(refused, "RATE_LIMIT_EXCEEDED")
    remaining = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers]
    assert remaining == [*range(29, -1, -1), 0, 0]
