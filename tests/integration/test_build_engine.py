"""`python -m scripts.build_engine`: the plan of a registered model, where the service finds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.engine import EngineConfig
from models.engines.trt.build import PLANS_FOLDER
from models.engines.trt.cache import PlanCache
from models.engines.trt.library import find_libraries
from models.engines.trt.open import MACHINE, open_tensorrt, request_plan
from models.errors import EngineNotBuilt
from models.store.registered import RegisteredModel, resolve
from scripts.build_engine import main
from tests.support.fake_cuda import FakeDevice, expected_alpha
from tests.support.fake_machine import model_store, put_in_device, registered_tiny
from tests.support.fake_tensorrt import install_fake_tensorrt
from tests.support.graphs import SIZE

GIB = 1 << 30
BATCH = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegisteredModel]:
    with registered_tiny(tmp_path, monkeypatch) as model:
        yield model


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevice]:
    """A device, and a TensorRT that builds what runs on it."""
    device = FakeDevice(capacity=GIB)
    put_in_device(monkeypatch, device)
    install_fake_tensorrt(monkeypatch, tmp_path / "library")
    yield device
    device.assert_clean()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def arguments(folder: Path, model: RegisteredModel) -> list[str]:
    return ["--model", model.spec.name, "--cache-dir", str(folder)]


def config(folder: Path) -> EngineConfig:
    return EngineConfig(SIZE, SIZE, cache_dir=folder)


def plans(folder: Path) -> list[Path]:
    return sorted(folder.glob("tensorrt/plans/*"))


def told(printed: str) -> dict[str, str]:
    """What was printed in lines of a name and what it is."""
    return dict(line.split(maxsplit=1) for line in printed.splitlines() if "  " in line)


@pytest.mark.usefixtures("device")
def test_what_was_built_is_what_the_engine_opens(
    arguments: list[str], folder: Path, model: RegisteredModel, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EngineNotBuilt):
        open_tensorrt(model.files, config(folder))
    assert main(arguments) == 0
    said = told(capsys.readouterr().out)
    assert said["device"] == "Fake T4, compute capability 7.5, driver 580.65.06"
    assert said["library"] == "tensorrt 99.0"
    assert said["network"] == "64 x 64, f32"
    assert said["profiles"] == "1, 2, 4, 8"
    assert "built in" in said["engine"]
    engine = open_tensorrt(model.files, config(folder))
    assert np.array_equal(engine.predict(BATCH), expected_alpha(BATCH))
    engine.close()


@pytest.mark.usefixtures("device")
def test_a_dry_run_says_whether_it_is_there_and_leaves_no_trace(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith("not there: would be built\n")
    assert not folder.exists()
    assert main(arguments) == 0
    capsys.readouterr()
    assert main([*arguments, "--dry-run"]) == 0
    assert "\nthere: " in capsys.readouterr().out


@pytest.mark.usefixtures("device")
def test_a_dry_run_tells_a_damaged_plan_from_a_folder_that_is_refused(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    plans(folder)[0].write_bytes(b"tampered")
    assert main([*arguments, "--dry-run"]) == 0
    assert "would be built anew" in capsys.readouterr().out
    (folder / PLANS_FOLDER).chmod(0o777)
    assert main([*arguments, "--dry-run"]) == 1
    assert "chmod" in capsys.readouterr().err


@pytest.mark.usefixtures("device")
def test_what_is_there_is_built_once_and_again_on_demand(
    arguments: list[str], folder: Path, model: RegisteredModel
) -> None:
    assert main(arguments) == 0
    before = plans(folder)[0].stat().st_mtime_ns
    assert main(arguments) == 0
    assert plans(folder)[0].stat().st_mtime_ns == before
    order = request_plan(model.files, config(folder))
    mark = folder / PLANS_FOLDER / f"opening-{order.key.digest[:32]}"
    mark.write_bytes(b"xx")
    graph = folder / "tensorrt-graphs" / f"{order.source[:32]}.onnx"
    graph.parent.mkdir()
    graph.write_bytes(b"what a checkpoint would have been exported to")
    assert main([*arguments, "--again"]) == 0
    assert plans(folder)[0].stat().st_mtime_ns > before
    assert not mark.exists()
    assert not graph.exists()


@pytest.mark.usefixtures("device")
def test_a_registered_plan_opens_without_the_cache(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--register"]) == 0
    tag = told(capsys.readouterr().out)["tag"]
    assert tag.startswith("tiny-tensorrt:")
    found = resolve("tiny")
    assert [plan.file.parent.name for plan in found.files.plans] == [tag.partition(":")[2]]
    open_tensorrt(found.files, config(tmp_path / "empty")).close()


@pytest.mark.usefixtures("device")
def test_fewer_profiles_are_built_for_a_smaller_batch(
    arguments: list[str], folder: Path, model: RegisteredModel
) -> None:
    assert main([*arguments, "--batch-size", "3"]) == 0
    plan = json.loads(plans(folder)[0].read_bytes().removeprefix(b"FAKEPLAN"))
    assert plan["batches"] == [1, 2]


@pytest.mark.parametrize("size", ["0", "-4", "many"])
def test_a_batch_of_nothing_is_no_wish(
    arguments: list[str], size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--batch-size", size])
    assert ended.value.code == 2
    assert "--batch-size" in capsys.readouterr().err


def test_the_checkpoint_the_service_is_pointed_at_is_what_is_built_for(
    folder: Path,
    model: RegisteredModel,
    device: FakeDevice,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BIREFNET_MODEL_PATH", str(tmp_path / "mine.pth"))
    assert main(["--cache-dir", str(folder)]) == 1
    assert "no file" in sentence(capsys)
    monkeypatch.setenv("BIREFNET_MODEL_PATH", str(tmp_path / "tiny.onnx"))
    assert main(["--cache-dir", str(folder)]) == 0
    assert "engine" in told(capsys.readouterr().out)


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was said about a failure."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("build_engine: ")
    return line


def test_without_a_device_it_says_so(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(MACHINE, "probe", lambda: "there is no driver")
    assert main(arguments) == 1
    assert "needs a CUDA device: there is no driver" in sentence(capsys)


def test_a_driver_that_refuses_is_told(
    arguments: list[str], device: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    device.fail("open", 35)
    assert main(arguments) == 1
    assert "the CUDA driver refuses" in sentence(capsys)


def test_a_model_that_is_not_registered_is_told(
    folder: Path, model: RegisteredModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", "nothing", "--cache-dir", str(folder)]) == 1
    assert "nothing" in sentence(capsys)


def test_where_nothing_is_registered_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with model_store(tmp_path / "empty"):
        assert main(["--cache-dir", str(tmp_path)]) == 1
    assert sentence(capsys) == "build_engine: no model is registered; run: make model"


@pytest.mark.usefixtures("device")
def test_a_graph_that_was_damaged_is_told_and_leaves_nothing(
    arguments: list[str],
    folder: Path,
    model: RegisteredModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model.files.graph.write_bytes(b"no graph")
    assert main(arguments) == 1
    assert "is damaged; run: make model MODEL=tiny" in sentence(capsys)
    assert plans(folder) == []


def test_a_build_that_fails_is_told_with_the_library_s_own_words(
    arguments: list[str],
    folder: Path,
    device: FakeDevice,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install_fake_tensorrt(monkeypatch, tmp_path / "other", refuses="no tactic for Conv_7")
    assert main([*arguments, "--register"]) == 1
    assert sentence(capsys) == "build_engine: TensorRT built nothing: no tactic for Conv_7"
    assert plans(folder) == []
    assert resolve("tiny").files.plans == ()


@pytest.mark.usefixtures("device")
def test_a_folder_that_cannot_be_written_is_told(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write_text("no folder")
    assert main(arguments) == 1
    assert str(folder) in sentence(capsys)


@pytest.mark.tensorrt
def test_a_real_library_builds_a_plan_for_a_device_that_is_elsewhere(
    arguments: list[str],
    folder: Path,
    model: RegisteredModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    library = next((it for it in find_libraries() if it.name == "tensorrt_rtx"), None)
    if library is None:
        pytest.skip("TensorRT-RTX, which builds without a GPU, is not installed")
    put_in_device(monkeypatch, FakeDevice())
    monkeypatch.setattr(MACHINE, "find_library", lambda: library)
    assert main([*arguments, "--register"]) == 0
    assert told(capsys.readouterr().out)["library"] == library.label
    key = request_plan(model.files, config(folder)).key
    plan = PlanCache(folder / PLANS_FOLDER).find(key)
    assert plan is not None
    assert len(plan) > 1000
    (stored,) = resolve("tiny").files.plans
    assert stored.file.read_bytes() == plan
    assert stored.metadata["key"]["library"] == library.label
