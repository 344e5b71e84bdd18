"""A batch of any size goes through an engine of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.artifacts import ModelFiles
from models.engine import EngineConfig, EngineInfo
from models.engines.fake import FakeEngine
from models.errors import InferenceFailed
from models.serving.predictor import MattePredictor

HEIGHT, WIDTH = 16, 24


class RecordingEngine(FakeEngine):
    """Notes the batches it is given, and fails when told."""

    def __init__(self, max_batch: int) -> None:
        super().__init__(ModelFiles(Path("none")), EngineConfig(HEIGHT, WIDTH, max_batch=max_batch))
        self.batches: list[int] = []
        self.failures = 0
        self.answer: np.ndarray | None = None

    def predict(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(len(batch))
        if self.failures:
            self.failures -= 1
            raise InferenceFailed("told to")
        return super().predict(batch) if self.answer is None else self.answer


def make_batch(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("n", "max_batch", "expected"),
    [(1, 4, [1]), (4, 4, [4]), (5, 4, [4, 1]), (9, 4, [4, 4, 1]), (3, 1, [1, 1, 1])],
)
def test_a_batch_is_split_to_what_the_engine_takes(
    n: int, max_batch: int, expected: list[int]
) -> None:
    engine = RecordingEngine(max_batch)
    batch = make_batch(n)
    alphas = MattePredictor(engine, HEIGHT, WIDTH).predict(batch)
    assert engine.batches == expected
    assert np.array_equal(alphas, batch[..., 1])


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, HEIGHT, WIDTH, 3), np.float32),
        np.zeros((1, HEIGHT, WIDTH + 1, 3), np.uint8),
        np.zeros((1, WIDTH, HEIGHT, 3), np.uint8),
        np.zeros((1, 3, HEIGHT, WIDTH), np.uint8),
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        np.zeros((1, HEIGHT, WIDTH, 4), np.uint8),
        np.zeros((0, HEIGHT, WIDTH, 3), np.uint8),
    ],
    ids=["float", "size", "lying", "nchw", "no-batch", "rgba", "no picture"],
)
def test_a_batch_of_another_shape_is_our_bug(batch: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        MattePredictor(RecordingEngine(4), HEIGHT, WIDTH).predict(batch)


@pytest.mark.parametrize(
    "answer",
    [np.zeros((1, HEIGHT, WIDTH), np.float32), np.zeros((1, 1, HEIGHT, WIDTH), np.uint8)],
)
def test_an_engine_that_answers_in_another_shape_has_failed(answer: np.ndarray) -> None:
    engine = RecordingEngine(4)
    engine.answer = answer
    with pytest.raises(InferenceFailed):
        MattePredictor(engine, HEIGHT, WIDTH).predict(make_batch(1))


def test_failures_in_a_row_are_counted_until_one_succeeds() -> None:
    engine = RecordingEngine(4)
    predictor = MattePredictor(engine, HEIGHT, WIDTH)
    engine.failures = 2
    for expected in (1, 2):
        with pytest.raises(InferenceFailed):
            predictor.predict(make_batch(1))
        assert predictor.failures_in_a_row == expected
    predictor.predict(make_batch(1))
    assert predictor.failures_in_a_row == 0


@pytest.mark.parametrize(
    ("max_batch", "sizes"), [(1, [1]), (4, [1, 2, 4]), (6, [1, 2, 4]), (8, [1, 2, 4, 8])]
)
def test_warming_up_runs_every_power_of_two(max_batch: int, sizes: list[int]) -> None:
    engine = RecordingEngine(max_batch)
    MattePredictor(engine, HEIGHT, WIDTH).warm_up()
    assert engine.batches == sizes


def test_closing_closes_the_engine() -> None:
    predictor = MattePredictor(RecordingEngine(4), HEIGHT, WIDTH)
    predictor.close()
    with pytest.raises(InferenceFailed):
        predictor.predict(make_batch(1))


def test_an_engine_tells_what_it_is() -> None:
    assert isinstance(RecordingEngine(3).info, EngineInfo)
    assert RecordingEngine(3).info.max_batch == 3
