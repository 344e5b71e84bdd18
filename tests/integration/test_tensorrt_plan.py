"""A BiRefNet's checkpoint becomes a TensorRT plan: the smallest, and one of full size.

Built once, by TensorRT-RTX, which needs no device to build. What a tiny graph can show is in
`tests/unit/models/engines/trt`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree, rmtree

import onnx
import pytest
import torch
from onnx import TensorProto
from safetensors.torch import save_file

from models.artifacts import ModelFiles, sha256_of
from models.birefnet import build_birefnet
from models.birefnet.seeded import seed_weights
from models.engines.trt.build import PLANS_FOLDER, PlanBuilder, PlanRequest
from models.engines.trt.cache import read_plan
from models.errors import EngineIncompatible
from models.spec import Precision
from tests.support.artefacts import HEIGHT, WIDTH, HalfExport
from tests.support.plans import (
    DEVICE,
    RTX,
    files_within,
    hear,
    make_request,
    needs_rtx,
    start_wanting,
    wait_for_child,
    wait_until_ended,
)
from tests.unit.models.engines.trt.test_plan import OTHER

pytestmark = [pytest.mark.tensorrt, pytest.mark.slow, needs_rtx]

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}


@dataclass(frozen=True)
class Built:
    """A plan, where it is kept, what it was ordered as, and what was said meanwhile."""

    order: PlanRequest
    folder: Path
    plan: bytes
    phases: list[str]
    least_bytes: int

    @property
    def graph(self) -> Path:
        (graph,) = self.folder.rglob("*.onnx")
        return graph

    @property
    def file(self) -> Path:
        return self.folder / PLANS_FOLDER / "plans" / f"{self.order.key.digest}.plan"

    @property
    def manifest(self) -> Path:
        return self.folder / PLANS_FOLDER / "manifests" / f"{self.order.key.digest}.json"


# At full size a minute on two idle cores, half of it export; six where two others build as well.
FULL = [pytest.mark.full, pytest.mark.timeout(1200)]


@pytest.fixture(
    scope="module", params=[pytest.param(size, marks=FULL) for size in ("small", "full")]
)
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("cache")  # pytest keeps the folders of three runs
    if request.param == "small":
        yield build_small(request.getfixturevalue("half_export"), folder)
    else:
        yield build_full(folder)
    rmtree(folder)


def build_small(exported: HalfExport, folder: Path) -> Built:
    """Of a graph that was exported before."""
    copytree(exported.graph.parent, folder / exported.graph.parent.name)
    files = ModelFiles(exported.checkpoint, checkpoint=exported.checkpoint)
    return build(PlanRequest(files, HEIGHT, WIDTH, RTX, DEVICE, (1,)), folder, 10 << 20)


def build_full(folder: Path) -> Built:
    """Of a checkpoint as it is published, for all that is served."""
    with torch.device("meta"):
        network = build_birefnet("swin_v1_t")
    network.to_empty(device="cpu")
    seed_weights(network)
    checkpoint = folder / "model.safetensors"
    save_file(network.state_dict(), checkpoint)
    order = make_request(checkpoint, 1024, (1, 4, 8), checkpoint)
    built = build(order, folder, 100 << 20)  # two times 44 million weights
    assert built.phases[0] == "export the graph"
    return built


def build(order: PlanRequest, folder: Path, least_bytes: int) -> Built:
    phases: list[str] = []
    plan = PlanBuilder(folder, lambda phase, _done, _of: phases.append(phase)).plan(order)
    return Built(order, folder, plan, phases, least_bytes)


@contextmanager
def changed(file: Path, offset: int) -> Iterator[None]:
    """One byte of a file is another, for a while."""
    _flip(file, offset)
    try:
        yield
    finally:
        _flip(file, offset)


def _flip(file: Path, offset: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        (byte,) = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([byte ^ 1]))


def test_a_checkpoint_becomes_a_plan_that_its_manifest_describes(built: Built) -> None:
    assert "parse" in list(dict.fromkeys(built.phases))[:2]
    assert len(built.plan) > built.least_bytes
    manifest = PlanBuilder(built.folder).cache.manifest(built.order.key)
    assert (manifest.key.precision, manifest.key.batches) == (Precision.F16, built.order.batches)
    assert manifest.plan_bytes == len(built.plan)
    assert manifest.plan_sha256 == sha256_of(built.file)
    assert manifest.graph_sha256 == sha256_of(built.graph)
    assert built.graph.stat().st_mode & 0o777 == 0o600


def test_a_plan_that_was_built_is_found_and_nothing_is_exported_or_built(built: Built) -> None:
    phases: list[str] = []
    maker = PlanBuilder(built.folder, lambda phase, _done, _of: phases.append(phase))
    assert maker.plan(built.order) == built.plan
    assert phases == []


@pytest.mark.parametrize("part", OTHER)
def test_a_plan_is_neither_found_nor_read_for_a_key_that_differs_in_one_part(
    built: Built, part: str
) -> None:
    cache, other = PlanBuilder(built.folder).cache, replace(built.order.key, **{part: OTHER[part]})
    assert other != built.order.key
    assert cache.find(other) is None
    with pytest.raises(EngineIncompatible, match="the plan is for"):
        read_plan(built.file, cache.manifest(built.order.key), other)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_plan_of_which_one_bit_was_changed_is_refused(built: Built, share: float) -> None:
    cache = PlanBuilder(built.folder).cache
    with (
        changed(built.file, int(share * (len(built.plan) - 1))),
        pytest.raises(EngineIncompatible, match="not what its manifest says"),
    ):
        cache.find(built.order.key)
    assert cache.find(built.order.key) == built.plan


def test_a_manifest_of_which_one_bit_was_changed_is_refused(built: Built) -> None:
    cache, text = PlanBuilder(built.folder).cache, built.manifest.read_text()
    for said in (json.loads(text)["plan_sha256"], built.order.device.name, '"batches"'):
        with changed(built.manifest, text.index(said) + 1), pytest.raises(EngineIncompatible):
            cache.find(built.order.key)
    assert cache.find(built.order.key) == built.plan


def test_the_exported_graph_has_nothing_of_what_the_parser_refuses(built: Built) -> None:
    model = onnx.shape_inference.infer_shapes(
        onnx.load(str(built.graph)), check_type=True, strict_mode=True
    )
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        read = {types[name] for name in node.input if name}
        assert node.op_type not in ("DeformConv", "GridSample")
        assert TensorProto.UINT8 not in read or node.op_type in ("Cast", "Shape")
        assert not read >= FLOATS, f"{node.op_type} {node.name} mixes types"


@pytest.mark.full
def test_who_is_killed_while_exporting_takes_the_exporter_along(
    half_export: HalfExport, tmp_path: Path
) -> None:
    file = half_export.checkpoint
    process, hears = start_wanting(make_request(file, 1024, checkpoint=file), tmp_path)
    assert hear(hears) == "export the graph"
    exporter = wait_for_child(process)
    process.kill()
    process.join()
    wait_until_ended(exporter)
    assert files_within(tmp_path) == []
