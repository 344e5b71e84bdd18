"""Which engine serves on which machine, and what health hears of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import ModelFiles, sha256_of
from models.engine import EngineConfig
from models.engines.onnx_runtime import OnnxRuntimeEngine
from models.engines.openvino import OpenVinoEngine
from models.engines.trt.build import PLANS_FOLDER
from models.engines.trt.cache import PlanCache
from models.engines.trt.library import Library
from models.engines.trt.open import MACHINE, request_plan
from models.engines.trt.plan import PlanManifest
from models.errors import EngineUnavailable, InferenceFailed
from models.export.graphs import export
from models.serving.acceptance import reference_file, reference_pictures
from models.serving.options import EngineOptions
from models.serving.served import ServedEngines
from models.spec import Precision
from models.store.registered import RegisteredModel
from tests.support.fake_cuda import (
    FakeDevice,
    FakePlanRuntime,
    expected_alpha,
    make_fake_plan,
)
from tests.support.fake_machine import put_in_device
from tests.support.fake_tensorrt import install_fake_tensorrt
from tests.support.graphs import SIZE, make_spec, write_checkpoint

PLAN = make_fake_plan((1, 2, 4, 8), SIZE, SIZE)
BATCH = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
LIBRARY = Library("tensorrt", "none", "11.4")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RegisteredModel:
    folder = tmp_path_factory.mktemp("model")
    spec = make_spec()
    export(write_checkpoint(folder), spec, folder)
    return RegisteredModel("tiny:1", ModelFiles.within(folder), spec)


@pytest.fixture
def options(tmp_path: Path) -> EngineOptions:
    return EngineOptions(
        engine="auto",
        device="auto",
        precision=None,
        use_tensorrt=None,
        build_engine="never",
        batch_size=None,
        pin_memory=False,
        cudnn_benchmark=False,
        cache_dir=tmp_path / "cache",
    )


@pytest.fixture
def no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MACHINE, "probe", lambda: "there is no driver")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevice]:
    device = FakeDevice()
    put_in_device(monkeypatch, device)
    monkeypatch.setattr(MACHINE, "find_library", lambda: LIBRARY)
    yield device
    device.assert_clean()


def keep_plan(model: RegisteredModel, options: EngineOptions, gpu: str | None = None) -> None:
    """The plan this machine needs, or one with a GPU of that name, as if it had been built."""
    order = request_plan(model.files, EngineConfig(SIZE, SIZE))
    order = replace(order, device=replace(order.device, name=gpu or order.device.name))

    def write(target: Path) -> PlanManifest:
        target.write_bytes(PLAN)
        sha256 = hashlib.sha256(PLAN).hexdigest()
        return PlanManifest(order.key, "c" * 64, sha256, len(PLAN), 0.1)

    PlanCache(options.cache_dir / PLANS_FOLDER).build_once(order.key, write)


def agree_with_the_fake(model: RegisteredModel, options: EngineOptions) -> None:
    """The reference's mattes, made before, are what the fake plan computes."""
    pictures = reference_pictures(SIZE, SIZE)
    kept = reference_file(options.cache_dir / "reference", sha256_of(model.files.graph), pictures)
    kept.parent.mkdir(parents=True)
    np.save(kept, expected_alpha(pictures))


def assert_cpu_serves(engines: ServedEngines, *notes: str) -> None:
    """For these reasons, none of which names a path; health shows them to anybody."""
    told = engines.describe()
    assert (told.engine.name, told.engine.device) == ("openvino", "cpu")
    said = "; ".join(told.notes)
    for note in notes:
        assert note in said
    assert "/" not in said
    outcome = engines.predict(BATCH)
    assert (outcome.engine.label, outcome.retried_on_cpu) == ("openvino f32", False)


@pytest.mark.usefixtures("no_device")
def test_without_a_device_the_cpu_serves_and_nothing_is_amiss(
    model: RegisteredModel, options: EngineOptions
) -> None:
    engines = ServedEngines(options, model)
    told = engines.describe()
    assert (told.engine.name, told.engine.device, told.notes) == ("openvino", "cpu", ())
    assert told.gpu_memory_free_mb == 0
    assert not engines.predict(BATCH).retried_on_cpu
    engines.close()


