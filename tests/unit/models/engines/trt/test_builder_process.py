"""What the builder's process says at its end and leaves on disk, with a fake TensorRT."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fake_tensorrt import install_fake_tensorrt
from tests.support.plans import files_within, write_mean_graph

ROOT = Path(__file__).parents[5]
FULL = Path("/dev/full")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Builds a plan of a graph; where it goes is to be added."""
    library = install_fake_tensorrt(monkeypatch, tmp_path / "library")
    graph = write_mean_graph(tmp_path / "graph.onnx", 32)
    command = [sys.executable, "-m", "models.engines.trt.builder", "--library", library.label]
    return [*command, "--graph", str(graph), "--batches", "1"]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return tmp_path / "a.plan"


@pytest.fixture
def timings(tmp_path: Path) -> Path:
    """Where timings go: a name that ends in the last part of a version and a device."""
    (tmp_path / "timings").mkdir()
    return tmp_path / "timings" / "tensorrt-11.4.0.106-Tesla-T4"


def run(command: list[str], plan: Path, timings: Path) -> tuple[int, list[dict[str, object]]]:
    """How it ended, and what it told."""
    command = [*command, "--plan", str(plan), "--timing-cache", str(timings), str(os.getpid())]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_plan_the_disk_has_no_room_for_is_told_and_no_timings_are_kept_of_it(
    command: list[str], timings: Path
) -> None:
    status, told = run(command, FULL, timings)
    assert (status, told[-1]) == (1, {"failure": "OSError: [Errno 28] No space left on device"})
    assert files_within(timings.parent) == []


def test_timings_are_kept_and_added_to(command: list[str], plan: Path, timings: Path) -> None:
    for kept in (b"a kernel;", b"a kernel;a kernel;"):
        assert run(command, plan, timings)[0] == 0
        assert timings.read_bytes() == kept
    assert files_within(timings.parent) == [timings.name]


@pytest.mark.parametrize("hindrance", ["a folder has its name", "its folder is not there"])
def test_timings_that_cannot_be_kept_cost_no_plan(
    hindrance: str, command: list[str], plan: Path, timings: Path
) -> None:
    if hindrance == "a folder has its name":
        timings.mkdir()
    else:
        timings.parent.rmdir()
    assert run(command, plan, timings)[0] == 0
    assert plan.stat().st_size > 0
    assert files_within(timings.parent) == []


def test_timings_of_another_device_that_are_being_written_are_left_alone(
    command: list[str], plan: Path, timings: Path
) -> None:
    another = timings.with_suffix(".part")
    another.write_bytes(b"half of a kernel")
    assert run(command, plan, timings)[0] == 0
    assert another.read_bytes() == b"half of a kernel"
    assert timings.read_bytes() == b"a kernel;"
