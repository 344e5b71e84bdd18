"""An engine that is wrong does not serve, and one that is merely rounded does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.artifacts import ModelFiles
from models.engine import EngineConfig
from models.engines.fake import FakeEngine
from models.errors import EngineIncompatible, InferenceFailed, OutOfDeviceMemory
from models.serving.acceptance import (
    check_engine,
    reference_file,
    reference_mattes,
    reference_pictures,
)

SIDE = 64
PICTURES = reference_pictures(SIDE, SIDE)
REFERENCE = PICTURES[..., 1]


class WrongEngine(FakeEngine):
    """Answers something else than it should."""

    def __init__(self, error: np.ndarray | int = 0) -> None:
        super().__init__(ModelFiles(Path("none")), EngineConfig(SIDE, SIDE))
        self.error = error
        self.asked = 0

    def predict(self, batch: np.ndarray) -> np.ndarray:
        self.asked += 1
        wrong = super().predict(batch).astype(np.int16) + self.error
        return np.clip(wrong, 0, 255).astype(np.uint8)


def noise(level: float) -> np.ndarray:
    return np.rint(np.random.default_rng(1).normal(0, level, (SIDE, SIDE))).astype(np.int16)


def test_the_reference_pictures_are_two_photographs_of_the_models_size() -> None:
    assert reference_pictures(64, 96).shape == (2, 64, 96, 3)
    assert reference_pictures(64, 96).dtype == np.uint8
    assert all(picture.std() > 20 for picture in PICTURES)


@pytest.mark.parametrize("error", [0, 1, noise(1.5)], ids=["exact", "one level", "rounding"])
def test_rounding_may_serve(error: np.ndarray | int) -> None:
    assert check_engine(WrongEngine(error), PICTURES, REFERENCE).passed


def corner() -> np.ndarray:
    patch = np.zeros((SIDE, SIDE), np.int16)
    patch[:4, :4] = 200
    return patch


@pytest.mark.parametrize(
    "error",
    [-255, 10, noise(20), corner()],
    ids=["all transparent", "shifted", "noise", "a wrong corner"],
)
def test_a_wrong_engine_is_refused_with_the_figures(error: np.ndarray | int) -> None:
    with pytest.raises(EngineIncompatible, match=r"differs from float32 by \d+\.\d+ on average"):
        check_engine(WrongEngine(error), PICTURES, REFERENCE)


@pytest.mark.parametrize("from_size", [2, 8])
def test_an_engine_that_is_wrong_in_batches_only_is_refused(from_size: int) -> None:
    class WrongInBatches(WrongEngine):
        def predict(self, batch: np.ndarray) -> np.ndarray:
            alpha = super().predict(batch)
            return alpha * 0 if len(batch) >= from_size else alpha

    with pytest.raises(EngineIncompatible, match="differs from float32"):
        check_engine(WrongInBatches(), PICTURES, REFERENCE)


def test_an_engine_with_memory_for_one_picture_only_may_serve() -> None:
    class Small(WrongEngine):
        def predict(self, batch: np.ndarray) -> np.ndarray:
            if len(batch) > 1:
                raise OutOfDeviceMemory("no")
            return super().predict(batch)

    assert check_engine(Small(), PICTURES, REFERENCE).passed


def test_mattes_are_kept_apart_by_model_graph_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {reference_file(tmp_path, model, PICTURES).name for model in ("a" * 64, "b" * 64)}
    names.add(reference_file(tmp_path, "a" * 64, PICTURES[::-1]).name)
    monkeypatch.setattr("models.serving.acceptance.GRAPH_VERSION", 99)
    names.add(reference_file(tmp_path, "a" * 64, PICTURES).name)
    assert len(names) == 4


def test_an_engine_that_reports_a_value_out_of_range_is_refused() -> None:
    class Unsound(WrongEngine):
        def predict(self, batch: np.ndarray) -> np.ndarray:
            raise InferenceFailed("not finite")

    with pytest.raises(InferenceFailed):
        check_engine(Unsound(), PICTURES, REFERENCE)


def test_the_references_mattes_are_made_once(tmp_path: Path) -> None:
    opened: list[WrongEngine] = []

    def open_reference() -> WrongEngine:
        opened.append(WrongEngine())
        return opened[-1]

    kept = tmp_path / "reference" / "model.npy"
    first = reference_mattes(PICTURES, open_reference, kept)
    again = reference_mattes(PICTURES, open_reference, kept)
    assert np.array_equal(first, REFERENCE)
    assert np.array_equal(again, REFERENCE)
    assert len(opened) == 1
    assert opened[0]._closed


def test_kept_mattes_of_another_size_are_made_anew(tmp_path: Path) -> None:
    kept = tmp_path / "model.npy"
    np.save(kept, np.zeros((2, 8, 8), np.uint8))
    assert np.array_equal(reference_mattes(PICTURES, WrongEngine, kept), REFERENCE)


def test_a_reference_that_fails_is_closed_and_keeps_nothing(tmp_path: Path) -> None:
    class Failing(WrongEngine):
        def predict(self, batch: np.ndarray) -> np.ndarray:
            raise InferenceFailed("no")

    engine = Failing()
    with pytest.raises(InferenceFailed):
        reference_mattes(PICTURES, lambda: engine, tmp_path / "model.npy")
    assert engine._closed
    assert list(tmp_path.iterdir()) == []
