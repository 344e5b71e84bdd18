"""Two whole services behind the proxy that deploy/compose.yaml puts before them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from httpx_ws import connect_ws

from tests.support.haproxy import check, in_front_of
from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.server import NO_LIMITS, PREFIX, REPOSITORY, BentoServer, Serve, slow_picture

pytestmark = pytest.mark.services

PROXY = REPOSITORY / "deploy/proxy/haproxy.cfg"
UNTRUSTED = "203.0.113.9"


@pytest.fixture(scope="module")
def replicas(serve: Serve) -> Iterator[tuple[BentoServer, BentoServer]]:
    settings = {**NO_LIMITS, "BIREFNET_TRUSTED_PROXIES": "127.0.0.1"}
    with serve(**settings) as one, serve(**settings) as other:
        yield one, other


@pytest.fixture(scope="module")
def port(
    replicas: tuple[BentoServer, BentoServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    ports = [replica.port for replica in replicas]
    with in_front_of(ports, PROXY, tmp_path_factory.mktemp("proxy")) as port:
        yield port


def remove(port: int, picture: bytes, **headers: str) -> httpx.Response:
    transport = httpx.HTTPTransport(local_address="127.0.0.7")
    with httpx.Client(transport=transport, timeout=60) as client:
        url = f"http://127.0.0.1:{port}{PREFIX}/remove"
        return client.post(url, files={"image": ("a.png", picture)}, headers=headers)


def test_haproxy_takes_the_configuration_and_would_not_take_another(tmp_path: Path) -> None:
    said = check(PROXY, {})
    assert said.returncode == 0, said.stderr
    (tmp_path / "wrong").write_text(PROXY.read_text().replace("timeout tunnel", "timeout tunel"))
    assert check(tmp_path / "wrong", {}).returncode != 0


def test_a_caller_is_known_by_its_address_and_not_by_what_it_says(
    replicas: tuple[BentoServer, BentoServer], port: int
) -> None:
    said = {"X-Forwarded-For": UNTRUSTED, "X-Request-ID": "spoofed"}
    assert remove(port, make_image("PNG"), **said).status_code == 200
    lines: list[str] = []

    def logged() -> bool:
        lines[:] = [
            line for one in replicas for line in one.log().splitlines() if "spoofed" in line
        ]
        return bool(lines)

    replicas[0].wait_for(logged, 10, "logged")
    assert ["client=127.0.0.7" in line for line in lines] == [True]


def test_a_live_preview_passes(port: int) -> None:
    with connect_ws(f"ws://127.0.0.1:{port}{PREFIX}/preview") as preview:
        preview.send_json({"type": "nonsense"})
        assert "type" in preview.receive_json(timeout=10)


def remove_as_told(port: int) -> httpx.Response:
    """As a caller does: once more where a body that came late in a stop is refused."""
    answer = remove(port, slow_picture(0.3))
    if answer.status_code == 503:
        assert_problem(answer, "SHUTTING_DOWN")
        time.sleep(int(answer.headers["retry-after"]))
        answer = remove(port, slow_picture(0.3))
    return answer


@pytest.mark.timeout(300)
def test_requests_are_shared_and_a_replica_that_stops_loses_none(
    replicas: tuple[BentoServer, BentoServer], port: int
) -> None:
    stopping, staying = replicas
    with ThreadPoolExecutor(4) as callers:
        calls = [callers.submit(remove_as_told, port) for _ in range(30)]
        staying.wait_for(lambda: sum(call.done() for call in calls) >= 8, 60, "under way")
        stopping.terminate()
        answers = [call.result() for call in calls]
    assert [answer.text for answer in answers if answer.status_code != 200] == []
    stopping.wait_for_end()
    served = [
        replica.log().count("POST /api/background-removal/remove 200") for replica in replicas
    ]
    assert min(served) >= 3, served
