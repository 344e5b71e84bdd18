"""A child process tells why it failed, and ends when its parent does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest

from models.errors import EngineBuildFailed
from models.worker import WorkerFailed, run_telling, run_worker

CHILD = "tests.support.endless_worker"
# A parent that waits for a child, and says who that is.
PARENT = f"""
from models.worker import run_worker
run_worker("the work", "{CHILD}", [], lambda told: print(told["pid"], flush=True))
"""


def fails_with(failure: Exception, capsys: pytest.CaptureFixture[str]) -> str:
    """What is told of a failure."""

    def work() -> None:
        raise failure

    assert run_telling(work) == 1
    (line,) = capsys.readouterr().out.splitlines()
    return str(json.loads(line)["failure"])


def test_work_that_is_done_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_telling(lambda: None) == 0
    assert capsys.readouterr().out == ""


def test_a_failure_of_ours_is_told_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert fails_with(EngineBuildFailed("no tactic"), capsys) == "no tactic"


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (MemoryError(), "MemoryError"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (RuntimeError("step 1 of 3\n\n  failed"), "RuntimeError: step 1 of 3 failed"),
    ],
)
def test_a_failure_nobody_expected_is_told_with_its_type_in_one_line(
    failure: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails_with(failure, capsys) == told


def test_of_a_failure_that_goes_on_for_pages_the_beginning_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = fails_with(RuntimeError("the reason " + "and its circumstances " * 1000), capsys)
    assert told.startswith("RuntimeError: the reason and")
    assert len(told) <= 1000


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        ("fail", "no tactic"),
        ("die", "the work was killed by signal 9, probably for want of memory"),
        ("exit", "the work ended with status 7"),
    ],
)
def test_a_parent_hears_why_its_child_failed(fate: str, reason: str) -> None:
    told: list[Mapping[str, Any]] = []
    with pytest.raises(WorkerFailed) as failed:
        run_worker("the work", CHILD, [fate], told.append)
    assert str(failed.value) == reason
    assert [list(fields) for fields in told] == [["pid"]]


def test_a_child_is_ended_when_its_work_is_cancelled() -> None:
    cancelled, pids = Event(), []

    def cancel(told: Mapping[str, Any]) -> None:
        pids.append(told["pid"])
        cancelled.set()

    with pytest.raises(WorkerFailed, match="the work was cancelled"):
        run_worker("the work", CHILD, [], cancel, cancelled)
    assert not psutil.pid_exists(pids[0])


def test_a_child_ends_when_its_parent_is_killed(root: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    assert psutil.wait_procs([child], timeout=5)[1] == []
