"""Tasks of a real server: nothing before the first, nothing lost by a kill, nobody hurt by one."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.support.pictures import make_image, make_solid
from tests.support.server import NO_LIMITS, BentoServer, Serve, slow_picture

PNG = make_image("PNG", 100, 100)
#: Ends the inference process; see `models.engines.fake`.
DEADLY = make_solid("PNG", 96, 96, (254, 0, 254))
MANY = {**NO_LIMITS, "BIREFNET_MAX_TASKS_PER_CLIENT": "0"}


def libraries(process: psutil.Process) -> set[str]:
    return {one.path for one in process.memory_maps() if ".so" in one.path}


@pytest.mark.full
def test_nothing_of_it_runs_before_the_first_task_and_a_stop_takes_no_time(serve: Serve) -> None:
    with serve(**NO_LIMITS) as server:
        assert server.remove(PNG).status_code == 200
        assert not [path for path in libraries(server.public) if "psycopg" in path]
        threads = server.public.num_threads()
        done = server.send_task(PNG)
        server.finish(done)
        assert server.public.num_threads() > threads
        for _ in range(3):
            server.send_task(slow_picture(2))
        waiting = server.send_task(PNG)
        time.sleep(0.5)
        assert server.stop() < 10
        server.launch()
        server.wait_until_ready()
        assert server.task(done)["state"] == "succeeded"
        (told,) = server.finish(waiting)
        assert told["state"] == "succeeded"
        assert server.get(told["result_url"]).content
        assert waiting not in server.log()


def send_many(server: BentoServer, pictures: list[bytes]) -> list[str]:
    with ThreadPoolExecutor(8) as callers:
        return list(callers.map(server.send_task, pictures))


@pytest.mark.full
@pytest.mark.slow
def test_no_kill_loses_an_accepted_task(serve: Serve) -> None:
    with serve(**MANY) as server:
        tasks = send_many(server, [slow_picture(0.1)] * 200)
        time.sleep(3)
        server.public.kill()
        time.sleep(6)
        server.wait_until_ready()
        server.inference.kill()
        time.sleep(6)
        workers = list(server.workers().values())
        server.supervisor.send_signal(signal.SIGKILL)
        server.supervisor.wait(10)
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive, "workers outlived their supervisor"
        server.launch()
        server.wait_until_ready()
        left = Counter(server.task(task)["state"] for task in tasks)
        assert left["queued"], f"all was done before the last kill: {left}"
        ends = server.finish(*tasks, within_s=120)
        assert Counter(told["state"] for told in ends) == {"succeeded": 200}
        for told in ends[::20]:
            assert server.get(told["result_url"]).status_code == 200


@pytest.mark.full
@pytest.mark.slow
def test_two_replicas_on_one_disk_do_not_take_each_others_tasks(
    serve: Serve, tmp_path: Path
) -> None:
    shared = {**MANY, "BIREFNET_STORAGE_URL": str(tmp_path / "storage")}
    with serve(**shared) as one, serve(**shared) as other:
        tasks = send_many(one, [slow_picture(0.2)] * 30) + send_many(
            other, [slow_picture(0.2)] * 30
        )
        one.public.kill()  # the supervisor starts another, which goes on with its own
        time.sleep(1)
        assert Counter(t["state"] for t in other.finish(*tasks)) == {"succeeded": 60}
        logs = one.log() + other.log()
        assert "unhandled fault" not in logs
        begun = re.findall(r"tasks are taken now", logs)
        assert len(begun) == 3
        assert sorted(file.name for file in (tmp_path / "storage").glob("*.lock")) == [
            "tasks.db.0.lock",
            "tasks.db.1.lock",
        ]


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("process", ["inference", "public"])
def test_a_picture_that_ends_its_process_is_given_up_and_hurts_no_other(
    serve: Serve, process: str
) -> None:
    with serve(**MANY) as server:
        good = send_many(server, [slow_picture(0.2)] * 4)
        deadly = server.send_task(DEADLY if process == "inference" else slow_picture(5))
        good += send_many(server, [slow_picture(0.2)] * 16)
        if process == "public":
            kill_whenever_begun(server, deadly)
        (told,) = server.finish(deadly, within_s=120)
        assert told["error"]["error_code"] == "TASK_ENDS_PROCESS"
        assert {one["state"] for one in server.finish(*good, within_s=120)} == {"succeeded"}
        assert server.remove(PNG).status_code == 200


def kill_whenever_begun(server: BentoServer, task_id: str) -> None:
    """Kill the public process three times, each while it works on a task."""
    folder, killed = server.folder / "storage" / "tasks" / task_id, 0
    give_up = time.monotonic() + 120
    while killed < 3:
        assert time.monotonic() < give_up, server.log()[-6000:]
        if (folder / f"begun.{killed}").exists():
            server.public.kill()
            killed += 1
            time.sleep(2)
            server.wait_until_ready()
        time.sleep(0.05)
