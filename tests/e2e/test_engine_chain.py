"""TensorRT and what stands behind it, as far as only the processes of a real server can show it.

What serves when something is missing or breaks: `tests/integration/test_served_engines.py`. The
machine is made of whole fakes of our ports (`tests/support/machine.py`); its plans are built by the
real builder process and cache and compute what u2netp computes, so that the gate is real. Where
there is no GPU, the path without a driver is as real as it gets.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.engines.trt.driver import probe
from tests.support.machine import make_machine
from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.server import NO_LIMITS, BentoServer, Serve

PICTURE = make_image("PNG")
OUT_OF_MEMORY = "2"

ServeThere = Callable[..., AbstractContextManager[BentoServer]]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The folder of a machine with a GPU; what is written there happens."""
    return tmp_path / "machine"


@pytest.fixture
def serve_there(serve: Serve, machine: Path) -> ServeThere:
    """Start a server on the machine."""
    return on_machine(serve, machine)


def on_machine(serve: Serve, machine: Path) -> ServeThere:
    """Make the machine; how to start a server on it."""
    return partial(
        serve,
        **NO_LIMITS,
        **make_machine(machine),
        BIREFNET_ENGINE="auto",
        BIREFNET_USE_TENSORRT="true",
        BIREFNET_BATCH_SIZE="2",
    )


@dataclass(frozen=True)
class Building:
    """A server that builds its engine in the background, for as long as its file `build` waits."""

    server: BentoServer
    machine: Path

    def finish(self) -> None:
        (self.machine / "build").unlink(missing_ok=True)
        self.server.wait_for(lambda: self.server.health()["status"] == "healthy", 60, "taken over")


@pytest.fixture(scope="module")
def building(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Building]:
    machine = tmp_path_factory.mktemp("building") / "machine"
    there = on_machine(serve, machine)
    (machine / "build").write_text("wait")
    with there(BIREFNET_BUILD_ENGINE="background") as server:
        yield Building(server, machine)
    assert not (machine / "violations").exists()


def info_of(server: BentoServer) -> dict[str, Any]:
    """How one picture came about; it must come."""
    answer = server.remove(PICTURE, return_base64="true")
    assert answer.status_code == 200, answer.text
    info: dict[str, Any] = answer.json()["processing_info"]
    return info


def assert_tensorrt_serves(server: BentoServer) -> None:
    health = server.health()
    assert (health["engine"], health["device"]) == ("tensorrt f32", "cuda")
    assert health["status"] == "healthy", health["reasons"]
    assert health["tensorrt_enabled"]
    assert health["model_files_status"]["tensorrt_engine"]
    assert health["gpu_memory_free_mb"] > 0
    info = info_of(server)
    assert (info["engine"], info["tensorrt_enabled"]) == ("tensorrt f32", True)
    assert not info["retried_on_cpu"]


def assert_cpu_serves(server: BentoServer, *reasons: str) -> None:
    """Degraded, with these reasons, and every picture comes from the CPU."""
    health = server.health()
    assert (health["engine"], health["device"]) == ("openvino f32", "cpu")
    assert health["status"] == "degraded"
    assert not health["tensorrt_enabled"]
    assert not health["model_files_status"]["tensorrt_engine"]
    told = "; ".join(health["reasons"])
    for reason in reasons:
        assert reason in told
    assert "/" not in told.replace("pip install -r requirements-torch.lock", ""), "no paths"
    assert info_of(server)["engine"] == "openvino f32"


@pytest.mark.skipif(probe() is None, reason="there is a GPU")
def test_without_a_driver_the_cpu_serves(serve: Serve) -> None:
    with serve(**NO_LIMITS, BIREFNET_ENGINE="auto", BIREFNET_USE_TENSORRT="true") as server:
        first = server.inference.pid
        assert_cpu_serves(server, "no GPU is used: no NVIDIA driver is installed")
        assert server.inference.pid == first


def wait_until_building(server: BentoServer) -> None:
    server.wait_for(lambda: "Build Engine" in "".join(server.health()["reasons"]), 60, "building")


@pytest.mark.full
def test_a_build_in_the_background_takes_over_under_load_and_no_request_is_lost(
    building: Building,
) -> None:
    server, over = building.server, threading.Event()
    answers: list[httpx.Response] = []

    def load() -> None:
        while not over.is_set():
            answers.append(server.remove(PICTURE, return_base64="true"))

    wait_until_building(server)
    assert_cpu_serves(server, "a TensorRT engine is being built", "openvino serves meanwhile")
    callers = [threading.Thread(target=load) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        time.sleep(1)
        building.finish()
        time.sleep(1)
    finally:
        over.set()  # else they would also call during the next test
        for caller in callers:
            caller.join(30)
    assert not any(caller.is_alive() for caller in callers), "a caller hangs"
    assert_tensorrt_serves(server)
    assert {answer.status_code for answer in answers} == {200}
    engines = [answer.json()["processing_info"]["engine"] for answer in answers]
    assert (engines[0], engines[-1]) == ("openvino f32", "tensorrt f32")
    assert set(engines) == {"openvino f32", "tensorrt f32"}


@pytest.mark.full
def test_a_gpu_that_runs_out_of_memory_in_flight_costs_one_pass_on_the_cpu(
    building: Building,
) -> None:
    building.finish()
    (building.machine / "upload").write_text(OUT_OF_MEMORY)
    info = info_of(building.server)
    assert (info["engine"], info["retried_on_cpu"]) == ("openvino f32", True)
    assert not info["tensorrt_enabled"]
    assert_tensorrt_serves(building.server)


@pytest.mark.full
def test_a_stop_ends_the_build_and_leaves_nothing_of_it(
    serve_there: ServeThere, machine: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    (machine / "build").write_text("wait")
    with serve_there(BIREFNET_BUILD_ENGINE="background", BIREFNET_CACHE_DIR=str(cache)) as server:
        wait_until_building(server)
        assert server.stop() < 15  # with the builder, which `stop` has seen among the processes
    assert not list(cache.rglob("*.part"))


@pytest.mark.full
def test_a_gpu_out_of_memory_with_nothing_behind_it_is_a_problem_with_all_its_fields(
    building: Building, serve_there: ServeThere, machine: Path, tmp_path: Path
) -> None:
    building.finish()
    built = building.server.folder / "cache"
    cache = shutil.copytree(built, tmp_path / "cache", ignore=shutil.ignore_patterns("run"))
    (machine / "no_cpu_engine").touch()
    with serve_there(BIREFNET_BUILD_ENGINE="never", BIREFNET_CACHE_DIR=str(cache)) as server:
        # Else the fault may meet one of the pictures that the service tries out itself.
        server.wait_for(lambda: "of batches at once" in server.log(), 60, "quiet")
        (machine / "upload").write_text(OUT_OF_MEMORY)
        body = assert_problem(server.remove(PICTURE), "GPU_MEMORY_EXHAUSTED")
        assert body["gpu_memory_required_mb"] > 0
        assert body["gpu_memory_available_mb"] > 0
        assert body["suggested_action"] == "Retry in 30 seconds"
        assert body["retry_after"] == 30
        assert_tensorrt_serves(server)


@pytest.mark.full
def test_an_engine_that_ends_its_process_twice_is_left_alone(
    serve_there: ServeThere, machine: Path
) -> None:
    (machine / "dies").touch()
    # The supervisor starts inference again, and again.
    with serve_there(BIREFNET_BUILD_ENGINE="block") as server:
        assert_cpu_serves(server, "engine tensorrt could not be opened")
        assert "the process ended 2 times while opening this TensorRT engine" in server.log()
