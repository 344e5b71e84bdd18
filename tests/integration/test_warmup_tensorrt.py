"""`python -m scripts.warmup_tensorrt`: what the first start would do, done before it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import sha256_of
from models.engines.trt.open import MACHINE
from models.serving.acceptance import reference_file, reference_pictures
from models.store.registered import RegisteredModel
from scripts.build_engine import main as build_engine
from scripts.warmup_tensorrt import main
from tests.support.fake_cuda import FakeDevice, expected_alpha
from tests.support.fake_machine import put_in_device, registered_tiny
from tests.support.fake_tensorrt import install_fake_tensorrt
from tests.support.graphs import SIZE

Output = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("BIREFNET_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def model(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RegisteredModel]:
    monkeypatch.setenv("BIREFNET_MODEL", "tiny")
    with registered_tiny(tmp_path, monkeypatch) as model:
        yield model


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevice]:
    """A device, and a TensorRT that builds what runs on it."""
    device = FakeDevice(capacity=1 << 30)
    put_in_device(monkeypatch, device)
    install_fake_tensorrt(monkeypatch, tmp_path / "library")
    yield device
    device.assert_clean()


@pytest.fixture
def right(folder: Path, model: RegisteredModel) -> None:
    """The reference's mattes, made before, are what fake plans compute."""
    pictures = reference_pictures(SIZE, SIZE)
    kept = reference_file(folder / "reference", sha256_of(model.files.graph), pictures)
    kept.parent.mkdir(parents=True)
    np.save(kept, expected_alpha(pictures))


def sentence(capsys: Output) -> str:
    """The last line that was said; before it are the log's."""
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("warmup_tensorrt: ")
    return line.removeprefix("warmup_tensorrt: ")


def test_without_a_device_it_says_why(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(MACHINE, "probe", lambda: "there is no driver")
    assert main([]) == 1
    assert "there is no driver" in sentence(capsys)


@pytest.mark.usefixtures("device", "right")
@pytest.mark.parametrize("built", [True, False], ids=["kept", "missing"])
def test_an_engine_is_built_if_it_is_missing_and_run(built: bool, capsys: Output) -> None:
    assert not built or build_engine([]) == 0
    capsys.readouterr()
    assert main(["--rounds", "3"]) == 0
    *rounds, median, memory = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in rounds] == [f"round {n} of 3" for n in (1, 2, 3)]
    assert re.fullmatch(r"fake_tensorrt 11\.4 f32: median \d+\.\d ms", median)
    assert re.fullmatch(r"GPU memory free: 10\d\d MB", memory)


@pytest.mark.usefixtures("device")
def test_an_engine_that_fails_its_reference_pictures_does_not_run(
    capsys: Output, caplog: pytest.LogCaptureFixture
) -> None:
    assert main([]) == 1  # the tiny network is not what fake plans compute
    assert "tensorrt" in sentence(capsys).lower()
    assert "fails its reference pictures" in caplog.text


@pytest.mark.usefixtures("right")
def test_a_pass_that_the_cpu_had_to_do_is_no_measurement(
    device: FakeDevice, capsys: Output
) -> None:
    assert build_engine([]) == 0
    assert main([]) == 0
    device.fail("upload", 2, nth=device.calls["upload"])  # the last of as many
    capsys.readouterr()
    assert main([]) == 1
    assert sentence(capsys) == "TensorRT failed; openvino f32 did round 5"


@pytest.mark.usefixtures("device", "right")
def test_another_engine_that_is_asked_for_is_not_what_is_warmed(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("BIREFNET_ENGINE", "openvino")
    assert main(["--rounds", "1"]) == 0
    assert "fake_tensorrt" in capsys.readouterr().out


def test_a_device_that_is_not_to_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("BIREFNET_DEVICE", "cpu")
    assert main([]) == 1
    assert "BIREFNET_DEVICE=cpu" in sentence(capsys)


def test_a_model_that_is_not_registered_is_told(capsys: Output) -> None:
    assert main(["--model", "u2netp"]) == 1
    assert sentence(capsys) == "u2netp is not registered; run: make model MODEL=u2netp"


@pytest.mark.parametrize("rounds", ["0", "-1", "five"])
def test_no_rounds_warm_nothing(rounds: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--rounds", rounds])
    assert ended.value.code == 2
    assert "--rounds" in capsys.readouterr().err
