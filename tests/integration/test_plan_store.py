"""TensorRT plans in the model store: found where they fit, refused where they were changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import StoredPlan
from models.engine import EngineConfig
from models.engines.trt.library import Library
from models.engines.trt.open import MACHINE, open_tensorrt, request_plan
from models.engines.trt.plan import PlanManifest
from models.errors import EngineNotBuilt
from models.store.plans import plans_of, register_plan
from models.store.registered import RegisteredModel, resolve
from tests.support.fake_cuda import FakeDevice, expected_alpha, make_fake_plan
from tests.support.fake_machine import put_in_device, registered_tiny
from tests.support.graphs import SIZE

PLAN = make_fake_plan((1, 2, 4, 8), SIZE, SIZE)
LIBRARY = Library("tensorrt", "none", "11.4")


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevice]:
    device = FakeDevice(capacity=1 << 30)
    put_in_device(monkeypatch, device)
    monkeypatch.setattr(MACHINE, "find_library", lambda: LIBRARY)
    yield device
    device.assert_clean()


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegisteredModel]:
    with registered_tiny(tmp_path, monkeypatch) as model:
        yield model


@pytest.fixture
def config(tmp_path: Path) -> EngineConfig:
    """With a cache that is empty: what opens comes from the store."""
    return EngineConfig(SIZE, SIZE, cache_dir=tmp_path / "cache")


@pytest.fixture
def manifest(model: RegisteredModel, config: EngineConfig) -> PlanManifest:
    """Of the plan this machine needs."""
    sha256 = hashlib.sha256(PLAN).hexdigest()
    return PlanManifest(request_plan(model.files, config).key, "c" * 64, sha256, len(PLAN), 0.1)


def only_plan(name: str) -> StoredPlan:
    (plan,) = plans_of(name)
    return plan


def test_a_model_without_plans_has_none(model: RegisteredModel) -> None:
    assert plans_of("tiny") == model.files.plans == ()


def test_what_was_registered_is_found_whole(manifest: PlanManifest) -> None:
    tag = register_plan("tiny", PLAN, manifest)
    stored = only_plan("tiny")
    assert stored.file.read_bytes() == PLAN
    assert PlanManifest.from_metadata(stored.metadata) == manifest
    assert tag == f"tiny-tensorrt:{manifest.key.digest[:12]}"
    assert plans_of("tin") == ()


def test_the_capitals_of_a_name_make_no_difference(manifest: PlanManifest) -> None:
    register_plan("BiRefNet-tiny", PLAN, manifest)
    assert only_plan("BiRefNet-tiny").file.read_bytes() == PLAN


def test_a_plan_of_the_store_runs_where_it_fits(
    manifest: PlanManifest, config: EngineConfig
) -> None:
    register_plan("tiny", PLAN, manifest)
    engine = open_tensorrt(resolve("tiny").files, config)
    batch = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    assert np.array_equal(engine.predict(batch), expected_alpha(batch))
    engine.close()


@pytest.mark.parametrize(
    "other",
    [{"gpu": "Another GPU"}, {"library": "tensorrt 11.5"}, {"batches": (1,)}, {"source": "d" * 64}],
    ids=["gpu", "library", "batches", "source"],
)
def test_a_plan_of_another_key_lies_beside_it_and_does_not_run(
    other: dict[str, object], manifest: PlanManifest, config: EngineConfig
) -> None:
    foreign = replace(manifest, key=replace(manifest.key, **other))
    register_plan("tiny", PLAN, foreign)
    with pytest.raises(EngineNotBuilt):
        open_tensorrt(resolve("tiny").files, config)
    register_plan("tiny", PLAN, manifest)
    assert len(plans_of("tiny")) == 2
    open_tensorrt(resolve("tiny").files, config).close()


def test_registering_again_replaces(manifest: PlanManifest, config: EngineConfig) -> None:
    plan = make_fake_plan((1, 2, 4, 8), SIZE, SIZE, scratch_bytes=8192)
    anew = replace(manifest, plan_sha256=hashlib.sha256(plan).hexdigest(), build_s=2.0)
    register_plan("tiny", PLAN, manifest)
    register_plan("tiny", plan, anew)
    stored = only_plan("tiny")
    assert stored.file.read_bytes() == plan
    assert stored.metadata["build_s"] == 2.0
    open_tensorrt(resolve("tiny").files, config).close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.write_bytes(PLAN + b" "), "not what its manifest says"),
        (lambda file: file.chmod(0o666), "chmod"),
        (lambda file: file.unlink(), "missing"),
    ],
    ids=["changed", "open to others", "gone"],
)
def test_a_plan_that_is_not_sound_is_not_run_and_the_log_says_why(
    spoil: Callable[[Path], object],
    said: str,
    manifest: PlanManifest,
    config: EngineConfig,
    device: FakeDevice,
    caplog: pytest.LogCaptureFixture,
) -> None:
    register_plan("tiny", PLAN, manifest)
    spoil(only_plan("tiny").file)
    with pytest.raises(EngineNotBuilt), caplog.at_level("ERROR"):
        open_tensorrt(resolve("tiny").files, config)
    assert not device.calls["load"]
    assert said in caplog.text


def test_an_entry_that_was_not_finished_is_none_and_makes_room(manifest: PlanManifest) -> None:
    register_plan("tiny", PLAN, manifest)
    (only_plan("tiny").file.parent / "complete").unlink()
    assert plans_of("tiny") == ()
    register_plan("tiny", PLAN, manifest)
    assert only_plan("tiny").file.read_bytes() == PLAN


@pytest.mark.parametrize(
    "content",
    [None, b"", b"[]", b"name: tiny", b"\xff\xfe{", b"{"],
    ids=["missing", "empty", "list", "half", "binary", "not-yaml"],
)
def test_an_entry_whose_description_is_damaged_is_none_and_hides_no_other(
    content: bytes | None, manifest: PlanManifest
) -> None:
    foreign = replace(manifest, key=replace(manifest.key, gpu="Another GPU"))
    register_plan("tiny", PLAN, foreign)
    described = only_plan("tiny").file.parent / "model.yaml"
    described.unlink() if content is None else described.write_bytes(content)
    register_plan("tiny", PLAN, manifest)
    assert only_plan("tiny").metadata["key"]["gpu"] == "Fake T4"
    assert len(resolve("tiny").files.plans) == 1
    register_plan("tiny", PLAN, foreign)
    assert len(plans_of("tiny")) == 2


def test_a_umask_that_lets_the_group_write_keeps_no_plan_from_running(
    manifest: PlanManifest, config: EngineConfig
) -> None:
    before = os.umask(0o002)
    try:
        register_plan("tiny", PLAN, manifest)
    finally:
        os.umask(before)
    open_tensorrt(resolve("tiny").files, config).close()
