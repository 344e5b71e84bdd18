"""The supervisor: private, heals its workers, and ends whatever signal it is told with."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path

import psutil
import pytest

from tests.support.pictures import make_image
from tests.support.server import NO_LIMITS, PREFIX, BentoServer, Serve


def _family(server: BentoServer) -> list[psutil.Process]:
    return [server.supervisor, *server.supervisor.children(recursive=True)]


def _pids(server: BentoServer) -> set[int]:
    return {worker.pid for worker in server.workers().values()}


def _listening_on(process: psutil.Process) -> set[int]:
    return {
        connection.laddr.port
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def _sockets(server: BentoServer) -> list[Path]:
    run = server.folder / "cache" / "run"
    return [path for path in run.rglob("*") if path.is_socket()]


def _killed_and_replaced(server: BentoServer, name: str, number: int) -> float:
    """Send a worker a signal; how many seconds until another one serves pictures."""
    before = server.workers()[name].pid
    os.kill(before, number)
    return server.wait_for(
        lambda: (
            (worker := server.workers().get(name)) is not None
            and worker.pid != before
            and server.status_of("/readyz") == 200
        ),
        40,
        f"replaced after signal {number} to {name}",
    )


def test_nothing_listens_but_the_public_port_and_no_other_user_gets_at_a_socket(
    fake_server: BentoServer,
) -> None:
    assert set().union(*map(_listening_on, _family(fake_server))) == {fake_server.port}
    sockets = _sockets(fake_server)
    assert {path.name for path in sockets} > {"control", "events"}
    for path in sockets:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    known = Path("/proc/net/unix").read_text()
    assert [path for path in sockets if str(path) not in known] == []  # else a cleaner takes them
    assert list(fake_server.tmp.glob("*bentoml-uds*")) == []


@pytest.mark.parametrize(
    "name",
    [
        "SIGTERM",
        pytest.param("SIGHUP", marks=pytest.mark.full),
        pytest.param("SIGINT", marks=pytest.mark.full),
        pytest.param("SIGQUIT", marks=pytest.mark.full),
    ],
)
def test_every_stop_signal_ends_it_however_often_it_comes(serve: Serve, name: str) -> None:
    with serve(**NO_LIMITS) as server:
        server.workers()
        for _ in range(2):
            server.supervisor.send_signal(getattr(signal, name))
            time.sleep(0.05)
        assert server.wait_for_end(20) == 0
        assert server.survivors(within_s=1) == []
        assert list((server.folder / "cache" / "run").glob("b-*")) == []


@pytest.mark.full
def test_a_stop_while_it_starts_is_heard(serve_cold: BentoServer) -> None:
    serve_cold.wait_for(lambda: bool(serve_cold.workers()), 30, "a worker")
    serve_cold.terminate()
    assert serve_cold.wait_for_end(40) == 0


def test_a_worker_that_ends_is_replaced_in_seconds_whatever_ended_it(serve: Serve) -> None:
    with serve(**NO_LIMITS) as server:
        for name in ("inference", "background_removal"):
            for number in (signal.SIGKILL, signal.SIGHUP):
                if (name, number) == ("inference", signal.SIGHUP):
                    continue  # that is a stop: it waits for the pictures it is still to make
                healed_s = _killed_and_replaced(server, name, number)
                assert server.remove(make_image("PNG")).status_code == 200
                print(f"signal {number} to {name}: healed in {healed_s:.1f} s")
        assert server.metrics()["background_removal_requests_in_progress"] == 1  # this one


@pytest.mark.full
def test_a_container_heals_its_workers_as_well(serve: Serve) -> None:
    with serve(BENTOML_CONTAINERIZED="true", **NO_LIMITS) as server:
        _killed_and_replaced(server, "inference", signal.SIGKILL)
        assert server.remove(make_image("PNG")).status_code == 200


@pytest.mark.full
def test_a_swept_socket_comes_back_and_nobody_needs_a_restart(serve: Serve) -> None:
    with serve(**NO_LIMITS) as server:
        for swept in range(2):  # the one that came back, too
            for path in _sockets(server):
                path.unlink()
            healed_s = server.wait_for(
                lambda: server.remove(make_image("PNG")).status_code == 200, 20, "reachable"
            )
            print(f"healed in {healed_s:.1f} s the {swept + 1}. time")
        _killed_and_replaced(server, "inference", signal.SIGKILL)
        assert server.remove(make_image("PNG")).status_code == 200


@pytest.mark.full
def test_instances_on_one_store_keep_out_of_each_others_way(serve: Serve) -> None:
    with serve(**NO_LIMITS) as first:
        cache = str(first.folder / "cache")
        assert first.remove(make_image("PNG")).status_code == 200
        counted = _removals(first)
        with serve(BENTOML_HOME=str(first.folder / "home"), BIREFNET_CACHE_DIR=cache) as second:
            assert _removals(first) == counted > 0
            run = first.folder / "cache" / "run"
            assert len(list(run.glob("b-*"))) == 2
            second.workers()
            second.supervisor.kill()
            assert second.survivors(within_s=10) == []
        assert len(list(run.glob("b-*"))) == 2  # left behind
        with serve(BIREFNET_CACHE_DIR=cache):
            assert len(list(run.glob("b-*"))) == 2  # swept, and one of its own


def _removals(server: BentoServer) -> float:
    name = 'background_removal_requests_total{error_code="",route="/remove",status="200"}'
    return server.metrics().get(name, 0)


@pytest.mark.full
def test_a_hung_inference_process_is_replaced(serve: Serve) -> None:
    with serve(**NO_LIMITS) as server:
        hung = server.inference
        time.sleep(1)
        hung.suspend()
        time.sleep(3)
        answer = server.get("/readyz")
        assert (answer.status_code, answer.json()["error_code"]) == (503, "SERVICE_UNAVAILABLE")
        assert server.get(f"{PREFIX}/health").status_code == 503
        healed_s = server.wait_for(
            lambda: hung.pid not in _pids(server) and server.status_of("/readyz") == 200,
            60,
            "healed",
        )
        print(f"healed in {healed_s + 3:.1f} s")
        assert server.remove(make_image("PNG")).status_code == 200
        assert "Traceback" not in server.log()
