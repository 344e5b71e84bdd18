"""Plans of a tiny graph made by the real builder: by one of many, after a kill, and after none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from filelock import FileLock

from models.artifacts import ModelFiles
from models.engines.trt.build import PlanBuilder
from models.engines.trt.library import Library
from models.errors import EngineBuildFailed
from models.spec import Precision
from tests.support.plans import (
    DEVICE,
    PATIENCE_S,
    files_within,
    hear,
    hear_all,
    make_request,
    needs_rtx,
    start_wanting,
    wait_for_child,
    wait_until_ended,
    write_mean_graph,
)

SIZE = 32
# So many profiles take seconds, which is time enough to be killed in.
SLOWLY = tuple(range(1, 65))
OTHER = {
    "source": {"files": ModelFiles(Path(__file__))},
    "library": {"library": Library("tensorrt_rtx", "tensorrt_rtx", "1.0")},
    "gpu": {"device": replace(DEVICE, name="NVIDIA L4")},
    "compute_capability": {"device": replace(DEVICE, compute_capability=(8, 9))},
    "driver_major": {"device": replace(DEVICE, driver="580.65.06")},
    "cuda_major": {"device": replace(DEVICE, cuda_version=13000)},
    "batches": {"batches": (1,)},
}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return write_mean_graph(tmp_path / "graph.onnx", SIZE)


@pytest.mark.parametrize("part", OTHER)
def test_an_order_that_differs_in_one_thing_differs_in_that_part_of_its_key(
    graph: Path, part: str
) -> None:
    order = make_request(graph, SIZE)
    other = replace(order, **OTHER[part])
    assert replace(order.key, **{part: getattr(other.key, part)}) == other.key != order.key


def test_a_checkpoint_is_ordered_in_half_precision_and_for_one_size(graph: Path) -> None:
    order = make_request(graph, SIZE, checkpoint=graph)
    assert (order.precision, make_request(graph, SIZE).precision) == (Precision.F16, Precision.F32)
    sizes = [order, replace(order, height=2 * SIZE), replace(order, width=2 * SIZE)]
    assert len({resized.source for resized in sizes}) == 3


@pytest.mark.tensorrt
@needs_rtx
def test_of_two_processes_that_want_a_plan_at_once_one_builds_it(
    graph: Path, tmp_path: Path
) -> None:
    order, folder = make_request(graph, SIZE, SLOWLY), tmp_path / "cache"
    both = [start_wanting(order, folder) for _ in range(2)]
    phases = [hear_all(hears) for _, hears in both]
    for process, _ in both:
        process.join(PATIENCE_S)
        assert process.exitcode == 0
    assert sorted(bool(told) for told in phases) == [False, True]
    assert files_within(folder) == sorted([f"{order.key.digest}.plan", f"{order.key.digest}.json"])


@pytest.mark.tensorrt
@needs_rtx
def test_a_builder_that_is_killed_is_told_of_and_leaves_nothing(
    graph: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    process, hears = start_wanting(make_request(graph, SIZE, SLOWLY), folder)
    assert hear(hears) == "parse"
    wait_for_child(process).kill()
    assert "killed by signal 9" in hear_all(hears)[-1]
    process.join(PATIENCE_S)
    assert files_within(folder) == []


@pytest.mark.tensorrt
@needs_rtx
def test_a_build_that_is_cancelled_leaves_nothing(graph: Path, tmp_path: Path) -> None:
    maker = PlanBuilder(tmp_path / "cache", lambda _phase, _done, _of: maker.cancel())
    with pytest.raises(EngineBuildFailed, match="cancelled"):
        maker.plan(make_request(graph, SIZE, SLOWLY))
    assert files_within(tmp_path / "cache") == []


@pytest.mark.tensorrt
@needs_rtx
def test_who_is_killed_while_building_takes_the_builder_along_and_the_next_builds(
    graph: Path, tmp_path: Path
) -> None:
    order, folder = make_request(graph, SIZE, SLOWLY), tmp_path / "cache"
    process, hears = start_wanting(order, folder)
    assert hear(hears) == "parse"
    builder = wait_for_child(process)
    process.kill()
    process.join(PATIENCE_S)
    wait_until_ended(builder)
    assert files_within(folder) == []
    maker = PlanBuilder(folder)
    assert maker.cache.find(order.key) is None
    assert maker.plan(order) == maker.cache.find(order.key)


@pytest.mark.tensorrt
@needs_rtx
def test_a_graph_that_another_is_exporting_is_waited_for_and_not_exported_again(
    graph: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "no.safetensors"  # nothing could be exported of it
    checkpoint.write_bytes(b"no tensors")
    order, folder = make_request(graph, SIZE, checkpoint=checkpoint), tmp_path / "cache"
    phases: list[str] = []
    maker = PlanBuilder(folder, lambda phase, _done, _of: phases.append(phase))
    exported = folder / "tensorrt-graphs" / f"{order.source[:32]}.onnx"
    exported.parent.mkdir(mode=0o700, parents=True)
    with FileLock(exported.with_suffix(".lock")):
        waiting = Thread(target=maker.plan, args=(order,))
        waiting.start()
        waiting.join(1)
        graph.rename(exported)
    waiting.join(PATIENCE_S)
    assert maker.cache.find(order.key) is not None
    assert phases[0] == "parse"


@pytest.mark.parametrize("awaited", ["plan", "graph"])
def test_a_wait_for_another_process_can_be_cancelled(
    awaited: str, graph: Path, tmp_path: Path
) -> None:
    order, folder = make_request(graph, SIZE, checkpoint=graph), tmp_path / "cache"
    locks = {
        "plan": folder / "tensorrt" / f"{order.key.digest[:32]}.lock",
        "graph": folder / "tensorrt-graphs" / f"{order.source[:32]}.lock",
    }
    maker = PlanBuilder(folder)
    locks[awaited].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(locks[awaited]), ThreadPoolExecutor() as elsewhere:
        waiting = elsewhere.submit(maker.plan, order)
        assert not wait([waiting], 0.5).done
        maker.cancel()
        with pytest.raises(EngineBuildFailed, match="another process builds this engine"):
            waiting.result(PATIENCE_S)
    assert files_within(folder) == []


@pytest.mark.tensorrt
@needs_rtx
def test_what_is_no_checkpoint_fails_with_the_exporters_reason_and_leaves_nothing(
    graph: Path, tmp_path: Path
) -> None:
    checkpoint, folder = tmp_path / "no.safetensors", tmp_path / "cache"
    checkpoint.write_bytes(b"no tensors")
    with pytest.raises(EngineBuildFailed, match="safetensors"):
        PlanBuilder(folder).plan(make_request(graph, SIZE, checkpoint=checkpoint))
    assert files_within(folder) == []


@pytest.mark.tensorrt
def test_a_library_that_is_not_installed_is_said_to_be_missing(graph: Path, tmp_path: Path) -> None:
    order = replace(make_request(graph, SIZE), library=Library("tensorrt_rtx", "none", "0.9"))
    with pytest.raises(EngineBuildFailed, match=r"tensorrt_rtx 0\.9 is not installed"):
        PlanBuilder(tmp_path / "cache").plan(order)
