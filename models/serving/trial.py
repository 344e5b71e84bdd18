"""Tries a faster precision beside the one that serves, in moments when nobody waits.

It takes over between two batches if it may; a stop in the middle leaves nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from models.arrays import U8Array
from models.engine import Engine
from models.errors import EngineIncompatible
from models.serving.failover import FailoverPredictor
from models.serving.precision import Verdict, compare, judge
from models.spec import Precision

log = logging.getLogger(__name__)

CANDIDATE = Precision.BF16
_AFTER_START_S = 10.0
_QUIET_S = 2.0  # without a batch
_PAUSES = 20.0  # times as long as a pass took; then it goes on although batches come
_END_S = 10.0


class Stopped(Exception):
    """The service ends."""


class PrecisionTrial:
    """One trial, in a thread of its own.

    Args:
        predictor: What serves, in float32.
        open_candidate: Opens the model in the faster precision.
        has_room: Whether the machine has the memory for a second engine.
        keep: Is given the verdict, once there is one.
        size: Rows and columns of the model input, in pixels.

    Attributes:
        note: Why there is no verdict, or not yet; fit to be shown to anybody.
    """

    def __init__(
        self,
        predictor: FailoverPredictor,
        open_candidate: Callable[[], Engine],
        has_room: Callable[[], bool],
        keep: Callable[[Verdict], None],
        size: tuple[int, int],
    ) -> None:
        self._predictor, self._open_candidate = predictor, open_candidate
        self._has_room, self._keep, self._size = has_room, keep, size
        self._closing = Event()
        self._last_batch, self._last_pass_s = 0.0, 0.0
        self.note = f"{CANDIDATE.value} is to be tried"
        self._thread = Thread(target=self._try, name="precision", daemon=True)

    def start(self) -> None:
        """Begin, some seconds from now."""
        self._thread.start()

    def batch_ended(self) -> None:
        """Hear that somebody was waiting until now."""
        self._last_batch = time.monotonic()

    def close(self) -> None:
        """End it; a pass that is under way ends first."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(_END_S)

    def _try(self) -> None:
        """Nothing escapes into the thread."""
        try:
            self._pause(_AFTER_START_S)
            self._compare_and_take_over()
        except Stopped:
            pass
        except EngineIncompatible as refused:
            self.note = f"{CANDIDATE.value} is not judged: {refused}"
        except Exception:
            self.note = f"{CANDIDATE.value} could not be judged; the log says why"
            log.exception("%s could not be judged", CANDIDATE.value)

    def _compare_and_take_over(self) -> None:
        self._wait_for_quiet()
        if not self._has_room():
            self.note = f"{CANDIDATE.value} is not judged: too little memory for a second engine"
            return
        candidate = self._open_candidate()
        try:
            comparison = compare(self._run(None), self._run(candidate), *self._size)
            verdict = judge(CANDIDATE, comparison)
            if self._closing.is_set():
                raise Stopped
            self._keep(verdict)
        except BaseException:
            candidate.close()
            raise
        log.info("%s (%.0f s)", verdict.reason, comparison.took_s)
        if verdict.precision is CANDIDATE:
            self._predictor.swap(candidate)
        else:
            candidate.close()

    def _run(self, engine: Engine | None) -> Callable[[U8Array], tuple[U8Array, float]]:
        """Runs a picture on an engine, or on what serves, while nobody waits."""

        def timed(serving: Engine, model_input: U8Array) -> tuple[U8Array, float]:
            started = time.perf_counter()
            alpha = (engine or serving).predict(model_input[None])[0]
            return alpha, time.perf_counter() - started

        def run(model_input: U8Array) -> tuple[U8Array, float]:
            self._wait_for_quiet()
            alpha, took_s = self._predictor.between_batches(lambda one: timed(one, model_input))
            self._last_pass_s = took_s
            return alpha, took_s

        return run

    def _wait_for_quiet(self) -> None:
        give_up = time.monotonic() + _PAUSES * self._last_pass_s
        while (quiet_at := self._last_batch + _QUIET_S) > time.monotonic():
            if time.monotonic() > give_up:
                break
            self._pause(min(quiet_at, give_up) - time.monotonic())
        self._pause(0)

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(max(0.0, seconds)):
            raise Stopped
