"""The remover of the command: engines open beside the check of their files, never past it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.engines.onnx_runtime import OnnxRuntimeEngine
from models.engines.openvino import OpenVinoEngine
from models.errors import EngineUnavailable, InferenceFailed
from models.store.registered import RegisteredModel
from service.errors import CannotStart, InvalidRequest
from service.local import LocalRemover
from service.startup import choose_models
from tests.support.fake_machine import registered_tiny
from tests.support.pictures import make_image

PHOTO = make_image("PNG", 96, 128)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegisteredModel]:
    """The tiny network, registered, and settings that name nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIREFNET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("BIREFNET_STORAGE_URL", str(tmp_path / "storage"))
    monkeypatch.setenv("BIREFNET_DEVICE", "cpu")
    choose_models.cache_clear()
    with registered_tiny(tmp_path, monkeypatch) as registered:
        yield registered
    choose_models.cache_clear()


def remove() -> tuple[bytes, str, str]:
    """What a start makes of one picture: the file, its type, and what made it."""
    remover = LocalRemover()
    try:
        file, media_type, headers = remover.remove(PHOTO, {"format": "webp"})
        with pytest.raises(InvalidRequest):
            remover.remove(PHOTO, {"formt": "webp"})
    finally:
        remover.close()
    return file, media_type, headers["X-Engine"]


@pytest.mark.usefixtures("tiny")
def test_a_second_start_makes_the_same_bytes() -> None:
    first = remove()
    assert first[1:] == ("image/webp", "openvino f32")
    assert remove() == first


def test_a_damaged_file_is_told_though_its_network_was_kept(tiny: RegisteredModel) -> None:
    remove()
    graph = tiny.files.graph.read_bytes()
    tiny.files.graph.write_bytes(graph[:-1] + bytes([graph[-1] ^ 1]))
    with pytest.raises(CannotStart, match=r"is damaged; run: make model MODEL=tiny"):
        LocalRemover()
    tiny.files.graph.write_bytes(b"")  # which no engine opens
    with pytest.raises(CannotStart, match=r"is damaged; run: make model MODEL=tiny"):
        LocalRemover()


@pytest.mark.usefixtures("tiny")
def test_an_engine_that_does_not_run_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> np.ndarray:
        raise InferenceFailed("a kernel this CPU does not have")

    monkeypatch.setattr(OpenVinoEngine, "predict", fail)
    assert remove()[2] == "onnxruntime f32"
    monkeypatch.setattr(OnnxRuntimeEngine, "predict", fail)
    with pytest.raises(EngineUnavailable):
        remove()
