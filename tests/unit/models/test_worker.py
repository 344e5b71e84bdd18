from __future__ import annotations

import json

import pytest

from models.errors import EngineBuildFailed
from models.worker import run_telling


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
