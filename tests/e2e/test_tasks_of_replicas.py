"""Tasks of two replicas over one Postgres: one goes for good, Postgres goes and returns."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_tasks import MANY, PNG, send_many
from tests.support.postgres import PostgresServer
from tests.support.server import PREFIX, Serve, free_port, slow_picture

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


def test_a_replica_that_is_gone_for_good_loses_no_task(
    serve: Serve, postgres: PostgresServer, tmp_path: Path
) -> None:
    shared = {
        **MANY,
        "BIREFNET_TASKS": postgres.url,
        "BIREFNET_STORAGE_URL": str(tmp_path / "storage"),
        "BIREFNET_PROCESSING_TIMEOUT_SEC": "1",  # the lease is eight of it and a minute
    }
    with serve(**shared) as one, serve(**shared) as other:
        tasks = send_many(one, [slow_picture(0.2)] * 60)
        time.sleep(2)
        workers = one.workers().values()
        for process in (one.supervisor, *workers):
            process.send_signal(signal.SIGKILL)
        ends = other.finish(*tasks, within_s=200)
        assert Counter(told["state"] for told in ends) == {"succeeded": 60}
        assert other.get(ends[0]["result_url"]).status_code == 200


def test_a_database_without_an_encoding_keeps_tasks(serve: Serve, tmp_path: Path) -> None:
    with PostgresServer(encoding="SQL_ASCII") as postgres:
        settings = {
            **MANY,
            "BIREFNET_STORAGE_URL": str(tmp_path / "storage"),
            "BIREFNET_TASKS": postgres.url,
        }
        with serve(**settings) as server:
            (end,) = server.finish(server.send_task(PNG))
            assert end["state"] == "succeeded"
            assert server.get(end["result_url"]).status_code == 200


def test_postgres_may_go_and_return(serve: Serve, postgres: PostgresServer, tmp_path: Path) -> None:
    storage = {"BIREFNET_STORAGE_URL": str(tmp_path / "storage")}
    settings = {
        **MANY,
        **storage,
        "BIREFNET_TASKS": postgres.url,
        "BIREFNET_PORT": str(free_port()),
    }
    with serve(**settings) as server:
        tasks = send_many(server, [slow_picture(0.2)] * 20)
        postgres.stop()
        refused = server.remove(PNG, path=f"{PREFIX}/remove-async")
        assert (refused.status_code, refused.json()["error_code"]) == (503, "TASKS_UNAVAILABLE")
        assert "the queue of tasks does not answer" in server.health()["reasons"]
        assert server.remove(PNG).status_code == 200
        time.sleep(5)
        postgres.start()
        ends = server.finish(*tasks, within_s=120)
        assert Counter(told["state"] for told in ends) == {"succeeded": 20}
        server.finish(server.send_task(PNG))
        assert "the queue of tasks does not answer" not in server.health()["reasons"]
        waiting = send_many(server, [slow_picture(2)] * 4)
        postgres.stop()
        time.sleep(2)
        assert server.stop() < 20
    with serve(**settings) as server:
        assert server.remove(PNG).status_code == 200
        refused = server.remove(PNG, path=f"{PREFIX}/remove-async")
        assert (refused.status_code, refused.json()["error_code"]) == (503, "TASKS_UNAVAILABLE")
        assert "the queue of tasks does not answer" in server.health()["reasons"]
        postgres.start()
        server.wait_for(lambda: bool(server.task(waiting[0])), 90, "open again")
        ends = server.finish(*waiting, within_s=120)
        assert Counter(told["state"] for told in ends) == {"succeeded": 4}
