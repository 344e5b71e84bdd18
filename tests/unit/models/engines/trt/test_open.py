from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import ModelFiles, StoredPlan
from models.engine import EngineConfig
from models.engines.trt.build import PLANS_FOLDER, PlanRequest
from models.engines.trt.cache import PlanCache
from models.engines.trt.library import Library
from models.engines.trt.open import MACHINE, clear_crash_marker, open_tensorrt, request_plan
from models.engines.trt.plan import PlanManifest
from models.engines.trt.ports import CudaError
from models.errors import EngineIncompatible, EngineNotBuilt, EngineUnavailable
from models.spec import Precision
from tests.support.fake_cuda import (
    MIB,
    FakeDevice,
    expected_alpha,
    make_fake_plan,
)
from tests.support.fake_machine import put_in_device

SIDE = 32
PLAN = make_fake_plan((1, 2, 4, 8), SIDE, SIDE)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    """A machine with a device, its driver and a TensorRT."""
    device = FakeDevice()
    put_in_device(monkeypatch, device)
    monkeypatch.setattr(MACHINE, "find_library", lambda: Library("tensorrt", "fake", "11.4"))
    return device


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"a graph")
    return ModelFiles(graph)


@pytest.fixture
def config(tmp_path: Path) -> EngineConfig:
    return EngineConfig(SIDE, SIDE, cache_dir=tmp_path / "cache")


def manifest_of(order: PlanRequest, plan: bytes = PLAN) -> PlanManifest:
    return PlanManifest(order.key, "c" * 64, hashlib.sha256(plan).hexdigest(), len(plan), 0.1)


def keep(order: PlanRequest, config: EngineConfig) -> PlanCache:
    assert config.cache_dir is not None
    cache = PlanCache(config.cache_dir / PLANS_FOLDER)

    def write(target: Path) -> PlanManifest:
        target.write_bytes(PLAN)
        return manifest_of(order)

    cache.build_once(order.key, write)
    return cache


@pytest.mark.usefixtures("device")
def test_what_was_not_built_says_how_to_build_it(files: ModelFiles, config: EngineConfig) -> None:
    with pytest.raises(EngineNotBuilt, match=r"scripts\.build_engine"):
        open_tensorrt(files, config)


def test_a_plan_of_the_cache_runs(
    files: ModelFiles, config: EngineConfig, device: FakeDevice
) -> None:
    keep(request_plan(files, config), config)
    engine = open_tensorrt(files, config)
    batch = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    assert np.array_equal(engine.predict(batch), expected_alpha(batch))
    assert engine.info.precision is Precision.F32
    assert (engine.headroom(1) or pytest.fail("no figures")).free_mb > 0
    engine.close()
    assert engine.headroom(1) is None
    device.assert_clean()


@pytest.mark.usefixtures("device")
def test_a_plan_of_the_model_store_runs_where_it_fits(
    files: ModelFiles, config: EngineConfig, tmp_path: Path
) -> None:
    order = request_plan(files, config)
    plan = tmp_path / "engine.plan"
    plan.write_bytes(PLAN)
    plan.chmod(0o644)
    foreign = manifest_of(replace(order, device=replace(order.device, name="another GPU")))
    stored = [StoredPlan(plan, m.as_metadata()) for m in (foreign, manifest_of(order))]
    with pytest.raises(EngineNotBuilt):
        open_tensorrt(replace(files, plans=(stored[0], StoredPlan(plan, {}))), config)
    open_tensorrt(replace(files, plans=tuple(stored)), config).close()
    plan.write_bytes(PLAN + b" ")
    with pytest.raises(EngineNotBuilt):
        open_tensorrt(replace(files, plans=tuple(stored)), config)
    keep(order, config)  # what is refused in the store hides nothing in the cache
    open_tensorrt(replace(files, plans=tuple(stored)), config).close()


def test_every_profile_has_run_before_an_engine_counts_as_opened(
    files: ModelFiles, config: EngineConfig, device: FakeDevice
) -> None:
    device.capacity = 64 * 1024 * MIB
    keep(request_plan(files, config), config)
    engine = open_tensorrt(files, config)
    assert device.calls["context"] == device.calls["record"] == 4
    engine.close()


def test_memory_for_single_pictures_only_is_enough_to_open(
    files: ModelFiles, config: EngineConfig, device: FakeDevice
) -> None:
    device.capacity = 64 * 1024 * MIB
    keep(request_plan(files, config), config)
    device.fail("context", CudaError.OUT_OF_MEMORY, nth=2)
    open_tensorrt(files, config).close()


@pytest.mark.usefixtures("device")
def test_another_precision_than_the_plans_is_refused(
    files: ModelFiles, config: EngineConfig
) -> None:
    with pytest.raises(EngineIncompatible, match="f32 only"):
        open_tensorrt(files, replace(config, precision=Precision.F16))


@pytest.mark.usefixtures("device")
def test_what_ended_two_processes_is_not_opened_a_third_time(
    files: ModelFiles, config: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = request_plan(files, config)
    keep(order, config)
    assert config.cache_dir is not None
    folder = config.cache_dir / PLANS_FOLDER
    (folder / f"opening-{order.key.digest[:32]}").write_bytes(b"xx")
    with pytest.raises(EngineIncompatible, match="2 times"):
        open_tensorrt(files, config)
    clear_crash_marker(folder, order)
    open_tensorrt(files, config).close()
    assert not list(folder.glob("opening-*"))


def test_no_device_is_no_tensorrt(
    files: ModelFiles, config: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MACHINE, "probe", lambda: "there is no driver")
    with pytest.raises(EngineUnavailable, match="there is no driver"):
        open_tensorrt(files, config)


@pytest.mark.parametrize(
    ("gigabytes", "side", "batches"),
    [
        (140, 1024, (1, 2, 4, 8)),
        (16, 1024, (1, 2, 4)),
        (8, 1024, (1, 2)),
        (2, 1024, (1,)),
        (16, 2048, (1,)),
    ],
)
def test_a_small_device_gets_fewer_profiles(
    files: ModelFiles, device: FakeDevice, gigabytes: int, side: int, batches: tuple[int, ...]
) -> None:
    device.capacity = gigabytes << 30
    assert request_plan(files, EngineConfig(side, side)).batches == batches
