"""A faster precision is tried beside the one that serves, and takes over if it may."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from models.arrays import U8Array
from models.engine import EngineInfo, Headroom
from models.errors import EngineIncompatible, InferenceFailed
from models.matting.preprocess import fit
from models.serving import precision, trial
from models.serving.composites import Composite, make_composite
from models.serving.failover import FailoverPredictor
from models.serving.precision import Verdict
from models.serving.trial import PrecisionTrial
from models.spec import Precision

SIDE = 256
PICTURES = 4
BATCH = np.full((1, SIDE, SIDE, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def cases() -> list[Composite]:
    return [make_composite(number) for number in range(PICTURES)]


@pytest.fixture(scope="module")
def truths(cases: list[Composite]) -> dict[bytes, U8Array]:
    """The true matte of every picture, by the model input that is made of it."""
    known = {}
    for case in cases:
        alpha = cv2.resize(case.alpha_u8, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        known[fit(case.picture, SIDE, SIDE).tobytes()] = np.asarray(alpha, np.uint8)
    return known


@dataclass
class KnowingEngine:
    """An engine that knows the pictures: right, wrong by so many levels, or failing."""

    truths: dict[bytes, U8Array]
    precision: Precision = Precision.F32
    off: int = 0
    takes_s: float = 0.0
    fails: bool = False
    is_closed: bool = False
    ran: list[int] = field(default_factory=list)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("openvino", "openvino 0", "cpu", self.precision, 1)

    def predict(self, batch: U8Array) -> U8Array:
        if self.is_closed or self.fails:
            raise InferenceFailed("it was asked to")
        self.ran.append(len(batch))
        time.sleep(self.takes_s)
        nothing = np.zeros((SIDE, SIDE), np.uint8)
        right = np.stack([self.truths.get(one.tobytes(), nothing) for one in batch])
        return np.clip(right.astype(int) + self.off, 0, 255).astype(np.uint8)

    def headroom(self, batch: int) -> Headroom | None:
        return None

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Tried:
    """A trial and all that is in it."""

    serving: KnowingEngine
    candidate: KnowingEngine
    predictor: FailoverPredictor
    trial: PrecisionTrial
    verdicts: list[Verdict]

    def wait(self) -> None:
        self.trial._thread.join(20)
        assert not self.trial._thread.is_alive()


Try = Callable[..., Tried]


@pytest.fixture
def begin(
    cases: list[Composite], truths: dict[bytes, U8Array], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Tried]]:
    monkeypatch.setattr(trial, "_AFTER_START_S", 0.0)
    monkeypatch.setattr(trial, "_QUIET_S", 0.02)
    monkeypatch.setattr(precision, "_MOST", PICTURES)
    monkeypatch.setattr(precision, "make_composite", cases.__getitem__)
    begun: list[Tried] = []

    def begin(
        has_room: bool = True,
        refused: str = "",
        off: int = 0,
        candidate_off: int = 0,
        fails: bool = False,
    ) -> Tried:
        serving = KnowingEngine(truths, off=off, takes_s=0.008)
        faster = KnowingEngine(truths, Precision.BF16, off=candidate_off, fails=fails)
        predictor = FailoverPredictor(serving, lambda: serving, SIDE, SIDE)
        verdicts: list[Verdict] = []

        def open_candidate() -> KnowingEngine:
            if refused:
                raise EngineIncompatible(refused)
            return faster

        started = PrecisionTrial(
            predictor, open_candidate, lambda: has_room, verdicts.append, (SIDE, SIDE)
        )
        begun.append(Tried(serving, faster, predictor, started, verdicts))
        started.start()
        return begun[-1]

    yield begin
    for one in begun:
        one.trial.close()
        one.predictor.close()


def test_what_keeps_the_edges_takes_over_between_two_batches(begin: Try) -> None:
    tried = begin()
    while tried.trial._thread.is_alive():
        assert tried.predictor.predict(BATCH).engine.precision in (Precision.F32, Precision.BF16)
        tried.trial.batch_ended()
    assert tried.predictor.predict(BATCH).engine.precision is Precision.BF16
    (verdict,) = tried.verdicts
    assert verdict.precision is Precision.BF16
    assert (verdict.comparison.tried, verdict.comparison.pictures) == (PICTURES, PICTURES)
    assert tried.serving.is_closed


def test_what_is_wrong_at_the_edges_is_closed_and_the_other_serves_on(begin: Try) -> None:
    tried = begin(candidate_off=60)
    tried.wait()
    (verdict,) = tried.verdicts
    assert (verdict.precision, verdict.reason[:19]) == (Precision.F32, "bf16 costs too much")
    assert tried.candidate.is_closed
    assert tried.predictor.predict(BATCH).engine.precision is Precision.F32


def test_where_float32_is_wrong_nothing_is_judged(begin: Try) -> None:
    tried = begin(off=90)
    tried.wait()
    (verdict,) = tried.verdicts
    assert verdict.reason == "bf16 is not judged: float32 is right on 0 of 4 pictures"
    assert tried.candidate.is_closed


def test_a_candidate_that_fails_or_is_refused_changes_nothing(begin: Try) -> None:
    failing, refused, poor = begin(fails=True), begin(refused="no bf16 here"), begin(has_room=False)
    for tried, note in (
        (failing, "bf16 could not be judged; the log says why"),
        (refused, "bf16 is not judged: no bf16 here"),
        (poor, "bf16 is not judged: too little memory for a second engine"),
    ):
        tried.wait()
        assert (tried.trial.note, tried.verdicts) == (note, [])
        assert tried.predictor.predict(BATCH).engine.precision is Precision.F32
    assert failing.candidate.is_closed
    assert poor.candidate.ran == []


def test_a_stop_in_the_middle_leaves_nothing(begin: Try) -> None:
    tried = begin()
    while not tried.candidate.ran:
        time.sleep(0.002)
    tried.trial.close()
    assert not tried.trial._thread.is_alive()
    assert tried.verdicts == []
    assert tried.candidate.is_closed
    assert not tried.serving.is_closed


def test_callers_come_first(begin: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_AFTER_START_S", 0.05)
    monkeypatch.setattr(trial, "_QUIET_S", 1.0)
    monkeypatch.setattr(trial, "_PAUSES", 1000.0)
    tried = begin()
    for _ in range(60):
        tried.predictor.predict(BATCH)
        tried.trial.batch_ended()
    assert len(tried.candidate.ran) <= 1  # one may have begun in the first moment
