"""Tasks where the machine fails them: nothing that was accepted is lost, and health says so."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.disk import fill, small_disk
from tests.support.pictures import make_image
from tests.support.server import NO_LIMITS, REPOSITORY, Serve, slow_picture

pytestmark = [pytest.mark.full, pytest.mark.slow]

PNG = make_image("PNG", 400, 400)


def test_a_disk_that_fills_loses_no_task(serve: Serve, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 260) as disk:
        storage = {"BIREFNET_STORAGE_URL": str(disk / "storage")}
        with serve(**NO_LIMITS, **storage) as server:
            tasks = [server.send_task(slow_picture(1)) for _ in range(4)]
            tasks += [server.send_task(PNG) for _ in range(12)]
            fill(disk / "others")
            refused = server.remove(PNG, path="/api/background-removal/remove-async")
            assert refused.status_code == 507, refused.text
            assert server.remove(PNG).status_code == 200
            time.sleep(15)
            states = Counter(server.task(task).get("state", "unknown") for task in tasks)
            assert states["succeeded"] + states["failed"] < len(tasks), states
            assert "the storage is full" in server.health()["reasons"]
            (disk / "others").unlink()
            ends = server.finish(*tasks, within_s=120)
            assert Counter(told["state"] for told in ends) == {"succeeded": len(tasks)}
            assert server.get(ends[0]["result_url"]).status_code == 200
            server.finish(server.send_task(PNG))
            assert "the storage is full" not in server.health()["reasons"]


def test_a_clock_that_steps_loses_no_task(serve: Serve, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("only with a C compiler")
    library, step = tmp_path / "step_clock.so", tmp_path / "step"
    source = REPOSITORY / "tests/support/step_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    step.write_text("0")
    stepping = {"LD_PRELOAD": str(library), "STEP_CLOCK": str(step)}
    keep = {"BIREFNET_TASK_RESULT_SEC": "604800"}
    with serve(**NO_LIMITS, **keep, **stepping) as server:
        tasks: list[str] = []
        days: set[str] = set()
        for days_off in (1, -1, 0):
            tasks += [server.send_task(slow_picture(1)) for _ in range(3)]
            step.write_text(str(days_off * 86_400))
            tasks.append(server.send_task(PNG))
            days.add(server.task(tasks[-1])["created_at"][:10])
        ends = server.finish(*tasks, within_s=60)
        assert Counter(told["state"] for told in ends) == {"succeeded": len(tasks)}
        assert len(days) == 3, f"the clock did not step: {days}"
        assert all(server.get(told["result_url"]).status_code == 200 for told in ends)
