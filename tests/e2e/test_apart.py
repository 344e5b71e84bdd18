"""Public and inference as two services that know each other by an address and a token."""

from __future__ import annotations

import os
import pickle
import secrets
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.breaking_hop import BreakingHop
from tests.support.haproxy import check, in_front_of
from tests.support.pictures import make_image, open_image
from tests.support.problems import assert_problem
from tests.support.server import NO_LIMITS, REPOSITORY, BentoServer, free_port, slow_picture

PROXY = REPOSITORY / "deploy/kubernetes/overlays/split/haproxy.cfg"
PICKLE = "application/vnd.bentoml+pickle"
pytestmark = pytest.mark.full
TOKEN = secrets.token_hex(32)


class Bomb:
    """Makes a file wherever it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self._file),)


def inference(models: Path, token: str, port: int | None = None) -> BentoServer:
    settings = {"BIREFNET_ENGINE": "fake", "BIREFNET_INFERENCE_TOKEN": token}
    settings["BIREFNET_PORT"] = str(port or free_port())
    return BentoServer(models, settings, alone=["--service-name", "inference"])


def public(models: Path, token: str, port: int) -> BentoServer:
    settings = {"BIREFNET_ENGINE": "fake", "BIREFNET_INFERENCE_TOKEN": token, **NO_LIMITS}
    depends = ["--depends", f"inference=http://127.0.0.1:{port}"]
    return BentoServer(models, settings, alone=["--service-name", "background_removal", *depends])


@pytest.fixture(scope="module")
def far(model_store: Path) -> Iterator[BentoServer]:
    with inference(model_store, TOKEN) as server:
        yield server


@pytest.fixture(scope="module")
def near(model_store: Path, far: BentoServer) -> Iterator[BentoServer]:
    with public(model_store, TOKEN, far.port) as server:
        yield server


def test_a_picture_is_cut_out_by_two_services(near: BentoServer, far: BentoServer) -> None:
    assert set(near.workers()) == {"background_removal"}
    assert set(far.workers()) == {"inference"}
    answer = near.remove(make_image("PNG"))
    assert answer.status_code == 200, answer.text
    assert open_image(answer.content).mode == "RGBA"
    assert near.health()["status"] == "degraded"  # it says that the engine is a fake


def test_each_of_the_two_listens_on_one_port_and_its_supervisor_on_none_of_its_own(
    near: BentoServer, far: BentoServer
) -> None:
    for server in (near, far):
        processes = [server.supervisor, *server.workers().values()]
        listening = {
            connection.laddr.port
            for process in processes
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {server.port}


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"bearer {TOKEN}"},
        {"X-API-Key": TOKEN},
    ],
)
@pytest.mark.parametrize(
    "path", ["/predict", "/describe", "/livez", "/readyz", "/anything", "//describe"]
)
def test_nothing_is_unpickled_without_the_token(
    far: BentoServer, tmp_path: Path, path: str, shown: dict[str, str]
) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "made"))
    headers = {"Content-Type": PICKLE, **shown}
    answer = httpx.post(far.url(path), content=bomb, headers=headers)
    assert answer.status_code == 401
    assert TOKEN not in answer.text
    assert not (tmp_path / "made").exists()


def test_the_bomb_of_that_test_goes_off_where_it_is_unpickled(
    far: BentoServer, tmp_path: Path
) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "made"))
    headers = {"Content-Type": PICKLE, "Authorization": f"Bearer {TOKEN}"}
    httpx.post(far.url("/describe"), content=bomb, headers=headers)
    assert (tmp_path / "made").exists()


def test_the_answer_comes_before_the_body(far: BentoServer) -> None:
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n"
    head += f"Content-Type: {PICKLE}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", far.port), timeout=5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_need_no_token_and_everything_else_that_is_read_does(
    far: BentoServer, path: str
) -> None:
    assert far.get(path).status_code == 200
    for other in ("/", "/metrics", "/schema.json", "/docs.json", f"{path}/x", "/healthz"):
        assert far.get(other).status_code == 401


def test_where_the_tokens_differ_health_and_log_say_so(model_store: Path, far: BentoServer) -> None:
    stranger = public(model_store, secrets.token_hex(32), far.port)
    stranger.launch()
    try:
        stranger.wait_for(lambda: stranger.status_of("/livez") == 200, 60, "alive")
        told = stranger.health()
        assert told["status"] == "unhealthy"
        assert "the inference service does not answer" in told["reasons"]
        assert_problem(stranger.remove(make_image("PNG")), "INFERENCE_UNAVAILABLE")
        assert "BIREFNET_INFERENCE_TOKEN is another one there" in stranger.log()
    finally:
        stranger.close()


def test_inference_does_not_start_by_itself_without_a_token(model_store: Path) -> None:
    server = inference(model_store, "")
    server.launch()
    try:
        assert server.wait_for_end(60) == 1
        assert "BIREFNET_INFERENCE_TOKEN is not set: an inference service" in server.log()
    finally:
        server.close()


def test_inference_that_was_away_is_found_again_and_nobody_else_is_killed(
    model_store: Path,
) -> None:
    far = inference(model_store, TOKEN)
    with far, public(model_store, TOKEN, far.port) as near:
        worker = near.public
        far.terminate()
        far.wait_for_end()
        assert_problem(near.remove(make_image("PNG")), "INFERENCE_UNAVAILABLE")
        assert near.status_of("/readyz") == 503
        assert near.status_of("/livez") == 200
        with inference(model_store, TOKEN, far.port):
            assert near.remove(make_image("PNG")).status_code == 200
            near.wait_until_ready()
        assert near.public == worker
        assert "replacing it" not in near.log()


def test_a_call_that_breaks_twice_while_a_process_dies_is_answered(
    model_store: Path, far: BentoServer
) -> None:
    with BreakingHop(far.url("")) as hop, public(model_store, TOKEN, hop.port) as near:
        hop.breaks = 2
        answer = near.remove(make_image("PNG"))
        assert answer.status_code == 200, answer.text
        assert hop.breaks == 0
        assert near.log().count("trying once more") == 2


@pytest.mark.services
def test_the_proxy_between_them_takes_its_configuration_and_would_not_take_another(
    tmp_path: Path,
) -> None:
    said = check(PROXY, {"NAMESPACE": "background-removal"})
    assert said.returncode == 0, said.stderr
    (tmp_path / "wrong").write_text(PROXY.read_text().replace("leastconn", "leastcon"))
    assert check(tmp_path / "wrong", {"NAMESPACE": "x"}).returncode != 0


@pytest.mark.services
@pytest.mark.timeout(400)
def test_two_inferences_share_the_work_and_no_caller_notices_that_one_is_killed(
    model_store: Path, tmp_path: Path
) -> None:
    with (
        inference(model_store, TOKEN) as one,
        inference(model_store, TOKEN) as other,
        in_front_of([one.port, other.port], PROXY, tmp_path) as port,
        public(model_store, TOKEN, port) as near,
        ThreadPoolExecutor(4) as callers,
    ):
        calls = [callers.submit(near.remove, slow_picture(0.3)) for _ in range(40)]
        near.wait_for(lambda: sum(call.done() for call in calls) >= 6, 60, "under way")
        workers = [server.inference for server in (one, other)]
        before = [worker.cpu_times().user for worker in workers]
        near.wait_for(lambda: sum(call.done() for call in calls) >= 12, 60, "under way")
        spent = [w.cpu_times().user - b for w, b in zip(workers, before, strict=True)]
        one.supervisor.kill()
        workers[0].kill()
        answers = [call.result() for call in calls]
        assert [answer.status_code for answer in answers] == [200] * 40, near.log()[-4000:]
        assert min(spent) > 0, "one of the two had nothing to do"
