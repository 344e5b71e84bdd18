"""The graph exported of a checkpoint: whose it must be, and when it is dropped; a fake builds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from models.engines.trt.build import PlanBuilder, PlanRequest
from models.errors import EngineBuildFailed, EngineIncompatible
from tests.support.fake_tensorrt import install_fake_tensorrt
from tests.support.plans import files_within, make_request, write_mean_graph

SIZE = 32


@pytest.fixture
def outcome(tmp_path: Path) -> Path:
    """Says what becomes of a build; see `tests.support.fake_tensorrt`."""
    return tmp_path / "library" / "build"


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlanRequest:
    """An order for a plan of a checkpoint, of which nothing could be exported."""
    library = install_fake_tensorrt(monkeypatch, tmp_path / "library")
    checkpoint = tmp_path / "no.safetensors"
    checkpoint.write_bytes(b"no tensors")
    return replace(make_request(checkpoint, SIZE, checkpoint=checkpoint), library=library)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def graph(folder: Path, order: PlanRequest) -> Path:
    """What was exported of it before."""
    (folder / "tensorrt-graphs").mkdir(mode=0o700, parents=True)
    return write_mean_graph(folder / "tensorrt-graphs" / f"{order.source[:32]}.onnx", SIZE)


@pytest.mark.parametrize("content", [b"", b"half of a graph"], ids=["empty", "damaged"])
def test_a_graph_that_is_damaged_fails_one_build_and_the_next_exports_it_anew(
    content: bytes, order: PlanRequest, folder: Path, graph: Path
) -> None:
    graph.write_bytes(content)
    with pytest.raises(EngineBuildFailed):
        PlanBuilder(folder).plan(order)
    assert not graph.exists()
    with pytest.raises(EngineBuildFailed, match="safetensors"):
        PlanBuilder(folder).plan(order)


def test_a_build_that_is_cancelled_costs_no_graph(
    order: PlanRequest, folder: Path, graph: Path, outcome: Path
) -> None:
    outcome.write_text("wait")
    maker = PlanBuilder(folder, lambda _phase, _done, _of: maker.cancel())
    with pytest.raises(EngineBuildFailed, match="cancelled"):
        maker.plan(order)
    assert files_within(folder) == [graph.name]


def test_a_graph_that_was_not_exported_is_nobodys_to_drop(
    order: PlanRequest, folder: Path, tmp_path: Path, outcome: Path
) -> None:
    published = write_mean_graph(tmp_path / "graph.onnx", SIZE)
    outcome.write_text("nothing of it")
    maker, of_graph = PlanBuilder(folder), make_request(published, SIZE)
    of_graph = replace(of_graph, library=order.library)
    with pytest.raises(EngineBuildFailed, match="built nothing"):
        maker.plan(of_graph)
    maker.forget(of_graph)
    assert published.is_file()


def test_a_graph_that_is_dropped_while_a_plan_is_built_of_it_costs_no_plan(
    order: PlanRequest, folder: Path, graph: Path
) -> None:
    def drop(phase: str, _done: int, _of: int) -> None:
        if phase == "Build Engine":
            graph.unlink(missing_ok=True)

    assert PlanBuilder(folder, drop).plan(order)
    assert not graph.exists()


def test_what_is_forgotten_is_the_plan_and_the_graph_it_was_built_of(
    order: PlanRequest, folder: Path, graph: Path
) -> None:
    maker = PlanBuilder(folder)
    maker.plan(order)
    maker.forget(order)
    assert maker.cache.find(order.key) is None
    assert not graph.exists()


def test_graphs_that_others_could_have_written_are_refused(
    order: PlanRequest, folder: Path, graph: Path
) -> None:
    graph.parent.chmod(0o777)
    with pytest.raises(EngineIncompatible, match="chmod"):
        PlanBuilder(folder).plan(order)
    assert graph.is_file()