def fail(*_: object) -> np.ndarray:
    raise InferenceFailed("a kernel this CPU does not have")


@pytest.mark.usefixtures("no_device")
@pytest.mark.parametrize("prove", [True, False])
def test_an_engine_that_opens_and_does_not_run_makes_way_for_the_next(
    model: RegisteredModel, options: EngineOptions, monkeypatch: pytest.MonkeyPatch, prove: bool
) -> None:
    monkeypatch.setattr(OpenVinoEngine, "predict", fail)
    engines = ServedEngines(options, model, prove=prove)
    assert engines.engine.info.name == ("onnxruntime" if prove else "openvino")
    outcome = engines.predict(BATCH)
    assert (outcome.engine.name, len(outcome.alphas)) == ("onnxruntime", len(BATCH))
    told = engines.describe()
    assert told.notes == ("engine openvino could not be opened; the log says why",)
    assert told.failures_in_a_row == 0
    engines.close()


@pytest.mark.usefixtures("no_device")
def test_an_engine_that_made_its_first_picture_stays(
    model: RegisteredModel, options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = ServedEngines(options, model, prove=False)
    made = engines.predict(BATCH)
    with monkeypatch.context() as broken:
        broken.setattr(OpenVinoEngine, "predict", fail)
        with pytest.raises(InferenceFailed):
            engines.predict(BATCH)
    again = engines.predict(BATCH)
    assert again.engine.name == "openvino"
    assert np.array_equal(again.alphas, made.alphas)
    engines.close()


@pytest.mark.usefixtures("no_device")
def test_where_no_engine_makes_the_first_picture_all_pictures_hear_it(
    model: RegisteredModel, options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for engine in (OpenVinoEngine, OnnxRuntimeEngine):
        monkeypatch.setattr(engine, "predict", fail)
    engines = ServedEngines(options, model, prove=False)
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match="no engine could be opened"):
            engines.predict(BATCH)
    engines.close()


@pytest.mark.usefixtures("no_device")
def test_what_stands_in_for_a_gpu_is_not_opened_for_ever(
    model: RegisteredModel, options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenVinoEngine, "predict", fail)
    with pytest.raises(InferenceFailed):  # of all engines it is the last
        ServedEngines(replace(options, device="cuda", precision=Precision.F16), model, prove=False)


def test_a_gpu_s_engine_is_proven_before_its_first_picture(
    model: RegisteredModel, options: EngineOptions, device: FakeDevice
) -> None:
    options = replace(options, use_tensorrt=True)
    keep_plan(model, options)
    engines = ServedEngines(options, model, prove=False)
    assert_cpu_serves(engines, "fails its reference pictures: alpha differs from float32 by")
    engines.close()


@pytest.mark.usefixtures("no_device")
@pytest.mark.parametrize(
    "asked", [{"device": "cuda"}, {"use_tensorrt": True}, {"engine": "tensorrt"}]
)
def test_an_asked_for_device_that_is_not_there_is_told(
    model: RegisteredModel, options: EngineOptions, asked: dict[str, object]
) -> None:
    engines = ServedEngines(replace(options, **asked), model)
    assert engines.describe().notes == ("no GPU is used: there is no driver",)
    assert engines.describe().engine.name == "openvino"
    engines.close()


def test_a_plan_that_passes_its_reference_pictures_serves(
    model: RegisteredModel, options: EngineOptions, device: FakeDevice
) -> None:
    options = replace(options, use_tensorrt=True)
    keep_plan(model, options)
    agree_with_the_fake(model, options)
    engines = ServedEngines(options, model)
    told = engines.describe()
    assert (told.engine.name, told.engine.device, told.notes) == ("tensorrt", "cuda", ())
    assert told.gpu_memory_free_mb > 0
    outcome = engines.predict(BATCH)
    assert outcome.engine.label == "tensorrt f32"
    assert np.array_equal(outcome.alphas, expected_alpha(BATCH))
    engines.close()


def test_a_plan_that_fails_its_reference_pictures_does_not_serve(
    model: RegisteredModel, options: EngineOptions, device: FakeDevice
) -> None:
    options = replace(options, use_tensorrt=True)
    keep_plan(model, options)
    engines = ServedEngines(options, model)  # the tiny network is not what the fake computes
    told = engines.describe()
    assert told.engine.name == "openvino"
    assert "engine tensorrt could not be opened; the log says why" in told.notes
    assert_cpu_serves(engines, "fails its reference pictures: alpha differs from float32 by")
    engines.close()


@pytest.mark.parametrize("fault", [RuntimeError("a library's own"), OSError("libcublas is gone")])
def test_what_a_library_raises_unforeseen_leaves_the_cpu_serving(
    model: RegisteredModel,
    options: EngineOptions,
    device: FakeDevice,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
) -> None:
    def open_runtime(_library: Library) -> FakePlanRuntime:
        raise fault

    monkeypatch.setattr(MACHINE, "open_runtime", open_runtime)
    keep_plan(model, options)
    engines = ServedEngines(options, model)
    told = engines.describe()
    assert told.engine.name == "openvino"
    assert "engine tensorrt could not be opened; the log says why" in told.notes
    assert str(fault) not in "".join(told.notes)
    engines.close()


def test_a_gpu_without_memory_is_told_with_both_figures(
    model: RegisteredModel, options: EngineOptions, device: FakeDevice
) -> None:
    keep_plan(model, options)
    device.taken = device.capacity - 1
    engines = ServedEngines(options, model)
    told = engines.describe()
    assert told.engine.name == "openvino"
    assert any("MB of GPU memory, and 0 MB are free" in note for note in told.notes)
    engines.close()


@pytest.mark.usefixtures("no_device")
def test_a_precision_only_a_gpu_has_gives_way_where_a_gpu_was_asked_for(
    model: RegisteredModel, options: EngineOptions
) -> None:
    engines = ServedEngines(replace(options, device="cuda", precision=Precision.F16), model)
    told = engines.describe()
    assert (told.engine.name, told.engine.precision) == ("openvino", "f32")
    assert "BIREFNET_PRECISION=f16 needs the GPU" in told.notes
    engines.close()


@pytest.mark.usefixtures("no_device")
def test_a_precision_only_a_gpu_has_stops_the_start_where_the_cpu_shall_serve(
    model: RegisteredModel, options: EngineOptions
) -> None:
    with pytest.raises(EngineUnavailable, match="no engine could be opened"):
        ServedEngines(replace(options, precision=Precision.F16), model)


@pytest.mark.usefixtures("device")
def test_tensorrt_that_is_asked_for_and_not_installed_is_told_with_the_command(
    model: RegisteredModel, options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_library() -> Library:
        raise EngineUnavailable("TensorRT is not installed; run: pip install it")

    monkeypatch.setattr(MACHINE, "find_library", find_library)
    engines = ServedEngines(replace(options, use_tensorrt=True), model)
    assert "TensorRT is not installed; run: pip install it" in engines.describe().notes
    engines.close()


def test_out_of_memory_in_flight_costs_one_pass_on_the_cpu(
    model: RegisteredModel, options: EngineOptions, device: FakeDevice
) -> None:
    options = replace(options, use_tensorrt=True)
    keep_plan(model, options)
    agree_with_the_fake(model, options)
    engines = ServedEngines(options, model)
    device.fail("upload", 2)
    outcome = engines.predict(BATCH)
    assert (outcome.engine.label, outcome.retried_on_cpu) == ("openvino f32", True)
    assert engines.predict(BATCH).engine.label == "tensorrt f32"
    engines.close()


@pytest.mark.usefixtures("device")
def test_a_plan_nobody_may_build_is_told_with_the_command(
    model: RegisteredModel, options: EngineOptions
) -> None:
    engines = ServedEngines(replace(options, use_tensorrt=True), model)
    told = engines.describe()
    assert told.engine.name == "openvino"
    assert any("python -m scripts.build_engine" in note for note in told.notes)
    engines.close()


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("build", ["background", "block"])
def test_a_build_that_fails_is_told_and_the_cpu_serves(
    model: RegisteredModel, options: EngineOptions, build: str
) -> None:
    # The builder is real; the library the machine claims to have is not installed.
    engines = ServedEngines(replace(options, use_tensorrt=True, build_engine=build), model)
    deadline = time.monotonic() + 60
    while "engine tensorrt could not be built; the log says why" not in (
        notes := engines.describe().notes
    ):
        assert time.monotonic() < deadline, notes
        assert not engines.predict(BATCH).retried_on_cpu
        time.sleep(0.05)
    assert engines.describe().engine.name == "openvino"
    assert not any("is being built" in note for note in notes)
    engines.close()
    assert not list(options.cache_dir.rglob("*.part"))


@pytest.mark.usefixtures("device")
def test_closing_ends_a_build(model: RegisteredModel, options: EngineOptions) -> None:
    engines = ServedEngines(replace(options, use_tensorrt=True, build_engine="background"), model)
    started = time.monotonic()
    engines.close()
    assert time.monotonic() - started < 10
    assert not list(options.cache_dir.rglob("*.part"))


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: FakeDevice) -> Path:
    """A TensorRT that builds; see `tests.support.fake_tensorrt` for its file `build`."""
    installed = install_fake_tensorrt(monkeypatch, tmp_path / "library")
    monkeypatch.setattr(MACHINE, "find_library", lambda: installed)
    return tmp_path / "library"


def assert_tensorrt_serves(options: EngineOptions, model: RegisteredModel) -> None:
    engines = ServedEngines(options, model)
    assert engines.describe().notes == ()
    assert engines.predict(BATCH).engine.label == "tensorrt f32"
    engines.close()


@pytest.mark.usefixtures("library")
def test_a_plan_serves_at_the_next_start_and_one_that_was_tampered_with_is_built_anew(
    model: RegisteredModel, options: EngineOptions, caplog: pytest.LogCaptureFixture
) -> None:
    options = replace(options, use_tensorrt=True)
    blocking = replace(options, build_engine="block")
    agree_with_the_fake(model, options)
    assert_tensorrt_serves(blocking, model)
    assert_tensorrt_serves(options, model)
    (plan,) = options.cache_dir.rglob("*.plan")
    plan.write_bytes(plan.read_bytes() + b" ")
    engines = ServedEngines(options, model)
    assert_cpu_serves(engines, "run: python -m scripts.build_engine")
    assert "not what its manifest says" in caplog.text
    engines.close()
    assert_tensorrt_serves(blocking, model)


@pytest.mark.usefixtures("device")
def test_a_plan_of_another_gpu_is_not_used(model: RegisteredModel, options: EngineOptions) -> None:
    keep_plan(model, options, gpu="Another GPU")
    engines = ServedEngines(options, model)
    assert_cpu_serves(engines, "no TensorRT engine was built for this GPU")
    engines.close()


@pytest.mark.parametrize(
    ("build", "outcome", "logged"),
    [
        ("background", "refuse no importer for DeformConv", "no importer for DeformConv"),
        ("background", "die", "killed by signal 9"),
        ("block", "nothing no tactic for Conv_7", "no tactic for Conv_7"),
    ],
)
def test_why_a_build_failed_is_for_the_log_alone_and_nothing_of_it_stays(
    model: RegisteredModel,
    options: EngineOptions,
    library: Path,
    caplog: pytest.LogCaptureFixture,
    build: str,
    outcome: str,
    logged: str,
) -> None:
    (library / "build").write_text(outcome)
    engines = ServedEngines(replace(options, use_tensorrt=True, build_engine=build), model)
    failed, deadline = "engine tensorrt could not be built; the log says why", time.monotonic() + 60
    while failed not in engines.describe().notes:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert_cpu_serves(engines, failed)
    assert not any("is being built" in note for note in engines.describe().notes)
    assert logged in caplog.text
    engines.close()
    left = options.cache_dir.rglob("*")
    assert not [file for file in left if file.suffix in (".part", ".plan")]


def test_a_gpu_that_breaks_in_flight_makes_way_for_the_cpu(
    model: RegisteredModel, options: EngineOptions, device: FakeDevice
) -> None:
    keep_plan(model, options)
    agree_with_the_fake(model, options)
    engines = ServedEngines(replace(options, use_tensorrt=True), model)
    device.fail("synchronize", 719)
    assert [engines.predict(BATCH).retried_on_cpu for _ in range(4)] == [True, True, True, False]
    told = "tensorrt f32 kept failing; openvino f32 serves until the service is started again"
    assert_cpu_serves(engines, told)
    engines.close()
