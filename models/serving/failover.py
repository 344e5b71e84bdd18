"""Runs batches on the best engine that works: a GPU's, with the CPU's behind it.

What a GPU engine cannot do the CPU does once, marked as such; an engine that keeps failing makes
way; a better one that becomes ready takes over between two batches. No request is lost to any of
it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import TypeVar

from models.arrays import U8Array
from models.artifacts import ModelFiles
from models.engine import CPU_ENGINES, Engine, EngineConfig, EngineInfo, open_engine
from models.errors import (
    EngineError,
    EngineUnavailable,
    InferenceFailed,
    NetworkOverflowed,
    OutOfDeviceMemory,
    Shortage,
)
from models.serving.predictor import MattePredictor
from models.spec import Precision

log = logging.getLogger(__name__)

T = TypeVar("T")

_FAILURES_TO_MAKE_WAY = 3


@dataclass(frozen=True)
class BatchOutcome:
    """A batch's mattes and how they came about.

    Attributes:
        alphas: Alpha mattes ``[N, H, W]``.
        engine: What made them.
        retried_on_cpu: Whether the GPU failed and the CPU made them.
    """

    alphas: U8Array
    engine: EngineInfo
    retried_on_cpu: bool = False


class FailoverPredictor:
    """The engine that serves, and the CPU engine behind it.

    Args:
        engine: What serves first; the predictor closes it.
        open_fallback: Opens the CPU engine that stands in; called when it is first needed.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
        warm: Whether the engine runs once before this returns.

    Raises:
        InferenceFailed: If it does so and fails; it is closed.
    """

    def __init__(
        self,
        engine: Engine,
        open_fallback: Callable[[], Engine],
        height: int,
        width: int,
        *,
        warm: bool = True,
    ) -> None:
        self._shape = height, width
        self._predictor = self._warm(engine) if warm else MattePredictor(engine, height, width)
        self._open_fallback = open_fallback
        self._fallback: MattePredictor | None = None
        self._one_at_a_time = Lock()
        self._device_failures = 0
        self._made_way: list[str] = []

    @property
    def engine(self) -> Engine:
        """What serves now."""
        return self._predictor.engine

    @property
    def failures_in_a_row(self) -> int:
        """Batches that came to nothing since the last that did not."""
        return self._predictor.failures_in_a_row

    @property
    def notes(self) -> list[str]:
        """Why less serves than might."""
        failures = self._device_failures
        failing = [f"{self.engine.info.label} fails; the CPU stands in"] if failures else []
        return [*self._made_way, *failing]

    def predict(self, batch: U8Array) -> BatchOutcome:
        """Run a batch of any size.

        Args:
            batch: Model inputs ``[N, H, W, 3]``, RGB.

        Raises:
            OutOfDeviceMemory: If the device lacks the memory before work, or ran out of it and the
                CPU could not do it either.
            InferenceFailed: If the engine and the one behind it fail.
        """
        with self._one_at_a_time:
            engine = self.engine
            _refuse_without_memory(engine, len(batch))
            try:
                alphas = self._predictor.predict(batch)
            except InferenceFailed as failure:
                return self._retry(batch, failure)
            self._device_failures = 0
            return BatchOutcome(alphas, engine.info)

    def between_batches(self, work: Callable[[Engine], T]) -> T:
        """Do something while no batch is under way.

        Args:
            work: Is given what serves, and gives what is returned; batches wait for it.
        """
        with self._one_at_a_time:
            return work(self.engine)

    def swap(self, engine: Engine) -> None:
        """Let another engine take over, once it is warm and no batch is under way.

        Args:
            engine: The new one; the old one is closed.

        Raises:
            InferenceFailed: If the new one fails its first picture; it is closed, the old one
                serves on.
        """
        successor = self._warm(engine)
        with self._one_at_a_time:
            before, self._predictor = self._predictor, successor
            self._device_failures = 0
            self._made_way = []
        before.close()

    def close(self) -> None:
        """Close every engine. May be called twice."""
        with self._one_at_a_time:
            self._predictor.close()
            if self._fallback is not None:
                self._fallback.close()

    def _warm(self, engine: Engine) -> MattePredictor:
        """A predictor that has run; where it cannot, its engine is closed."""
        predictor = MattePredictor(engine, *self._shape)
        try:
            predictor.warm_up()
        except BaseException:
            engine.close()
            raise
        return predictor

    def _retry(self, batch: U8Array, failure: InferenceFailed) -> BatchOutcome:
        """Once, on the CPU, if it was a device that failed."""
        if self.engine.info.device == "cpu":
            raise failure
        log.warning("%s failed (%s); the CPU tries", self.engine.info.label, failure)
        try:
            fallback = self._fallback_predictor()
            alphas = fallback.predict(batch)
        except (EngineError, InferenceFailed) as also:
            log.error("the CPU engine did not do either: %s", also)
            raise failure from also
        self._predictor.failures_in_a_row = 0
        self._count(failure)
        return BatchOutcome(alphas, fallback.engine.info, retried_on_cpu=True)

    def _count(self, failure: InferenceFailed) -> None:
        """Three failures in a row that were the device's own: the engine makes way."""
        self._device_failures += not isinstance(failure, OutOfDeviceMemory | NetworkOverflowed)
        if self._device_failures < _FAILURES_TO_MAKE_WAY or self._fallback is None:
            return
        failed, self._predictor, self._fallback = self._predictor, self._fallback, None
        self._device_failures = 0
        name = failed.engine.info.label
        log.error("%s failed %d times in a row and is closed", name, _FAILURES_TO_MAKE_WAY)
        serves = f"{self.engine.info.label} serves until the service is started again"
        self._made_way.append(f"{name} kept failing; {serves}")
        failed.close()

    def _fallback_predictor(self) -> MattePredictor:
        if self._fallback is None:
            self._fallback = MattePredictor(self._open_fallback(), *self._shape)
        return self._fallback


def open_on_cpu(files: ModelFiles, config: EngineConfig, precision: Precision | None) -> Engine:
    """Open a CPU engine.

    Args:
        files: The model.
        config: How to open it, but for its precision.
        precision: What it shall run in, or None for what model and CPU make of it.

    Returns:
        The first that opens.

    Raises:
        EngineUnavailable: If none does.
    """
    failures = []
    for name in CPU_ENGINES:
        try:
            return open_engine(name, files, replace(config, precision=precision))
        except EngineError as refused:
            failures.append(f"{name}: {refused}")
    raise EngineUnavailable("; ".join(failures))


def _refuse_without_memory(engine: Engine, batch: int) -> None:
    """Look before the work whether the device has the memory: other processes use it too.

    Raises:
        OutOfDeviceMemory: If it has not.
    """
    headroom = engine.headroom(batch)
    if headroom is not None and headroom.required_mb > headroom.free_mb:
        shortage = Shortage(headroom.required_mb * 2**20, headroom.free_mb * 2**20)
        raise OutOfDeviceMemory(str(shortage), **shortage.fields)
