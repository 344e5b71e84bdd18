"""TensorRT and what stands behind it, each path with a real `bentoml serve`.

The machine is made of whole fakes of our ports (`tests/support/machine.py`); its plans are built by
the real builder process and cache and compute what u2netp computes, so that the gate is real. Where
there is no GPU, the path without a driver is as real as it gets.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
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
OUT_OF_MEMORY, LAUNCH_FAILED = "2", "719"

ServeThere = Callable[..., AbstractContextManager[BentoServer]]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The folder of a machine with a GPU; what is written there happens."""
    return tmp_path / "machine"


@pytest.fixture
def serve_there(serve: Serve, machine: Path, tmp_path: Path) -> ServeThere:
    """Start a server on the machine; all of a test's share one cache folder."""
    return on_machine(serve, machine, tmp_path / "cache")


@pytest.fixture(scope="module")
def cache_of_a_build(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a server leaves that has built the engine, and served with it."""
    folder = tmp_path_factory.mktemp("built")
    there = on_machine(serve, folder / "machine", folder / "cache")
    with there(BIREFNET_BUILD_ENGINE="block") as server:
        assert_tensorrt_serves(server)
    assert not (folder / "machine" / "violations").exists()
    return folder / "cache"


@pytest.fixture
def built(cache_of_a_build: Path, tmp_path: Path) -> None:
    """The engine was built at an earlier start."""
    shutil.copytree(cache_of_a_build, tmp_path / "cache")


def on_machine(serve: Serve, machine: Path, cache: Path) -> ServeThere:
    """Make the machine; how to start a server on it."""
    return partial(
        serve,
        **NO_LIMITS,
        **make_machine(machine),
        BIREFNET_ENGINE="auto",
        BIREFNET_USE_TENSORRT="true",
        BIREFNET_BUILD_ENGINE="never",
        BIREFNET_BATCH_SIZE="2",
        BIREFNET_CACHE_DIR=str(cache),
    )


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


def test_without_tensorrt_health_says_what_to_install(
    serve_there: ServeThere, machine: Path
) -> None:
    (machine / "no_tensorrt").touch()
    with serve_there() as server:
        assert_cpu_serves(server, 'pip install ".[tensorrt]"')


def test_an_engine_that_was_not_built_is_told_with_the_command(serve_there: ServeThere) -> None:
    with serve_there() as server:
        assert_cpu_serves(server, "run: python -m scripts.build_engine")


@pytest.mark.usefixtures("built")
def test_an_engine_that_was_built_serves_at_the_next_start(
    serve_there: ServeThere, machine: Path
) -> None:
    with serve_there() as server:
        assert_tensorrt_serves(server)
    assert not (machine / "violations").exists()


@pytest.mark.usefixtures("built")
def test_an_engine_of_another_gpu_is_not_used(serve_there: ServeThere, machine: Path) -> None:
    (machine / "gpu").write_text("Another GPU")
    with serve_there() as server:
        assert_cpu_serves(server, "no TensorRT engine was built for this GPU")


@pytest.mark.usefixtures("built")
def test_an_engine_that_was_tampered_with_is_refused_and_built_anew(
    serve_there: ServeThere, tmp_path: Path
) -> None:
    (plan,) = (tmp_path / "cache").rglob("*.plan")
    plan.write_bytes(plan.read_bytes() + b" ")
    with serve_there() as server:
        assert_cpu_serves(server, "run: python -m scripts.build_engine")
        assert "not what its manifest says" in server.log()
    with serve_there(BIREFNET_BUILD_ENGINE="block") as server:
        assert_tensorrt_serves(server)


@pytest.mark.parametrize(
    ("build", "outcome", "logged"),
    [
        ("background", "refuse no importer for DeformConv", "no importer for DeformConv"),
        ("background", "die", "killed by signal 9"),
        ("block", "nothing no tactic for Conv_7", "no tactic for Conv_7"),
    ],
)
def test_a_build_that_fails_leaves_the_cpu_serving_and_nothing_else(
    serve_there: ServeThere, machine: Path, tmp_path: Path, build: str, outcome: str, logged: str
) -> None:
    (machine / "build").write_text(outcome)
    with serve_there(BIREFNET_BUILD_ENGINE=build) as server:
        failed = "engine tensorrt could not be built; the log says why"
        server.wait_for(lambda: failed in server.health()["reasons"], 30, "told of")
        assert_cpu_serves(server, failed)
        assert not any("is being built" in reason for reason in server.health()["reasons"])
        assert logged in server.log()
    assert not [file for file in tmp_path.rglob("*") if file.suffix in (".part", ".plan")]


def test_a_build_in_the_background_takes_over_under_load_and_no_request_is_lost(
    serve_there: ServeThere, machine: Path
) -> None:
    (machine / "build").write_text("wait")
    answers: list[httpx.Response] = []
    over = threading.Event()
    with serve_there(BIREFNET_BUILD_ENGINE="background") as server:

        def load() -> None:
            while not over.is_set():
                answers.append(server.remove(PICTURE, return_base64="true"))

        server.wait_for(
            lambda: "Build Engine" in "".join(server.health()["reasons"]), 30, "building"
        )
        assert_cpu_serves(server, "a TensorRT engine is being built", "openvino serves meanwhile")
        callers = [threading.Thread(target=load) for _ in range(3)]
        for caller in callers:
            caller.start()
        time.sleep(1)
        (machine / "build").unlink()
        server.wait_for(lambda: server.health()["status"] == "healthy", 30, "taken over")
        time.sleep(1)
        over.set()
        for caller in callers:
            caller.join(30)
            assert not caller.is_alive(), "a caller hangs"
        assert_tensorrt_serves(server)
    assert {answer.status_code for answer in answers} == {200}
    engines = [answer.json()["processing_info"]["engine"] for answer in answers]
    assert (engines[0], engines[-1]) == ("openvino f32", "tensorrt f32")
    assert set(engines) == {"openvino f32", "tensorrt f32"}
    assert not (machine / "violations").exists()


def test_a_stop_ends_the_build_and_leaves_nothing_of_it(
    serve_there: ServeThere, machine: Path, tmp_path: Path
) -> None:
    (machine / "build").write_text("wait")
    with serve_there(BIREFNET_BUILD_ENGINE="background") as server:
        server.wait_for(
            lambda: "Build Engine" in "".join(server.health()["reasons"]), 30, "building"
        )
        assert server.stop() < 15  # with the builder, which `stop` has seen among the processes
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.usefixtures("built")
def test_an_engine_whose_mattes_are_wrong_does_not_serve(
    serve_there: ServeThere, machine: Path
) -> None:
    (machine / "off_by").write_text("40")
    with serve_there() as server:
        assert_cpu_serves(server, "fails its reference pictures: alpha differs from float32 by")


@pytest.mark.usefixtures("built")
def test_a_gpu_without_memory_at_the_start_is_told_with_both_figures(
    serve_there: ServeThere, machine: Path
) -> None:
    (machine / "taken_mb").write_text(str(16 * 1024))
    with serve_there() as server:
        assert_cpu_serves(server, "MB of GPU memory, and 0 MB are free")


@pytest.mark.usefixtures("built")
def test_a_gpu_that_runs_out_of_memory_in_flight_costs_one_pass_on_the_cpu(
    serve_there: ServeThere, machine: Path
) -> None:
    with serve_there() as server:
        (machine / "upload").write_text(OUT_OF_MEMORY)
        info = info_of(server)
        assert (info["engine"], info["retried_on_cpu"]) == ("openvino f32", True)
        assert not info["tensorrt_enabled"]
        assert_tensorrt_serves(server)
    assert not (machine / "violations").exists()


@pytest.mark.usefixtures("built")
def test_a_gpu_out_of_memory_with_nothing_behind_it_is_a_problem_with_all_its_fields(
    serve_there: ServeThere, machine: Path
) -> None:
    (machine / "no_cpu_engine").touch()
    with serve_there() as server:
        (machine / "upload").write_text(OUT_OF_MEMORY)
        body = assert_problem(server.remove(PICTURE), "GPU_MEMORY_EXHAUSTED")
        assert body["gpu_memory_required_mb"] > 0
        assert body["gpu_memory_available_mb"] > 0
        assert body["suggested_action"] == "Retry in 30 seconds"
        assert body["retry_after"] == 30
        assert_tensorrt_serves(server)


@pytest.mark.usefixtures("built")
def test_a_gpu_that_breaks_in_flight_makes_way_for_the_cpu(
    serve_there: ServeThere, machine: Path
) -> None:
    with serve_there() as server:
        (machine / "synchronize").write_text(LAUNCH_FAILED)
        infos = [info_of(server) for _ in range(4)]
        assert [info["retried_on_cpu"] for info in infos] == [True, True, True, False]
        assert {info["engine"] for info in infos} == {"openvino f32"}
        assert_cpu_serves(
            server,
            "tensorrt f32 kept failing; openvino f32 serves until the service is started again",
        )


@pytest.mark.usefixtures("built")
def test_an_engine_that_ends_its_process_twice_is_left_alone(
    serve_there: ServeThere, machine: Path
) -> None:
    (machine / "dies").touch()
    with serve_there() as server:  # the supervisor starts inference again, and again
        assert_cpu_serves(server, "engine tensorrt could not be opened")
        assert "the process ended 2 times while opening this TensorRT engine" in server.log()
