"""No network at all: brightness becomes alpha. For tests, never for users."""

from __future__ import annotations

import os
import time

import numpy as np

from models.arrays import U8Array
from models.artifacts import ModelFiles
from models.engine import EngineConfig, EngineInfo, Headroom
from models.errors import InferenceFailed
from models.spec import Precision

_DEADLY = [254, 0, 254]


class FakeEngine:
    """A full engine whose matte is the picture's green channel.

    A picture may ask for time: one whose first pixel is ``(255, 0, b)`` takes ``b / 50`` seconds,
    so that a test can hold a running service in the middle of a batch. One whose first pixel is
    ``(254, 0, 254)`` ends the process.

    Args:
        files: Ignored.
        config: How to open it.
        seconds_per_item: How long each item takes, to make queues observable.
    """

    def __init__(
        self, files: ModelFiles, config: EngineConfig, seconds_per_item: float = 0
    ) -> None:
        self._seconds_per_item = seconds_per_item
        self._closed = False
        self._info = EngineInfo("fake", "fake 1", "cpu", Precision.F32, config.max_batch)

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return self._info

    def predict(self, batch: U8Array) -> U8Array:
        """Run one batch; see `models.engine.Engine`."""
        if self._closed:
            raise InferenceFailed("the engine is closed")
        if any(item[0, 0].tolist() == _DEADLY for item in batch):
            os._exit(1)
        time.sleep(
            self._seconds_per_item * len(batch) + sum(_seconds_asked(item) for item in batch)
        )
        return np.ascontiguousarray(batch[..., 1])

    def headroom(self, batch: int) -> Headroom | None:
        """Nothing to tell on a CPU."""
        return None

    def close(self) -> None:
        """Nothing to give back. May be called twice."""
        self._closed = True


def _seconds_asked(item: U8Array) -> float:
    """What the first pixel of a model input asks for, in seconds."""
    red, green, blue = item[0, 0].tolist()
    return float(blue) / 50 if (red, green) == (255, 0) else 0.0
